//! Flags as official OpenFeature clients of another language get them.

#[path = "support/small.rs"]
mod small;
mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use small::Small;
use testkit::servers::{Mariadb, OpenFeature};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

const TOKEN: &str = "viewer-0123456789";

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/openfeature").join(name)
}

async fn up(small: &Small<'_>) -> Result<(Child, String)> {
    let address = format!("127.0.0.1:{}", testkit::ports::free());
    let tokens = small.file("tokens", &format!("viewer app {TOKEN}\n"))?;
    let mut up = small.deployment.start(&["up", "--console", &address, "--console-tokens", &tokens])?;
    small.applied(&mut up).await?;
    Ok((up, format!("http://{address}")))
}

async fn moved(small: &Small<'_>, state: &str) -> Result<()> {
    small.deployment.yes(&["flags", "set", "people", state, "--because", "as planned"]).await.map(drop)
}

/// What the client for servers makes of flags, each `key=default`.
async fn evaluate(node: &OpenFeature, url: &str, token: &str, flags: &[&str]) -> Result<Vec<Value>> {
    let run = node.ask(&script("server.mjs"), url, &[&[token], flags].concat()).output();
    let output =
        timeout(Duration::from_secs(60), run).await.context("the client hangs")?.context("run node")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn found(key: &str, value: Value, variant: &str) -> Value {
    json!({ "key": key, "value": value, "reason": "STATIC", "variant": variant })
}

fn default(key: &str, value: Value, error: &str) -> Value {
    json!({ "key": key, "value": value, "reason": "ERROR", "errorCode": error })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_for_servers_gets_flags_or_its_defaults() -> Result<()> {
    let Some(node) = OpenFeature::get().await? else { return Ok(()) };
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "openfeature").await?;
    let (mut up, url) = up(&small).await?;
    let asked = ["people=none", "people.write_new=false", "people.read_new=true"];
    let seen = evaluate(node, &url, TOKEN, &asked).await?;
    let legacy = [
        found("people", json!("legacy"), "legacy"),
        found("people.write_new", json!(false), "off"),
        found("people.read_new", json!(false), "off"),
    ];
    assert_eq!(seen, legacy);

    // A step is seen by the next evaluation.
    small.deployment.yes(&["verify", "--once"]).await?;
    moved(&small, "dual_write").await?;
    let seen = evaluate(node, &url, TOKEN, &asked).await?;
    assert_eq!(
        seen[..2],
        [found("people", json!("dual_write"), "dual_write"), found("people.write_new", json!(true), "on")]
    );
    moved(&small, "legacy").await?;
    assert_eq!(evaluate(node, &url, TOKEN, &asked).await?, legacy);

    // Whatever goes wrong, the default is what the application gets.
    let unknown =
        evaluate(node, &url, TOKEN, &["nobody.write_new=false", "people=7", "people.write_new=off"]).await?;
    assert_eq!(
        unknown,
        [
            default("nobody.write_new", json!(false), "FLAG_NOT_FOUND"),
            found("people", json!("legacy"), "legacy"),
            default("people.write_new", json!("off"), "TYPE_MISMATCH"),
        ]
    );
    for wrong in ["viewer-9876543210", ""] {
        let refused = evaluate(node, &url, wrong, &["people=legacy"]).await?;
        assert_eq!(refused, [default("people", json!("legacy"), "GENERAL")], "token `{wrong}`");
    }
    support::signal(&up, "-STOP")?;
    let silent = evaluate(node, &url, TOKEN, &["people=legacy"]).await;
    support::signal(&up, "-CONT")?;
    assert_eq!(silent?, [default("people", json!("legacy"), "GENERAL")], "a server that says nothing");
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    let gone = evaluate(node, &url, TOKEN, &["people=legacy", "people.read_new=false"]).await?;
    assert_eq!(
        gone,
        [default("people", json!("legacy"), "GENERAL"), default("people.read_new", json!(false), "GENERAL")]
    );
    Ok(())
}

/// The next thing that the client for browsers says.
async fn heard(said: &mut Lines<BufReader<ChildStdout>>) -> Result<Value> {
    let line = timeout(Duration::from_secs(30), said.next_line()).await.context("it says nothing")??;
    Ok(serde_json::from_str(&line.context("it has ended")?)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_for_browsers_polls_all_flags_and_pays_for_changes_only() -> Result<()> {
    let Some(node) = OpenFeature::get().await? else { return Ok(()) };
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "openfeature_web").await?;
    let (mut up, url) = up(&small).await?;
    small.deployment.yes(&["verify", "--once"]).await?;

    let mut command = node.ask(&script("web.mjs"), &url, &[TOKEN, "people"]);
    let mut client = command.stdin(std::process::Stdio::piped()).spawn()?;
    let mut said = BufReader::new(client.stdout.take().context("no output")?).lines();
    let flag = |value: &str| json!({ "word": "flag", "value": value, "reason": "STATIC", "variant": value });
    assert_eq!(heard(&mut said).await?, flag("legacy"));
    // One answer in full, then 304 as long as nothing moves.
    let polled = json!({ "word": "polled", "full": 1, "unchanged": 3, "wrong": 0 });
    assert_eq!(heard(&mut said).await?, polled);
    moved(&small, "dual_write").await?;
    assert_eq!(heard(&mut said).await?, flag("dual_write"));
    moved(&small, "legacy").await?;
    assert_eq!(heard(&mut said).await?, flag("legacy"));
    // It keeps its last values when nobody answers any more, and says that they are old.
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    assert_eq!(heard(&mut said).await?, json!({ "word": "stale" }));
    drop(client.stdin.take());
    ensure!(timeout(Duration::from_secs(30), client.wait()).await??.success());
    Ok(())
}
