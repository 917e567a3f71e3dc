//! Passes: every scope of a target once, in key order. `done_to` moves in the transaction of a chunk (C6).

use change::Key;
use plan::quote;

use super::{key_from_json, key_to_json};
use crate::{Database, DbError, Session};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ids,
    Rows,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ids => "ids",
            Kind::Rows => "rows",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    pub id: u64,
    pub target: String,
    pub kind: Kind,
    pub reason: String,
    pub state: String,
    pub done_to: Option<Key>,
    pub estimate: u64,
    /// It ends after so many scopes.
    pub most: Option<u64>,
    pub scanned: u64,
    pub changed: u64,
    /// Seconds that it ran, or runs.
    pub seconds: Option<f64>,
}

/// Orders a pass; one that has not begun yet serves the same purpose and is left alone.
pub async fn order(
    session: &mut Session,
    db: &Database,
    target: &str,
    kind: Kind,
    ordinal: u32,
    reason: &str,
    estimate: u64,
) -> Result<(), DbError> {
    let (table, target, kind) = (db.control_table("pass"), quote::text(target), quote::text(kind.name()));
    let sql = format!(
        "INSERT INTO {table} (target, kind, ordinal, reason, estimate, created_at) SELECT {target}, {kind}, {ordinal}, {}, {estimate}, NOW(6) FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM {table} AS p WHERE p.target = {target} AND p.kind = {kind} AND p.state = 'pending' AND p.reason <> '{REPLAY}')",
        quote::text(reason),
    );
    session.execute(&sql).await.map(drop)
}

/// The reason of a short pass over a part that was written already, to see that it changes nothing.
pub const REPLAY: &str = "replay";

/// The passes that somebody waits for, as a condition: not those of targets whose lanes are off, which wait themselves.
pub fn waited_for(db: &Database) -> String {
    let lanes = db.control_table("lane");
    format!(
        "state <> 'done' AND {ORDERED} AND target NOT IN (SELECT l.target FROM {lanes} AS l WHERE l.mode = 'off')"
    )
}

/// Every pass but these, as a condition.
pub const ORDERED: &str = "reason <> 'replay'";

/// Orders such a pass over `most` scopes behind `low`. Gives its id.
pub async fn order_replay(
    session: &mut Session,
    db: &Database,
    target: &str,
    low: Option<&Key>,
    most: u64,
) -> Result<u64, DbError> {
    let sql = format!(
        "INSERT INTO {} (target, kind, ordinal, reason, done_to, most, created_at) VALUES ({}, '{}', 1, '{REPLAY}', {}, {most}, NOW(6))",
        db.control_table("pass"),
        quote::text(target),
        Kind::Rows.name(),
        low.map_or("NULL".into(), |k| quote::text(&key_to_json(k))),
    );
    session.execute(&sql).await?;
    session.count("SELECT LAST_INSERT_ID()").await
}

/// Takes those away that nobody waits for any more.
pub async fn forget_replays(session: &mut Session, db: &Database) -> Result<(), DbError> {
    let sql = format!(
        "DELETE FROM {} WHERE reason = '{REPLAY}' AND created_at < NOW(6) - INTERVAL 2 MINUTE",
        db.control_table("pass")
    );
    session.execute(&sql).await.map(drop)
}

/// Takes such a pass away; gives what it came to, if it was done.
pub async fn take_replay(session: &mut Session, db: &Database, id: u64) -> Result<Option<Pass>, DbError> {
    let pass = all(session, db, &format!("id = {id} AND state = 'done'")).await?.pop();
    session.execute(&format!("DELETE FROM {} WHERE id = {id}", db.control_table("pass"))).await?;
    Ok(pass)
}

/// All passes, oldest first.
pub async fn all(session: &mut Session, db: &Database, condition: &str) -> Result<Vec<Pass>, DbError> {
    let rows = session
        .rows(&format!(
            "SELECT id, target, kind, reason, state, done_to, estimate, scanned, changed, TIMESTAMPDIFF(MICROSECOND, started_at, COALESCE(ended_at, NOW(6))) / 1e6, most FROM {} WHERE {condition} ORDER BY ordinal, id",
            db.control_table("pass")
        ))
        .await?;
    rows.iter()
        .map(|r| {
            Ok(Pass {
                id: r.u64(0)?.unwrap_or_default(),
                target: r.text(1)?.unwrap_or_default().into(),
                kind: if r.text(2)? == Some("ids") { Kind::Ids } else { Kind::Rows },
                reason: r.text(3)?.unwrap_or_default().into(),
                state: r.text(4)?.unwrap_or_default().into(),
                done_to: r.text(5)?.map(key_from_json).transpose()?,
                estimate: r.u64(6)?.unwrap_or_default(),
                scanned: r.u64(7)?.unwrap_or_default(),
                changed: r.u64(8)?.unwrap_or_default(),
                seconds: r.f64(9)?,
                most: r.u64(10)?,
            })
        })
        .collect()
}

/// Begins a pass, or goes on with it: what it says now. `None`: it is done.
pub async fn start(session: &mut Session, db: &Database, id: u64) -> Result<Option<Pass>, DbError> {
    let sql = format!(
        "UPDATE {} SET state = 'running', started_at = COALESCE(started_at, NOW(6)) WHERE id = {id} AND state <> 'done'",
        db.control_table("pass")
    );
    session.execute(&sql).await?;
    Ok(all(session, db, &format!("id = {id} AND state <> 'done'")).await?.pop())
}

/// What one chunk adds to its pass.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Where the pass stands after it.
    pub done_to: Option<&'a Key>,
    /// The pass ends with it.
    pub last: bool,
    pub scanned: u64,
    pub changed: u64,
}

/// Sets a chunk done, in its transaction: compare-and-set of the place. `false`: somebody else has moved the pass.
pub async fn advance(
    session: &mut Session,
    db: &Database,
    pass: &Pass,
    step: &Step<'_>,
) -> Result<bool, DbError> {
    let place = |k: Option<&Key>| k.map_or("NULL".into(), |k| quote::text(&key_to_json(k)));
    let end = if step.last { ", state = 'done', ended_at = NOW(6)" } else { "" };
    let matched = session
        .execute(&format!(
            "UPDATE {} SET done_to = {}, scanned = scanned + {}, changed = changed + {}{end} WHERE id = {} AND state <> 'done' AND done_to <=> {}",
            db.control_table("pass"),
            place(step.done_to),
            step.scanned,
            step.changed,
            pass.id,
            place(pass.done_to.as_ref()),
        ))
        .await?;
    Ok(matched == 1)
}
