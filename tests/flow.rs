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
    let sums =
        server.sql(&format!("SELECT SUM(changed), SUM(state <> 'done') FROM `{control}`.pass")).await?;
    Ok(sums.trim().to_string())
}

/// A plain copy is pushed down; its counts say exactly what changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_plain_copy_counts_what_it_changes() -> Result<()> {
    let server = Mariadb::shared().await?;
    let schemas = server.schemas("copy").await?;
    let db = &schemas.legacy;
    let columns = "id INT NOT NULL PRIMARY KEY, name VARCHAR(20) COLLATE utf8mb4_general_ci, n DECIMAL(9,3), \
                   at TIMESTAMP(6) NOT NULL DEFAULT '2020-01-01 00:00:00' ON UPDATE CURRENT_TIMESTAMP(6)";
    server
        .sql(&format!("CREATE TABLE `{db}`.things ({columns}); CREATE TABLE `{db}`.things_new ({columns})"))
        .await?;
    server
        .sql(&format!(
            "USE `{db}`; INSERT INTO `{db}`.things SELECT CAST(seq AS SIGNED) - 1000, CONCAT('Name ', seq), seq / 7, '2021-01-01 00:00:00' FROM seq_1_to_3000; \
             INSERT INTO `{db}`.things_new VALUES (5000, 'extra', 1, NOW(6)), (1, 'stale', NULL, NOW(6))"
        ))
        .await?;
    let plan = tempfile::tempdir()?;
    let folder = plan.path().join("plan");
    let deployment = Deployment::new(schemas.clone(), folder.clone());
    let into = folder.to_string_lossy().into_owned();
    deployment
        .yes(&[
            "plan",
            "init",
            "--copy",
            "--tables",
            "things",
            "--to",
            "{table}_new",
            "--into",
            into.as_str(),
        ])
        .await?;
    let mut up = deployment.start(&["up"])?;
    deployment.begun().await?;
    deployment.yes(&["backfill"]).await?;
    assert_eq!(changed(server, &schemas.control).await?, "3001\t0", "2999 new, one changed, one extra");
    deployment.yes(&["backfill", "--again"]).await?;
    assert_eq!(changed(server, &schemas.control).await?, "3001\t0", "a second pass changes nothing");
    server
        .sql(&format!(
            "UPDATE `{db}`.things SET name = LOWER(name) WHERE id BETWEEN 5 AND 9; DELETE FROM `{db}`.things WHERE id < -900; \
             UPDATE `{db}`.things SET id = 7000 WHERE id = 0; INSERT INTO `{db}`.things (id) VALUES (8000)"
        ))
        .await?;
    deployment.yes(&["wait"]).await?;
    let differ = format!(
        "SELECT COUNT(*), SUM(BINARY t.name <=> BINARY n.name AND t.n <=> n.n AND t.at <=> n.at), (SELECT COUNT(*) FROM `{db}`.things_new) \
         FROM `{db}`.things t LEFT JOIN `{db}`.things_new n ON n.id = t.id"
    );
    let same = server.sql(&differ).await?;
    let numbers: Vec<&str> = same.split_whitespace().collect();
    assert!(numbers.len() == 3 && numbers.iter().all(|n| *n == numbers[0]), "{same}");
    deployment.yes(&["verify", "--once"]).await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}
