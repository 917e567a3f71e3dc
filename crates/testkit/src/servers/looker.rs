//! A browser that plays one scene after the other.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::Browser;

/// For one scene.
const PATIENCE: Duration = Duration::from_secs(120);

/// A page that somebody looks at, through one scene of `tests/browser/` after the other.
pub struct Looker {
    node: Child,
    scenes: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Looker {
    pub fn new(browser: &Browser, url: &str) -> anyhow::Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/browser/drive.mjs");
        let mut command = browser.drive(&script, url, &[]);
        let mut node = command.stdin(Stdio::piped()).stderr(Stdio::inherit()).spawn().context("run node")?;
        let scenes = node.stdin.take().context("no input")?;
        let answers = BufReader::new(node.stdout.take().context("no output")?).lines();
        Ok(Self { node, scenes, answers })
    }

    /// Plays a scene to its end.
    pub async fn sees(&mut self, scene: &str) -> anyhow::Result<()> {
        self.plays(&[scene]).await
    }

    /// The same for a scene with arguments.
    pub async fn plays(&mut self, scene: &[&str]) -> anyhow::Result<()> {
        self.starts(scene).await?;
        self.says("ok").await
    }

    /// Begins a scene that then waits for something to happen; `ends` says that it was seen.
    pub async fn begins(&mut self, scene: &str) -> anyhow::Result<()> {
        self.starts(&[scene]).await?;
        self.says("looking").await
    }

    pub async fn ends(&mut self) -> anyhow::Result<()> {
        self.says("ok").await
    }

    /// Closes the browser, which takes its files with it.
    pub async fn leaves(mut self) -> anyhow::Result<()> {
        drop(self.scenes);
        let ended = tokio::time::timeout(PATIENCE, self.node.wait()).await;
        ensure!(ended.context("the browser does not end")??.success(), "the browser ended with an error");
        Ok(())
    }

    async fn starts(&mut self, scene: &[&str]) -> anyhow::Result<()> {
        let line = format!("{}\n", serde_json::json!(scene));
        self.scenes.write_all(line.as_bytes()).await.context("the browser has ended")
    }

    async fn says(&mut self, wanted: &str) -> anyhow::Result<()> {
        let answer = tokio::time::timeout(PATIENCE, self.answers.next_line());
        let said = answer.await.context("the browser does not answer")??;
        let said: String = serde_json::from_str(&said.context("the browser has ended")?)?;
        ensure!(said == wanted, "{said}");
        Ok(())
    }
}
