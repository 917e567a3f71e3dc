//! Sessions on a real server.
#![allow(clippy::unwrap_used)]

mod common;

use change::Cell;
use common::{column, database};
use futures::StreamExt;
use mysql::Class;

#[tokio::test]
async fn a_session_has_exactly_our_settings() {
    let mut session = database("settings").await.session().await.unwrap();
    let row = session
        .row(
            "SELECT @@session.sql_mode, @@session.time_zone, @@session.autocommit, @@character_set_client, \
             @@character_set_results, @@collation_connection, @@lock_wait_timeout, @@group_concat_max_len, DATABASE(), \
             @@tx_isolation",
        )
        .await
        .unwrap()
        .unwrap();
    let mut texts: Vec<_> = (0..row.len()).map(|i| row.text(i).unwrap().unwrap().to_owned()).collect();
    let mut modes: Vec<_> = texts[0].split(',').collect();
    modes.sort_unstable();
    texts[0] = modes.join(",");
    assert_eq!(
        texts,
        [
            "NO_AUTO_VALUE_ON_ZERO,NO_BACKSLASH_ESCAPES,NO_ENGINE_SUBSTITUTION,STRICT_TRANS_TABLES",
            "+00:00",
            "1",
            "utf8mb4",
            "utf8mb4",
            "utf8mb4_general_ci",
            "2",
            "1073741824",
            "cfmysql_settings",
            "READ-COMMITTED"
        ]
    );
}

#[tokio::test]
async fn values_come_back_as_cells() {
    let mut session = database("cells").await.session().await.unwrap();
    session
        .execute(
            "CREATE TABLE t (id BIGINT UNSIGNED PRIMARY KEY, s INT, x VARCHAR(40), b BINARY(3), d DECIMAL(8,2), \
             at DATETIME(6), f DOUBLE, n INT); \
             INSERT INTO t VALUES (18446744073709551615, -5, 'it''s \\ ü😀', x'00ff27', 12.30, '2024-02-03 04:05:06.7', 0.1, NULL)",
        )
        .await
        .unwrap();
    let row = session.row("SELECT * FROM t").await.unwrap().unwrap();
    let cells: Vec<_> = [
        column("bigint", "bigint(20) unsigned"),
        column("int", "int(11)"),
        column("varchar", "varchar(40)"),
        column("binary", "binary(3)"),
        column("decimal", "decimal(8,2)"),
        column("datetime", "datetime(6)"),
        column("double", "double"),
        column("int", "int(11)"),
    ]
    .iter()
    .enumerate()
    .map(|(i, c)| row.cell(i, c).unwrap())
    .collect();
    assert_eq!(
        cells,
        [
            Cell::UInt(u64::MAX),
            Cell::Int(-5),
            Cell::Text("it's \\ ü😀".into()),
            Cell::Bytes(vec![0, 0xff, 0x27]),
            Cell::Text("12.30".into()),
            Cell::Text("2024-02-03 04:05:06.700000".into()),
            Cell::Double(0.1),
            Cell::Null,
        ]
    );
    assert!(row.u64(1).is_err() && row.text(3).is_err());
    // What a cell was read from is what its literal selects.
    for (i, name) in ["id", "s", "x", "b", "d", "at"].iter().enumerate() {
        let sql = format!("SELECT 1 FROM t WHERE {name} = {}", plan::quote::cell(&cells[i]));
        assert!(session.row(&sql).await.unwrap().is_some(), "{sql}");
    }
}

