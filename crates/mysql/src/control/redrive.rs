//! Scopes that are to be marked again: parked ones on their way back, repairs, operators' redrives. The mapper takes them
//! through the same door as everything else.

use change::Key;
use plan::quote;

use super::exceptions::RETURNING;
use super::{key_from_json, key_to_json};
use crate::{Database, DbError, Session};

#[derive(Clone, Debug, PartialEq)]
pub struct Redrive {
    pub id: u64,
    pub target: String,
    pub scope: Key,
}

/// Asks for scopes to be marked again after `delay_ms`.
pub async fn ask(
    session: &mut Session,
    db: &Database,
    target: &str,
    scopes: impl IntoIterator<Item = &Key>,
    reason: &str,
    delay_ms: u64,
) -> Result<(), DbError> {
    let rows: Vec<String> = scopes
        .into_iter()
        .map(|scope| {
            format!(
                "({}, {}, {}, NOW(6) + INTERVAL {} MICROSECOND)",
                quote::text(target),
                quote::text(&key_to_json(scope)),
                quote::text(reason),
                delay_ms * 1000
            )
        })
        .collect();
    for some in rows.chunks(500) {
        session
            .execute(&format!(
                "INSERT INTO {} (target, scope, reason, due_at) VALUES {}",
                db.control_table("redrive"),
                some.join(", ")
            ))
            .await?;
    }
    Ok(())
}

/// Asks once more for every parked scope that time alone can heal: marks that were taken already may have gone with the
/// bus that they were on.
pub async fn ask_again(session: &mut Session, db: &Database) -> Result<(), DbError> {
    session
        .execute(&format!(
            "INSERT INTO {} (target, scope, reason, due_at) SELECT DISTINCT target_table, scope, reason, NOW(6) FROM {} WHERE closed_at IS NULL AND {RETURNING}",
            db.control_table("redrive"),
            db.control_table("exceptions"),
        ))
        .await
        .map(drop)
}

/// Takes up to `limit` due entries for as long as the transaction lasts; other mappers pass over them.
pub async fn take(session: &mut Session, db: &Database, limit: u32) -> Result<Vec<Redrive>, DbError> {
    let rows = session
        .rows(&format!(
            "SELECT id, target, scope FROM {} WHERE due_at <= NOW(6) ORDER BY due_at, id LIMIT {limit} FOR UPDATE SKIP LOCKED",
            db.control_table("redrive")
        ))
        .await?;
    rows.iter()
        .map(|r| {
            Ok(Redrive {
                id: r.u64(0)?.unwrap_or_default(),
                target: r.text(1)?.unwrap_or_default().into(),
                scope: key_from_json(r.text(2)?.unwrap_or_default())?,
            })
        })
        .collect()
}

pub async fn done(session: &mut Session, db: &Database, ids: &[u64]) -> Result<(), DbError> {
    if ids.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = ids.iter().map(u64::to_string).collect();
    session
        .execute(&format!("DELETE FROM {} WHERE id IN ({})", db.control_table("redrive"), list.join(",")))
        .await
        .map(drop)
}

/// Entries that wait, due or not.
pub async fn waiting(session: &mut Session, db: &Database) -> Result<u64, DbError> {
    let row = session.row(&format!("SELECT COUNT(*) FROM {}", db.control_table("redrive"))).await?;
    Ok(row.map(|r| r.u64(0)).transpose()?.flatten().unwrap_or(0))
}
