//! A server that a script of `scripts/servers` starts, and whose processor time and memory can be asked.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::process::Command;

/// The scripts' way to say that this machine has not got what the server needs.
const CANNOT: i32 = 77;

/// A server in a folder of its own; both go with this handle.
pub struct Script {
    path: PathBuf,
    folder: TempDir,
    pub pid: u32,
}

impl Script {
    /// The inner error is the reason why this machine cannot.
    pub async fn start(
        name: &str,
        variables: &[(&str, &str)],
        arguments: &[String],
    ) -> Result<Result<Self, String>> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/servers").join(name);
        let folder =
            tempfile::Builder::new().prefix("crossfade-bench-").tempdir().context("make a folder")?;
        // From here on the handle's end is the server's, also if this future is dropped.
        let mut server = Self { path, folder, pid: 0 };
        let mut command = Command::new(&server.path);
        command.arg("start").arg(server.folder.path()).args(arguments).envs(variables.iter().copied());
        command.env("CROSSFADE_OWNER", std::process::id().to_string()).stdin(Stdio::null());
        let output = command.output().await.with_context(|| format!("run {}", server.path.display()))?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if output.status.code() == Some(CANNOT) {
            return Ok(Err(said));
        }
        if !output.status.success() {
            bail!("{name} start: {}: {said}", output.status);
        }
        server.pid = process(server.folder.path())?;
        Ok(Ok(server))
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let ended = std::process::Command::new(&self.path).arg("crash").arg(self.folder.path()).output();
        if let Err(error) = ended {
            eprintln!("{}: {error}", self.path.display());
        }
    }
}

/// The process that a script has started for this folder.
pub fn process(folder: &Path) -> Result<u32> {
    let path = folder.join("pid");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    text.trim().parse().with_context(|| format!("{}: `{text}` is no process id", path.display()))
}
