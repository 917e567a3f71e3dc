//! `crossfade plan`: check, explain, schema, init, reverse.

use std::path::{Path, PathBuf};

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
    /// Makes the plan for the way back: the legacy columns, computed from the new ones
    Reverse {
        /// Where to write the files
        #[arg(long, default_value = "plan-reverse")]
        into: PathBuf,
    },
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
        Verb::Reverse { into } => reverse(settings, &into, format).await,
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
    let (plan, catalog) = crate::deployment::checked_plan(settings, &mut session, &db).await?;
    if let Some(unknown) = only.filter(|o| plan.target(o).is_none()) {
        return Err(crate::deployment::no_target(&plan, unknown));
    }
    let explained = plan::explain(&plan, &catalog, db.control(), only);
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
    write(&options.into, &files)?;
    Ok(Exit::Yes)
}

async fn reverse(settings: &Settings, into: &Path, format: Format) -> anyhow::Result<Exit> {
    let db = settings.database();
    let mut session = db.session().await?;
    let (plan, catalog) = crate::deployment::checked_plan(settings, &mut session, &db).await?;
    let (reverse, left_out) = plan::reverse(&plan, &catalog, db.control());
    let behind: Vec<String> = left_out
        .iter()
        .map(|l| match &l.column {
            Some(column) => format!("  {}.{column}: {}", l.target, l.reason),
            None => format!("  {}: {}", l.target, l.reason),
        })
        .collect();
    let Some(reverse) = reverse else {
        anyhow::bail!("nothing of this plan can be inverted:\n{}", behind.join("\n"));
    };
    let files = reverse.files.iter().cloned().collect();
    plan::parse_files(files).and_then(|raw| plan::check(&raw, &catalog, &plan::Parameters::new())).map_err(
        |p| anyhow::anyhow!("the plan for the way back does not stand:\n{}", p.render().trim_end()),
    )?;
    if !behind.is_empty() {
        eprintln!("left out:\n{}", behind.join("\n"));
    }
    write(into, &reverse.files)?;
    let answer =
        json!({ "schema_version": 1, "into": into, "targets": reverse.targets, "left_out": left_out });
    output::print(format, &answer, |_| format!("comes back: {}", reverse.targets.join(", ")))?;
    Ok(Exit::Yes)
}

fn write(into: &Path, files: &plan::init::Files) -> anyhow::Result<()> {
    if let Some(path) = files.iter().map(|(name, _)| into.join(name)).find(|path| path.exists()) {
        anyhow::bail!("{} exists already: choose another folder with --into", path.display());
    }
    std::fs::create_dir_all(into)?;
    for (name, text) in files {
        let path = into.join(name);
        std::fs::write(&path, text)?;
        eprintln!("wrote {}", path.display());
    }
    eprintln!("next: `crossfade plan check --plan {}`", into.display());
    Ok(())
}
