//! The demo: a legacy application under churn is taken through the whole plan, and an independent judge looks at the end.
//!
//! Variables: `DEMO_SECONDS` (60), `DEMO_SCALE` (0.25), `DEMO_RATE` (300 transactions a second, 150 with
//! Kafka), `DEMO_SESSIONS` (6), `DEMO_SEED` (1), `DEMO_BUS` (`in-process` or `kafka`), `CROSSFADE_BIN` (the `crossfade` program),
//! `DEMO_SCREENSHOTS` (a folder: takes pictures of the console at the end, instead of the judge's word).

mod screenshots;

use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use testkit::churn::{Churn, ChurnOptions};
use testkit::oracle::{self, Difference, Options};
use testkit::sample;
use testkit::servers::{Kafka, Mariadb};
use tokio::process::{Child, Command};

/// Rows of the strategy's table: number, target table, the column that is counted (`*`: the table's rows).
const ROWS: [(&str, &str, &str); 32] = [
    ("1", "users", "active"),
    ("2", "users", "version_num"),
    ("3", "users", "updated_at"),
    ("4", "process_steps", "default_sla_duration_seconds"),
    ("5", "requests", "created_by_id"),
    ("5b", "requests", "created_by_uuid"),
    ("6", "requests", "started_at"),
    ("7", "requests", "completed_at"),
    ("8", "file_attachments", "content_type"),
    ("9", "assignments", "assigned_by_id"),
    ("10", "assignments", "notes"),
    ("11", "delays", "responsible_user_id"),
    ("12", "delays", "justification"),
    ("13", "delays", "justified_by_id"),
    ("14", "delays", "original_assignment_id"),
    ("15", "delays", "is_justified"),
    ("15b", "delays", "is_shadow_delay"),
    ("16", "delay_justifications", "approved_by_id"),
    ("17", "escalation_rules", "cooldown_seconds"),
    ("18", "escalation_rules", "process_step_id"),
    ("19", "escalation_rules", "escalation_user_id"),
    ("20", "feature_flags", "impact"),
    ("20b", "feature_flags", "updated_by"),
    ("21", "feature_flags", "required_roles"),
    ("22", "feature_flags", "dependencies"),
    ("23", "audit_logs", "user_agent"),
    ("24", "audit_logs", "legal_hold_reason"),
    ("25", "role_permissions_text", "*"),
    ("26", "escalation_history", "*"),
    ("27", "slas_new", "*"),
    ("28", "delegations_new", "*"),
    ("29", "delay_debt_scores", "*"),
];

fn setting<T: std::str::FromStr>(name: &str, default: T) -> Result<T> {
    match std::env::var(name) {
        Ok(text) => text.parse().map_err(|_| anyhow::anyhow!("{name}: `{text}` cannot be used")),
        Err(_) => Ok(default),
    }
}

struct Demo {
    program: PathBuf,
    url: String,
    bus: String,
    /// Where the console is served.
    console: String,
    /// Who may act there; nobody unless pictures are taken of it.
    tokens: Option<PathBuf>,
    /// Kafka must live as long as the demo.
    kafka: Option<Kafka>,
}