#[tokio::test]
async fn matched_rows_count_and_errors_have_classes() {
    let database = database("classes").await;
    let mut session = database.session().await.unwrap();
    session
        .execute("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(3)); INSERT INTO t VALUES (1, 'a')")
        .await
        .unwrap();
    assert_eq!(session.execute("UPDATE t SET v = 'a' WHERE id = 1").await.unwrap(), 1);
    for (sql, class, name) in [
        ("INSERT INTO t VALUES (1, 's3c')", Class::Duplicate, Some("PRIMARY")),
        ("INSERT INTO t VALUES (2, 's3cret')", Class::Data, Some("v")),
        ("INSERT INTO t VALUES ('s3cret', 'a')", Class::Data, Some("id")),
        ("SELECT * FROM nowhere", Class::Missing, None),
        ("SELEKT 's3cret'", Class::Other, None),
    ] {
        let error = session.execute(sql).await.unwrap_err();
        assert_eq!((error.class, error.names()), (class, name), "{error}");
        assert!(!format!("{error} {error:?}").contains("s3c"), "{error}");
    }
    // A definite error leaves the session usable.
    assert!(session.is_open());
    let mut other = database.session().await.unwrap();
    session.begin().await.unwrap();
    session.execute("UPDATE t SET v = 'b' WHERE id = 1").await.unwrap();
    let busy = other.row("SELECT * FROM t WHERE id = 1 FOR UPDATE NOWAIT").await.map(|_| ()).unwrap_err();
    assert_eq!(busy.class, Class::LockWait);
    session.rollback().await.unwrap();
}

#[tokio::test]
async fn a_cancelled_statement_closes_the_session() {
    let database = database("cancel").await;
    let mut session = database.session().await.unwrap();
    session.set_timeout(std::time::Duration::from_millis(50));
    let slow = session.execute("DO SLEEP(5)").await.unwrap_err();
    assert_eq!(slow.class, Class::Connection);
    assert_eq!(session.row("SELECT 1").await.map(|_| ()).unwrap_err().class, Class::Connection);

    let mut session = database.session().await.unwrap();
    drop(Box::pin(session.execute("DO SLEEP(5)")));
    assert!(session.is_open(), "a future that never ran has sent nothing");

    let mut killed = database.session().await.unwrap();
    let id = killed.row("SELECT CONNECTION_ID()").await.unwrap().unwrap().u64(0).unwrap().unwrap();
    session.execute(&format!("KILL {id}")).await.unwrap();
    let error = killed.row("SELECT 1").await.map(|_| ()).unwrap_err();
    assert!(error.class == Class::Connection && !killed.is_open(), "{error}");
}

#[tokio::test]
async fn a_stream_reads_row_by_row_and_must_be_read_to_its_end() {
    let mut session = database("stream").await.session().await.unwrap();
    let mut sum = 0;
    let mut rows = session.stream("SELECT seq FROM seq_1_to_100000").unwrap();
    while let Some(row) = rows.next().await {
        sum += row.unwrap().u64(0).unwrap().unwrap();
    }
    drop(rows);
    assert_eq!(sum, 5_000_050_000);
    assert!(session.is_open());
    let error =
        session.stream("SELECT * FROM nowhere").unwrap().next().await.unwrap().map(|_| ()).unwrap_err();
    assert_eq!(error.class, Class::Missing);
    assert!(session.is_open());
    let mut rows = session.stream("SELECT seq FROM seq_1_to_100000").unwrap();
    rows.next().await.unwrap().unwrap();
    drop(rows);
    assert_eq!(session.row("SELECT 1").await.map(|_| ()).unwrap_err().class, Class::Connection);
}

#[tokio::test]
async fn sessions_work_in_spawned_tasks() {
    let database = database("spawn").await;
    let task = tokio::spawn(async move {
        let mut session = database.session().await?;
        session.begin().await?;
        session.execute("DO 1").await?;
        session.commit().await?;
        let mut rows = session.stream("SELECT 1")?;
        let one = rows.next().await.expect("a row")?.u64(0)?;
        drop(rows);
        session.close().await;
        Ok::<_, mysql::DbError>(one)
    });
    assert_eq!(task.await.unwrap().unwrap(), Some(1));
}

#[tokio::test]
async fn the_binlog_connection_speaks() {
    use mysql_async::prelude::Queryable;
    let mut connection = database("binlogconn").await.binlog_connection().await.unwrap();
    assert_eq!(connection.query_first::<u8, _>("SELECT 1").await.unwrap(), Some(1));
    connection.disconnect().await.unwrap();
}
