//! Processes that die, or are told to end.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use testkit::servers::Mariadb;

use crate::rig::{Rig, times};
use crate::support;

#[tokio::test(flavor = "multi_thread")]
async fn all_services_are_killed_at_random() -> Result<()> {
    let server = Mariadb::shared().await?;
    let mut rig = Rig::new(server, "F6 kill -9 of all services at once, at random moments").await?;
    rig.load();
    let mut up = rig.up().await?;
    let kills = times(6, 20);
    let mut random = rig.seed;
    for _ in 0..kills {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        rig.more(20 + (random >> 33) % 120).await?;
        support::kill(&mut up).await?;
        up = rig.deployment.start(&["up"])?;
    }
    rig.more(50).await?;
    rig.pass(&mut up, &format!("{kills} kills")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_restarted_in_good_order() -> Result<()> {
    let server = Mariadb::shared().await?;
    let mut rig = Rig::new(server, "F7 SIGTERM and a new start, again and again").await?;
    rig.load();
    let mut up = rig.up().await?;
    let restarts = times(4, 10);
    let mut longest = Duration::ZERO;
    for _ in 0..restarts {
        rig.more(100).await?;
        let began = Instant::now();
        let code = support::terminate(&mut up).await?;
        longest = longest.max(began.elapsed());
        ensure!(code == Some(0), "it ended with {code:?}");
        up = rig.deployment.start(&["up"])?;
    }
    ensure!(longest < Duration::from_secs(20), "its end took {longest:?}");
    rig.more(100).await?;
    rig.pass(&mut up, &format!("{restarts} restarts, each ended within {:.1} s", longest.as_secs_f64())).await
}
