//! How far the application has moved to each target.

use std::collections::BTreeMap;

use plan::quote;

use crate::{Database, DbError, Session};

#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub state: String,
    /// By the database's clock, UTC.
    pub since: String,
    pub who: String,
}

/// Of every target that was ever moved.
pub async fn all(session: &mut Session, db: &Database) -> Result<BTreeMap<String, Stored>, DbError> {
    let sql = format!("SELECT target, state, {}, who FROM {}", super::utc("since"), db.control_table("flag"));
    let rows = session.rows(&sql).await?;
    rows.iter()
        .map(|r| {
            let text = |i: usize| r.text(i).map(|t| t.unwrap_or_default().to_owned());
            Ok((text(0)?, Stored { state: text(1)?, since: text(2)?, who: text(3)? }))
        })
        .collect()
}

/// The state of one target, locked until the transaction ends.
pub async fn lock(session: &mut Session, db: &Database, target: &str) -> Result<String, DbError> {
    let (table, target) = (db.control_table("flag"), quote::text(target));
    session
        .execute(&format!(
            "INSERT INTO {table} (target, state, since, who) VALUES ({target}, 'legacy', NOW(6), '') ON DUPLICATE KEY UPDATE state = state"
        ))
        .await?;
    let row = session.row(&format!("SELECT state FROM {table} WHERE target = {target} FOR UPDATE")).await?;
    Ok(row.map(|r| r.text(0).map(|t| t.map(String::from))).transpose()?.flatten().unwrap_or_default())
}

/// Sets the state, in the caller's transaction.
pub async fn set(
    session: &mut Session,
    db: &Database,
    target: &str,
    state: &str,
    who: &str,
) -> Result<(), DbError> {
    let sql = format!(
        "UPDATE {} SET state = {}, since = NOW(6), who = {} WHERE target = {}",
        db.control_table("flag"),
        quote::text(state),
        quote::text(who),
        quote::text(target)
    );
    session.execute(&sql).await.map(drop)
}
