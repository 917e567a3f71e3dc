//! `crossfade plan`: check, explain, schema, init.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use service::Settings;

use crate::output::{self, Exit, Format};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Checks the plan against the live schema: all problems at once
    Check,
    /// Shows, per target, its SQL, indexes, routes, and what leaves the database
    Explain {
        /// Only this target
        #[arg(long)]
        only: Option<String>,
    },
    /// Prints the JSON Schema of plan files
    Schema,
    /// Drafts a plan from the live schema
    Init(Init),
}

#[derive(Debug, Args)]
pub struct Init {
    /// Where to write the files
    #[arg(long, default_value = "plan")]
    into: PathBuf,
    /// Copy tables as they are (with --tables and --to)
    #[arg(long, requires_all = ["tables", "to"])]
    copy: bool,
    /// Tables to copy
    #[arg(long, value_delimiter = ',')]
    tables: Vec<String>,
    /// Name of a copy, with {table} for the table's
    #[arg(long)]
    to: Option<String>,
    /// Schema that holds the successors, to draft a plan from two schemas
    #[arg(long, conflicts_with = "copy")]
    successor: Option<String>,
}

pub fn schema() -> anyhow::Result<Exit> {
    output::print(Format::Json, &plan::json_schema(), |_| String::new())?;
    Ok(Exit::Yes)
}

pub async fn run(settings: &Settings, verb: Verb, format: Format) -> anyhow::Result<Exit> {
    match verb {
        Verb::Schema => schema(),
        Verb::Check => check(settings, format).await,
        Verb::Explain { only } => explain(settings, only.as_deref(), format).await,
        Verb::Init(options) => init(settings, &options).await,
    }
}

async fn check(settings: &Settings, format: Format) -> anyhow::Result<Exit> {
    let db = settings.database();
    let mut session = db.session().await?;
    let catalog = mysql::catalog::load(&mut session, db.schema()).await?;
    let checked = plan::load(&settings.plan).and_then(|raw| plan::check(&raw, &catalog, &settings.params));
    match checked {
        Ok(plan) => {
            let targets: Vec<&str> = plan.targets.iter().map(|t| t.table.as_str()).collect();
            let answer =
                json!({ "schema_version": 1, "ok": true, "targets": targets, "digest": plan.digest });
            output::print(format, &answer, |_| format!("the plan is right: {} targets", targets.len()))?;
            Ok(Exit::Yes)
        }
        Err(problems) => {
            let answer = json!({ "schema_version": 1, "ok": false, "problems": problems.list });
            output::print(format, &answer, |_| problems.render())?;
            Ok(Exit::No)
        }
    }
}

async fn explain(settings: &Settings, only: Option<&str>, format: Format) -> anyhow::Result<Exit> {
    let db = settings.database();
    let mut session = db.session().await?;
    let (plan, _) = crate::deployment::checked_plan(settings, &mut session, &db).await?;
    if let Some(unknown) = only.filter(|o| plan.target(o).is_none()) {
        return Err(crate::deployment::no_target(&plan, unknown));
    }
    let explained = plan::explain(&plan, db.control(), only);
    output::print(format, &explained, ToString::to_string)?;
    Ok(Exit::Yes)
}

async fn init(settings: &Settings, options: &Init) -> anyhow::Result<Exit> {
    let db = settings.database();
    let mut session = db.session().await?;
    let catalog = mysql::catalog::load(&mut session, db.schema()).await?;
    let files = match (&options.to, &options.successor) {
        (Some(to), None) if options.copy => {
            plan::init::identity(&catalog, &options.tables, to).map_err(|e| anyhow::anyhow!(e))?
        }
        (_, Some(successor)) => {
            let successor = mysql::catalog::load(&mut session, successor).await?;
            plan::init::draft(&catalog, &successor)
        }
        _ => anyhow::bail!(
            "say what to draft: `--copy --tables a,b --to '{{table}}_new'` copies tables, `--successor SCHEMA` drafts a plan from the live schema to that one"
        ),
    };
    std::fs::create_dir_all(&options.into)?;
    for (name, text) in files {
        let path = options.into.join(&name);
        anyhow::ensure!(
            !path.exists(),
            "{} exists already: choose another folder with --into",
            path.display()
        );
        std::fs::write(&path, text)?;
        eprintln!("wrote {}", path.display());
    }
    eprintln!("next: `crossfade plan check --plan {}`", options.into.display());
    Ok(Exit::Yes)
}
