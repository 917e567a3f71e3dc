//! What goes wrong between the reader, its source and the bus: nothing is lost, and nothing is passed over in silence.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use cdc_reader::{Reader, ReaderError};
use change::Position;
use common::{LIMIT, Rig};
use testkit::servers::Mariadb;
use tokio_util::sync::CancellationToken;

const USERS: &str = "CREATE TABLE users (id BIGINT PRIMARY KEY, name VARCHAR(40))";

async fn users(mut rig: Rig) -> Rig {
    rig.exec(USERS).await;
    rig.watch("users", [&["id"], &["id", "name"], &[]]);
    rig
}

/// The inserted keys, each counted once.
fn inserted(rig: &Rig) -> BTreeSet<i64> {
    let story = rig.bus.story("users");
    story.iter().filter_map(|s| s.strip_prefix("insert ")).map(|k| k.parse().unwrap()).collect()
}

#[tokio::test]
async fn what_is_published_can_be_seen() {
    let server = Mariadb::start(&["--sync-binlog=0"]).await.unwrap();
    let mut rig = users(Rig::on(&server, "visible").await).await;
    let (reader, seen) =
        rig.watched_writes(400, |w, i| format!("INSERT INTO users VALUES ({}, 'x')", w * 1000 + i)).await;
    assert_eq!(seen, (1600, 0));
    reader.end().await;
}

#[tokio::test]
async fn a_reader_goes_on_where_it_stopped() {
    let mut rig = users(Rig::new("resume").await).await;
    let reader = rig.start().await;
    rig.exec("INSERT INTO users VALUES (1, 'a')").await;
    rig.fence().await;
    reader.end().await;
    rig.exec("INSERT INTO users VALUES (2, 'a')").await;
    let reader = rig.start().await;
    rig.fence().await;
    assert_eq!(
        rig.bus.story("users"),
        ["insert 1", "insert 2"],
        "no gap, and after a good end no repetition"
    );
    reader.end().await;
}

#[tokio::test]
async fn killed_dump_threads_and_rotated_files_lose_nothing() {
    let server = Mariadb::start(&["--max-binlog-size=4096"]).await.unwrap();
    let mut rig = users(Rig::on(&server, "killed").await).await;
    let reader = rig.start().await;
    let mut killed = 0;
    for i in 0..600 {
        rig.exec(&format!("INSERT INTO users VALUES ({i}, REPEAT('x', 40))")).await;
        if i % 100 == 50 {
            rig.exec("FLUSH BINARY LOGS").await;
            let dump = "SELECT id FROM information_schema.processlist WHERE command = 'Binlog Dump'";
            if let Some(row) = rig.sql.row(dump).await.unwrap() {
                rig.exec(&format!("KILL {}", row.u64(0).unwrap().unwrap())).await;
                killed += 1;
            }
        }
    }
    rig.fence().await;
    assert!(inserted(&rig).into_iter().eq(0..600));
    let status = reader.now(&mut rig).await;
    assert!(killed > 0 && status.reconnects > 0, "{killed} kills, {status:?}");
    reader.end().await;
}

#[tokio::test]
async fn a_server_that_crashes_is_waited_for() {
    let server = Mariadb::start(&[]).await.unwrap();
    let mut rig = users(Rig::on(&server, "crash").await).await;
    let reader = rig.start().await;
    rig.exec("INSERT INTO users VALUES (1, 'a')").await;
    rig.fence().await;
    server.crash().await.unwrap();
    server.restart().await.unwrap();
    rig.sql = rig.database.session().await.unwrap();
    rig.exec("INSERT INTO users VALUES (2, 'a')").await;
    rig.fence().await;
    assert!(inserted(&rig).into_iter().eq(1..3));
    reader.end().await;
}

#[tokio::test]
async fn compressed_events_are_read() {
    let server = Mariadb::start(&["--log-bin-compress=1", "--log-bin-compress-min-len=10"]).await.unwrap();
    let mut rig = users(Rig::on(&server, "compress").await).await;
    let reader = rig.start().await;
    let long = "x".repeat(30);
    rig.exec(&format!("INSERT INTO users VALUES (1, '{long}'), (2, '{long}')")).await;
    rig.exec("UPDATE users SET name = CONCAT(name, 'y')").await;
    rig.exec("DELETE FROM users").await;
    rig.exec("TRUNCATE TABLE users").await;
    rig.fence().await;
    let mut story = rig.bus.story("users");
    story.sort();
    let wanted =
        ["delete 1", "delete 2", "insert 1", "insert 2", "truncate", "update 1 -> 1", "update 2 -> 2"];
    assert_eq!(story, wanted);
    reader.end().await;
}

