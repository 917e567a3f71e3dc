//! Against `mysql_common`'s own row iterator, on a real server's events, both images; and the server's own tables.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;

use binlog::{Charset, Event, Flavour};
use change::{Cell, Op, RowChange};
use common::{changes, connect, connect_to, end, events, events_of, schema};
use mysql_async::Value;
use mysql_async::binlog::events::{EventData, RowsEventData, TableMapEvent};
use mysql_async::binlog::row::BinlogRow;
use mysql_async::binlog::value::BinlogValue;
use mysql_async::prelude::Queryable;

/// What both decoders should say of a cell. The library's TIME(1), TIME(2) and MEDIUMINT below zero and its year 0000 are
/// wrong, and BINARY comes without its trailing zeros, so the table of this test has none of them.
fn same(cell: &Cell, value: &BinlogValue<'_>, column: usize) {
    let BinlogValue::Value(value) = value else { panic!("column {column}: {value:?}") };
    match (cell, value) {
        (Cell::Null, Value::NULL) => {}
        (Cell::Int(a), Value::Int(b)) => assert_eq!(a, b, "column {column}"),
        (Cell::UInt(a), Value::UInt(b)) => assert_eq!(a, b, "column {column}"),
        (Cell::UInt(a), Value::Int(b)) => assert_eq!(*a, *b as u64, "column {column}"),
        (Cell::Double(a), Value::Double(b)) => assert_eq!(a, b, "column {column}"),
        (Cell::Double(a), Value::Float(b)) => assert_eq!(*a, f64::from(*b), "column {column}"),
        (Cell::Text(a), Value::Bytes(b)) => assert_eq!(a.as_bytes(), b, "column {column}"),
        (Cell::Bytes(a), Value::Bytes(b)) => assert_eq!(a, b, "column {column}"),
        (Cell::Text(a), Value::Date(y, m, d, 0, 0, 0, 0)) if a.len() == 10 => {
            assert_eq!(*a, format!("{y:04}-{m:02}-{d:02}"));
        }
        (Cell::Text(a), Value::Date(y, mo, d, h, mi, s, us)) => {
            assert_eq!(*a, format!("{y:04}-{mo:02}-{d:02} {h:02}:{mi:02}:{s:02}.{us:06}"));
        }
        (Cell::Text(a), Value::Time(neg, days, h, m, s, us)) => {
            let (sign, hours) = (if *neg { "-" } else { "" }, days * 24 + u32::from(*h));
            assert_eq!(*a, format!("{sign}{hours:02}:{m:02}:{s:02}.{us:06}"));
        }
        other => panic!("column {column}: {other:?}"),
    }
}

#[tokio::test]
async fn both_decoders_agree_row_by_row() {
    let mut conn = connect().await;
    schema(&mut conn, "binlog_library").await;
    conn.query_drop(
        "CREATE TABLE t (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, a INT, b SMALLINT UNSIGNED, c SMALLINT, \
         d DECIMAL(20,6), e DOUBLE, f FLOAT, g VARCHAR(60), h TEXT, i VARBINARY(20), j DATE, k DATETIME(6), \
         l TIME(6), m BIT(12), n CHAR(10), o LONGBLOB)",
    )
    .await
    .unwrap();
    let from = end(&mut conn).await;
    conn.query_drop("SET @seed = 7").await.unwrap();
    conn.query_drop(
        "INSERT INTO t (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o) \
         SELECT IF(seq % 5 = 0, NULL, 2147483647 - seq * 997), seq % 65536, CAST(seq AS INT) - 2500, \
         (CAST(seq AS INT) - 2500) * 1234567.654321, (CAST(seq AS INT) - 2500) / 3, seq / 8, \
         IF(seq % 7 = 0, NULL, REPEAT('ü', seq % 60)), REPEAT('t', seq % 300), UNHEX(SHA1(seq)), \
         '1900-01-01' + INTERVAL seq * 13 DAY, '1970-01-01' + INTERVAL seq * 99999999 MICROSECOND, \
         SEC_TO_TIME((CAST(seq AS INT) - 2500) * 1201.123456), seq % 4096, IF(seq % 3 = 0, NULL, 'x'), REPEAT(CHAR(200), seq % 500) \
         FROM seq_1_to_5000",
    )
    .await
    .unwrap();
    conn.query_drop("UPDATE t SET a = IFNULL(a, 0) + 1, g = NULL WHERE id % 3 = 0").await.unwrap();
    conn.query_drop("DELETE FROM t WHERE id % 4 = 1").await.unwrap();

    let raw = events(&from).await;
    let columns: Vec<String> =
        std::iter::once("id".to_owned()).chain(('a'..='o').map(String::from)).collect();
    let ours = changes(&raw, "binlog_library", "t", &columns);
    let mut maps: HashMap<u64, TableMapEvent<'static>> = HashMap::new();
    let mut theirs: Vec<(Option<BinlogRow>, Option<BinlogRow>)> = Vec::new();
    for event in &raw {
        match event.event.read_data().unwrap() {
            Some(EventData::TableMapEvent(map)) => {
                maps.insert(map.table_id(), map.into_owned());
            }
            Some(EventData::RowsEvent(rows))
                if maps[&rows.table_id()].database_name() == "binlog_library" =>
            {
                let is_ours = matches!(
                    rows,
                    RowsEventData::WriteRowsEventV1(_)
                        | RowsEventData::UpdateRowsEventV1(_)
                        | RowsEventData::DeleteRowsEventV1(_)
                );
                assert!(is_ours);
                theirs.extend(rows.rows(&maps[&rows.table_id()]).map(Result::unwrap));
            }
            _ => {}
        }
    }
    assert_eq!(ours.len(), 5000 + 1666 + 1250);
    assert_eq!(ours.len(), theirs.len());
    let check = |ours: &Option<Vec<Cell>>, theirs: &Option<BinlogRow>| {
        assert_eq!(ours.is_some(), theirs.is_some());
        let (Some(ours), Some(theirs)) = (ours, theirs) else { return };
        assert_eq!(ours.len(), theirs.len());
        for (i, cell) in ours.iter().enumerate() {
            same(cell, theirs.as_ref(i).unwrap(), i);
        }
    };
    for (RowChange { op, before, after }, (theirs_before, theirs_after)) in ours.iter().zip(&theirs) {
        check(before, theirs_before);
        check(after, theirs_after);
        assert_eq!(*op == Op::Update, before.is_some() && after.is_some());
    }
    conn.query_drop("DROP DATABASE binlog_library").await.unwrap();
}

