//! Differences that the verifier has confirmed: keys and digests, never values.

use plan::quote;

use crate::{Database, DbError, Session};

#[derive(Clone, Debug, serde::Serialize)]
pub struct Finding {
    pub id: u64,
    pub target: String,
    pub scope: String,
    pub kind: String,
    /// What explains a difference; `unlogged`: nothing in the binlog does.
    pub cause: Option<String>,
    /// Of a shadow read: its name in the plan.
    pub read: Option<String>,
    pub state: String,
    /// Digests of the first row of the scope on either side, in hexadecimal.
    pub wanted: Option<String>,
    pub present: Option<String>,
    /// Of a direct write: its place in the binlog.
    pub position: Option<String>,
    pub seen_at: String,
    pub closed_at: Option<String>,
}

/// The newest findings, newest first: of all targets or one, open ones or all.
pub async fn list(
    session: &mut Session,
    db: &Database,
    target: Option<&str>,
    open: bool,
    limit: u32,
) -> Result<Vec<Finding>, DbError> {
    let of = target.map_or("TRUE".into(), |t| format!("target = {}", quote::text(t)));
    let state = if open { "closed_at IS NULL" } else { "TRUE" };
    let rows = session
        .rows(&format!(
            "SELECT id, scope_key, kind, IF(closed_at IS NULL, 'confirmed', 'repaired'), LOWER(HEX(wanted)), LOWER(HEX(present)), {}, {}, cause, position, target, read_name FROM {} WHERE {of} AND {state} ORDER BY id DESC LIMIT {limit}",
            super::utc("seen_at"),
            super::utc("closed_at"),
            db.control_table("finding"),
        ))
        .await?;
    rows.iter()
        .map(|r| {
            let text = |i: usize| r.text(i).map(|t| t.map(String::from));
            Ok(Finding {
                id: r.u64(0)?.unwrap_or_default(),
                scope: text(1)?.unwrap_or_default(),
                kind: text(2)?.unwrap_or_default(),
                state: text(3)?.unwrap_or_default(),
                wanted: text(4)?,
                present: text(5)?,
                seen_at: text(6)?.unwrap_or_default(),
                closed_at: text(7)?,
                cause: text(8)?,
                position: text(9)?,
                target: text(10)?.unwrap_or_default(),
                read: text(11)?,
            })
        })
        .collect()
}

/// As much of a key as is kept.
pub fn kept(key: &str) -> String {
    key.chars().take(512).collect()
}

/// The kinds of findings that are differences, as a list in SQL.
pub const DIFFERENCES: &str = "('missing', 'extra', 'different')";

/// The kind of a finding that is no difference: somebody else wrote into a target.
pub const DIRECT_WRITE: &str = "direct_write";

/// The kind of a finding that no row shows: a query of the application gives something else in its new form.
pub const SHADOW_READ: &str = "shadow_read";

/// The statement that writes a direct write down, once, unless the target is dual-written.
pub fn direct_write(db: &Database, target: &str, key: &str, position: &change::Position) -> String {
    let (table, flag) = (db.control_table("finding"), db.control_table("flag"));
    let key = kept(key);
    let (target, position) = (quote::text(target), quote::text(&position.to_string()));
    format!(
        "INSERT INTO {table} (target, scope_key, kind, state, position, seen_at) SELECT {target}, {}, '{DIRECT_WRITE}', 'confirmed', {position}, NOW(6) FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM {flag} AS f WHERE f.target = {target} AND f.state <> 'legacy') AND NOT EXISTS (SELECT 1 FROM {table} AS o WHERE o.target = {target} AND o.kind = '{DIRECT_WRITE}' AND o.position = {position})",
        quote::text(&key),
    )
}

/// The newest finding so far.
pub async fn last(session: &mut Session, db: &Database) -> Result<u64, DbError> {
    session.count(&format!("SELECT MAX(id) FROM {}", db.control_table("finding"))).await
}

/// Direct writes into a target behind this finding.
pub async fn direct_writes(
    session: &mut Session,
    db: &Database,
    target: &str,
    behind: u64,
) -> Result<u64, DbError> {
    let sql = format!(
        "SELECT COUNT(*) FROM {} WHERE target = {} AND kind = '{DIRECT_WRITE}' AND closed_at IS NULL AND id > {behind}",
        db.control_table("finding"),
        quote::text(target)
    );
    session.count(&sql).await
}

/// Closes direct writes into a target up to this finding.
pub async fn close_direct_writes(
    session: &mut Session,
    db: &Database,
    target: &str,
    up_to: u64,
) -> Result<(), DbError> {
    let sql = format!(
        "UPDATE {} SET state = 'repaired', closed_at = NOW(6) WHERE target = {} AND kind = '{DIRECT_WRITE}' AND closed_at IS NULL AND id <= {up_to}",
        db.control_table("finding"),
        quote::text(target)
    );
    session.execute(&sql).await.map(drop)
}
