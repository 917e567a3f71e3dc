//! A load with a ledger, a deployment beside it, and the judgement at the end.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mysql::Session;
use tempfile::TempDir;
use testkit::connect::{self, said};
use testkit::servers::Mariadb;
use testkit::versions::{self, Item, Ledger, Load, LoadOptions, Maps, Watch};
use testkit::wait::until;
use tokio::process::Child;

use crate::support::{self, Deployment};

/// By then everything must be right again, counted from the end of the load.
const RECOVERY: Duration = Duration::from_secs(60);
pub const SERVICES: [&str; 5] = ["cdc-reader", "mapper", "id-mapper", "writer", "verifier"];
/// Rows at the start.
const ROWS: u64 = 400;

pub struct Rig {
    fault: &'static str,
    pub deployment: Deployment,
    /// The way to the database that no fault touches.
    pub url: String,
    pub seed: u64,
    before: Ledger,
    /// Rows that one great transaction made, beside the load.
    great: Ledger,
    load: Option<Load>,
    watch: Watch,
    maps: Maps,
    _plan: TempDir,
}

/// The seed of a run: `CROSSFADE_SEED`, or one for all.
pub fn seed() -> Result<u64> {
    match std::env::var("CROSSFADE_SEED") {
        Ok(text) => text.parse().with_context(|| format!("CROSSFADE_SEED: `{text}` is not a number")),
        Err(_) => Ok(1),
    }
}

/// As often as this: in the run of all tests, and in `make test-faults`.
pub fn times(short: u32, long: u32) -> u32 {
    if std::env::var_os("CROSSFADE_FAULTS_LONG").is_some() { long } else { short }
}

impl Rig {
    /// `fault` is the row of the menu, and what is done.
    pub async fn new(server: &Mariadb, fault: &'static str) -> Result<Self> {
        let row = fault.split(' ').next().unwrap_or_default().to_lowercase();
        let name: String = row.chars().filter(char::is_ascii_alphanumeric).collect();
        let schemas = server.schemas(&format!("fault_{name}")).await?;
        let url = schemas.url.clone();
        let before = versions::create(&url, ROWS).await?;
        let folder = tempfile::tempdir()?;
        write_plan(folder.path())?;
        let mut deployment = Deployment::new(schemas, folder.path().to_path_buf());
        deployment = deployment.set("CROSSFADE_VERIFY_EVERY", "1s").set("CROSSFADE_VERIFY_SHARE", "50");
        let watch = Watch::start(&url);
        Ok(Self {
            fault,
            deployment,
            url,
            seed: seed()?,
            before,
            great: Ledger::new(),
            load: None,
            watch,
            maps: Maps::default(),
            _plan: folder,
        })
    }

    /// The five services as processes of their own, with a broker between them; their names are in [`SERVICES`].
    pub async fn services(&mut self, bus: String) -> Result<Vec<Child>> {
        self.deployment = self.deployment.clone().set("CROSSFADE_LANES", "2");
        self.deployment.bus = bus;
        self.deployment.yes(&["topics", "--create"]).await?;
        let services =
            SERVICES.iter().map(|s| self.deployment.start(&["service", s])).collect::<Result<_>>()?;
        self.deployment.yes(&["backfill"]).await?;
        self.maps = Maps::read(&self.url).await?;
        Ok(services)
    }

    /// Begins to write.
    pub fn load(&mut self) {
        let options = LoadOptions { seed: self.seed, ..Default::default() };
        self.load = Some(Load::start(&self.url, &self.before, options));
    }

    /// `crossfade up`, until its backfill is done.
    pub async fn up(&mut self) -> Result<Child> {
        let up = self.deployment.start(&["up"])?;
        self.deployment.begun().await?;
        self.deployment.yes(&["backfill"]).await?;
        self.maps = Maps::read(&self.url).await?;
        Ok(up)
    }

    /// Rows that somebody makes in one transaction, with version 0 and the note `great`; gives the first id.
    pub fn great(&mut self, rows: u64) -> u64 {
        const FIRST: u64 = 1_000_000_000;
        let item = |id| (id, Item { version: 0, owner: None, note: Some("great".into()) });
        self.great = (FIRST..FIRST + rows).map(item).collect();
        FIRST
    }

