//! `crossfade exceptions`: what could not be computed, why, and what to do about it.

use clap::{Args, Subcommand};
use mysql::control::exceptions::{self, Waiver};
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
struct Listing {
    schema_version: u32,
    exceptions: Vec<exceptions::Listed>,
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
    let order = "kind DESC, target_table, id";
    let exceptions = exceptions::list(session, db, &select.condition(), order, select.limit).await?;
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
    let count = exceptions::redrive(session, db, &select.condition(), select.limit).await?;
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
    let (condition, who) = (select.condition(), db.url().user());
    let waiver = Waiver { condition: &condition, limit: select.limit, who, because };
    let matched = exceptions::waive(session, db, &waiver).await?;
    output::say(format, &json!({ "schema_version": 1, "waived": matched }), || match matched {
        0 => "no parked scope matches: nothing was waived (`crossfade exceptions list --parked`)".into(),
        n => format!("{n} parked scopes waived; the next verification pass counts them as accepted"),
    })?;
    Ok(if matched > 0 { Exit::Yes } else { Exit::No })
}
