//! The database: it crashes, rotates, forgets, and others hold its locks.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use testkit::connect::{self, said};
use testkit::servers::Mariadb;

use crate::rig::{Rig, peak_mib, times};
use crate::support;

#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_killed() -> Result<()> {
    let server = Mariadb::start(&[]).await?;
    let mut rig = Rig::new(&server, "F11 kill -9 of the database, its binlog synced").await?;
    rig.load();
    let mut up = rig.up().await?;
    let crashes = times(2, 5);
    for _ in 0..crashes {
        rig.more(150).await?;
        server.crash().await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.restart().await?;
    }
    rig.more(150).await?;
    rig.pass(&mut up, &format!("{crashes} crashes, the same process went on")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_binlog_rotates_all_the_time() -> Result<()> {
    let server = Mariadb::start(&[testkit::servers::TINY_BINLOGS]).await?;
    let mut rig = Rig::new(&server, "F13 FLUSH BINARY LOGS all the time, in files of 4 KiB").await?;
    rig.load();
    let mut up = rig.up().await?;
    let (began, mut flushed) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(times(8, 60).into()) {
        server.sql("FLUSH BINARY LOGS").await?;
        flushed += 1;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    rig.more(50).await?;
    rig.pass(&mut up, &format!("{flushed} flushes")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_binlog_is_purged_while_nobody_reads() -> Result<()> {
    let server = Mariadb::start(&[]).await?;
    let mut rig = Rig::new(&server, "F14 binlogs purged while the reader is off, and `recover`").await?;
    rig.load();
    let mut up = rig.up().await?;
    rig.more(100).await?;
    support::kill(&mut up).await?;
    rig.more(100).await?;
    server.sql("FLUSH BINARY LOGS; FLUSH BINARY LOGS").await?;
    let last = server.sql("SHOW BINARY LOGS").await?;
    let last = last.lines().last().and_then(|l| l.split_whitespace().next()).unwrap_or_default().to_owned();
    server.sql(&format!("PURGE BINARY LOGS TO '{last}'")).await?;
    let began = Instant::now();
    let refused = rig.deployment.run(&["up"]).await?;
    let (took, text) = (began.elapsed(), String::from_utf8_lossy(&refused.stderr).into_owned());
    ensure!(refused.status.code() == Some(2) && text.contains("POSITION_LOST"), "{text}");
    ensure!(took < Duration::from_secs(5), "it took {took:?} to say so");
    rig.deployment.yes(&["recover"]).await?;
    up = rig.deployment.start(&["up"])?;
    rig.more(100).await?;
    rig.pass(&mut up, &format!("POSITION_LOST after {:.1} s, `crossfade recover`", took.as_secs_f64())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn others_hold_locks_in_another_order() -> Result<()> {
    let server = Mariadb::shared().await?;
    let mut rig = Rig::new(server, "F23 a rival locks rows of both sides, downwards, and holds them").await?;
    rig.load();
    let mut up = rig.up().await?;
    let mut rival = connect::to(&rig.url).await?;
    rival.execute("SET SESSION innodb_lock_wait_timeout = 1").await.map_err(said)?;
    let (mut held, mut given_up) = (0, 0);
    for round in 0..times(10, 60) {
        rival.begin().await?;
        let table = if round % 2 == 0 { "items" } else { "items_new" };
        let sql = format!(
            "SELECT COUNT(*) FROM (SELECT id FROM {table} ORDER BY id DESC LIMIT 20 FOR UPDATE) AS x"
        );
        match rival.rows(&sql).await {
            Ok(_) => held += 1,
            Err(_) => given_up += 1,
        }
        tokio::time::sleep(Duration::from_millis(400)).await;
        rival.rollback().await?;
    }
    ensure!(held > 3, "the rival never had its locks: {held}, {given_up}");
    rig.more(50).await?;
    rig.pass(&mut up, &format!("held {held} times for 0.4 s, {given_up} deadlocks or waits were the rival's"))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_transaction_changes_a_great_many_rows() -> Result<()> {
    let server = Mariadb::start(&[]).await?;
    let mut rig = Rig::new(&server, "F21 one transaction with a great many rows, twice").await?;
    rig.load();
    let mut up = rig.up().await?;
    rig.more(50).await?;
    let (rows, schema) = (u64::from(times(40_000, 500_000)), rig.deployment.schemas.legacy.clone());
    let first = rig.great(rows);
    server
        .sql(&format!(
            "USE `{schema}`; INSERT INTO items (id, version, note) SELECT {first} + seq - 1, 0, 'great' FROM seq_1_to_{rows}"
        ))
        .await?;
    rig.more(50).await?;
    server.sql(&format!("USE `{schema}`; UPDATE items SET owner_id = 7 WHERE id >= {first}; UPDATE items SET owner_id = NULL WHERE id >= {first}")).await?;
    rig.deployment.yes(&["wait", "--timeout", "200s"]).await?;
    let peak = peak_mib(&up)?;
    ensure!(peak < 512, "{peak} MiB");
    rig.more(20).await?;
    rig.pass(&mut up, &format!("{rows} rows in each; {peak} MiB at most for all five services")).await
}
