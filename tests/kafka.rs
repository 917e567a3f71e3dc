//! Five processes with Kafka between them; each is killed once under load.

mod support;

use std::time::Duration;

use anyhow::Result;
use support::{Deployment, phase2};
use testkit::churn::{Churn, ChurnOptions};
use testkit::oracle::{self, Options};
use testkit::sample;
use testkit::servers::{Kafka, Mariadb};

const SERVICES: [&str; 5] = ["cdc-reader", "mapper", "id-mapper", "writer", "verifier"];

#[tokio::test(flavor = "multi_thread")]
async fn five_processes_over_kafka_survive_a_kill_of_each() -> Result<()> {
    let Some(kafka) = Kafka::start(&[]).await? else { return Ok(()) };
    let server = Mariadb::shared().await?;
    let schemas = server.schemas("kafka").await?;
    sample::load(&schemas.url, 0.03, 31).await?;
    let mut deployment = Deployment::new(schemas.clone(), phase2()).set("CROSSFADE_LANES", "2");
    deployment.bus = kafka.url();
    deployment.yes(&["topics", "--create"]).await?;
    let mut services = SERVICES.map(|s| deployment.start(&["service", s]));
    let options = ChurnOptions { sessions: 4, rate: 100.0, seed: 31, ..Default::default() };
    let churn = Churn::start(&schemas.url, options).await?;
    for (i, name) in SERVICES.iter().enumerate() {
        let before = churn.counters.tally().committed;
        testkit::wait::until("load between two kills", Duration::from_secs(60), async || {
            let n = churn.counters.tally().committed - before;
            if n >= 150 { Ok(()) } else { Err(format!("{n} transactions")) }
        })
        .await?;
        if let Ok(service) = &mut services[i] {
            assert!(service.try_wait()?.is_none(), "{name} ended by itself");
            support::kill(service).await?;
        }
        services[i] = deployment.start(&["service", name]);
    }
    let report = churn.stop().await?;
    deployment.yes(&["backfill"]).await?;
    deployment.yes(&["wait", "--timeout", "180s"]).await?;
    deployment.yes(&["verify", "--once"]).await?;
    deployment.yes(&["wait", "--timeout", "60s"]).await?;
    let options = Options { ledger: Some(report.ledger), ..Options::default() };
    oracle::expect_none(&schemas.url, &schemas.control, &options).await?;
    for service in services {
        assert_eq!(support::terminate(&mut service?).await?, Some(0));
    }
    Ok(())
}

/// Nothing goes through the id-mapper: it has no topic to subscribe to.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_without_ids_runs_over_kafka() -> Result<()> {
    let Some(kafka) = Kafka::start(&[]).await? else { return Ok(()) };
    let server = Mariadb::shared().await?;
    let schemas = server.schemas("kafka_plain").await?;
    let sql = async |statements: &str| server.sql(&format!("USE `{}`; {statements}", schemas.legacy)).await;
    sql("CREATE TABLE items (id INT PRIMARY KEY, v INT); CREATE TABLE items_new LIKE items; INSERT INTO items VALUES (1, 1)")
        .await?;
    let plan = tempfile::tempdir()?;
    std::fs::write(plan.path().join("plan.yaml"), "version: 1\n")?;
    let target = "shadow: items_new\nfrom: items\nscope: { id: items.id }\ncolumns: { \"*\": copy }\n";
    // A topic that forgets too early for a schedule is refused.
    let batch = format!("{target}sync: batch\nschedule: \"0 0 * * 1\"\n");
    std::fs::write(plan.path().join("items.yaml"), batch)?;
    let mut deployment = Deployment::new(schemas.clone(), plan.path().into());
    deployment.bus = kafka.url();
    let refused = deployment.run(&["topics", "--create"]).await?;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("three of its schedules take 21days, and the topic keeps records for 7days"),
        "{said}"
    );
    std::fs::write(plan.path().join("items.yaml"), target)?;
    deployment.yes(&["migrate", "--accept-plan"]).await?;
    deployment.yes(&["topics", "--create"]).await?;
    let mut up = deployment.start(&["up"])?;
    deployment.yes(&["wait", "--timeout", "60s"]).await?;
    sql("INSERT INTO items VALUES (2, 2); UPDATE items SET v = 3 WHERE id = 1").await?;
    deployment.yes(&["wait", "--timeout", "60s"]).await?;
    assert_eq!(sql("SELECT GROUP_CONCAT(v ORDER BY id) FROM items_new").await?, "3,2");
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}
