//! What was decided, by whom, and why: a chain in which each entry binds the one before it by its digest.
//!
//! The chain shows that an entry was changed or taken out of the middle. That the newest entries were cut off it cannot
//! show: whoever needs that keeps the last digest somewhere else.

use std::time::Duration;

use plan::quote;

use crate::{Class, Database, DbError, Session};

/// One decision, before it is written down.
#[derive(Clone, Debug)]
pub struct Decision<'a> {
    pub who: &'a str,
    pub what: &'a str,
    pub target: &'a str,
    pub was: Option<&'a str>,
    pub now_is: Option<&'a str>,
    pub because: &'a str,
    /// The verdict that allowed it, word for word; its digest is kept.
    pub verdict: Option<&'a str>,
}

#[derive(Clone, Debug, serde::Serialize)]
pub struct Entry {
    pub id: u64,
    /// By the database's clock, UTC.
    pub at: String,
    pub who: String,
    pub what: String,
    pub target: String,
    #[serde(rename = "from")]
    pub was: Option<String>,
    #[serde(rename = "to")]
    pub now_is: Option<String>,
    pub because: String,
    pub verdict_digest: Option<String>,
    pub digest: String,
}

/// What an entry's digest is taken of; `before` is the digest of the entry before it, in hexadecimal.
fn digest(before: &str, e: &str) -> String {
    format!(
        "UNHEX(SHA2(JSON_ARRAY({before}, {e}.id, CAST({e}.at AS CHAR), {e}.who, {e}.what, {e}.target, {e}.was, {e}.now_is, {e}.because, HEX({e}.verdict)), 256))"
    )
}

/// Writes a decision down, in the caller's transaction. Of two at once one is refused ([`is_race`]) and tried again: so
/// the entries need no right but to be added.
pub async fn add(session: &mut Session, db: &Database, decision: &Decision<'_>) -> Result<(), DbError> {
    let table = db.control_table("audit");
    let last = session.row(&format!("SELECT id, HEX(digest) FROM {table} ORDER BY id DESC LIMIT 1")).await?;
    let (id, before) = match &last {
        Some(row) => (row.u64(0)?.unwrap_or_default(), row.text(1)?.unwrap_or_default().to_owned()),
        None => (0, String::new()),
    };
    let optional = |t: Option<&str>| t.map_or("NULL".into(), quote::text);
    let verdict = decision.verdict.map_or("NULL".into(), |v| format!("UNHEX(SHA2({}, 256))", quote::text(v)));
    let because: String = decision.because.chars().take(400).collect();
    session
        .execute(&format!(
            "INSERT INTO {table} (id, at, who, what, target, was, now_is, because, verdict, digest) SELECT e.*, {} FROM (SELECT {} AS id, NOW(6) AS at, {} AS who, {} AS what, {} AS target, {} AS was, {} AS now_is, {} AS because, {verdict} AS verdict) AS e",
            digest(&quote::text(&before), "e"),
            id + 1,
            quote::text(decision.who),
            quote::text(decision.what),
            quote::text(decision.target),
            optional(decision.was),
            optional(decision.now_is),
            quote::text(&because),
        ))
        .await
        .map(drop)
}

/// Entries behind an id, oldest first; of one target if it is named.
pub async fn entries(
    session: &mut Session,
    db: &Database,
    target: Option<&str>,
    after: u64,
    limit: u32,
) -> Result<Vec<Entry>, DbError> {
    let of = target.map_or(String::new(), |t| format!(" AND target = {}", quote::text(t)));
    let rows = session
        .rows(&format!(
            "SELECT id, {}, who, what, target, was, now_is, because, HEX(verdict), HEX(digest) FROM {} WHERE id > {after}{of} ORDER BY id LIMIT {limit}",
            super::utc("at"),
            db.control_table("audit"),
        ))
        .await?;
    rows.iter()
        .map(|r| {
            let text = |i: usize| r.text(i).map(|t| t.map(String::from));
            Ok(Entry {
                id: r.u64(0)?.unwrap_or_default(),
                at: text(1)?.unwrap_or_default(),
                who: text(2)?.unwrap_or_default(),
                what: text(3)?.unwrap_or_default(),
                target: text(4)?.unwrap_or_default(),
                was: text(5)?,
                now_is: text(6)?,
                because: text(7)?.unwrap_or_default(),
                verdict_digest: text(8)?.map(|d| d.to_lowercase()),
                digest: text(9)?.unwrap_or_default().to_lowercase(),
            })
        })
        .collect()
}

/// The first entry that does not follow from the one before it; `None`: the chain is whole.
pub async fn broken_at(session: &mut Session, db: &Database) -> Result<Option<u64>, DbError> {
    let table = db.control_table("audit");
    let digest = digest("COALESCE(HEX(p.digest), '')", "a");
    let row = session
        .row(&format!(
            "SELECT MIN(a.id) FROM {table} AS a LEFT JOIN {table} AS p ON p.id = a.id - 1 WHERE a.digest <> {digest} OR (a.id > 1 AND p.id IS NULL)"
        ))
        .await?;
    row.map(|r| r.u64(0)).transpose().map(Option::flatten)
}

/// How often a decision is tried again while others are being written down.
const TRIES: u32 = 20;

/// Ends a transaction that wrote a decision down. `None`: another decision came between; begin again.
pub async fn end<T, E: From<DbError> + AsRace>(
    session: &mut Session,
    done: Result<T, E>,
    tries: &mut u32,
) -> Result<Option<T>, E> {
    match done {
        Ok(done) => {
            session.commit().await?;
            Ok(Some(done))
        }
        Err(e) => {
            session.rollback().await?;
            *tries += 1;
            if *tries == TRIES || !e.is_race() {
                return Err(e);
            }
            tokio::time::sleep(Duration::from_millis(rand::random_range(1..20))).await;
            Ok(None)
        }
    }
}

/// An error that may say that another decision was written down meanwhile, or is being.
pub trait AsRace {
    fn is_race(&self) -> bool;
}

impl AsRace for DbError {
    fn is_race(&self) -> bool {
        matches!(self.class, Class::Duplicate | Class::Deadlock | Class::LockWait)
    }
}
