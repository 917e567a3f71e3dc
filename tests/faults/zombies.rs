//! Those who come back late, and those who were started by mistake.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::servers::Mariadb;

use crate::rig::{Rig, times};
use crate::support;

/// It hangs in the middle of its work, others take over and apply newer versions, and then it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_hung_goes_on_when_another_has_its_place() -> Result<()> {
    let server = Mariadb::shared().await?;
    let mut rig = Rig::new(server, "F17 SIGSTOP in the middle of work, another takes over, SIGCONT").await?;
    rig.load();
    let mut up = rig.up().await?;
    let zombies = times(3, 10);
    let mut ends = Vec::new();
    for _ in 0..zombies {
        rig.more(60).await?;
        support::signal(&up, "-STOP")?;
        let mut next = rig.deployment.start(&["up"])?;
        rig.more(100).await?;
        support::signal(&up, "-CONT")?;
        let ended = tokio::time::timeout(Duration::from_secs(60), up.wait()).await;
        let code = ended.context("the zombie lives on beside its successor")??.code();
        ends.push(code);
        ensure!(next.try_wait()?.is_none(), "the zombie has taken its place back");
        up = next;
    }
    rig.more(50).await?;
    rig.pass(&mut up, &format!("{zombies} zombies, each ended by itself: {ends:?}")).await
}

/// A whole second deployment against the same control schema: the newer wins by its epoch, the other says why it stops.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_deployment_is_started_by_mistake() -> Result<()> {
    let server = Mariadb::shared().await?;
    let mut rig = Rig::new(server, "F18 a second deployment beside the first").await?;
    rig.load();
    let mut first = rig.up().await?;
    rig.more(50).await?;
    let mut second = rig.deployment.command(&["up"]).stderr(std::process::Stdio::piped()).spawn()?;
    rig.more(150).await?;
    let (mut one, mut other) = (first.try_wait()?, second.try_wait()?);
    for _ in 0..200 {
        if one.is_some() || other.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        (one, other) = (first.try_wait()?, second.try_wait()?);
    }
    ensure!(one.is_some() != other.is_some(), "one of both must give way: {one:?}, {other:?}");
    let (mut winner, code) = match (one, other) {
        (Some(ended), _) => (second, ended.code()),
        (_, ended) => (first, ended.and_then(|e| e.code())),
    };
    ensure!(code == Some(2), "it stopped without an answer: {code:?}");
    rig.more(50).await?;
    rig.pass(&mut winner, "one gave way, with exit code 2, and the other went on").await
}
