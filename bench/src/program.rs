//! The program under test, as a process of its own.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use tokio::process::{Child, Command};

use crate::stand::Stand;
use crate::usage;

/// Longer than any backfill at the full size.
const LIMIT: &str = "1800s";

/// How `crossfade` is called for one legacy schema.
pub struct Program {
    path: PathBuf,
    url: String,
    pub control: String,
    plan: PathBuf,
    verify_every: &'static str,
}

impl Program {
    pub fn new(stand: &Stand, schema: &str, plan: &str) -> Self {
        Self {
            path: stand.settings.program.clone(),
            url: stand.server.url(schema),
            control: format!("{schema}_control"),
            plan: Path::new(env!("CARGO_MANIFEST_DIR")).join("plans").join(plan),
            // A comparison of everything is not what is timed.
            verify_every: "1h",
        }
    }

    /// Time between two passes of the verifier.
    pub fn verify_every(self, time: &'static str) -> Self {
        Self { verify_every: time, ..self }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        command
            .args(arguments)
            .env("CROSSFADE_DATABASE", &self.url)
            .env("CROSSFADE_CONTROL_SCHEMA", &self.control)
            .env("CROSSFADE_PLAN", &self.plan)
            .env("CROSSFADE_VERIFY_EVERY", self.verify_every)
            .env("CROSSFADE_LOG", std::env::var("CROSSFADE_LOG").unwrap_or_else(|_| "error".into()))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Forgets all that it knows: the next start is a first one.
    pub async fn forget(&self, stand: &Stand) -> Result<()> {
        stand.server.sql(&format!("DROP DATABASE IF EXISTS `{}`", self.control)).await.map(drop)
    }

    /// `crossfade up`. What it says of its progress is not shown.
    pub fn up(&self) -> Result<Running> {
        let verbose = std::env::var_os("BENCH_VERBOSE").is_some();
        let said = if verbose { Stdio::inherit() } else { Stdio::null() };
        let child = self.command(&["up"]).stdout(Stdio::null()).stderr(said).spawn();
        let child = child.with_context(|| format!("start {}", self.path.display()))?;
        Ok(Running { child, since: Instant::now() })
    }

    /// `crossfade wait`: everything committed before the call is applied, backfill included.
    pub async fn wait(&self) -> Result<()> {
        let output = self.command(&["wait", "--timeout", LIMIT]).output().await?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stdout);
            let wrong = String::from_utf8_lossy(&output.stderr);
            bail!("crossfade wait: {}: {} {}", output.status, said.trim(), wrong.trim());
        }
        Ok(())
    }
}

/// A running `crossfade up`; killed when it is dropped.
pub struct Running {
    child: Child,
    pub since: Instant,
}

impl Running {
    /// Fails if it has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        self.child.try_wait()?.map_or(Ok(()), |status| Err(ended_by_itself(status)))
    }

    /// Waits for everything, but not for a process that is gone.
    pub async fn caught_up(&mut self, program: &Program) -> Result<()> {
        // At the first start the schema that `wait` asks is made while it asks.
        loop {
            let waited = tokio::select! {
                waited = program.wait() => waited,
                e = self.ended() => return Err(e),
            };
            match waited {
                Ok(()) => return Ok(()),
                Err(e) if self.since.elapsed() > Duration::from_secs(10) => return Err(e),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Most resident memory so far, in MiB; `None` where there is no /proc.
    pub fn peak_mib(&self) -> Option<f64> {
        usage::peak_mib(self.child.id()?)
    }

    /// Seconds of processor time that it has taken so far, user and system.
    pub fn cpu_seconds(&self) -> Option<f64> {
        usage::cpu_seconds(self.child.id()?)
    }

    /// Comes back only when it has ended by itself.
    pub async fn ended(&mut self) -> anyhow::Error {
        match self.child.wait().await {
            Ok(status) => ended_by_itself(status),
            Err(e) => anyhow::Error::new(e).context("wait for crossfade up"),
        }
    }

    /// SIGTERM, as Kubernetes sends it, and its end.
    pub async fn stop(mut self) -> Result<()> {
        if let Some(id) = self.child.id() {
            std::process::Command::new("kill").arg("-TERM").arg(id.to_string()).status()?;
        }
        tokio::time::timeout(Duration::from_secs(30), self.child.wait())
            .await
            .context("crossfade up did not end within 30 s")??;
        Ok(())
    }
}

fn ended_by_itself(status: ExitStatus) -> anyhow::Error {
    anyhow!("crossfade up ended: {status} (BENCH_VERBOSE=1 shows what it says)")
}
