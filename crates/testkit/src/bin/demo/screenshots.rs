//! Pictures of the console for the documentation: the demo's deployment, ready and then blocked by a seeded problem.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use testkit::servers::{Browser, Looker, Mariadb};

use crate::{Demo, repository};

/// The target that the pictures show, and what somebody then does to it.
const TARGET: &str = "requests";
const DAMAGE: &str = "UPDATE app.requests SET completed_at = NULL WHERE completed_at IS NOT NULL LIMIT 7";

pub struct Screenshots {
    browser: &'static Browser,
    into: PathBuf,
    /// With the token of an operator.
    secrets: TempDir,
}

impl Screenshots {
    /// `DEMO_SCREENSHOTS` names a folder.
    pub async fn wanted() -> Result<Option<Self>> {
        let Some(into) = std::env::var_os("DEMO_SCREENSHOTS") else { return Ok(None) };
        let Some(browser) = Browser::get().await? else { bail!("pictures need Node.js and Chromium") };
        let secrets = tempfile::tempdir()?;
        std::fs::write(secrets.path().join("tokens"), "operator ann operator-0123456789\n")?;
        let into = std::path::absolute(PathBuf::from(into))?;
        std::fs::create_dir_all(&into).with_context(|| into.display().to_string())?;
        Ok(Some(Self { browser, into, secrets }))
    }

    pub fn tokens(&self) -> PathBuf {
        self.secrets.path().join("tokens")
    }

    pub async fn take(self, demo: &Demo, server: &Mariadb) -> Result<()> {
        let mut looker = Looker::new(self.browser, &format!("http://{}", demo.console))?;
        looker.sees("enter").await?;
        // What only a comparison finds is mended before the backfill is repeated.
        demo.run(&["verify", "--once"], false).await?;
        demo.run(&["backfill", "--again"], false).await?;
        ensure!(demo.run(&["verify", "--once"], true).await? == 0, "the demo is not ready");
        looker.plays(&["step", TARGET, "dual write", "CHG-1234: the application writes both sides"]).await?;
        looker.plays(&["step", TARGET, "shadow read", "CHG-1240: a week without a difference"]).await?;
        self.both(&mut looker, "overview-ready", 1180, "Ready", "").await?;
        self.both(&mut looker, "target", 1240, "Ready", &format!("targets/{TARGET}")).await?;

        server.sql(DAMAGE).await?;
        let verdict = demo.run(&["verify", "--once", "--no-repair"], false).await?;
        ensure!(verdict == 1, "the damage was not found");
        server.sql("DELETE FROM app.role_permissions_text LIMIT 1").await?;
        looker.plays(&["reads", "wrote into targets since"]).await?;
        self.both(&mut looker, "overview-blocked", 1180, "Not ready", "").await?;
        self.both(&mut looker, "target-blocked", 1240, "Not ready", &format!("targets/{TARGET}")).await?;
        looker.leaves().await
    }

    /// A page in light and dark, once it gives this answer.
    async fn both(
        &self,
        looker: &mut Looker,
        name: &str,
        height: u32,
        answer: &str,
        page: &str,
    ) -> Result<()> {
        for scheme in ["light", "dark"] {
            let file = self.into.join(format!("console-{name}-{scheme}.png"));
            let path = file.to_string_lossy();
            looker.plays(&["shoot", page, answer, scheme, &height.to_string(), &path]).await?;
            println!("{}", short(&file).display());
        }
        Ok(())
    }
}

fn short(file: &Path) -> &Path {
    repository().canonicalize().ok().and_then(|root| file.strip_prefix(root).ok()).unwrap_or(file)
}
