//! Lanes: one row per partition of a target's last topic. Its lock orders all writers of a scope (P2), its offset moves
//! with the rows (P3).

use std::collections::BTreeMap;

use plan::quote;

use crate::{Class, Database, DbError, Row, Session};

/// What the writer does with a target's rows. It stands in the lanes' rows, so whoever holds a lane knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Makes them what the plan says.
    Write,
    /// The application writes them, too: counts what is equal and what differs, and fills in only what is missing.
    Compare,
    /// Leaves them alone: somebody else keeps both sides alike.
    Off,
}

impl Mode {
    pub const ALL: [Mode; 3] = [Mode::Write, Mode::Compare, Mode::Off];

    pub fn name(self) -> &'static str {
        match self {
            Mode::Write => "write",
            Mode::Compare => "compare",
            Mode::Off => "off",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    pub target: String,
    pub lane: u32,
    pub topic: String,
    pub next_offset: u64,
    pub mode: Mode,
}

/// Takes the lane: compares the offset, sets the next one, and holds the row's lock until the transaction ends.
/// `false`: somebody else has moved it, its mode is another, or the topic is of another incarnation.
pub async fn advance(session: &mut Session, db: &Database, at: &Lane, new: u64) -> Result<bool, DbError> {
    let matched = session
        .execute(&format!(
            "UPDATE {} SET next_offset = {new} WHERE target = {} AND lane = {} AND topic = {} AND next_offset = {} AND mode = '{}'",
            db.control_table("lane"),
            quote::text(&at.target),
            at.lane,
            quote::text(&at.topic),
            at.next_offset,
            at.mode.name(),
        ))
        .await?;
    Ok(matched == 1)
}

/// Sets the mode of a target's lanes, in the caller's transaction, which holds the target's flag: waits for every batch
/// and chunk under way. Gives the mode before; `None`: the target has no lanes.
pub async fn set_mode(
    session: &mut Session,
    db: &Database,
    target: &str,
    mode: Mode,
) -> Result<Option<Mode>, DbError> {
    let (table, target) = (db.control_table("lane"), quote::text(target));
    let sql = format!("SELECT mode FROM {table} WHERE target = {target} LIMIT 1");
    let Some(first) = session.rows(&sql).await?.first().map(|r| mode_of(r, 0)).transpose()? else {
        return Ok(None);
    };
    session.execute(&format!("UPDATE {table} SET mode = '{}' WHERE target = {target}", mode.name())).await?;
    Ok(Some(first))
}

/// The modes of all targets that have lanes.
pub async fn modes(session: &mut Session, db: &Database) -> Result<BTreeMap<String, Mode>, DbError> {
    let sql = format!("SELECT DISTINCT target, mode FROM {}", db.control_table("lane"));
    let rows = session.rows(&sql).await?;
    rows.iter().map(|r| Ok((r.text(0)?.unwrap_or_default().to_string(), mode_of(r, 1)?))).collect()
}

fn mode_of(row: &Row, column: usize) -> Result<Mode, DbError> {
    let text = row.text(column)?.unwrap_or_default();
    let unknown = || DbError::new("read a lane", Class::Other, format!("`{text}` is no mode of a lane"));
    Mode::parse(text).ok_or_else(unknown)
}

/// Makes `walker` the only one whose chunks may write the target. Waits for the chunks of the one before it, and for the
/// lanes' own batches.
pub async fn claim(session: &mut Session, db: &Database, target: &str, walker: &str) -> Result<(), DbError> {
    let sql = format!(
        "UPDATE {} SET walker = {} WHERE target = {} ORDER BY lane",
        db.control_table("lane"),
        quote::text(walker),
        quote::text(target),
    );
    session.execute(&sql).await.map(drop)
}

/// Locks every lane of the target, in order, for a chunk: against the lanes' own batches and other walkers, not against
/// chunks of the same walker. Gives the target's mode. `None`: another walker has claimed the target, or it has no lanes.
pub async fn share(
    session: &mut Session,
    db: &Database,
    target: &str,
    walker: &str,
) -> Result<Option<Mode>, DbError> {
    let sql = format!(
        "SELECT walker, mode FROM {} WHERE target = {} ORDER BY lane LOCK IN SHARE MODE",
        db.control_table("lane"),
        quote::text(target),
    );
    let lanes = session.rows(&sql).await?;
    for lane in &lanes {
        if lane.text(0)? != Some(walker) {
            return Ok(None);
        }
    }
    lanes.first().map(|lane| mode_of(lane, 1)).transpose()
}

pub async fn of_target(session: &mut Session, db: &Database, target: &str) -> Result<Vec<Lane>, DbError> {
    read(session, db, &format!("target = {} ORDER BY lane", quote::text(target))).await
}

async fn read(session: &mut Session, db: &Database, rest: &str) -> Result<Vec<Lane>, DbError> {
    let sql = format!(
        "SELECT target, lane, topic, next_offset, mode FROM {} WHERE {rest}",
        db.control_table("lane")
    );
    let rows = session.rows(&sql).await?;
    rows.iter()
        .map(|r| {
            Ok(Lane {
                target: r.text(0)?.unwrap_or_default().into(),
                lane: r.u64(1)?.unwrap_or_default() as u32,
                topic: r.text(2)?.unwrap_or_default().into(),
                next_offset: r.u64(3)?.unwrap_or_default(),
                mode: mode_of(r, 4)?,
            })
        })
        .collect()
}

/// Gives a target its lanes. Those that stand are left alone.
pub async fn add(
    session: &mut Session,
    db: &Database,
    target: &str,
    topic: &str,
    count: u32,
    mode: Mode,
) -> Result<(), DbError> {
    let row = |n| format!("({}, {n}, {}, '{}')", quote::text(target), quote::text(topic), mode.name());
    let rows: Vec<String> = (0..count).map(row).collect();
    let sql = format!(
        "INSERT INTO {} (target, lane, topic, mode) VALUES {} ON DUPLICATE KEY UPDATE topic = topic",
        db.control_table("lane"),
        rows.join(", ")
    );
    session.execute(&sql).await.map(drop)
}

/// C7: a new incarnation is one transaction, the caller's. Locks all lanes, gives them new topics and offset 0, keeps their
/// modes, and sends the reader back to what is proved to be applied. `lanes`: (target, topic) of every running target.
pub async fn reincarnate(
    session: &mut Session,
    db: &Database,
    source: &str,
    incarnation: u64,
    lanes: &[(String, String)],
    count: u32,
) -> Result<(), DbError> {
    let (lane, reader, applied) =
        (db.control_table("lane"), db.control_table("reader"), db.control_table("applied"));
    session.rows(&format!("SELECT lane FROM {lane} ORDER BY target, lane FOR UPDATE")).await?;
    let modes = modes(session, db).await?;
    session.execute(&format!("DELETE FROM {lane}")).await?;
    for (target, topic) in lanes {
        let mode = modes.get(target).copied().unwrap_or(Mode::Write);
        add(session, db, target, topic, count, mode).await?;
    }
    let source = quote::text(source);
    session
        .execute(&format!(
            "INSERT INTO {applied} (source, incarnation) VALUES ({source}, {incarnation}) ON DUPLICATE KEY UPDATE incarnation = {incarnation}"
        ))
        .await?;
    session
        .execute(&format!(
            "INSERT INTO {reader} (source, position) SELECT {source}, position FROM {applied} WHERE source = {source} ON DUPLICATE KEY UPDATE epoch = epoch + 1, position = VALUES(position)"
        ))
        .await
        .map(drop)
}
