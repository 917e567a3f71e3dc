//! Tables that change while they are planned.

use anyhow::Result;
use testkit::servers::Mariadb;

use crate::answer::refuses;
use crate::small::Small;
use crate::{error_of, start, support};

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_column_stops_it_with_table_and_column() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "bad_drop").await?;
    let d = &small.deployment;
    let mut up = start(d)?;
    small.applied(&mut up).await?;
    small.sql("ALTER TABLE users DROP COLUMN minutes").await?;
    let error = error_of(up).await?;
    for part in
        ["cdc-reader", "SCHEMA_CHANGED", "SCHEMA_CHANGED: users, column", "`minutes`", "check the plan"]
    {
        assert!(error.contains(part), "{part}: {error}");
    }
    refuses(d, &["up"], &["users.yaml:3:", "minutes"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_column_stops_it_and_a_new_start_goes_on() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "bad_alter").await?;
    let d = &small.deployment;
    let mut up = start(d)?;
    small.applied(&mut up).await?;
    small
        .sql("ALTER TABLE users MODIFY minutes BIGINT NULL; UPDATE users SET minutes = 7 WHERE id = 2")
        .await?;
    let error = error_of(up).await?;
    for part in
        ["SCHEMA_CHANGED", "SCHEMA_CHANGED: users, column", "`minutes`", "int", "bigint", "start again"]
    {
        assert!(error.contains(part), "{part}: {error}");
    }
    let mut up = small.up().await?;
    assert_eq!(small.sql("SELECT seconds FROM users WHERE id = 2").await?, "420");
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

/// Columns that nobody reads may come and go.
#[tokio::test(flavor = "multi_thread")]
async fn other_columns_are_none_of_its_business() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "bad_free").await?;
    let mut up = small.up().await?;
    small.sql("ALTER TABLE users ADD COLUMN fresh INT FIRST, DROP COLUMN other; UPDATE users SET minutes = 8 WHERE id = 3").await?;
    small.applied(&mut up).await?;
    assert_eq!(small.sql("SELECT seconds FROM users WHERE id = 3").await?, "480");
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_target_column_stops_it_with_table_and_column() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "bad_target").await?;
    let d = &small.deployment;
    for (drop, table, column) in [
        ("ALTER TABLE people DROP COLUMN email", "people", "email"),
        ("ALTER TABLE users DROP COLUMN seconds", "users", "seconds"),
    ] {
        let mut up = start(d)?;
        small.applied(&mut up).await?;
        small.sql(drop).await?;
        small.sql("UPDATE users SET minutes = minutes + 1, email = CONCAT(email, 'x') WHERE id = 1").await?;
        let error = error_of(up).await?;
        assert!(error.contains(&format!("`{table}`")) && error.contains(column), "{error}");
        refuses(d, &["up"], &[&format!("{table}.yaml:"), column]).await?;
        small.sql("ALTER TABLE people ADD COLUMN IF NOT EXISTS email VARCHAR(60) NOT NULL").await?;
    }
    Ok(())
}