impl Demo {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env("CROSSFADE_DATABASE", &self.url)
            .env("CROSSFADE_BUS", &self.bus)
            .env("CROSSFADE_PLAN", plans())
            .env("CROSSFADE_PARAMS", format!("system_admin={}", sample::SYSTEM_ADMIN))
            .env("CROSSFADE_VERIFY_EVERY", "10m")
            .env("CROSSFADE_CONSOLE", &self.console)
            .env("CROSSFADE_LOG", std::env::var("CROSSFADE_LOG").unwrap_or_else(|_| "warn".into()))
            .envs(self.tokens.iter().map(|file| ("CROSSFADE_CONSOLE_TOKENS", file)))
            .kill_on_drop(true);
        command
    }

    fn start(&self, arguments: &[&str]) -> Result<Child> {
        self.command(arguments).spawn().with_context(|| format!("start {}", self.program.display()))
    }

    async fn services(&self) -> Result<Vec<Child>> {
        println!("console, while the demo runs: http://{}/", self.console);
        if self.bus == "in-process" {
            return Ok(vec![self.start(&["up"])?]);
        }
        self.run(&["topics", "--create"], false).await?;
        ["cdc-reader", "mapper", "id-mapper", "writer", "verifier"]
            .iter()
            .map(|s| self.start(&["service", s]))
            .collect()
    }

    /// Runs a command to its end; gives its exit code.
    async fn run(&self, arguments: &[&str], show: bool) -> Result<i32> {
        let mut command = self.command(arguments);
        if !show {
            command.stdout(Stdio::null());
        }
        let status = command.status().await?;
        Ok(status.code().unwrap_or(2))
    }

    async fn json(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let output =
            self.command(arguments).args(["--output", "json"]).stderr(Stdio::null()).output().await?;
        Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
    }

    /// One line on where everything stands.
    async fn line(&self, since: Instant, committed: u64) -> Result<()> {
        let status = self.json(&["status"]).await?;
        let passes = status["backfill"].as_array().cloned().unwrap_or_default();
        let done = passes.iter().filter(|p| p["state"] == "done").count();
        let changed: u64 = passes.iter().filter_map(|p| p["changed"].as_u64()).sum();
        let open = |kind: &str| -> u64 {
            let all = status["exceptions"].as_array().into_iter().flatten();
            all.filter(|e| e["kind"] == kind).filter_map(|e| e["count"].as_u64()).sum()
        };
        println!(
            "{:4.0} s  application: {committed} transactions  backfill: {done}/{} passes, {changed} rows changed  proved {} s ago  reports {}  parked {}",
            since.elapsed().as_secs_f64(),
            passes.len(),
            status["lag_seconds"].as_f64().map_or("-".into(), |l| format!("{l:.1}")),
            open("report"),
            open("parked"),
        );
        Ok(())
    }
}

fn plans() -> PathBuf {
    repository().join("plans/phase2")
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn program() -> PathBuf {
    std::env::var_os("CROSSFADE_BIN").map_or_else(
        || {
            let mut own = std::env::current_exe().unwrap_or_default();
            own.set_file_name("crossfade");
            own
        },
        PathBuf::from,
    )
}

#[tokio::main]
async fn main() -> ExitCode {
    // On a signal the future is dropped, and with it the servers and services that it started.
    let mut term = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(term) => term,
        Err(e) => {
            eprintln!("demo: {e}");
            return ExitCode::from(2);
        }
    };
    let ended = tokio::select! {
        ended = demo() => ended,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        _ = term.recv() => Err(anyhow::anyhow!("terminated")),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(e) => {
            eprintln!("demo: {e:#}");
            ExitCode::from(2)
        }
    }
}

