//! What the report is about, as it stands in the control schema at one moment.

use std::collections::BTreeMap;

use mysql::control::audit::{self, Entry};
use mysql::control::dual_write::{self, Hour};
use mysql::control::finding::{self, Finding};
use mysql::control::flag::{self, Stored};
use mysql::control::lane::{self, Mode};
use mysql::{Database, DbError, Server, Session};
use serde_json::Value;

use crate::answer::Verdicts;
use crate::status::{self, Status};

/// Hours of dual writes that a report shows: a week.
const HOURS: u32 = 168;
/// Findings per target, and entries of the trail: the newest.
const NEWEST: u32 = 50;

pub struct Facts {
    /// By the database's clock.
    pub now: String,
    pub server: String,
    pub legacy: String,
    pub control: String,
    pub source: String,
    pub plan_digest: Option<String>,
    /// When the first pass was ordered.
    pub since: Option<String>,
    /// What is said now.
    pub shown: Value,
    /// What was found when the verdict was made, also if it says nothing any more.
    pub stored: Value,
    pub made_at: Option<String>,
    pub verdict_digest: Option<String>,
    pub status: Status,
    pub targets: Vec<Target>,
    /// The newest entries, oldest of them first.
    pub trail: Vec<Entry>,
    pub broken_at: Option<u64>,
}

pub struct Target {
    pub name: String,
    pub answer: &'static str,
    pub stored: Value,
    pub age_seconds: Option<u64>,
    pub digest: Option<String>,
    pub flag: Option<Stored>,
    pub mode: Option<Mode>,
    /// Newest first.
    pub hours: Vec<Hour>,
    pub findings: Vec<Finding>,
}

fn parsed(body: Option<&str>) -> Value {
    body.and_then(|b| serde_json::from_str(b).ok()).unwrap_or_default()
}

impl Facts {
    pub async fn read(session: &mut Session, db: &Database, source: &str) -> Result<Self, DbError> {
        let verdicts = Verdicts::read(session, db).await?;
        let status = status::read(session, db, source, verdicts.overall.answer).await?;
        let flags = flag::all(session, db).await?;
        let modes = lane::modes(session, db).await?;
        let digests = digests(session, db).await?;
        let passes = status.backfill.iter().map(|p| &p.target);
        let mut names: Vec<String> =
            verdicts.targets.keys().chain(flags.keys()).chain(modes.keys()).chain(passes).cloned().collect();
        // Passes of ids bear the name of an entity; only targets have lanes.
        names.retain(|n| modes.contains_key(n) || verdicts.targets.contains_key(n));
        names.sort();
        names.dedup();
        let mut targets = Vec::new();
        for name in names {
            let verdict = verdicts.of(&name);
            targets.push(Target {
                answer: verdict.answer.name(),
                stored: parsed(verdict.body.as_deref()),
                age_seconds: verdict.age_seconds,
                digest: digests.get(&name).cloned(),
                flag: flags.get(&name).cloned(),
                mode: modes.get(&name).copied(),
                hours: dual_write::hours(session, db, &name, HOURS).await?,
                findings: finding::list(session, db, Some(&name), false, NEWEST).await?,
                name,
            });
        }
        let one = async |session: &mut Session, sql: String| {
            let row = session.row(&sql).await?;
            row.map(|r| r.text(0).map(|t| t.map(String::from))).transpose().map(Option::flatten)
        };
        let (audit_table, passes) = (db.control_table("audit"), db.control_table("pass"));
        let last = one(session, format!("SELECT MAX(id) FROM {audit_table}")).await?;
        let last: u64 = last.and_then(|n| n.parse().ok()).unwrap_or_default();
        let since = format!("SELECT {} FROM {passes}", mysql::control::utc("MIN(created_at)"));
        let now = format!("SELECT {}", mysql::control::utc("NOW(6)"));
        let behind = last.saturating_sub(NEWEST.into());
        Ok(Self {
            now: one(session, now).await?.unwrap_or_default(),
            server: Server::identify(session).await?.text,
            legacy: db.schema().into(),
            control: db.control().into(),
            source: source.into(),
            plan_digest: mysql::meta(session, db.control(), "plan_digest").await?,
            since: one(session, since).await?,
            shown: verdicts.overall.shown(),
            stored: parsed(verdicts.overall.body.as_deref()),
            made_at: verdicts.overall.made_at.clone(),
            verdict_digest: digests.get("").cloned(),
            status,
            targets,
            trail: audit::entries(session, db, None, behind, NEWEST).await?,
            broken_at: audit::broken_at(session, db).await?,
        })
    }
}

/// SHA-256 of the verdicts, word for word as they are stored, by target; of the whole under the empty name.
async fn digests(session: &mut Session, db: &Database) -> Result<BTreeMap<String, String>, DbError> {
    let sql = format!("SELECT target, SHA2(body, 256) FROM {}", db.control_table("verdict"));
    let rows = session.rows(&sql).await?;
    rows.iter()
        .map(|r| Ok((r.text(0)?.unwrap_or_default().into(), r.text(1)?.unwrap_or_default().into())))
        .collect()
}
