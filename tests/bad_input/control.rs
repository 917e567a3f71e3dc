//! Control schemas that belong to something else.

use anyhow::Result;
use testkit::servers::Mariadb;

use crate::answer::{json, refuses};
use crate::small::Small;
use crate::support;

#[tokio::test(flavor = "multi_thread")]
async fn of_another_version() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "bad_version").await?;
    let d = &small.deployment;
    d.yes(&["migrate"]).await?;
    small.control("UPDATE meta SET value = '99' WHERE name = 'version'").await?;
    let says = [d.schemas.control.as_str(), "version 99", "knows 1", "newer Crossfade"];
    for command in [&["up"][..], &["migrate"], &["status"], &["verify", "--once"], &["exceptions", "list"]] {
        refuses(d, command, &says).await?;
    }
    small.control("UPDATE meta SET value = '0' WHERE name = 'version'").await?;
    refuses(d, &["status"], &[d.schemas.control.as_str(), "older than this program", "crossfade migrate"])
        .await?;
    d.yes(&["migrate"]).await?;
    d.yes(&["status"]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_another_plan() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "bad_other").await?;
    let d = &small.deployment;
    let mut up = small.up().await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    small.plan(
        "people.yaml",
        "shadow: people\nfrom: users\nscope: { id: users.id }\ncolumns: { email: UPPER(users.email) }\n",
    )?;
    let says = [
        d.schemas.control.as_str(),
        "belongs to plan",
        "same plan",
        "crossfade migrate --accept-plan",
        "crossfade backfill",
    ];
    for command in [&["up"][..], &["migrate"], &["verify", "--once"], &["backfill", "--again"], &["recover"]]
    {
        refuses(d, command, &says).await?;
    }
    let report = json(d, &["preflight"], 1, "preflight").await?;
    assert!(report.to_string().contains("--accept-plan"), "{report}");
    // On purpose.
    json(d, &["migrate", "--accept-plan"], 0, "migrate").await?;
    let mut up = small.up().await?;
    d.yes(&["backfill", "--again"]).await?;
    assert_eq!(small.sql("SELECT GROUP_CONCAT(email ORDER BY id) FROM people").await?, "ANN,BOB,CID");
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_another_namespace() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "bad_namespace").await?;
    let d = &small.deployment;
    d.yes(&["migrate"]).await?;
    let other = d.clone().set("CROSSFADE_NAMESPACE", "6ba7b810-9dad-11d1-80b4-00c04fd430c8");
    let says = ["namespace", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "set `namespace`"];
    for command in [&["up"][..], &["migrate"], &["migrate", "--accept-plan"], &["recover"]] {
        refuses(&other, command, &says).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_another_character_set_or_another_use() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "bad_charset").await?;
    let d = &small.deployment;
    let control = &d.schemas.control;
    server.sql(&format!("CREATE DATABASE `{control}` CHARACTER SET latin1")).await?;
    refuses(d, &["migrate"], &[control, "latin1", "utf8mb4", "ALTER DATABASE"]).await?;
    let same = d.clone().set("CROSSFADE_CONTROL_SCHEMA", &d.schemas.legacy);
    refuses(&same, &["up"], &["control-schema", "must differ from the legacy schema"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_map_that_is_something_else() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "bad_map").await?;
    small
        .sql("CREATE TABLE users_id_map (legacy_id INT PRIMARY KEY, uuid_binary BINARY(16) NOT NULL UNIQUE)")
        .await?;
    refuses(&small.deployment, &["up"], &["users_id_map", "legacy_id", "bigint"]).await
}
