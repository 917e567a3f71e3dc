//! What is published, and what is not.
#![allow(clippy::unwrap_used)]

mod common;

use change::Cell;
use common::Rig;

const USERS: &str = "CREATE TABLE users (id BIGINT UNSIGNED PRIMARY KEY, name VARCHAR(40), role INT, active TINYINT, \
                     other INT)";

async fn users(name: &str) -> Rig {
    let mut rig = Rig::new(name).await;
    rig.exec(USERS).await;
    rig.watch("users", [&["id", "role"], &["id", "name", "role"], &["active"]]);
    rig
}

#[tokio::test]
async fn every_change_that_the_plan_reads_is_published_with_its_key_and_routes() {
    let mut rig = users("kinds").await;
    let reader = rig.start().await;
    rig.exec("INSERT INTO users VALUES (18446744073709551615, 'a', 1, 1, 1), (2, 'b', NULL, 1, 1)").await;
    rig.exec("UPDATE users SET role = 5 WHERE id = 2").await;
    rig.exec("UPDATE users SET id = 3 WHERE id = 2").await;
    rig.exec("UPDATE users SET name = 'B' WHERE id = 3").await;
    rig.exec("DELETE FROM users WHERE id = 3").await;
    rig.fence().await;
    let mut story = rig.bus.story("users");
    story.sort();
    assert_eq!(
        story,
        [
            "delete 3",
            "insert 18446744073709551615",
            "insert 2",
            "update 2 -> 2",
            "update 2 -> 3",
            "update 3 -> 3"
        ]
    );
    let change = rig.bus.rows("users").into_iter().find(|r| r.before.is_none()).unwrap();
    assert_eq!(change.after.unwrap().len(), 2, "only what routes need leaves the database");
    let batches = rig.bus.batches.lock().unwrap().clone();
    assert!(
        batches
            .iter()
            .all(|b| b.columns == ["id", "role"] && b.cause.position.is_some() && b.cause.time_ms > 0)
    );
    reader.end().await;
}

#[tokio::test]
async fn an_update_of_columns_that_the_plan_does_not_read_is_an_echo() {
    let mut rig = users("echo").await;
    rig.exec("INSERT INTO users VALUES (1, 'a', 1, NULL, 1)").await;
    let reader = rig.start().await;
    rig.exec("UPDATE users SET other = 2").await;
    rig.exec("UPDATE users SET active = 1").await;
    rig.exec("UPDATE users SET active = 0").await;
    rig.fence().await;
    assert_eq!(rig.bus.story("users"), Vec::<String>::new());
    rig.exec("UPDATE users SET active = NULL").await;
    rig.fence().await;
    assert_eq!(rig.bus.story("users"), ["update 1 -> 1"], "somebody emptied a fill column");
    rig.exec("UPDATE users SET name = 'A'").await;
    rig.fence().await;
    assert_eq!(rig.bus.story("users").len(), 2, "a change of case is a change");
    assert_eq!(reader.now(&mut rig).await.echoes, 3);
    reader.end().await;
}

#[tokio::test]
async fn a_uuid_column_is_spelt_as_the_server_spells_it() {
    let mut rig = Rig::new("uuid").await;
    rig.exec("CREATE TABLE things (id UUID PRIMARY KEY, n YEAR)").await;
    rig.watch("things", [&["id", "n"], &["id", "n"], &[]]);
    let reader = rig.start().await;
    rig.exec("INSERT INTO things VALUES ('0190D6A5-7c1e-7000-8000-000000000000', 2024)").await;
    rig.fence().await;
    let row = rig.bus.rows("things").pop().unwrap().after.unwrap();
    let text = |s: &str| Cell::Text(s.into());
    assert_eq!(row, [text("0190d6a5-7c1e-7000-8000-000000000000"), text("2024")]);
    reader.end().await;
}

