//! Servers and accounts that are not set up for it.

use anyhow::{Context, Result};
use serde_json::Value;
use testkit::servers::Mariadb;

use crate::answer::{json, refuses};
use crate::small::Small;
use crate::support;

/// Checks that would stop a start.
fn failed(report: &Value) -> impl Iterator<Item = &Value> {
    let checks = report["checks"].as_array().into_iter().flatten();
    checks.filter(|c| c["ok"] == false && c["severity"] == "refuse" && c["name"] != "control")
}

/// Runs the grants that the preflight asks for.
async fn give(server: &Mariadb, report: &Value, which: impl Fn(&str) -> bool) -> Result<()> {
    let rights =
        failed(report).filter(|c| c["name"] == "rights" && c["setting"].as_str().is_some_and(&which));
    for grants in rights.filter_map(|c| c["mend"].as_str()) {
        server.sql(grants).await.with_context(|| grants.to_owned())?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binlog_without_whole_rows_is_refused() -> Result<()> {
    let options = ["--binlog-format=MIXED", "--binlog-row-image=MINIMAL", "--binlog-row-metadata=NO_LOG"];
    let server = Mariadb::start(&options).await?;
    let small = Small::new(&server, "bad_binlog").await?;
    let d = &small.deployment;
    let report = json(d, &["preflight"], 1, "preflight").await?;
    let wanted = [
        ("binlog_format", "MIXED", "ROW"),
        ("binlog_row_image", "MINIMAL", "FULL"),
        ("binlog_row_metadata", "NO_LOG", "FULL"),
    ];
    let found: Vec<&str> = failed(&report).filter_map(|c| c["setting"].as_str()).collect();
    assert_eq!(found, wanted.map(|w| w.0), "{report}");
    for (check, (setting, actual, expected)) in failed(&report).zip(wanted) {
        assert_eq!((&check["actual"], &check["expected"]), (&actual.into(), &expected.into()));
        let mend = check["mend"].as_str().context("a mend")?;
        assert!(mend.contains(&format!("SET GLOBAL {setting} = '{expected}'")), "{mend}");
    }
    let all = [
        "binlog_format: is MIXED, must be ROW",
        "binlog_row_image: is MINIMAL",
        "binlog_row_metadata: is NO_LOG",
    ];
    refuses(d, &["up"], &all).await?;
    // What it says mends it.
    for check in json(d, &["preflight"], 1, "preflight").await?["checks"].as_array().into_iter().flatten() {
        if let Some(sql) =
            check["mend"].as_str().filter(|m| check["ok"] == false && m.starts_with("SET GLOBAL"))
        {
            server.sql(sql.split(", and").next().context("a statement")?).await?;
        }
    }
    let mut up = small.up().await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    json(d, &["preflight"], 0, "preflight").await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_binlog_is_refused() -> Result<()> {
    let server = Mariadb::start(&["--skip-log-bin"]).await?;
    let small = Small::new(&server, "bad_nolog").await?;
    refuses(&small.deployment, &["up"], &["log_bin: is OFF, must be ON", "`log_bin = ON`", "restart"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_named_with_its_grant() -> Result<()> {
    let server = Mariadb::start(&[]).await?;
    let mut small = Small::new(&server, "bad_rights").await?;
    let legacy = small.deployment.schemas.legacy.clone();
    // Enough to look, too little to run.
    let account = "little@'127.0.0.1'";
    server
        .sql(&format!(
            "CREATE USER {account} IDENTIFIED BY 'x'; GRANT SELECT, TRIGGER ON `{legacy}`.* TO {account}"
        ))
        .await?;
    let url = &mut small.deployment.schemas.url;
    *url = url.replace("cf:cf@", "little:x@");
    let d = &small.deployment;
    let parts = [
        "preflight failed",
        "of the cdc-reader",
        "REPLICATION SLAVE ON *.* TO 'little'@'127.0.0.1'",
        "of the writer",
    ];
    refuses(d, &["up"], &parts).await?;
    let tables = [
        "after the admin's rights and `crossfade migrate`",
        "GRANT UPDATE (`boss_uuid`, `seconds`) ON",
        "`people`",
    ];
    refuses(d, &["up"], &tables).await?;
    let report = json(d, &["preflight"], 1, "preflight").await?;

    // What it says is enough: first for making the tables, then for running.
    give(&server, &report, |setting| setting == "of the admin").await?;
    d.yes(&["migrate"]).await?;
    let report = json(d, &["preflight"], 1, "preflight").await?;
    give(&server, &report, |_| true).await?;
    json(d, &["preflight"], 0, "preflight").await?;
    let mut up = small.up().await?;
    small.sql("UPDATE users SET minutes = 9 WHERE id = 1").await?;
    small.applied(&mut up).await?;
    assert_eq!(small.sql("SELECT seconds FROM users WHERE id = 1").await?, "540");

    // A right that is taken away while it runs is named, too.
    d.yes(&["verify", "--once"]).await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    server.sql(&format!("REVOKE REPLICATION SLAVE ON *.* FROM {account}")).await?;
    refuses(d, &["up"], &["of the cdc-reader", "GRANT REPLICATION SLAVE ON *.* TO 'little'@'127.0.0.1'"])
        .await
}
