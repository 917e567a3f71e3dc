//! What the reader does not understand it does not pass: it stops with the position before it.
#![allow(clippy::unwrap_used)]

mod common;

use cdc_reader::ReaderError;
use common::Rig;

async fn users(name: &str) -> Rig {
    let mut rig = Rig::new(name).await;
    rig.exec("CREATE TABLE users (id BIGINT PRIMARY KEY, name VARCHAR(40), role INT, other INT)").await;
    rig.watch("users", [&["id", "role"], &["id", "name", "role"], &[]]);
    rig
}

/// Starts a reader, runs `sql`, and expects it to stop; then what was before must have been published.
async fn stopped_by(rig: &mut Rig, sql: &str) -> ReaderError {
    let reader = rig.start().await;
    rig.exec("INSERT INTO users (id) VALUES (1)").await;
    rig.exec(sql).await;
    let error = reader.error().await;
    assert_eq!(rig.bus.story("users"), ["insert 1"], "{error}");
    error
}

#[tokio::test]
async fn a_changed_column_stops_the_reader_before_it_and_a_new_check_goes_on() {
    let mut rig = users("retyped").await;
    let error = stopped_by(&mut rig, "ALTER TABLE users MODIFY name VARCHAR(80)").await;
    assert!(matches!(&error, ReaderError::SchemaChanged { column, .. } if column == "name"), "{error}");
    rig.exec("INSERT INTO users (id) VALUES (2)").await;
    let reader = rig.start().await;
    rig.fence().await;
    // The ALTER itself may have changed any value.
    assert_eq!(rig.bus.story("users"), ["insert 1", "truncate", "insert 2"]);
    reader.end().await;
}

#[tokio::test]
async fn a_dropped_or_renamed_column_stops_the_reader() {
    let mut rig = users("renamed").await;
    let error = stopped_by(&mut rig, "ALTER TABLE users RENAME COLUMN role TO rank_id").await;
    assert!(matches!(&error, ReaderError::SchemaChanged { column, .. } if column == "role"), "{error}");
}

#[tokio::test]
async fn rows_in_an_older_shape_are_not_guessed_at() {
    let mut rig = users("older").await;
    rig.start().await.end().await;
    rig.exec("INSERT INTO users VALUES (1, 'a', 5, 0)").await;
    rig.exec("ALTER TABLE users MODIFY role VARCHAR(10)").await;
    let error = rig.start().await.error().await;
    assert!(matches!(&error, ReaderError::SchemaChanged { column, .. } if column == "role"), "{error}");
}

#[tokio::test]
async fn columns_that_the_plan_does_not_read_may_come_and_go() {
    let mut rig = users("free").await;
    let reader = rig.start().await;
    rig.exec("ALTER TABLE users ADD COLUMN fresh INT FIRST, DROP COLUMN other").await;
    rig.exec("INSERT INTO users (id, role) VALUES (7, 8)").await;
    rig.fence().await;
    assert_eq!(rig.bus.story("users"), ["truncate", "insert 7"]);
    let row = rig.bus.rows("users").pop().unwrap();
    assert_eq!(
        row.after.unwrap(),
        [change::Cell::Int(7), change::Cell::Int(8)],
        "found by name, not by place"
    );
    reader.end().await;
}

#[tokio::test]
async fn a_dropped_table_stops_the_reader() {
    let mut rig = users("dropped").await;
    let error = stopped_by(&mut rig, "DROP TABLE users").await;
    assert!(matches!(error, ReaderError::SchemaChanged { .. }), "{error}");
}

#[tokio::test]
async fn statement_format_stops_the_reader() {
    let mut rig = users("statement").await;
    let sql = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET SESSION binlog_format = STATEMENT; \
               UPDATE users SET name = 'x'";
    let error = stopped_by(&mut rig, sql).await;
    assert!(matches!(error, ReaderError::StatementFormat { .. }), "{error}");
}

