//! The `crossfade` command.

mod deferred;
mod deployment;
mod exceptions;
mod findings;
mod flags;
mod health;
mod hold;
mod mode;
mod numbers;
mod output;
mod plan_command;
mod preflight;
mod progress;
mod report;
mod services;
mod status;
mod verdict;
mod verify;
mod wait;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};
use output::{Exit, Format};
use serde_json::json;
use service::{Args, BusChoice, Settings, Shutdown, telemetry};

/// Moves a live MySQL or MariaDB application to new columns and tables while it keeps writing.
///
/// Exit codes: 0 yes, 1 a definite no, 2 no answer (wrong usage, no connection, an error).
#[derive(Debug, Parser)]
#[command(name = "crossfade", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    args: Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs all five services in one process
    Up,
    /// Runs one service
    Service {
        #[arg(value_enum)]
        name: services::Name,
    },
    /// Checks the server's settings and the accounts' rights, and says how to mend what is wrong
    Preflight(preflight::Options),
    /// Makes the control schema and the id maps, or brings them up to date
    Migrate {
        /// Take over a plan that was changed on purpose; then run `crossfade backfill --again` for what changed
        #[arg(long)]
        accept_plan: bool,
    },
    /// Checks the Kafka topics; `--create` makes them, and all else that a deployment needs
    Topics {
        /// Create what is missing: control schema, id maps, topics, lanes
        #[arg(long)]
        create: bool,
    },
    /// Begins at the present, with a full pass over everything; for a position that the server no longer has
    Recover,
    /// Works on plans
    #[command(subcommand)]
    Plan(plan_command::Verb),
    /// Shows the backfill until it is done; `--again` orders another pass
    Backfill {
        /// Only these targets
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
        /// Order another pass: it changes nothing if all is well
        #[arg(long)]
        again: bool,
    },
    /// Holds the backfill
    Pause,
    /// Lets it go on
    Resume,
    /// 0 once everything committed before the call is applied, backfill included
    Wait {
        #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
        timeout: Duration,
    },
    /// Compares the targets with the plan, repairs by marks, and gives the verdict
    Verify(verify::Options),
    /// The last verdict, as long as it holds
    Verdict {
        /// Of one target
        #[arg(long)]
        only: Option<String>,
    },
    /// All that the verdict rests on, as one document to be signed: criteria, targets, flags, findings, decisions
    Report(report::Options),
    /// Where everything stands
    Status {
        /// Again every second
        #[arg(long)]
        watch: bool,
    },
    /// 0 if the service that runs on this machine is ready
    Health,
    /// How far the application has moved to each target
    #[command(subcommand)]
    Flags(flags::Verb),
    /// What the writer does with a target's rows: write, compare, or nothing
    #[command(subcommand)]
    Mode(mode::Verb),
    /// What the verifier found to differ, why, and what became of it
    Findings(findings::Options),
    /// What could not be computed
    #[command(subcommand)]
    Exceptions(exceptions::Verb),
    /// Prints completions for a shell
    Completions { shell: clap_complete::Shell },
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse_from(arguments());
    match run(cli).await {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(e) => {
            eprintln!("error: {}", told(&e));
            ExitCode::from(Exit::NoAnswer.code())
        }
    }
}

/// The error and its causes, each once: most of ours quote their cause already.
fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text.contains(&cause) {
        true => text,
        false if text.is_empty() => cause,
        false => format!("{text}: {cause}"),
    })
}

/// Under the name of a service (`crossfade-writer`, a link to this program) it is that service.
fn arguments() -> Vec<OsString> {
    let mut given: Vec<OsString> = std::env::args_os().collect();
    let own = given.first().map(PathBuf::from).unwrap_or_default();
    let name = own.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    if let Some(service) = name.strip_prefix("crossfade-")
        && services::Name::ALL.iter().any(|s| s.text() == service)
    {
        given.splice(1..1, ["service".into(), service.into()]);
    }
    given
}

