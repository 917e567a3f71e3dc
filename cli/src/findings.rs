//! `crossfade findings`: what the verifier found to differ, and what became of it.

use clap::Args;
use mysql::Database;
use mysql::control::finding;
use serde_json::json;

use crate::output::{self, Exit, Format};

#[derive(Debug, Args)]
pub struct Options {
    /// Only of this target
    #[arg(long)]
    target: Option<String>,
    /// Those that are closed, too
    #[arg(long)]
    all: bool,
    /// At most so many, the newest
    #[arg(long, default_value_t = 1000)]
    limit: u32,
}

pub async fn run(db: &Database, options: &Options, format: Format) -> anyhow::Result<Exit> {
    let mut session = db.session().await?;
    let found =
        finding::list(&mut session, db, options.target.as_deref(), !options.all, options.limit).await?;
    output::print(format, &json!({ "schema_version": 1, "findings": found }), |_| {
        let rows = found.iter().map(|f| {
            let cause = f.cause.clone().or_else(|| f.position.clone()).unwrap_or_default();
            let closed = f.closed_at.clone().unwrap_or_else(|| "open".into());
            vec![f.target.clone(), f.scope.clone(), f.kind.clone(), cause, f.seen_at.clone(), closed]
        });
        output::table(&["target", "scope", "kind", "cause", "seen", "closed"], rows.collect())
    })?;
    Ok(Exit::Yes)
}
