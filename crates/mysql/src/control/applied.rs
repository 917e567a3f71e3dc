//! What is proved to be applied, and the barrier whose position is to be proved.

use change::Position;
use plan::quote;

use crate::{Class, Database, DbError, Session};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applied {
    pub position: Option<Position>,
    pub incarnation: u64,
    /// Seconds since the proof, by the database's clock.
    pub age_seconds: Option<f64>,
    pub waits_for: Option<String>,
}

fn position(text: Option<&str>) -> Result<Option<Position>, DbError> {
    text.map(|t| {
        t.parse().map_err(|e: change::PositionError| {
            DbError::new(
                "read a position from the control schema",
                Class::Other,
                format!("{e}; `crossfade recover` begins anew"),
            )
        })
    })
    .transpose()
}

pub async fn read(session: &mut Session, db: &Database, source: &str) -> Result<Option<Applied>, DbError> {
    let sql = format!(
        "SELECT position, incarnation, TIMESTAMPDIFF(MICROSECOND, applied_at, NOW(6)) / 1e6, waits_for FROM {} WHERE source = {}",
        db.control_table("applied"),
        quote::text(source)
    );
    let Some(row) = session.row(&sql).await? else { return Ok(None) };
    Ok(Some(Applied {
        position: position(row.text(0)?)?,
        incarnation: row.u64(1)?.unwrap_or_default(),
        age_seconds: row.f64(2)?,
        waits_for: row.text(3)?.map(Into::into),
    }))
}

/// The incarnation alone, also if the position beside it is damaged.
pub async fn incarnation(session: &mut Session, db: &Database, source: &str) -> Result<Option<u64>, DbError> {
    let sql = format!(
        "SELECT incarnation FROM {} WHERE source = {}",
        db.control_table("applied"),
        quote::text(source)
    );
    session.row(&sql).await?.map_or(Ok(None), |row| row.u64(0))
}

/// Stores a proved position of this incarnation, if it is further than the stored one: it only grows.
pub async fn store(
    session: &mut Session,
    db: &Database,
    source: &str,
    incarnation: u64,
    position: &Position,
) -> Result<(), DbError> {
    let (table, source) = (db.control_table("applied"), quote::text(source));
    session.begin().await?;
    let sql = format!("SELECT position FROM {table} WHERE source = {source} FOR UPDATE");
    let stored = match session.row(&sql).await? {
        Some(row) => self::position(row.text(0)?)?,
        None => None,
    };
    if !stored.is_some_and(|s| s != *position && s.reaches(position)) {
        session
            .execute(&format!(
                "UPDATE {table} SET position = {}, applied_at = NOW(6), waits_for = NULL WHERE source = {source} AND incarnation = {incarnation}",
                quote::text(&position.to_string()),
            ))
            .await?;
    }
    session.commit().await
}

/// Is this the source's incarnation? If it is, it stays so until the transaction ends.
pub async fn is_current(
    session: &mut Session,
    db: &Database,
    source: &str,
    incarnation: u64,
) -> Result<bool, DbError> {
    let sql = format!(
        "SELECT incarnation FROM {} WHERE source = {} LOCK IN SHARE MODE",
        db.control_table("applied"),
        quote::text(source)
    );
    let row = session.row(&sql).await?;
    Ok(row.map(|r| r.u64(0)).transpose()?.flatten() == Some(incarnation))
}

/// Nothing is proved any more: the source is begun anew, as at the first start.
pub async fn forget(session: &mut Session, db: &Database, source: &str) -> Result<(), DbError> {
    let sql = format!(
        "UPDATE {} SET position = NULL, applied_at = NULL, waits_for = NULL WHERE source = {}",
        db.control_table("applied"),
        quote::text(source)
    );
    session.execute(&sql).await.map(drop)
}

/// Says where the fence stands, for whoever waits.
pub async fn note(
    session: &mut Session,
    db: &Database,
    source: &str,
    waits_for: &str,
) -> Result<(), DbError> {
    let text: String = waits_for.chars().take(255).collect();
    let sql = format!(
        "UPDATE {} SET waits_for = {} WHERE source = {}",
        db.control_table("applied"),
        quote::text(&text),
        quote::text(source)
    );
    session.execute(&sql).await.map(drop)
}

/// Commits a barrier and gives its position: all that was committed before the call lies at or before it.
pub async fn barrier(session: &mut Session, db: &Database) -> Result<Position, DbError> {
    session.execute(&format!("UPDATE {} SET n = n + 1 WHERE id = 1", db.control_table("barrier"))).await?;
    let row = session.row("SELECT @@SESSION.last_gtid, @@GLOBAL.gtid_binlog_pos").await?;
    let read = |i: usize| row.as_ref().map_or(Ok(None), |r| position(r.text(i)?));
    // The domain of our own commit at its own number, all other domains where they stand now.
    let mut all = read(1)?.unwrap_or_default();
    if let Some(own) = read(0)? {
        all.merge(&own);
    }
    Ok(all)
}

/// The reader's position: everything up to it is durable on the bus.
pub async fn published(
    session: &mut Session,
    db: &Database,
    source: &str,
) -> Result<Option<Position>, DbError> {
    let sql =
        format!("SELECT position FROM {} WHERE source = {}", db.control_table("reader"), quote::text(source));
    match session.row(&sql).await? {
        Some(row) => position(row.text(0)?),
        None => Ok(None),
    }
}
