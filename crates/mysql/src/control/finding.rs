//! Differences that the verifier has confirmed: keys and digests, never values.

use plan::quote;

use crate::{Database, DbError, Session};

#[derive(Clone, Debug, serde::Serialize)]
pub struct Finding {
    pub id: u64,
    pub scope: String,
    pub kind: String,
    pub state: String,
    /// Digests of the first row of the scope on either side, in hexadecimal.
    pub wanted: Option<String>,
    pub present: Option<String>,
    pub seen_at: String,
    pub closed_at: Option<String>,
}

/// The newest findings of a target, newest first.
pub async fn newest(
    session: &mut Session,
    db: &Database,
    target: &str,
    limit: u32,
) -> Result<Vec<Finding>, DbError> {
    let time = |c: &str| format!("DATE_FORMAT({c}, '%Y-%m-%dT%H:%i:%s.%fZ')");
    let rows = session
        .rows(&format!(
            "SELECT id, scope_key, kind, IF(closed_at IS NULL, 'confirmed', 'repaired'), LOWER(HEX(wanted)), LOWER(HEX(present)), {}, {} FROM {} WHERE target = {} ORDER BY id DESC LIMIT {limit}",
            time("seen_at"),
            time("closed_at"),
            db.control_table("finding"),
            quote::text(target),
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
            })
        })
        .collect()
}