async fn run(cli: Cli) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "crossfade", &mut std::io::stdout());
            return Ok(Exit::Yes);
        }
        Command::Plan(plan_command::Verb::Schema) => return plan_command::schema(),
        _ => {}
    }
    let settings = Settings::resolve(cli.args)?;
    let format = if settings.json { Format::Json } else { Format::Text };
    let _telemetry = telemetry::start("crossfade", &settings)?;
    let db = settings.database();
    if cli.command.needs_control() {
        deployment::must_stand(&db).await?;
    }
    match cli.command {
        Command::Up => up(&settings).await,
        Command::Service { name } => {
            let shutdown = Shutdown::on_signals()?;
            let context = deployment::join(&settings).await?;
            services::run(&[name], context, &settings, &shutdown).await?;
            Ok(Exit::Yes)
        }
        Command::Preflight(options) => preflight::run(&settings, &options, format).await,
        Command::Topics { .. } if matches!(settings.bus, BusChoice::InProcess) => anyhow::bail!(
            "the in-process bus has no topics that others could see; `crossfade up` makes all it needs, `crossfade migrate` the control schema alone; for Kafka say --bus kafka://host:port"
        ),
        Command::Topics { create } => {
            let context = match create {
                true => {
                    preflight::must_pass(&settings).await?;
                    deployment::create(&settings).await?
                }
                false => deployment::join(&settings).await?,
            };
            let names: Vec<String> = deployment::topic_specs(&context).into_iter().map(|t| t.name).collect();
            output::print(format, &json!({ "schema_version": 1, "topics": names }), |_| names.join("\n"))?;
            Ok(Exit::Yes)
        }
        Command::Migrate { accept_plan } => {
            let done = deployment::migrate(&settings, accept_plan).await?;
            let answer = json!({ "schema_version": 1, "control_schema": db.control(), "from": done.from, "to": done.to });
            output::say(format, &answer, || {
                format!("the control schema `{}` is at version {} (was {})", db.control(), done.to, done.from)
            })?;
            Ok(Exit::Yes)
        }
        Command::Recover => {
            let passes = deployment::recover(&settings).await?;
            output::say(format, &json!({ "schema_version": 1, "passes": passes }), || {
                format!(
                    "source `{}` begins at the present; {passes} passes are ordered; now start it again",
                    settings.source
                )
            })?;
            Ok(Exit::Yes)
        }
        Command::Plan(verb) => plan_command::run(&settings, verb, format).await,
        Command::Backfill { only, again } => backfill(&settings, &only, again, format).await,
        Command::Pause => hold::pause(&db, format).await,
        Command::Resume => hold::resume(&db, format).await,
        Command::Wait { timeout } => wait::run(&db, &settings.source, timeout, format).await,
        Command::Verify(options) => verify::run(&settings, &options, format).await,
        Command::Verdict { only } => verdict::run(&db, only.as_deref(), format).await,
        Command::Report(options) => report::run(&settings, &options, format).await,
        Command::Status { watch } => status::run(&db, &settings.source, watch, format).await,
        Command::Health => health::run(&settings).await,
        Command::Flags(verb) => flags::run(&settings, verb, format).await,
        Command::Mode(verb) => mode::run(&settings, verb, format).await,
        Command::Findings(options) => findings::run(&db, &options, format).await,
        Command::Exceptions(verb) => exceptions::run(&db, verb, format).await,
        Command::Completions { .. } => Ok(Exit::Yes),
    }
}

impl Command {
    /// Does it work on what stands in the control schema? `up` and `migrate` make it; `verdict` knows nothing without it.
    fn needs_control(&self) -> bool {
        match self {
            Command::Backfill { .. } | Command::Pause | Command::Resume | Command::Wait { .. } => true,
            Command::Status { .. }
            | Command::Report(_)
            | Command::Exceptions(_)
            | Command::Recover
            | Command::Flags(_)
            | Command::Findings(_)
            | Command::Mode(_) => true,
            Command::Verify(options) => options.is_pass(),
            _ => false,
        }
    }
}

/// All five services in this process, with the backfill's progress.
async fn up(settings: &Settings) -> anyhow::Result<Exit> {
    let shutdown = Shutdown::on_signals()?;
    preflight::must_pass(settings).await?;
    let context = deployment::create(settings).await?;
    let (db, stop) = (settings.database(), shutdown.token());
    let progress = tokio::spawn(async move {
        let began = std::time::Instant::now();
        if let Ok((scanned, changed)) = progress::watch(&db, progress::Passes::Open, &stop).await
            && !stop.is_cancelled()
            && scanned > 0
        {
            let took = began.elapsed().as_secs_f64();
            eprintln!(
                "backfill done: {scanned} scopes scanned, {changed} rows changed, {took:.1} s; the stream goes on"
            );
        }
    });
    let ended = services::run(&services::Name::ALL, context, settings, &shutdown).await;
    progress.abort();
    ended.map(|()| Exit::Yes)
}

/// The services run the passes; this orders them and looks on.
async fn backfill(settings: &Settings, only: &[String], again: bool, format: Format) -> anyhow::Result<Exit> {
    let shutdown = Shutdown::on_signals()?;
    let db = settings.database();
    if again {
        let mut session = db.session().await?;
        let plan = deployment::own_plan(settings, &mut session, &db).await?;
        let count =
            deployment::order_again(&mut session, &db, &plan, settings.include_deferred, only).await?;
        eprintln!("{count} passes ordered");
    }
    let (scanned, changed) = progress::watch(&db, progress::Passes::All, &shutdown.token()).await?;
    let done = !shutdown.token().is_cancelled();
    let answer = json!({ "schema_version": 1, "done": done, "scanned": scanned, "changed": changed });
    output::say(format, &answer, || {
        format!("backfill: {scanned} scopes scanned, {changed} rows changed in all passes so far")
    })?;
    Ok(if done { Exit::Yes } else { Exit::NoAnswer })
}
