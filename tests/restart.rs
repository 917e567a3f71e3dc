//! `crossfade up` is killed under load, again and again; nothing is lost and nothing is wrong.

mod support;

use std::time::Duration;

use anyhow::{Context, Result};
use support::{Deployment, phase2};
use testkit::churn::{Churn, ChurnOptions};
use testkit::oracle::{self, MapSnapshot, Options};
use testkit::sample;
use testkit::servers::Mariadb;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_goes_on_where_it_was_proved_to_be() -> Result<()> {
    survives(21).await
}

/// What goes wrong once in twenty times shows here: `CROSSFADE_RUNS` times (20), with the seeds from `CROSSFADE_SEED` (1) on.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "some minutes: `make test-faults`"]
async fn with_many_seeds() -> Result<()> {
    let number = |name: &str, default: u64| match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name}: `{text}` is not a number")),
        Err(_) => Ok(default),
    };
    let (first, runs) = (number("CROSSFADE_SEED", 1)?, number("CROSSFADE_RUNS", 20)?);
    for seed in first..first + runs {
        survives(seed).await.with_context(|| format!("with CROSSFADE_SEED={seed}"))?;
        println!("seed {seed}: nothing lost, nothing wrong");
    }
    Ok(())
}

async fn survives(seed: u64) -> Result<()> {
    let server = Mariadb::shared().await?;
    let schemas = server.schemas("restart").await?;
    sample::load(&schemas.url, 0.03, seed).await?;
    let deployment = Deployment::new(schemas.clone(), phase2());
    let options = ChurnOptions { sessions: 4, rate: 120.0, seed, ..Default::default() };
    let churn = Churn::start(&schemas.url, options).await?;
    let mut maps = None;
    // The first kill falls into the backfill, the others into the stream.
    for more in [40, 200, 200] {
        let mut up = deployment.start(&["up"])?;
        testkit::wait::until("the first passes to be ordered", Duration::from_secs(60), async || {
            let sql = format!("SELECT COUNT(*) FROM `{}`.pass", schemas.control);
            match server.sql(&sql).await.map_err(|e| e.to_string())?.as_str() {
                "0" => Err("none".to_string()),
                _ => Ok(()),
            }
        })
        .await?;
        let committed = || churn.counters.tally().committed;
        let transactions = committed() + more;
        testkit::wait::until("the application to go on", Duration::from_secs(60), async || {
            let n = committed();
            if n >= transactions { Ok(()) } else { Err(format!("{n} of {transactions} transactions")) }
        })
        .await?;
        support::kill(&mut up).await?;
        if maps.is_none() {
            maps = Some(MapSnapshot::take(&schemas.url).await?);
        }
    }
    let mut up = deployment.start(&["up"])?;
    let report = churn.stop().await?;
    deployment.yes(&["backfill"]).await?;
    deployment.yes(&["wait", "--timeout", "120s"]).await?;
    deployment.yes(&["verify", "--once"]).await?;
    deployment.yes(&["wait", "--timeout", "60s"]).await?;
    let options = Options { ledger: Some(report.ledger), ..Options::default() };
    oracle::expect_none(&schemas.url, &schemas.control, &options).await?;
    if let Some(maps) = maps {
        let broken = maps.broken_by(&MapSnapshot::take(&schemas.url).await?);
        assert!(broken.is_empty(), "a mapping changed: {broken:?}");
    }
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}