#[tokio::test]
async fn every_collation_of_the_server_has_its_character_set() {
    let mut conn = connect().await;
    let rows: Vec<(u16, String)> = conn
        .query("SELECT id, character_set_name FROM information_schema.collation_character_set_applicability")
        .await
        .unwrap();
    assert!(rows.len() > 300);
    for (id, name) in rows {
        let found = Charset::of_collation(id);
        let right = match name.as_str() {
            "utf8mb3" | "utf8mb4" => found == Charset::Utf8,
            "latin1" => found == Charset::Latin1,
            "ascii" => found == Charset::Ascii,
            "binary" => found == Charset::Binary,
            _ => found == Charset::Other(id),
        };
        assert!(right, "collation {id} of {name} is taken for {found:?}");
    }
}

#[tokio::test]
async fn a_character_set_that_we_do_not_decode_is_refused_where_it_is_needed() {
    let mut conn = connect().await;
    schema(&mut conn, "binlog_gbk").await;
    conn.query_drop("CREATE TABLE t (id INT, g VARCHAR(10) CHARACTER SET gbk)").await.unwrap();
    let from = end(&mut conn).await;
    conn.query_drop("INSERT INTO t VALUES (1, '中')").await.unwrap();
    let raw = events(&from).await;
    let mut projection = None;
    for event in &raw {
        match Event::parse(Flavour::MariaDb, &event.header, &event.body).unwrap() {
            Event::TableMap(body) => {
                let map = binlog::TableMap::parse(body).unwrap();
                let names = ["id".to_owned(), "g".to_owned()];
                let all = binlog::Wanted { published: &names, ..Default::default() };
                let some = binlog::Wanted { published: &names[..1], read: &names, ..Default::default() };
                projection = Some((
                    binlog::Projection::new(map.clone(), all).unwrap(),
                    binlog::Projection::new(map, some).unwrap(),
                ));
            }
            Event::Rows(rows) => {
                let (all, some) = projection.as_ref().unwrap();
                let error = all.changes(&rows, &mut Vec::new()).unwrap_err().to_string();
                assert!(error.contains("`g`") && error.contains("28"), "{error}");
                assert_eq!(
                    some.changes(&rows, &mut Vec::new()).unwrap().rows,
                    1,
                    "comparing needs no decoding"
                );
            }
            _ => {}
        }
    }
    conn.query_drop("DROP DATABASE binlog_gbk").await.unwrap();
}

#[tokio::test]
async fn transactions_and_statements_are_told_apart() {
    let server = testkit::servers::Mariadb::start(&[]).await.unwrap();
    let mut conn = connect_to(&server).await;
    schema(&mut conn, "binlog_groups").await;
    conn.query_drop("CREATE TABLE t (a INT) ENGINE=InnoDB; CREATE TABLE m (a INT) ENGINE=MyISAM")
        .await
        .unwrap();
    let from = end(&mut conn).await;
    for sql in [
        "INSERT INTO t VALUES (1)",
        "INSERT INTO m VALUES (1)",
        "CREATE TABLE c SELECT * FROM t",
        "DROP TABLE c",
        "XA START 'x'; INSERT INTO t VALUES (2); XA END 'x'; XA PREPARE 'x'",
        "XA COMMIT 'x'",
    ] {
        conn.query_drop(sql).await.unwrap();
    }
    let mut groups: Vec<(bool, String)> = Vec::new();
    for raw in events_of(&server, &from).await {
        let mut tell = |what: &str| {
            if let Some((_, story)) = groups.last_mut() {
                story.push_str(what);
            }
        };
        match Event::parse(Flavour::MariaDb, &raw.header, &raw.body).unwrap() {
            Event::Gtid(gtid) => {
                let xa = if gtid.xa_prepare { "P" } else { "" }.to_owned();
                groups.push((gtid.standalone, xa + if gtid.xa_end { "E" } else { "" }));
            }
            Event::Rows(_) => tell("r"),
            Event::Xid => tell("x"),
            Event::XaPrepare => tell("p"),
            Event::Query(query) => tell(match binlog::Statement::of(&query.sql) {
                binlog::Statement::End => "c",
                binlog::Statement::Xa => "a",
                binlog::Statement::Ddl => "d",
                _ => "?",
            }),
            _ => {}
        }
    }
    let found: Vec<String> =
        groups.iter().map(|(standalone, s)| format!("{s}{}", if *standalone { "!" } else { "" })).collect();
    // An XA transaction's rows come with its PREPARE, and its end is a group of its own.
    assert_eq!(found, ["rx", "rc", "drx", "d!", "Prap", "Ea!"], "the shape that the reader relies on");
}