#[tokio::test]
async fn a_full_bus_holds_the_position_and_bounds_what_is_in_memory() {
    let mut rig = users(Rig::new("held").await).await;
    rig.settings.batch_rows = 100;
    let reader = rig.start().await;
    rig.bus.held.store(true, Relaxed);
    rig.exec("INSERT INTO users SELECT seq, 'x' FROM seq_1_to_20000").await;
    let row = rig.sql.row("SELECT @@last_gtid").await.unwrap().unwrap();
    let inserted_at: Position = row.text(0).unwrap().unwrap().parse().unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    let status = reader.now(&mut rig).await;
    // Four batches in flight, one in the channel, one in the feed; a batch is one rows event here, some 700 rows.
    assert!(status.barriers == 4 && status.rows < 6_000, "{status:?}");
    assert!(!rig.saved().await.reaches(&inserted_at));
    assert!(inserted(&rig).is_empty());
    rig.bus.failures.store(3, Relaxed);
    rig.bus.held.store(false, Relaxed);
    rig.fence().await;
    assert!(inserted(&rig).into_iter().eq(1..20_001));
    reader.end().await;
}

#[tokio::test]
async fn the_newer_of_two_readers_wins() {
    let mut rig = users(Rig::new("deposed").await).await;
    rig.settings.server_id = Some(77);
    let old = rig.start().await;
    let new = rig.start().await;
    let error = old.error().await;
    assert!(matches!(error, ReaderError::Deposed { .. }), "{error}");
    rig.exec("INSERT INTO users VALUES (1, 'a')").await;
    rig.fence().await;
    assert_eq!(rig.bus.story("users"), ["insert 1"]);
    new.end().await;
}

#[tokio::test]
async fn a_purged_position_stops_the_reader_with_the_way_out() {
    let server = Mariadb::start(&[]).await.unwrap();
    let mut rig = users(Rig::on(&server, "purged").await).await;
    rig.start().await.end().await;
    for i in 0..3 {
        rig.exec(&format!("INSERT INTO users VALUES ({i}, 'a'); FLUSH BINARY LOGS")).await;
    }
    let row = rig.sql.row("SHOW MASTER STATUS").await.unwrap().unwrap();
    let last = row.text(0).unwrap().unwrap().to_owned();
    rig.exec(&format!("PURGE BINARY LOGS TO '{last}'")).await;
    let before = rig.saved().await;
    let error = rig.start().await.error().await;
    assert!(matches!(error, ReaderError::PositionLost { .. }), "{error}");
    assert_eq!(rig.saved().await, before, "the position stays");
}

#[tokio::test]
async fn a_position_that_the_server_has_not_reached_stops_the_reader() {
    let server = Mariadb::start(&[]).await.unwrap();
    let mut rig = users(Rig::on(&server, "ahead").await).await;
    rig.start().await.end().await;
    let ahead = format!("0-{}-99999", server.port);
    let table = rig.database.control_table("reader");
    rig.exec(&format!("UPDATE {table} SET position = '{ahead}'")).await;
    let error = rig.start().await.error().await;
    assert!(matches!(error, ReaderError::PositionAhead { .. }), "{error}");
}

#[tokio::test]
async fn a_barrier_outside_the_binlog_is_found_out() {
    let mut server = Mariadb::start(&[]).await.unwrap();
    let mut rig = users(Rig::on(&server, "dark").await).await;
    let ignored = format!("--binlog-ignore-db={}", rig.database.control());
    server.stop().await.unwrap();
    server.restart_with(&[&ignored]).await.unwrap();
    rig.sql = rig.database.session().await.unwrap();
    rig.settings.beat_bound = Duration::from_secs(2);
    let reader = rig.start().await;
    let stop = CancellationToken::new();
    let writes = {
        let (stop, database) = (stop.clone(), rig.database.clone());
        tokio::spawn(async move {
            let mut sql = database.session().await.unwrap();
            let mut i = 0;
            while !stop.is_cancelled() {
                i += 1;
                sql.execute(&format!("INSERT INTO users VALUES ({i}, 'a')")).await.unwrap();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
    };
    let error = reader.error().await;
    assert!(matches!(error, ReaderError::BeatLost { .. }), "on a busy server: {error}");
    stop.cancel();
    writes.await.unwrap();
    let error = rig.start().await.error().await;
    assert!(matches!(error, ReaderError::BeatLost { .. }), "on a silent server: {error}");
}

#[tokio::test]
async fn a_reader_waits_for_a_database_that_is_away_and_can_be_stopped_meanwhile() {
    let server = Mariadb::start(&[]).await.unwrap();
    let mut rig = users(Rig::on(&server, "away").await).await;
    let context = rig.context().await;
    server.stop().await.unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(Reader::new(context).run(stop.clone()));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!task.is_finished());
    stop.cancel();
    tokio::time::timeout(LIMIT, task).await.unwrap().unwrap().unwrap();
}
