//! Real servers on loopback, each with a temporary folder and a free port. They end with their handle, and at the latest
//! with the test's process. The scripts in `scripts/servers` start them.

mod kafka;
mod looker;
mod mariadb;
mod node;

use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, bail};
use tempfile::TempDir;

pub use kafka::{Kafka, Logged};
pub use looker::Looker;
pub use mariadb::{Mariadb, Schemas, TINY_BINLOGS, empty_schema};
pub use node::{Browser, OpenFeature};

/// The scripts' way to say that this machine has not got what the server needs.
const CANNOT: i32 = 77;

/// A server's folder and the script that knows what to do with it.
pub struct Server {
    script: PathBuf,
    folder: TempDir,
    /// What `start` is called with.
    arguments: Vec<String>,
    /// Set for the script, and so for the server.
    variables: Vec<(&'static str, &'static str)>,
}

pub enum Started {
    Yes(Server),
    /// Why this machine cannot.
    Cannot(String),
}

impl Server {
    /// Runs a script of `scripts/servers`.
    pub async fn start(
        script: &str,
        arguments: Vec<String>,
        variables: &[(&'static str, &'static str)],
    ) -> anyhow::Result<Started> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/servers").join(script);
        let folder = tempfile::Builder::new().prefix("crossfade-").tempdir().context("make a folder")?;
        let server = Self { script, folder, arguments, variables: variables.to_vec() };
        let output = server.run("start", &server.arguments).await?;
        if output.status.code() == Some(CANNOT) {
            return Ok(Started::Cannot(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        succeed(output)?;
        Ok(Started::Yes(server))
    }

    async fn run(&self, verb: &str, arguments: &[String]) -> anyhow::Result<Output> {
        let mut command = tokio::process::Command::new(&self.script);
        command.arg(verb).arg(self.folder.path()).args(arguments).envs(self.variables.iter().copied());
        command.env("CROSSFADE_OWNER", std::process::id().to_string()).stdin(std::process::Stdio::null());
        command.output().await.with_context(|| format!("run {}", self.script.display()))
    }

    /// Runs a verb and gives what it printed.
    async fn call(&self, verb: &str, arguments: &[String]) -> anyhow::Result<String> {
        succeed(self.run(verb, arguments).await?)
    }

    async fn restart(&self) -> anyhow::Result<()> {
        self.call("start", &self.arguments).await.map(drop)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its process.
    pub fn pid(&self) -> anyhow::Result<u32> {
        let path = self.folder.path().join("pid");
        let text = std::fs::read_to_string(&path).context("the server does not run")?;
        text.trim().parse().with_context(|| format!("{}: `{text}` is no process id", path.display()))
    }

    async fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let pid = self.pid()?.to_string();
        let status = tokio::process::Command::new("kill").args([signal, &pid]).status().await?;
        if !status.success() {
            bail!("kill {signal} {pid}: {status}");
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended = std::process::Command::new(&self.script).arg("crash").arg(self.folder.path()).output();
        if let Err(error) = ended {
            eprintln!("{}: {error}", self.script.display());
        }
    }
}

fn succeed(output: Output) -> anyhow::Result<String> {
    if !output.status.success() {
        bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}