async fn demo() -> Result<bool> {
    let seconds = setting("DEMO_SECONDS", 60u64)?;
    let scale = setting("DEMO_SCALE", 0.25f64)?;
    let kind = setting("DEMO_BUS", "in-process".to_string())?;
    let seed = setting("DEMO_SEED", 1u64)?;
    println!("starting a private MariaDB …");
    let server = Mariadb::start(&[]).await?;
    server.sql("CREATE DATABASE app CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci").await?;
    let url = server.url("app");
    let began = Instant::now();
    sample::load(&url, scale, seed).await.context("load the sample")?;
    println!("loaded a sample of the legacy application in {:.1} s: {url}", began.elapsed().as_secs_f64());
    let kafka = match kind.as_str() {
        "in-process" => None,
        "kafka" => {
            println!("starting a private Kafka …");
            Some(Kafka::start(&[]).await?.context("Kafka needs Java and Maven")?)
        }
        other => bail!("DEMO_BUS: `{other}` is neither `in-process` nor `kafka`"),
    };
    let bus = kafka.as_ref().map_or("in-process".into(), Kafka::url);
    let console = format!("127.0.0.1:{}", testkit::ports::free());
    let shots = screenshots::Screenshots::wanted().await?;
    let tokens = shots.as_ref().map(screenshots::Screenshots::tokens);
    let demo = Demo { program: program(), url: url.clone(), bus, console, tokens, kafka };
    let options = ChurnOptions {
        sessions: setting("DEMO_SESSIONS", 6)?,
        // The broker and the load share the machine with all the rest.
        rate: setting("DEMO_RATE", if demo.kafka.is_some() { 150.0 } else { 300.0 })?,
        seed,
        ..ChurnOptions::default()
    };
    let churn = Churn::start(&url, options).await?;
    println!("the application writes; now `crossfade` starts beside it");
    let since = Instant::now();
    let mut services = demo.services().await?;
    while since.elapsed() < Duration::from_secs(seconds) {
        tokio::time::sleep(Duration::from_secs(3)).await;
        for service in &mut services {
            if let Some(status) = service.try_wait()? {
                bail!("a service ended: {status}");
            }
        }
        demo.line(since, churn.counters.tally().committed).await?;
    }
    let report = churn.stop().await?;
    println!(
        "the application pauses after {} transactions ({:.0}/s); waiting until all of it is applied",
        report.tally.committed,
        report.tally.committed as f64 / report.elapsed.as_secs_f64()
    );
    let waited = demo.run(&["wait", "--timeout", "120s"], true).await?;
    if let Some(shots) = shots {
        anyhow::ensure!(waited == 0, "not everything was applied in time");
        shots.take(&demo, &server).await?;
        return end(services).await.map(|()| true);
    }
    println!("\nverification of every target:");
    let verdict = demo.run(&["verify", "--once"], true).await?;
    demo.run(&["wait", "--timeout", "60s"], false).await?;
    println!("\nan independent judge computes every row of the strategy with SQL of its own:");
    let options = Options { ledger: Some(report.ledger), ..Options::default() };
    let found = oracle::judge(&url, "crossfade", &options).await?;
    show(&server, &found).await?;
    let mut shown: std::collections::BTreeMap<&str, u32> = std::collections::BTreeMap::new();
    for difference in &found {
        let count = shown.entry(difference.row).or_default();
        *count += 1;
        if *count <= 3 {
            println!("  {difference}");
        }
    }
    end(services).await?;
    let good = waited == 0 && verdict == 0 && found.is_empty();
    println!("\n{}", if good { "ready: all rows equal" } else { "not ready" });
    Ok(good)
}

/// Ends the services in good order.
async fn end(services: Vec<Child>) -> Result<()> {
    for service in &services {
        terminate(service)?;
    }
    for mut service in services {
        tokio::time::timeout(Duration::from_secs(20), service.wait())
            .await
            .context("a service did not end")??;
    }
    Ok(())
}

/// SIGTERM, as Kubernetes sends it.
fn terminate(child: &Child) -> Result<()> {
    if let Some(id) = child.id() {
        std::process::Command::new("kill").arg("-TERM").arg(id.to_string()).status()?;
    }
    Ok(())
}

/// A line per row of the strategy.
async fn show(server: &Mariadb, found: &[Difference]) -> Result<()> {
    println!("{:>4}  {:46} {:>9} {:>9}  differences", "row", "target", "rows", "with value");
    for (row, table, column) in ROWS {
        let counted = if column == "*" { "*".to_string() } else { format!("`{column}`") };
        let numbers = server.sql(&format!("SELECT COUNT(*), COUNT({counted}) FROM app.`{table}`")).await?;
        let mut numbers = numbers.split_whitespace();
        let name = if column == "*" { table.to_string() } else { format!("{table}.{column}") };
        let wrong = found.iter().filter(|d| d.row == row).count();
        println!(
            "{row:>4}  {name:46} {:>9} {:>9}  {wrong}",
            numbers.next().unwrap_or("?"),
            numbers.next().unwrap_or("?")
        );
    }
    let others = found.iter().filter(|d| !ROWS.iter().any(|(row, ..)| *row == d.row)).count();
    println!("      id maps and others {:>57}", others);
    Ok(())
}
