//! Real servers on loopback, each with a temporary folder and a free port. They end with their handle, and at the latest
//! with the test's process. The scripts in `scripts/servers` start them.

mod kafka;
mod mariadb;

use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, bail};
use tempfile::TempDir;

pub use kafka::{Kafka, Logged};
pub use mariadb::{Mariadb, Schemas, TINY_BINLOGS, empty_schema};

/// The scripts' way to say that this machine has not got what the server needs.
const CANNOT: i32 = 77;

/// A server's folder and the script that knows what to do with it.
struct Server {
    script: PathBuf,
    folder: TempDir,
    /// What `start` is called with.
    arguments: Vec<String>,
}

enum Started {
    Yes(Server),
    Cannot(String),
}

impl Server {
    async fn start(script: &str, arguments: Vec<String>) -> anyhow::Result<Started> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/servers").join(script);
        let folder = tempfile::Builder::new().prefix("crossfade-").tempdir().context("make a folder")?;
        let server = Self { script, folder, arguments };
        let output = server.run("start", &server.arguments).await?;
        if output.status.code() == Some(CANNOT) {
            return Ok(Started::Cannot(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        succeed(output)?;
        Ok(Started::Yes(server))
    }

    async fn run(&self, verb: &str, arguments: &[String]) -> anyhow::Result<Output> {
        let mut command = tokio::process::Command::new(&self.script);
        command.arg(verb).arg(self.folder.path()).args(arguments);
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

    async fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let pid =
            std::fs::read_to_string(self.folder.path().join("pid")).context("the server does not run")?;
        let status = tokio::process::Command::new("kill").args([signal, pid.trim()]).status().await?;
        if !status.success() {
            bail!("kill {signal} {}: {status}", pid.trim());
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
