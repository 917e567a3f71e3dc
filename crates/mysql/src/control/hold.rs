//! The hold: a row that survives restarts and stops everything that writes.

use plan::quote;

use crate::{Database, DbError, Session};

pub async fn is_held(session: &mut Session, db: &Database) -> Result<bool, DbError> {
    Ok(session.row(&format!("SELECT 1 FROM {}", db.control_table("hold"))).await?.is_some())
}

pub async fn hold(session: &mut Session, db: &Database, who: &str) -> Result<(), DbError> {
    let sql = format!(
        "INSERT INTO {} (id, since, who) VALUES (1, NOW(6), {}) ON DUPLICATE KEY UPDATE who = VALUES(who)",
        db.control_table("hold"),
        quote::text(who)
    );
    session.execute(&sql).await.map(drop)
}

pub async fn release(session: &mut Session, db: &Database) -> Result<(), DbError> {
    session.execute(&format!("DELETE FROM {}", db.control_table("hold"))).await.map(drop)
}
