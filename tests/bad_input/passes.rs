//! A pass that is taken from the process that runs it: by another walker, and by the loss of its connection.

use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::servers::Mariadb;
use testkit::wait::until;
use tokio::process::Child;

use crate::answer::json;
use crate::small::Small;
use crate::support;

/// Orders a pass over `people`; the process follows it.
fn again(small: &Small<'_>) -> Result<Child> {
    small.deployment.start(&["backfill", "--again", "--only", "people"])
}

/// Does `then` in the control schema while a pass over `people` still has chunks to do.
async fn amid_a_pass(small: &Small<'_>, then: &str) -> Result<()> {
    for _ in 0..10 {
        let last = small.control("SELECT MAX(id) FROM pass").await?;
        let state = format!("SELECT state FROM pass WHERE id > {last}");
        let _follows = again(small)?;
        until("the pass begins", Duration::from_secs(20), || async {
            let state = small.control(&state).await.map_err(|e| e.to_string())?;
            if state.is_empty() || state == "pending" { Err(state) } else { Ok(()) }
        })
        .await?;
        if small.control(&format!("{then}; {state}")).await?.ends_with("running") {
            return Ok(());
        }
    }
    anyhow::bail!("every pass was over too soon")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_goes_on_when_another_walker_or_a_lost_connection_ends_its_walk() -> Result<()> {
    let server = Mariadb::shared().await?;
    let mut small = Small::new(server, "bad_walk").await?;
    // Small chunks, many of them.
    small.deployment = small.deployment.clone().set("CROSSFADE_CHUNK_BUDGET_MS", "1");
    let d = &small.deployment;
    small.sql("INSERT INTO users (id, email) SELECT 100 + seq, CONCAT('u', seq) FROM seq_1_to_60000").await?;
    let mut up = small.up().await?;

    amid_a_pass(&small, "UPDATE lane SET walker = 'another' WHERE target = 'people'").await?;
    until("the walk notices and claims the target again", Duration::from_secs(20), || async {
        let sql = "SELECT COUNT(*) FROM lane WHERE target = 'people' AND walker = 'another'";
        let left = small.control(sql).await.map_err(|e| e.to_string())?;
        if left == "0" { Ok(()) } else { Err(left) }
    })
    .await?;
    d.yes(&["wait", "--timeout", "60s"]).await?;

    // The connection with the named lock: the server lets go of the lock, the walk goes on with another.
    let lock = format!("CONCAT('crossfade pass ', LEFT(SHA2('{}/people', 256), 40))", d.schemas.control);
    let before = small.control("SELECT DISTINCT walker FROM lane WHERE target = 'people'").await?;
    let kill =
        format!("EXECUTE IMMEDIATE COALESCE(CONCAT('KILL CONNECTION ', IS_USED_LOCK({lock})), 'DO 0')");
    amid_a_pass(&small, &kill).await?;
    d.yes(&["wait", "--timeout", "60s"]).await?;
    let after = small.control("SELECT DISTINCT walker FROM lane WHERE target = 'people'").await?;
    ensure!(before != after && after.len() == 36, "one walker again: {before} {after}");
    assert_eq!(small.sql("SELECT COUNT(*) FROM people").await?, "60003");
    d.yes(&["verify", "--once"]).await?;

    // While another process holds the lock, the pass is that one's.
    let mut other = testkit::connect::to(&d.schemas.url).await?;
    let got = other.row(&format!("SELECT GET_LOCK({lock}, 10)")).await?;
    ensure!(got.is_some_and(|r| matches!(r.u64(0), Ok(Some(1)))), "the lock is free between passes");
    let mut follows = again(&small)?;
    until("the pass is ordered", Duration::from_secs(20), || async {
        let sql = "SELECT state FROM pass ORDER BY id DESC LIMIT 1";
        let state = small.control(sql).await.map_err(|e| e.to_string())?;
        if state == "pending" { Ok(()) } else { Err(state) }
    })
    .await?;
    json(d, &["wait", "--timeout", "1s"], 1, "wait").await?;
    assert_eq!(small.control("SELECT done_to IS NULL FROM pass ORDER BY id DESC LIMIT 1").await?, "1");
    other.close().await;
    ensure!(follows.wait().await?.success(), "the pass is done");
    d.yes(&["wait", "--timeout", "60s"]).await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}