#[tokio::test]
async fn what_was_rolled_back_is_not_published() {
    let mut rig = users("savepoint").await;
    rig.exec("CREATE TABLE log (n INT) ENGINE=MyISAM").await;
    rig.watch("log", [&["n"], &["n"], &[]]);
    let reader = rig.start().await;
    rig.exec(
        "BEGIN; INSERT INTO users (id) VALUES (1); SAVEPOINT s; INSERT INTO users (id) VALUES (2); \
         INSERT INTO log VALUES (7); ROLLBACK TO s; INSERT INTO users (id) VALUES (3); COMMIT",
    )
    .await;
    rig.exec("BEGIN; INSERT INTO users (id) VALUES (4); INSERT INTO log VALUES (8); ROLLBACK").await;
    rig.fence().await;
    let mut story = rig.bus.story("users");
    story.sort();
    // A transaction that also wrote a table without transactions is logged whole, rolled-back parts included: the
    // scopes are then recomputed for nothing.
    assert!(story.contains(&"insert 1".to_owned()) && story.contains(&"insert 3".to_owned()), "{story:?}");
    assert!(!story.contains(&"insert 4".to_owned()), "{story:?}");
    assert_eq!(rig.bus.story("log"), ["insert 7", "insert 8"]);
    reader.end().await;
}

#[tokio::test]
async fn truncate_and_replaced_tables_are_told_as_a_whole() {
    let mut rig = users("truncate").await;
    rig.exec("INSERT INTO users (id) VALUES (1), (2)").await;
    let reader = rig.start().await;
    let schema = rig.database.schema().to_owned();
    rig.exec(&format!("TRUNCATE TABLE `{schema}`.users")).await;
    rig.fence().await;
    assert_eq!(rig.bus.story("users"), ["truncate"]);
    rig.exec("CREATE TABLE users_new LIKE users; INSERT INTO users_new (id) VALUES (9)").await;
    rig.exec("RENAME TABLE users TO users_old, users_new TO users").await;
    rig.exec("INSERT INTO users (id) VALUES (10)").await;
    rig.fence().await;
    assert_eq!(rig.bus.story("users"), ["truncate", "truncate", "insert 10"]);
    rig.exec("CREATE TABLE copied SELECT * FROM users").await;
    rig.exec("ALTER TABLE copied ADD x INT").await;
    rig.exec("CREATE INDEX i ON users (name)").await;
    rig.fence().await;
    assert_eq!(rig.bus.story("users").len(), 3);
    reader.end().await;
}

#[tokio::test]
async fn a_large_transaction_passes_in_bounded_batches() {
    let mut rig = users("large").await;
    rig.settings.batch_bytes = 256 << 10;
    let reader = rig.start().await;
    rig.exec("INSERT INTO users SELECT seq, CONCAT('name ', seq), seq % 7, 1, 1 FROM seq_1_to_200000").await;
    rig.fence().await;
    let rows = rig.bus.rows("users");
    assert_eq!(rows.len(), 200_000);
    let mut keys: Vec<u64> = rows
        .iter()
        .map(|r| match r.after.as_ref().unwrap()[0] {
            Cell::UInt(id) => id,
            ref other => panic!("{other:?}"),
        })
        .collect();
    keys.sort_unstable();
    assert!(keys.iter().copied().eq(1..=200_000));
    let status = reader.now(&mut rig).await;
    assert!(status.largest_batch < 300 << 10, "{status:?}");
    assert!(status.barriers > 10, "{status:?}");
    reader.end().await;
}

#[tokio::test]
async fn other_tables_move_the_position_and_publish_nothing() {
    let mut rig = users("others").await;
    rig.exec("CREATE TABLE t (a INT)").await;
    let reader = rig.start().await;
    for _ in 0..20 {
        rig.exec("INSERT INTO t VALUES (1)").await;
    }
    rig.fence().await;
    assert_eq!(rig.bus.batches.lock().unwrap().len(), 0);
    // No loop on our own writes: in a second of quiet there are the heartbeats (5 a second here) and a few saves.
    let beats = format!("SELECT beat FROM {}", rig.database.control_table("reader"));
    let before = rig.number(&beats).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let after = rig.number(&beats).await;
    assert!((3..9).contains(&(after - before)), "{} beats in a second of quiet", after - before);
    reader.end().await;
}
