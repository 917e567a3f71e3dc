//! Somebody else writes into a target: it is seen as it happens, and the verdict is not "ready" until a pass has looked.

use std::time::Duration;

use anyhow::Result;
use testkit::servers::Mariadb;
use testkit::wait::until;

use crate::answer::json;
use crate::small::Small;
use crate::support;

const OPEN: &str = "SELECT GROUP_CONCAT(CONCAT(target, ' ', scope_key) ORDER BY id) FROM finding WHERE kind = 'direct_write' AND closed_at IS NULL AND position IS NOT NULL";

async fn seen(small: &Small<'_>, wanted: &str) -> Result<()> {
    until("the direct write is seen", Duration::from_secs(20), || async {
        let now = small.control(OPEN).await.map_err(|e| e.to_string())?;
        if now == wanted { Ok(()) } else { Err(now) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_of_somebody_else_is_seen_as_it_happens() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "bad_direct").await?;
    let d = &small.deployment;
    let mut up = small.up().await?;
    d.yes(&["verify", "--once"]).await?;

    // Our own writes are none: backfill, stream, repair, a pass over damage.
    small
        .sql("UPDATE users SET minutes = 9, email = 'zoe' WHERE id = 2; DELETE FROM users WHERE id = 3")
        .await?;
    small.applied(&mut up).await?;
    json(d, &["backfill", "--again"], 0, "backfill").await?;
    small.applied(&mut up).await?;
    assert_eq!(small.control(OPEN).await?, "NULL");
    d.yes(&["verdict"]).await?;

    small.sql("UPDATE people SET email = 'evil' WHERE id = 2").await?;
    seen(&small, "people 2").await?;
    let verdict = json(d, &["verdict"], 2, "verdict").await?;
    assert_eq!(verdict["reasons"][0]["criterion"], "no direct writes", "{verdict}");
    json(d, &["verdict", "--only", "users"], 0, "verdict_target").await?;
    json(d, &["verdict", "--only", "people"], 2, "verdict_target").await?;
    json(d, &["flags", "set", "people", "dual_write", "--because", "x"], 1, "flag_set").await?;
    // A pass looks behind it, and repairs.
    d.yes(&["verify", "--once"]).await?;
    assert_eq!(small.sql("SELECT email FROM people WHERE id = 2").await?, "zoe");
    d.yes(&["verdict"]).await?;

    // A new column in a legacy table; a row that nobody wants.
    small
        .sql("UPDATE users SET seconds = 1, other = 5 WHERE id = 1; INSERT INTO people VALUES (77, 'x')")
        .await?;
    seen(&small, "users 1,people 77").await?;
    // The application's own columns are its own.
    small.sql("UPDATE users SET other = 6, minutes = 8 WHERE id = 1").await?;
    small.applied(&mut up).await?;
    assert_eq!(small.control(OPEN).await?, "users 1,people 77");
    d.yes(&["verify", "--once"]).await?;
    assert_eq!(small.control(OPEN).await?, "NULL");
    assert_eq!(
        small.sql("SELECT seconds FROM users WHERE id = 1; SELECT COUNT(*) FROM people").await?,
        "480\n2"
    );

    // Whoever dual-writes may.
    d.yes(&["flags", "set", "people", "dual_write", "--because", "week one"]).await?;
    small
        .sql("UPDATE people SET email = 'bob' WHERE id = 2; UPDATE users SET seconds = 2 WHERE id = 2")
        .await?;
    seen(&small, "users 2").await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}
