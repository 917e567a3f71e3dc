//! Findings of shadow reads: scopes for which the two forms of a read give different results. Keys, never values.

use change::Key;
use plan::quote;

use super::finding::{SHADOW_READ, kept};
use super::{key_from_json, key_to_json};
use crate::{Database, DbError, Session};

/// One read of one target.
#[derive(Clone, Copy, Debug)]
pub struct Which<'a> {
    pub target: &'a str,
    pub read: &'a str,
}

impl Which<'_> {
    fn open(&self) -> String {
        format!(
            "target = {} AND kind = '{SHADOW_READ}' AND closed_at IS NULL AND read_name = {}",
            quote::text(self.target),
            quote::text(self.read)
        )
    }
}

fn shown(key: &Key) -> String {
    quote::text(&kept(&key.text()))
}

/// Scopes that differed when they were last read, oldest first.
pub async fn open(
    session: &mut Session,
    db: &Database,
    which: Which<'_>,
    most: usize,
) -> Result<Vec<Key>, DbError> {
    let sql = format!(
        "SELECT scope FROM {} WHERE {} ORDER BY id LIMIT {most}",
        db.control_table("finding"),
        which.open()
    );
    let rows = session.rows(&sql).await?;
    rows.iter().filter_map(|r| r.text(0).transpose()).map(|json| key_from_json(json?)).collect()
}

/// How many scopes are known to differ.
pub async fn count(session: &mut Session, db: &Database, which: Which<'_>) -> Result<u64, DbError> {
    let sql = format!("SELECT COUNT(*) FROM {} WHERE {}", db.control_table("finding"), which.open());
    session.count(&sql).await
}

/// Writes down that these scopes differ; each once.
pub async fn record(
    session: &mut Session,
    db: &Database,
    which: Which<'_>,
    scopes: &[Key],
) -> Result<(), DbError> {
    let table = db.control_table("finding");
    for scope in scopes {
        let key = shown(scope);
        session
            .execute(&format!(
                "INSERT INTO {table} (target, scope_key, kind, state, read_name, scope, seen_at) SELECT {}, {key}, '{SHADOW_READ}', 'confirmed', {}, {}, NOW(6) FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM {table} AS o WHERE {} AND o.scope_key = {key})",
                quote::text(which.target),
                quote::text(which.read),
                quote::text(&key_to_json(scope)),
                which.open(),
            ))
            .await?;
    }
    Ok(())
}

/// These scopes read alike again.
pub async fn close(
    session: &mut Session,
    db: &Database,
    which: Which<'_>,
    scopes: &[Key],
) -> Result<(), DbError> {
    if scopes.is_empty() {
        return Ok(());
    }
    let keys: Vec<String> = scopes.iter().map(shown).collect();
    let sql = format!(
        "UPDATE {} SET state = 'repaired', closed_at = NOW(6) WHERE {} AND scope_key IN ({})",
        db.control_table("finding"),
        which.open(),
        keys.join(",")
    );
    session.execute(&sql).await.map(drop)
}

/// Closes what was found of reads that the plan does not name any more.
pub async fn forget_others(
    session: &mut Session,
    db: &Database,
    target: &str,
    reads: impl Iterator<Item = &str>,
) -> Result<(), DbError> {
    let names: Vec<String> = reads.map(quote::text).collect();
    let others = match names.as_slice() {
        [] => String::new(),
        names => format!(" AND read_name NOT IN ({})", names.join(",")),
    };
    let sql = format!(
        "UPDATE {} SET state = 'repaired', closed_at = NOW(6) WHERE target = {} AND kind = '{SHADOW_READ}' AND closed_at IS NULL{others}",
        db.control_table("finding"),
        quote::text(target),
    );
    session.execute(&sql).await.map(drop)
}
