//! Lanes: one row per partition of a target's last topic. Its lock orders all writers of a scope (P2), its offset moves
//! with the rows (P3).

use plan::quote;

use crate::{Database, DbError, Session};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    pub target: String,
    pub lane: u32,
    pub topic: String,
    pub next_offset: u64,
    pub mode: String,
}

/// Takes the lane: compares the offset, sets the next one, and holds the row's lock until the transaction ends.
/// `false`: somebody else has moved it, or the topic is of another incarnation.
pub async fn advance(
    session: &mut Session,
    db: &Database,
    target: &str,
    lane: u32,
    topic: &str,
    old: u64,
    new: u64,
) -> Result<bool, DbError> {
    let matched = session
        .execute(&format!(
            "UPDATE {} SET next_offset = {new} WHERE target = {} AND lane = {lane} AND topic = {} AND next_offset = {old}",
            db.control_table("lane"),
            quote::text(target),
            quote::text(topic),
        ))
        .await?;
    Ok(matched == 1)
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
/// chunks of the same walker. `false`: another walker has claimed the target, or it has no lanes.
pub async fn share(
    session: &mut Session,
    db: &Database,
    target: &str,
    walker: &str,
) -> Result<bool, DbError> {
    let sql = format!(
        "SELECT walker FROM {} WHERE target = {} ORDER BY lane LOCK IN SHARE MODE",
        db.control_table("lane"),
        quote::text(target),
    );
    let lanes = session.rows(&sql).await?;
    for lane in &lanes {
        if lane.text(0)? != Some(walker) {
            return Ok(false);
        }
    }
    Ok(!lanes.is_empty())
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
                mode: r.text(4)?.unwrap_or_default().into(),
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
) -> Result<(), DbError> {
    let rows: Vec<String> =
        (0..count).map(|n| format!("({}, {n}, {})", quote::text(target), quote::text(topic))).collect();
    let sql = format!(
        "INSERT INTO {} (target, lane, topic) VALUES {} ON DUPLICATE KEY UPDATE topic = topic",
        db.control_table("lane"),
        rows.join(", ")
    );
    session.execute(&sql).await.map(drop)
}

/// C7: a new incarnation is one transaction, the caller's. Locks all lanes, gives them new topics and offset 0, and sends
/// the reader back to what is proved to be applied. `lanes`: (target, topic) of every running target.
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
    session.execute(&format!("DELETE FROM {lane}")).await?;
    for (target, topic) in lanes {
        add(session, db, target, topic, count).await?;
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