    /// Waits until the application has committed so many more transactions.
    pub async fn more(&self, transactions: u64) -> Result<()> {
        let load = self.load.as_ref().context("there is no load")?;
        let wanted = load.committed() + transactions;
        until("the application to go on", Duration::from_secs(120), || async {
            let n = load.committed();
            if n >= wanted { Ok(()) } else { Err(format!("{n} of {wanted} transactions")) }
        })
        .await
    }

    /// The rules, for `crossfade up`.
    pub async fn pass(self, up: &mut Child, seen: &str) -> Result<()> {
        self.pass_all(std::slice::from_mut(up), seen).await
    }

    /// The rules. The processes must live; they are ended. Gives a line for the matrix: what was seen, and how long it took.
    pub async fn pass_all(self, processes: &mut [Child], seen: &str) -> Result<()> {
        let mut loaded = self.load.context("there is no load")?.stop().await?;
        loaded.ledger.extend(self.great);
        let stopped = Instant::now();
        for process in &mut *processes {
            ensure!(process.try_wait()?.is_none(), "a process has ended by itself");
        }
        let mut db = connect::to(&self.url).await?;
        let since = now(&mut db).await?;
        loop {
            // The verdict first: what it says of a moment must be so a moment later, as nobody writes.
            let ready = verdict(&mut db, &self.deployment.schemas.control, &since).await?;
            let different = versions::differences(&self.url, &loaded.ledger).await?;
            if different.is_empty() && ready {
                break;
            }
            ensure!(!ready || different.is_empty(), "ready, and yet: {different:#?}");
            if stopped.elapsed() > RECOVERY {
                let some: Vec<_> = different.iter().take(10).collect();
                let status = self.deployment.run(&["status"]).await?;
                let status = String::from_utf8_lossy(&status.stdout).into_owned();
                bail!(
                    "not right after {RECOVERY:?}; ready: {ready}; {} differ: {some:#?}\n{status}",
                    different.len()
                );
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let took = stopped.elapsed();
        let broken = self.maps.broken_by(&Maps::read(&self.url).await?);
        ensure!(broken.is_empty(), "{broken:#?}");
        let watched = self.watch.stop().await?;
        ensure!(watched.back.is_empty(), "rows went back: {:#?}", watched.back);
        ensure!(watched.looks > 10, "nobody watched: {} looks", watched.looks);
        ensure!(loaded.transactions > 100, "hardly a load: {} transactions", loaded.transactions);
        for process in processes {
            ensure!(support::terminate(process).await? == Some(0), "an end was not in order");
        }
        tell(self.fault, self.seed, &loaded, took, seen)
    }
}

fn write_plan(folder: &Path) -> Result<()> {
    for (file, text) in versions::PLAN {
        std::fs::write(folder.join(file), text)?;
    }
    Ok(())
}

/// The most memory that a process has held, in MiB.
pub fn peak_mib(process: &Child) -> Result<u64> {
    let id = process.id().context("it has ended")?;
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: u64 = peak.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024)
}

/// The server's clock.
async fn now(db: &mut Session) -> Result<String> {
    let row = db.row("SELECT CAST(NOW(6) AS CHAR)").await.map_err(said)?.context("a row")?;
    Ok(row.text(0)?.unwrap_or_default().to_owned())
}

/// Is the verdict ready, and made since then?
async fn verdict(db: &mut Session, control: &str, since: &str) -> Result<bool> {
    let sql = format!(
        "SELECT COUNT(*) FROM `{control}`.verdict WHERE target = '' AND verdict = 'ready' AND made_at > '{since}'"
    );
    Ok(connect::number(db, &sql).await? == 1)
}

/// A line for the matrix, if somebody collects them.
fn tell(fault: &str, seed: u64, loaded: &versions::Loaded, took: Duration, seen: &str) -> Result<()> {
    let (row, done) = fault.split_once(' ').unwrap_or((fault, ""));
    let mut line = String::new();
    writeln!(
        line,
        "| {row} | {done} | {seen}; {} transactions, the longest {:.1} s | {:.1} s | {seed} |",
        loaded.transactions,
        loaded.longest.as_secs_f64(),
        took.as_secs_f64()
    )?;
    print!("{line}");
    if let Some(path) = std::env::var_os("CROSSFADE_FAULTS") {
        use std::io::Write as _;
        std::fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(line.as_bytes())?;
    }
    Ok(())
}
