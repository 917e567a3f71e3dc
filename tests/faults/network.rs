//! The network between Crossfade and its servers.

use std::time::Duration;

use anyhow::Result;
use testkit::proxy::{Link, Proxy};
use testkit::servers::{Kafka, Mariadb};

use crate::rig::{Rig, times};

/// Everything that a link does to those who use it, one after the other.
async fn torment(rig: &Rig, proxy: &Proxy) -> Result<String> {
    let hole = times(8, 30);
    proxy.set(Link::BlackHole);
    tokio::time::sleep(Duration::from_secs(hole.into())).await;
    proxy.set(Link::Open);
    rig.more(60).await?;
    let resets = times(3, 20);
    for _ in 0..resets {
        proxy.reset();
        rig.more(20).await?;
    }
    let slow = Duration::from_secs(times(3, 20).into());
    let delay = Link::Delay(Duration::from_millis(200));
    for link in [Link::Slices { bytes: 1 }, delay, Link::Bandwidth { bytes_per_second: 64 * 1024 }] {
        proxy.set(link);
        tokio::time::sleep(slow).await;
        proxy.set(Link::Open);
        rig.more(60).await?;
    }
    Ok(format!(
        "silent for {hole} s, {resets} resets, then single bytes, 200 ms each way, and 64 KB/s for {slow:?} each"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_to_the_database() -> Result<()> {
    let server = Mariadb::shared().await?;
    let proxy = Proxy::to(&format!("127.0.0.1:{}", server.port)).await?;
    let mut rig = Rig::new(server, "F28 the network to the database").await?;
    let own = format!(":{}/", server.port);
    rig.deployment.schemas.url = rig.url.replacen(&own, &format!(":{}/", proxy.port), 1);
    rig.load();
    let mut up = rig.up().await?;
    let seen = torment(&rig, &proxy).await?;
    anyhow::ensure!(proxy.accepted() > 5, "nobody came through the proxy");
    rig.pass(&mut up, &seen).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: `make test-faults`"]
async fn the_way_to_the_broker() -> Result<()> {
    let Some((_kafka, proxy)) = Kafka::start_behind_proxy(&[]).await? else { return Ok(()) };
    let server = Mariadb::shared().await?;
    let mut rig = Rig::new(server, "F28b the network to the broker").await?;
    rig.load();
    let mut services = rig.services(format!("kafka://{}", proxy.address())).await?;
    let seen = torment(&rig, &proxy).await?;
    anyhow::ensure!(proxy.accepted() > 5, "nobody came through the proxy");
    rig.pass_all(&mut services, &seen).await
}
