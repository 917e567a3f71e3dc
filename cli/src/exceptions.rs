//! `crossfade exceptions`: what could not be computed, why, and what to do about it.

use change::Key;
use clap::{Args, Subcommand};
use mysql::control::{key_from_json, redrive};
use mysql::{Database, Session};
use plan::quote;
use serde::Serialize;
use serde_json::json;

use crate::output::{self, Exit, Format};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Lists open exceptions
    List(Select),
    /// Sends the scopes through the pipeline again
    Redrive(Select),
    /// Accepts parked scopes as they are: they no longer stand against the verdict
    Waive {
        #[command(flatten)]
        select: Select,
        /// The reason, for the audit trail
        #[arg(long)]
        because: String,
    },
}

#[derive(Debug, Args)]
pub struct Select {
    /// Only this target
    #[arg(long)]
    target: Option<String>,
    /// Only this scope, by its key as listed
    #[arg(long)]
    scope: Option<String>,
    /// Only exceptions with this reason
    #[arg(long)]
    reason: Option<String>,
    /// Only parked scopes, which stand against the verdict
    #[arg(long)]
    parked: bool,
    /// At most so many
    #[arg(long, default_value_t = 1000)]
    limit: u32,
}

impl Select {
    fn condition(&self) -> String {
        let mut parts = vec!["closed_at IS NULL".to_string()];
        let mut equal = |column: &str, value: &Option<String>| {
            if let Some(v) = value {
                parts.push(format!("{column} = {}", quote::text(v)));
            }
        };
        equal("target_table", &self.target);
        equal("scope_key", &self.scope);
        equal("reason", &self.reason);
        if self.parked {
            parts.push("kind = 'parked'".into());
        }
        parts.join(" AND ")
    }
}

#[derive(Serialize)]
struct Entry {
    target: String,
    scope_key: String,
    kind: String,
    column: Option<String>,
    reason: String,
    missing_entity: Option<String>,
    missing_id: Option<String>,
    detail: Option<String>,
    since: String,
    waived_by: Option<String>,
}

#[derive(Serialize)]
struct Listing {
    schema_version: u32,
    exceptions: Vec<Entry>,
}

pub async fn run(db: &Database, verb: Verb, format: Format) -> anyhow::Result<Exit> {
    let mut session = db.session().await?;
    match verb {
        Verb::List(select) => list(&mut session, db, &select, format).await,
        Verb::Redrive(select) => again(&mut session, db, &select, format).await,
        Verb::Waive { select, because } => waive(&mut session, db, &select, &because, format).await,
    }
}

async fn list(session: &mut Session, db: &Database, select: &Select, format: Format) -> anyhow::Result<Exit> {
    let rows = session
        .rows(&format!(
            "SELECT target_table, scope_key, kind, column_name, reason, missing_entity, missing_id, detail, CAST(since AS CHAR), waived_by FROM {} WHERE {} ORDER BY kind DESC, target_table, id LIMIT {}",
            db.control_table("exceptions"),
            select.condition(),
            select.limit
        ))
        .await?;
    let mut exceptions = Vec::new();
    for r in &rows {
        let text = |i: usize| r.text(i).map(|t| t.map(String::from));
        exceptions.push(Entry {
            target: text(0)?.unwrap_or_default(),
            scope_key: text(1)?.unwrap_or_default(),
            kind: text(2)?.unwrap_or_default(),
            column: text(3)?,
            reason: text(4)?.unwrap_or_default(),
            missing_entity: text(5)?,
            missing_id: text(6)?,
            detail: text(7)?,
            since: text(8)?.unwrap_or_default(),
            waived_by: text(9)?,
        });
    }
    let listing = Listing { schema_version: 1, exceptions };
    output::print(format, &listing, |l| {
        let rows = l.exceptions.iter().map(|e| {
            let missing = match (&e.missing_entity, &e.missing_id) {
                (Some(entity), Some(id)) => format!("{entity} {id}"),
                _ => String::new(),
            };
            vec![
                e.target.clone(),
                e.scope_key.clone(),
                e.column.clone().unwrap_or_else(|| "(row)".into()),
                if e.kind == "parked" { format!("parked: {}", e.reason) } else { e.reason.clone() },
                missing,
                e.detail.clone().unwrap_or_default(),
                e.since.clone(),
            ]
        });
        output::table(&["target", "scope", "column", "reason", "missing", "detail", "since"], rows.collect())
    })?;
    Ok(Exit::Yes)
}

async fn again(
    session: &mut Session,
    db: &Database,
    select: &Select,
    format: Format,
) -> anyhow::Result<Exit> {
    let rows = session
        .rows(&format!(
            "SELECT DISTINCT target_table, scope FROM {} WHERE {} LIMIT {}",
            db.control_table("exceptions"),
            select.condition(),
            select.limit
        ))
        .await?;
    let mut scopes: Vec<(String, Key)> = Vec::new();
    for r in &rows {
        scopes.push((r.text(0)?.unwrap_or_default().into(), key_from_json(r.text(1)?.unwrap_or_default())?));
    }
    for (target, scope) in &scopes {
        redrive::ask(session, db, target, [scope], "operator", 0).await?;
    }
    let count = scopes.len();
    output::say(format, &json!({ "schema_version": 1, "redriven": count }), || {
        format!("{count} scopes go through the pipeline again; `crossfade wait`, then list again")
    })?;
    Ok(Exit::Yes)
}

async fn waive(
    session: &mut Session,
    db: &Database,
    select: &Select,
    because: &str,
    format: Format,
) -> anyhow::Result<Exit> {
    anyhow::ensure!(!because.trim().is_empty(), "--because needs a reason: it is kept with the exception");
    let matched = session
        .execute(&format!(
            "UPDATE {} SET waived_at = NOW(6), waived_by = {}, waived_because = {} WHERE {} AND kind = 'parked' AND waived_at IS NULL",
            db.control_table("exceptions"),
            quote::text(db.url().user()),
            quote::text(&because.chars().take(400).collect::<String>()),
            select.condition(),
        ))
        .await?;
    output::say(format, &json!({ "schema_version": 1, "waived": matched }), || match matched {
        0 => "no parked scope matches: nothing was waived (`crossfade exceptions list --parked`)".into(),
        n => format!("{n} parked scopes waived; the next verification pass counts them as accepted"),
    })?;
    Ok(if matched > 0 { Exit::Yes } else { Exit::No })
}