#[tokio::test]
async fn statement_format_elsewhere_does_not() {
    let mut rig = users("elsewhere").await;
    rig.exec("CREATE TABLE t (a INT)").await;
    let reader = rig.start().await;
    rig.exec("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await;
    rig.exec("SET SESSION binlog_format = STATEMENT").await;
    rig.exec("SET @x = 7; INSERT INTO t VALUES (@x), (RAND() * 10); SET SESSION binlog_format = ROW").await;
    rig.fence().await;
    rig.exec("CREATE TRIGGER tr AFTER INSERT ON t FOR EACH ROW INSERT INTO users (id) VALUES (NEW.a)").await;
    rig.exec("SET SESSION binlog_format = STATEMENT; INSERT INTO t VALUES (9)").await;
    let error = reader.error().await;
    assert!(matches!(error, ReaderError::StatementFormat { .. }), "through a trigger: {error}");
}

#[tokio::test]
async fn partial_images_and_missing_metadata_stop_the_reader() {
    for (name, setting) in
        [("partial", "SESSION binlog_row_image = MINIMAL"), ("bare", "SESSION binlog_row_image = NOBLOB")]
    {
        let mut rig = users(name).await;
        rig.exec("ALTER TABLE users ADD COLUMN doc TEXT").await;
        rig.watch("users", [&["id", "role"], &["id", "name", "role", "doc"], &[]]);
        let error = stopped_by(&mut rig, &format!("SET {setting}; UPDATE users SET name = 'x'")).await;
        assert!(
            matches!(error, ReaderError::Binlog { .. }) && error.to_string().contains("binlog_row_image")
        );
    }
    let server = testkit::servers::Mariadb::start(&["--binlog-row-metadata=NO_LOG"]).await.unwrap();
    let mut rig = Rig::on(&server, "nameless").await;
    rig.exec("CREATE TABLE users (id BIGINT PRIMARY KEY)").await;
    rig.watch("users", [&["id"], &["id"], &[]]);
    let reader = rig.start().await;
    rig.exec("INSERT INTO users VALUES (1)").await;
    let error = reader.error().await;
    assert!(error.to_string().contains("binlog_row_metadata=FULL"), "{error}");
}

#[tokio::test]
async fn a_generated_column_that_the_plan_reads_may_be_missing_from_images() {
    let mut rig = Rig::new("generated").await;
    rig.exec("CREATE TABLE g (id BIGINT PRIMARY KEY, a INT, twice INT AS (a * 2) STORED, mine INT)").await;
    rig.watch("g", [&["id"], &["id", "twice"], &["mine"]]);
    let reader = rig.start().await;
    rig.exec("INSERT INTO g (id, a) VALUES (1, 1); UPDATE g SET a = 2; DELETE FROM g").await;
    rig.fence().await;
    assert_eq!(rig.bus.story("g"), ["insert 1", "update 1 -> 1", "delete 1"]);
    reader.end().await;
}

#[tokio::test]
async fn xa_on_planned_tables_stops_the_reader_and_elsewhere_does_not() {
    let mut rig = users("xa").await;
    rig.exec("CREATE TABLE t (a INT)").await;
    let reader = rig.start().await;
    for end in ["COMMIT", "ROLLBACK"] {
        let one =
            format!("XA START 'e{end}'; INSERT INTO t VALUES (1); XA END 'e{end}'; XA PREPARE 'e{end}'");
        rig.exec(&one).await;
        rig.fence_elsewhere().await;
        rig.exec(&format!("XA {end} 'e{end}'")).await;
    }
    rig.fence().await;
    rig.exec("XA START 'p'; INSERT INTO users (id) VALUES (1); XA END 'p'; XA PREPARE 'p'").await;
    let error = reader.error().await;
    assert!(matches!(error, ReaderError::Xa { .. }), "{error}");
    rig.exec("XA ROLLBACK 'p'").await;
    assert!(rig.bus.story("users").is_empty());
}
