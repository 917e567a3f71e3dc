//! Verification passes over single targets: how far they are, and when each part was compared last.

use std::time::Duration;

use change::Key;
use plan::quote;

use super::{key_from_json, key_to_json};
use crate::{Database, DbError, Session};

/// Where a sweep stands. Everything up to `done_to` was equal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sweep {
    pub done_to: Option<Key>,
    /// Parts that are done.
    pub segment: u32,
    pub wanted: u64,
    pub present: u64,
    pub sampled: u64,
    /// The newest finding when it began: it has looked behind the direct writes up to there.
    pub known: u64,
}

/// A part of a target that was compared.
#[derive(Clone, Debug)]
pub struct Segment {
    pub number: u32,
    pub low: Option<Key>,
    pub high: Option<Key>,
    pub rows: u64,
}

fn json(key: Option<&Key>) -> String {
    key.map_or("NULL".into(), |k| quote::text(&key_to_json(k)))
}

/// A sweep that was begun within this time and has not ended.
pub async fn unfinished(
    session: &mut Session,
    db: &Database,
    target: &str,
    within: Duration,
) -> Result<Option<Sweep>, DbError> {
    let sql = format!(
        "SELECT done_to, segment, wanted, present, sampled, known FROM {} WHERE target = {} AND ended_at IS NULL AND began_at > NOW(6) - INTERVAL {} SECOND",
        db.control_table("sweep"),
        quote::text(target),
        within.as_secs(),
    );
    let Some(row) = session.row(&sql).await? else { return Ok(None) };
    let number = |i: usize| Ok::<u64, DbError>(row.u64(i)?.unwrap_or_default());
    Ok(Some(Sweep {
        done_to: row.text(0)?.map(key_from_json).transpose()?,
        segment: number(1)? as u32,
        wanted: number(2)?,
        present: number(3)?,
        sampled: number(4)?,
        known: number(5)?,
    }))
}

/// Begins anew.
pub async fn begin(session: &mut Session, db: &Database, target: &str, known: u64) -> Result<Sweep, DbError> {
    let sql = format!(
        "REPLACE INTO {} (target, known, began_at) VALUES ({}, {known}, NOW(6))",
        db.control_table("sweep"),
        quote::text(target)
    );
    session.execute(&sql).await?;
    Ok(Sweep { known, ..Sweep::default() })
}

/// Writes down how far it is.
pub async fn save(session: &mut Session, db: &Database, target: &str, at: &Sweep) -> Result<(), DbError> {
    let sql = format!(
        "UPDATE {} SET done_to = {}, segment = {}, wanted = {}, present = {}, sampled = {} WHERE target = {}",
        db.control_table("sweep"),
        json(at.done_to.as_ref()),
        at.segment,
        at.wanted,
        at.present,
        at.sampled,
        quote::text(target)
    );
    session.execute(&sql).await.map(drop)
}

pub async fn end(session: &mut Session, db: &Database, target: &str) -> Result<(), DbError> {
    let sql = format!(
        "UPDATE {} SET ended_at = NOW(6) WHERE target = {}",
        db.control_table("sweep"),
        quote::text(target)
    );
    session.execute(&sql).await.map(drop)
}

/// Writes down that a part was compared. The last one takes the parts behind it away.
pub async fn cover(
    session: &mut Session,
    db: &Database,
    target: &str,
    part: &Segment,
) -> Result<(), DbError> {
    let (table, target) = (db.control_table("coverage"), quote::text(target));
    let sql = format!(
        "REPLACE INTO {table} (target, segment, low, high, rows_seen, seen_at) VALUES ({target}, {}, {}, {}, {}, NOW(6))",
        part.number,
        json(part.low.as_ref()),
        json(part.high.as_ref()),
        part.rows
    );
    session.execute(&sql).await?;
    if part.high.is_none() {
        let sql = format!("DELETE FROM {table} WHERE target = {target} AND segment > {}", part.number);
        session.execute(&sql).await?;
    }
    Ok(())
}

/// A part as it is shown.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Covered {
    /// The last key before it; none: it begins the table.
    pub low: Option<String>,
    /// Its last key; none: it goes to the end.
    pub high: Option<String>,
    pub rows: u64,
    pub seen_at: String,
    pub age_seconds: u64,
}

/// The parts of a target, in key order.
pub async fn covered(session: &mut Session, db: &Database, target: &str) -> Result<Vec<Covered>, DbError> {
    let sql = format!(
        "SELECT low, high, rows_seen, {}, GREATEST(TIMESTAMPDIFF(SECOND, seen_at, NOW(6)), 0) FROM {} WHERE target = {} ORDER BY segment",
        super::utc("seen_at"),
        db.control_table("coverage"),
        quote::text(target)
    );
    let rows = session.rows(&sql).await?;
    rows.iter()
        .map(|r| {
            let key = |i: usize| r.text(i)?.map(key_from_json).transpose();
            Ok(Covered {
                low: key(0)?.map(|k| k.text()),
                high: key(1)?.map(|k| k.text()),
                rows: r.u64(2)?.unwrap_or_default(),
                seen_at: r.text(3)?.unwrap_or_default().into(),
                age_seconds: r.u64(4)?.unwrap_or_default(),
            })
        })
        .collect()
}

/// Where the parts of a target begin.
pub async fn lows(session: &mut Session, db: &Database, target: &str) -> Result<Vec<Option<Key>>, DbError> {
    let sql =
        format!("SELECT low FROM {} WHERE target = {}", db.control_table("coverage"), quote::text(target));
    let rows = session.rows(&sql).await?;
    rows.iter().map(|r| r.text(0)?.map(key_from_json).transpose()).collect()
}
