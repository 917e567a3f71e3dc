//! What the tests of the whole share: the real `crossfade` program against private servers.

#![allow(dead_code)] // each test binary uses its part

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use testkit::sample;
use testkit::servers::Schemas;
use tokio::process::{Child, Command};

/// The plan that is shipped.
pub fn phase2() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../plans/phase2")
}

/// One deployment: a schema, a control schema, a plan and a bus.
#[derive(Clone, Debug)]
pub struct Deployment {
    pub schemas: Schemas,
    pub plan: PathBuf,
    pub bus: String,
    pub include_deferred: bool,
    /// More settings, as environment variables.
    pub settings: Vec<(String, String)>,
}

impl Deployment {
    pub fn new(schemas: Schemas, plan: PathBuf) -> Self {
        Self { schemas, plan, bus: "in-process".into(), include_deferred: false, settings: Vec::new() }
    }

    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// The program with this deployment's settings; nothing else of the environment reaches it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CROSSFADE_")) {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .env("CROSSFADE_DATABASE", &self.schemas.url)
            .env("CROSSFADE_CONTROL_SCHEMA", &self.schemas.control)
            .env("CROSSFADE_PLAN", &self.plan)
            .env("CROSSFADE_BUS", &self.bus)
            .env("CROSSFADE_INCLUDE_DEFERRED", self.include_deferred.to_string())
            .env("CROSSFADE_LOG", "warn")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if self.plan == phase2() {
            command.env("CROSSFADE_PARAMS", format!("system_admin={}", sample::SYSTEM_ADMIN));
        }
        command.envs(self.settings.iter().map(|(n, v)| (n, v)));
        command
    }

    /// Starts a command that goes on. Its log is part of the test's output, which is shown if the test fails.
    pub fn start(&self, arguments: &[&str]) -> Result<Child> {
        let mut child = self.command(arguments).stderr(Stdio::piped()).spawn().context("start crossfade")?;
        let log = child.stderr.take().context("its stderr")?.into_owned_fd()?;
        std::thread::spawn(move || {
            for line in BufReader::new(std::fs::File::from(log)).lines().map_while(Result::ok) {
                eprintln!("{line}");
            }
        });
        Ok(child)
    }

    /// Waits until the deployment has its control schema: `crossfade up` has begun.
    pub async fn begun(&self) -> Result<()> {
        testkit::wait::until("the deployment to begin", Duration::from_secs(60), async || {
            match self.run(&["status"]).await {
                Ok(output) if output.status.success() => Ok(()),
                Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
                Err(e) => Err(e.to_string()),
            }
        })
        .await
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Result<Output> {
        let run = self.command(arguments).output();
        tokio::time::timeout(Duration::from_secs(240), run)
            .await
            .with_context(|| format!("crossfade {} did not end", arguments.join(" ")))?
            .context("run crossfade")
    }

    /// Runs a command that must answer "yes"; gives its stdout.
    pub async fn yes(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments).await?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        anyhow::ensure!(
            output.status.success(),
            "crossfade {}: {}\n{out}{err}",
            arguments.join(" "),
            output.status
        );
        Ok(out.into_owned())
    }

    /// The same with `--output json`.
    pub async fn json(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let out = self.yes(&[arguments, &["--output", "json"]].concat()).await?;
        serde_json::from_str(&out).with_context(|| format!("not JSON: {out}"))
    }
}

/// SIGKILL, and wait until it is gone.
pub async fn kill(child: &mut Child) -> Result<()> {
    child.start_kill()?;
    child.wait().await?;
    Ok(())
}

/// Sends a signal, such as `-STOP`, to a process that runs.
pub fn signal(child: &Child, signal: &str) -> Result<()> {
    let id = child.id().context("it has ended")?.to_string();
    let status = std::process::Command::new("kill").args([signal, &id]).status()?;
    anyhow::ensure!(status.success(), "kill {signal}: {status}");
    Ok(())
}

/// SIGTERM; the exit code.
pub async fn terminate(child: &mut Child) -> Result<Option<i32>> {
    if child.id().is_some() {
        signal(child, "-TERM")?;
    }
    let status =
        tokio::time::timeout(Duration::from_secs(30), child.wait()).await.context("it did not end")??;
    Ok(status.code())
}
