//! A batch target follows on schedule. Its watermark is the lane's offset, so three things that slip past a watermark on
//! `updated_at` cannot slip past it: a transaction that commits late, rows with equal timestamps, and deletes.

mod support;

use std::time::Duration;

use anyhow::Result;
use support::Deployment;
use testkit::servers::Mariadb;

const PLAN: &str = "version: 1\n";
const TARGET: &str = r#"
shadow: items_new
risk: low
from: items
scope: { id: items.id }
columns: { "*": copy }
sync: batch
schedule: "*/5 * * * * *"
"#;

async fn followed(server: &Mariadb, schema: &str, what: &str) -> Result<()> {
    let sql = format!(
        "SELECT (SELECT COALESCE(GROUP_CONCAT(CONCAT_WS(':', id, v, updated_at) ORDER BY id), '') FROM `{schema}`.items) = \
         (SELECT COALESCE(GROUP_CONCAT(CONCAT_WS(':', id, v, updated_at) ORDER BY id), '') FROM `{schema}`.items_new)"
    );
    testkit::wait::until(what, Duration::from_secs(30), async || match server.sql(&sql).await {
        Ok(answer) if answer.trim() == "1" => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn late_commits_equal_timestamps_and_deletes_are_not_missed() -> Result<()> {
    let server = Mariadb::shared().await?;
    let schemas = server.schemas("batch").await?;
    let db = &schemas.legacy;
    let columns = "id BIGINT UNSIGNED NOT NULL PRIMARY KEY, v INT NOT NULL, updated_at DATETIME NOT NULL";
    server
        .sql(&format!("CREATE TABLE `{db}`.items ({columns}); CREATE TABLE `{db}`.items_new ({columns})"))
        .await?;
    server
        .sql(&format!("INSERT INTO `{db}`.items VALUES (1, 1, '2026-01-01'), (2, 2, '2026-01-02')"))
        .await?;
    let plan = tempfile::tempdir()?;
    std::fs::write(plan.path().join("plan.yaml"), PLAN)?;
    std::fs::write(plan.path().join("items.yaml"), TARGET)?;
    let deployment = Deployment::new(schemas.clone(), plan.path().into());
    let mut up = deployment.start(&["up"])?;
    followed(server, db, "the first pass").await?;

    // Late commit: written with an early timestamp, committed after a batch has passed a later one.
    let slow =
        format!("BEGIN; INSERT INTO `{db}`.items VALUES (3, 3, '2026-01-03 00:00:00'); DO SLEEP(7); COMMIT");
    let late = server.sql(&slow);
    let early = async {
        server.sql(&format!("INSERT INTO `{db}`.items VALUES (4, 4, '2026-01-04 00:00:00')")).await?;
        followed(server, db, "the row with the later timestamp").await
    };
    let (late, early) = tokio::join!(late, early);
    late?;
    early?;
    followed(server, db, "the late commit").await?;

    // Equal timestamps: one row before a batch, one after it, with the same second.
    server.sql(&format!("INSERT INTO `{db}`.items VALUES (5, 5, '2026-01-05 00:00:00')")).await?;
    followed(server, db, "the first of two equal timestamps").await?;
    server.sql(&format!("INSERT INTO `{db}`.items VALUES (6, 6, '2026-01-05 00:00:00')")).await?;
    followed(server, db, "the second of two equal timestamps").await?;

    // Deletes leave no timestamp at all.
    server.sql(&format!("DELETE FROM `{db}`.items WHERE id IN (1, 5)")).await?;
    followed(server, db, "the deletes").await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}
