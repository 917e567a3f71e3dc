//! Five processes and a broker: each of them dies, and the broker hangs.

use std::time::Duration;

use anyhow::Result;
use testkit::servers::{Kafka, Mariadb};

use crate::rig::{Rig, SERVICES, times};
use crate::support;

#[tokio::test(flavor = "multi_thread")]
async fn each_service_is_killed() -> Result<()> {
    let Some(kafka) = Kafka::start(&[]).await? else { return Ok(()) };
    let server = Mariadb::shared().await?;
    let mut rig = Rig::new(server, "F1-F4 kill -9 of each service in turn, over Kafka").await?;
    rig.load();
    let mut services = rig.services(kafka.url()).await?;
    let rounds = times(1, 4);
    for _ in 0..rounds {
        for (i, name) in SERVICES.iter().enumerate() {
            rig.more(80).await?;
            support::kill(&mut services[i]).await?;
            services[i] = rig.deployment.start(&["service", name])?;
        }
    }
    rig.more(80).await?;
    rig.pass_all(&mut services, &format!("each killed {rounds} times")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_dies_and_hangs() -> Result<()> {
    let Some(kafka) = Kafka::start(&[]).await? else { return Ok(()) };
    let server = Mariadb::shared().await?;
    let (dead, hung) = (times(5, 90), times(12, 60));
    let mut rig =
        Rig::new(server, "F8,F9 the broker is killed and comes back; then it hangs, and goes on").await?;
    rig.load();
    let mut services = rig.services(kafka.url()).await?;
    rig.more(100).await?;
    kafka.crash().await?;
    tokio::time::sleep(Duration::from_secs(dead.into())).await;
    kafka.restart().await?;
    rig.more(100).await?;
    kafka.freeze().await?;
    tokio::time::sleep(Duration::from_secs(hung.into())).await;
    kafka.thaw().await?;
    rig.more(100).await?;
    rig.pass_all(&mut services, &format!("dead for {dead} s, hung for {hung} s; no process ended")).await
}
