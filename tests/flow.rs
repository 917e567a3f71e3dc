//! The main job on real servers, judged by SQL that is not the plan's.

mod support;

use std::time::Duration;

use anyhow::{Context, Result};
use support::{Deployment, phase2};
use testkit::churn::{Churn, ChurnOptions};
use testkit::oracle::{self, Options};
use testkit::sample;
use testkit::servers::Mariadb;

/// Every row of the strategy, the deferred ones too, while the application writes; then a second backfill changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_right_after_churn_and_a_second_backfill_changes_nothing() -> Result<()> {
    let server = Mariadb::shared().await?;
    let schemas = server.schemas("flow").await?;
    sample::load(&schemas.url, 0.05, 11).await?;
    let mut deployment = Deployment::new(schemas.clone(), phase2());
    deployment.include_deferred = true;
    let churn =
        Churn::start(&schemas.url, ChurnOptions { sessions: 4, rate: 150.0, seed: 11, ..Default::default() })
            .await?;
    let mut up = deployment.start(&["up"])?;
    deployment.begun().await?;
    tokio::time::timeout(Duration::from_secs(120), deployment.yes(&["backfill"]))
        .await
        .context("backfill")??;
    let report = churn.stop().await?;
    deployment.yes(&["wait", "--timeout", "120s"]).await?;
    deployment.yes(&["verify", "--once"]).await?;
    deployment.yes(&["wait", "--timeout", "60s"]).await?;
    let options = Options { include_deferred: true, ledger: Some(report.ledger), ..Options::default() };
    oracle::expect_none(&schemas.url, &schemas.control, &options).await?;

    let before = changed(server, &schemas.control).await?;
    deployment.yes(&["backfill", "--again"]).await?;
    assert_eq!(changed(server, &schemas.control).await?, before, "a second backfill changes no row");
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

async fn changed(server: &Mariadb, control: &str) -> Result<String> {
    server.sql(&format!("SELECT SUM(changed), SUM(state <> 'done') FROM `{control}`.pass")).await
}
