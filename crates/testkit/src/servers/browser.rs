//! A real browser, driven by Node.js.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::{CANNOT, succeed};
use crate::skip;

pub struct Browser {
    packages: PathBuf,
    chromium: PathBuf,
}

impl Browser {
    /// `None`: this machine has no Node.js or no Chromium, and the test is noted as skipped.
    pub async fn get() -> anyhow::Result<Option<&'static Self>> {
        static SHARED: OnceCell<Result<Browser, String>> = OnceCell::const_new();
        let shared = SHARED.get_or_try_init(Self::install).await?;
        Ok(shared.as_ref().inspect_err(|reason| skip::note(&skip::test_name(), reason)).ok())
    }

    async fn install() -> anyhow::Result<Result<Self, String>> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/servers/browser.sh");
        let output = Command::new(&script).arg("install").stdin(Stdio::null()).output().await?;
        if output.status.code() == Some(CANNOT) {
            return Ok(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let said = succeed(output)?;
        let (packages, chromium) = said.trim().split_once('\n').context("browser.sh prints two lines")?;
        Ok(Ok(Self { packages: packages.into(), chromium: chromium.into() }))
    }

    /// The command that drives it: a script of the tests, the site, and what to do there.
    pub fn drive(&self, script: &Path, url: &str, rest: &[&str]) -> Command {
        let mut command = Command::new("node");
        command.arg(script).arg(&self.packages).arg(&self.chromium).arg(url).args(rest);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}
