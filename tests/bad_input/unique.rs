//! A unique value that goes from one row to another, in lanes that know nothing of each other.

use std::time::Duration;

use anyhow::Result;
use testkit::servers::Mariadb;

use crate::small::Small;
use crate::support;

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_comes_through_when_another_row_gives_its_value_up() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "unique").await?;
    let mut up = small.up().await?;
    let parked = || async {
        small
            .control("SELECT COUNT(*) FROM exceptions WHERE closed_at IS NULL AND reason = 'duplicate'")
            .await
    };
    small.sql("UPDATE users SET email = 'ann' WHERE id = 3").await?;
    small.applied(&mut up).await?;
    assert_eq!(parked().await?, "1");
    assert_eq!(small.sql("SELECT email FROM people WHERE id = 3").await?, "cid", "it keeps what it had");

    small.sql("UPDATE users SET email = 'zoe' WHERE id = 1").await?;
    testkit::wait::until("the scope comes through", Duration::from_secs(30), || async {
        match parked().await.map_err(|e| e.to_string())?.as_str() {
            "0" => Ok(()),
            n => Err(format!("{n} parked")),
        }
    })
    .await?;
    assert_eq!(small.sql("SELECT GROUP_CONCAT(email ORDER BY id) FROM people").await?, "zoe,bob,ann");
    small.deployment.yes(&["verify", "--once"]).await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

/// Neither of two rows that swap a unique value can go first; the way out that the docs name is one.
#[tokio::test(flavor = "multi_thread")]
async fn two_rows_that_swap_a_value_come_through_once_one_is_taken_out_of_the_shadow_table() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "swap").await?;
    let mut up = small.up().await?;
    small.sql("UPDATE users SET email = IF(id = 1, 'bob', 'ann') WHERE id IN (1, 2)").await?;
    small.applied(&mut up).await?;
    let emails = "SELECT GROUP_CONCAT(email ORDER BY id) FROM people";
    assert_eq!(small.sql(emails).await?, "ann,bob,cid", "both keep what they had");
    let verdict = small.deployment.run(&["verify", "--once"]).await?;
    assert_eq!(verdict.status.code(), Some(1), "not ready: {}", String::from_utf8_lossy(&verdict.stdout));

    small.sql("DELETE FROM people WHERE id = 1").await?;
    testkit::wait::until("both come through", Duration::from_secs(30), || async {
        match small.sql(emails).await.map_err(|e| e.to_string())?.as_str() {
            "bob,ann,cid" => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await?;
    small.deployment.yes(&["verify", "--once"]).await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}
