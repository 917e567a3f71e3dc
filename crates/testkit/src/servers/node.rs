//! Scripts of the tests that Node.js runs, with npm packages that a script of `scripts/servers` installs once.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::anyhow;
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::{CANNOT, succeed};
use crate::skip;

/// Installed the first time that a test asks. `None`: this machine cannot, and the test is noted as skipped.
async fn shared<T, const N: usize>(
    cell: &'static OnceCell<Result<T, String>>,
    script: &str,
    made: fn([PathBuf; N]) -> T,
) -> anyhow::Result<Option<&'static T>> {
    let shared = cell.get_or_try_init(|| async { anyhow::Ok(install(script).await?.map(made)) }).await?;
    Ok(shared.as_ref().inspect_err(|reason| skip::note(&skip::test_name(), reason)).ok())
}

/// The paths that the script prints, or why this machine cannot.
async fn install<const N: usize>(script: &str) -> anyhow::Result<Result<[PathBuf; N], String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/servers").join(script);
    let output = Command::new(&path).arg("install").stdin(Stdio::null()).output().await?;
    if output.status.code() == Some(CANNOT) {
        return Ok(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let paths: Vec<PathBuf> = succeed(output)?.lines().map(PathBuf::from).collect();
    let paths = paths.try_into();
    paths.map(Ok).map_err(|paths| anyhow!("{script} printed {paths:?}: {N} lines are wanted"))
}

fn node(script: &Path) -> Command {
    let mut command = Command::new("node");
    command.arg(script).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// A real browser.
pub struct Browser {
    packages: PathBuf,
    chromium: PathBuf,
}

impl Browser {
    /// `None`: this machine has no Node.js or no Chromium, and the test is noted as skipped.
    pub async fn get() -> anyhow::Result<Option<&'static Self>> {
        static SHARED: OnceCell<Result<Browser, String>> = OnceCell::const_new();
        shared(&SHARED, "browser.sh", |[packages, chromium]| Self { packages, chromium }).await
    }

    /// The command that drives it: a script of the tests, the site, and what to do there.
    pub fn drive(&self, script: &Path, url: &str, rest: &[&str]) -> Command {
        let mut command = node(script);
        command.arg(&self.packages).arg(&self.chromium).arg(url).args(rest);
        command
    }
}

/// The official OpenFeature clients.
pub struct OpenFeature {
    packages: PathBuf,
}

impl OpenFeature {
    /// `None`: this machine has no Node.js, and the test is noted as skipped.
    pub async fn get() -> anyhow::Result<Option<&'static Self>> {
        static SHARED: OnceCell<Result<OpenFeature, String>> = OnceCell::const_new();
        shared(&SHARED, "openfeature.sh", |[packages]| Self { packages }).await
    }

    /// The command that asks: a script of the tests, the site, and what to ask.
    pub fn ask(&self, script: &Path, url: &str, rest: &[&str]) -> Command {
        let mut command = node(script);
        command.arg(&self.packages).arg(url).args(rest);
        command
    }
}
