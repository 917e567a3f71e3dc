//! A binlog that no longer reaches back to where it is needed.

use std::time::Duration;

use anyhow::Result;
use testkit::servers::Mariadb;
use testkit::wait::until;

use crate::answer::{json, refuses};
use crate::small::Small;
use crate::{error_of, start, support};

/// All binlogs but the newest go. The server keeps those that a reader still has open, and notices late that it is gone.
async fn purge(server: &Mariadb) -> Result<()> {
    until("the purge", Duration::from_secs(30), || async {
        let purge = async {
            server.sql("FLUSH BINARY LOGS").await?;
            let logs = server.sql("SHOW BINARY LOGS").await?;
            let last = logs.lines().last().and_then(|l| l.split('\t').next()).unwrap_or_default();
            server.sql(&format!("PURGE BINARY LOGS TO '{last}'")).await?;
            server.sql("SHOW BINARY LOGS").await
        };
        let left = purge.await.map_err(|e| e.to_string())?;
        if left.lines().count() == 1 { Ok(()) } else { Err(left) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purged_binlog_is_said_and_recovered_from() -> Result<()> {
    let server = Mariadb::start(&[]).await?;
    let small = Small::new(&server, "bad_purged").await?;
    let d = &small.deployment;
    let mut up = small.up().await?;
    d.yes(&["verify", "--once"]).await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));

    // Changes that nobody will ever read in the binlog: a new row, a changed one, a deleted one, a report's end.
    small.sql("INSERT INTO users (id, email, minutes, boss_id) VALUES (4, 'dan', 4, 2)").await?;
    small
        .sql("UPDATE users SET minutes = 30, boss_id = 2 WHERE id = 3; DELETE FROM users WHERE id = 2")
        .await?;
    purge(&server).await?;

    let error = error_of(start(d)?).await?;
    for part in ["cdc-reader", "POSITION_LOST", "from 0-", "crossfade recover", "keep binlogs for longer"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let again = error_of(start(d)?).await?;
    assert!(again.contains("POSITION_LOST"), "nothing is skipped by trying again: {again}");

    let passes = json(d, &["recover"], 0, "recover").await?;
    assert_eq!(passes["passes"], 3);
    assert_eq!(json(d, &["verdict"], 2, "verdict").await?["verdict"], "unknown", "the old verdict is gone");
    let mut up = small.up().await?;
    d.yes(&["verify", "--once"]).await?;
    let people = small.sql("SELECT GROUP_CONCAT(id, email ORDER BY id) FROM people").await?;
    assert_eq!(people, "1ann,3cid,4dan");
    let seconds = "SELECT GROUP_CONCAT(id, ':', seconds, ':', boss_uuid IS NULL ORDER BY id) FROM users";
    assert_eq!(small.sql(seconds).await?, "1:60:0,3:1800:1,4:240:1");
    small.sql("UPDATE users SET minutes = 5 WHERE id = 4").await?;
    small.applied(&mut up).await?;
    assert_eq!(small.sql("SELECT seconds FROM users WHERE id = 4").await?, "300");
    // And it goes on from there.
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    let mut up = small.up().await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

/// A server that lost the end of its binlog, or is another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_the_server_does_not_know() -> Result<()> {
    let server = Mariadb::start(&[]).await?;
    let small = Small::new(&server, "bad_ahead").await?;
    let d = &small.deployment;
    let mut up = small.up().await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    small
        .control("UPDATE applied SET position = CONCAT(SUBSTRING_INDEX(position, '-', 2), '-99999999')")
        .await?;
    let error = error_of(start(d)?).await?;
    for part in ["POSITION_AHEAD", "99999999", "another server", "crossfade recover"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    json(d, &["recover"], 0, "recover").await?;
    let mut up = small.up().await?;
    d.yes(&["verify", "--once"]).await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

/// Somebody wrote into the control schema.
#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_is_none() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "bad_position").await?;
    let d = &small.deployment;
    let mut up = small.up().await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    small.control("UPDATE applied SET position = 'mysql-bin.000003:4'").await?;
    let says =
        ["read a position from the control schema", "`mysql-bin.000003:4` is not a", "crossfade recover"];
    for command in [&["up"][..], &["wait"], &["status"]] {
        refuses(d, command, &says).await?;
    }
    json(d, &["recover"], 0, "recover").await?;
    let mut up = small.up().await?;
    d.yes(&["verify", "--once"]).await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}
