//! The console in a real browser, against the real program, in the states that an operator meets.

#[path = "support/small.rs"]
mod small;
mod support;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use small::Small;
use testkit::servers::{Browser, Mariadb};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

fn script() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/browser/drive.mjs")
}

async fn up(small: &Small<'_>, settings: &[&str]) -> Result<(Child, String)> {
    let address = format!("127.0.0.1:{}", testkit::ports::free());
    let mut up = small.deployment.start(&[&["up", "--console", &address], settings].concat())?;
    small.applied(&mut up).await?;
    Ok((up, format!("http://{address}")))
}

/// Plays a scene to its end.
async fn play(browser: &Browser, url: &str, scene: &str) -> Result<()> {
    let output = browser.drive(&script(), url, &[scene]).output().await.context("run node")?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success() && out.trim() == "ok", "{scene}: {out}\n{err}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_says_whether_reads_may_move_and_turns_unknown_when_nobody_answers() -> Result<()> {
    let Some(browser) = Browser::get().await? else { return Ok(()) };
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "browser_ready").await?;
    let (mut up, url) = up(&small, &[]).await?;
    play(browser, &url, "unknown").await?;
    small.deployment.yes(&["verify", "--once"]).await?;
    play(browser, &url, "ready").await?;
    play(browser, &url, "ready-dark").await?;

    let mut looker = browser.drive(&script(), &url, &["dies"]).spawn()?;
    let mut said = BufReader::new(looker.stdout.take().context("no output")?).lines();
    ensure!(said.next_line().await?.as_deref() == Some("looking"), "it does not look");
    support::kill(&mut up).await?;
    ensure!(said.next_line().await?.as_deref() == Some("ok"), "{:?}", looker.wait_with_output().await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_opens_the_page_finds_out_what_blocks_and_an_operator_acts() -> Result<()> {
    let Some(browser) = Browser::get().await? else { return Ok(()) };
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "browser_blocked").await?;
    let tokens = small.file("tokens", "operator olga operator-0123456789\n")?;
    let (mut up, url) = up(&small, &["--console-tokens", &tokens]).await?;
    small.sql("UPDATE users SET email = 'ann' WHERE id = 3").await?;
    small.applied(&mut up).await?;
    let verdict = small.deployment.run(&["verify", "--once"]).await?;
    assert_eq!(verdict.status.code(), Some(1));
    play(browser, &url, "blocked").await?;
    let waived = "SELECT COUNT(*) FROM exceptions WHERE waived_by = 'olga'";
    assert_eq!(small.control(waived).await?, "1");
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_is_a_page_of_its_own_that_everybody_can_read() -> Result<()> {
    let Some(browser) = Browser::get().await? else { return Ok(()) };
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "browser_report").await?;
    let mut up = small.up().await?;
    small.deployment.yes(&["verify", "--once"]).await?;
    let because = "<img src=x onerror=alert(1)> week one";
    small.deployment.yes(&["flags", "set", "people", "dual_write", "--because", because]).await?;
    let file = small.file("report.html", "")?;
    small.deployment.yes(&["report", "--format", "html", "--out", &file]).await?;
    for scene in ["report", "report-dark"] {
        play(browser, &format!("file://{file}"), scene).await?;
    }
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}
