//! The console in a real browser, against the real program, in the states that an operator meets.

#[path = "support/small.rs"]
mod small;
mod support;

use std::time::Duration;

use anyhow::{Result, ensure};
use small::Small;
use testkit::connect;
use testkit::servers::{Browser, Kafka, Looker, Mariadb};
use testkit::wait::until;
use tokio::process::Child;

/// The plan of `people`, on which triggers may stand.
const PEOPLE: &str = "shadow: people\nfrom: users\ntriggers: allowed\nscope: { id: users.id }\ncolumns: { email: users.email }\n";

async fn up(small: &Small<'_>, settings: &[&str]) -> Result<(Child, String)> {
    let address = format!("127.0.0.1:{}", testkit::ports::free());
    let up = small.deployment.start(&[&["up", "--console", &address], settings].concat())?;
    Ok((up, format!("http://{address}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_says_whether_reads_may_move_and_turns_unknown_when_nobody_looks_or_answers() -> Result<()> {
    let Some(browser) = Browser::get().await? else { return Ok(()) };
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "browser_ready").await?;
    let d = &small.deployment;
    // A parameter names a row, and here is none.
    small.plan("plan.yaml", "version: 1\nentities:\n  users: {}\n")?;
    small.plan("users.yaml", "table: users\ncolumns:\n  seconds: users.minutes * 60\n")?;
    small.sql("DELETE FROM users").await?;
    let (mut up, url) = up(&small, &[]).await?;
    small.applied(&mut up).await?;
    let mut looker = Looker::new(browser, &url)?;
    looker.sees("empty").await?;
    d.yes(&["verify", "--once"]).await?;
    looker.sees("hollow").await?;

    small
        .sql("INSERT INTO users (id, email, minutes, boss_id) VALUES (1, 'ann', 1, NULL), (2, 'bob', 2, 1)")
        .await?;
    small.applied(&mut up).await?;
    d.yes(&["verify", "--once"]).await?;
    looker.sees("ready").await?;
    looker.begins("stale").await?;
    small.control("UPDATE verdict SET expires_at = NOW(6) + INTERVAL 2 SECOND").await?;
    looker.ends().await?;

    d.yes(&["verify", "--once"]).await?;
    looker.begins("dies").await?;
    support::kill(&mut up).await?;
    looker.ends().await?;
    looker.leaves().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_follows_the_backfill() -> Result<()> {
    let Some(browser) = Browser::get().await? else { return Ok(()) };
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "browser_filling").await?;
    let d = &small.deployment;
    small
        .sql("INSERT INTO users (id, email, minutes) SELECT seq, CONCAT('u', seq), seq FROM seq_4_to_4000")
        .await?;
    small.plan("people.yaml", PEOPLE)?;
    // The pass stands in its middle for as long as this session has the lock.
    small
        .sql("CREATE TRIGGER gate BEFORE INSERT ON people FOR EACH ROW SET NEW.id = NEW.id + IF(NEW.id = 1500, 0 * GET_LOCK('gate', 100), 0)")
        .await?;
    let mut holder = connect::to(&d.schemas.url).await?;
    holder.row("SELECT GET_LOCK('gate', 0)").await?;
    let (mut up, url) = up(&small, &[]).await?;
    until("the pass stands in its middle", Duration::from_secs(60), || async {
        let sql = "SELECT GROUP_CONCAT(target, ' ', state, ' ', scanned > 0 ORDER BY target) FROM pass WHERE kind = 'rows'";
        match small.control(sql).await.map_err(|e| e.to_string())?.as_str() {
            "people running 1,users done 1" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .await?;
    let mut looker = Looker::new(browser, &url)?;
    looker.sees("backfilling").await?;
    d.yes(&["pause"]).await?;
    looker.sees("held").await?;
    d.yes(&["resume"]).await?;
    holder.close().await;
    small.applied(&mut up).await?;
    looker.sees("filled").await?;
    looker.leaves().await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_opens_the_page_finds_out_what_blocks_and_an_operator_acts() -> Result<()> {
    let Some(browser) = Browser::get().await? else { return Ok(()) };
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "browser_blocked").await?;
    let d = &small.deployment;
    small.plan("people.yaml", PEOPLE)?;
    let tokens = small.file("tokens", "operator olga operator-0123456789\n")?;
    let (mut up, url) = up(&small, &["--console-tokens", &tokens]).await?;
    small.applied(&mut up).await?;
    let verdict = async |code: i32| -> Result<()> {
        let verdict = d.run(&["verify", "--once"]).await?;
        ensure!(verdict.status.code() == Some(code), "{verdict:?}");
        Ok(())
    };

    small.sql("UPDATE users SET email = 'ann' WHERE id = 3").await?;
    small.applied(&mut up).await?;
    verdict(1).await?;
    let mut looker = Looker::new(browser, &url)?;
    looker.sees("blocked").await?;
    let waived = "SELECT COUNT(*) FROM exceptions WHERE waived_by = 'olga'";
    assert_eq!(small.control(waived).await?, "1");

    small.sql("UPDATE users SET email = 'cid' WHERE id = 3").await?;
    small.applied(&mut up).await?;
    verdict(0).await?;
    looker.sees("flags").await?;
    d.yes(&["verdict"]).await?;

    small.sql("UPDATE users SET seconds = 1 WHERE id = 1").await?;
    looker.sees("direct").await?;
    // What is not repaired is a finding all the same.
    assert_eq!(d.run(&["verify", "--once", "--no-repair"]).await?.status.code(), Some(1));
    let different =
        "SELECT COUNT(*) FROM finding WHERE target = 'users' AND kind = 'different' AND closed_at IS NULL";
    assert_eq!(small.control(different).await?, "1");
    verdict(0).await?;
    assert_eq!(small.control(different).await?, "0");

    // Whatever is written into `people` is bent.
    small
        .sql(
            "CREATE TRIGGER bend BEFORE UPDATE ON people FOR EACH ROW SET NEW.email = CONCAT(NEW.email, '!')",
        )
        .await?;
    small.sql("UPDATE users SET email = 'bea' WHERE id = 2").await?;
    small.applied(&mut up).await?;
    verdict(1).await?;
    looker.sees("mismatch").await?;
    looker.leaves().await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_misses_a_service_that_died() -> Result<()> {
    let Some(browser) = Browser::get().await? else { return Ok(()) };
    let Some(kafka) = Kafka::shared().await? else { return Ok(()) };
    let server = Mariadb::shared().await?;
    let mut small = Small::new(server, "browser_reader").await?;
    small.deployment = small.deployment.clone().set("CROSSFADE_LANES", "1");
    small.deployment.bus = kafka.url();
    let d = &small.deployment;
    d.yes(&["topics", "--create"]).await?;
    let address = format!("127.0.0.1:{}", testkit::ports::free());
    let mut reader = d.start(&["service", "cdc-reader"])?;
    let _others = ["mapper", "id-mapper", "writer"].map(|s| d.start(&["service", s]));
    let mut verifier = d.start(&["service", "verifier", "--console", &address])?;
    small.applied(&mut verifier).await?;
    d.yes(&["verify", "--once"]).await?;
    let mut looker = Looker::new(browser, &format!("http://{address}"))?;
    looker.begins("orphaned").await?;
    support::kill(&mut reader).await?;
    looker.ends().await?;
    let _reader = d.start(&["service", "cdc-reader"])?;
    looker.sees("rejoined").await?;
    looker.leaves().await
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
    let address = format!("file://{file}");
    let mut looker = Looker::new(browser, &address)?;
    looker.plays(&["report", &address]).await?;
    looker.leaves().await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}
