//! Every column type, in both images: the server's own answer to SELECT is the oracle.

#![allow(clippy::unwrap_used)]

mod common;

use change::{Cell, Op};
use common::{changes, connect, end, events, schema};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value};
use testkit::types::TYPES;

/// Types whose bytes in the binlog are not what SELECT shows; they are compared below in another form.
fn select(i: usize) -> String {
    match TYPES[i].0 {
        "UUID" | "INET6" => format!("CAST(c{i} AS BINARY(16))"),
        _ => format!("c{i}"),
    }
}

async fn table(conn: &mut Conn, name: &str) {
    let columns: Vec<String> = TYPES.iter().enumerate().map(|(i, (t, _))| format!("c{i} {t}")).collect();
    conn.query_drop(format!(
        "CREATE TABLE {name} (id INT PRIMARY KEY, sum BIGINT AS (id + 1) VIRTUAL, kept BIGINT AS (id + 2) STORED, {}) \
         ENGINE=InnoDB ROW_FORMAT=DYNAMIC",
        columns.join(", ")
    ))
    .await
    .unwrap();
}

async fn selected(conn: &mut Conn, table: &str) -> Vec<Row> {
    let columns: Vec<String> = (0..TYPES.len()).map(select).collect();
    conn.query(format!("SELECT {} FROM {table} ORDER BY id", columns.join(", "))).await.unwrap()
}

fn literal(i: usize, round: usize) -> &'static str {
    let literals = TYPES[i].1;
    literals.get(round % (literals.len() + 1)).copied().unwrap_or("NULL")
}

#[track_caller]
fn same(cell: &Cell, value: &Value, kind: &str) {
    let expected: Option<&[u8]> = match value {
        Value::NULL => None,
        Value::Bytes(b) => Some(b),
        other => panic!("{other:?} in the text protocol"),
    };
    let found: Option<Vec<u8>> = match cell {
        Cell::Null => None,
        Cell::Int(v) => Some(v.to_string().into_bytes()),
        Cell::UInt(v) if kind.contains("ZEROFILL") => Some(format!("{v:010}").into_bytes()),
        Cell::UInt(v) => Some(v.to_string().into_bytes()),
        Cell::Double(v) => {
            let text: f64 = std::str::from_utf8(expected.unwrap()).unwrap().parse().unwrap();
            assert_eq!(*v, text, "{kind}");
            return;
        }
        Cell::Text(v) => Some(v.clone().into_bytes()),
        Cell::Bytes(v) => Some(v.clone()),
    };
    let show = |b: Option<&[u8]>| b.map(|b| String::from_utf8_lossy(&b[..b.len().min(80)]).into_owned());
    assert!(
        found.as_deref() == expected,
        "{kind}: the binlog says {:?}, the server {:?}",
        show(found.as_deref()),
        show(expected)
    );
}

#[tokio::test]
async fn every_type_reads_as_the_server_prints_it_in_both_images() {
    let mut conn = connect().await;
    schema(&mut conn, "reader_types").await;
    table(&mut conn, "t").await;
    let from = end(&mut conn).await;
    let rounds = TYPES.iter().map(|(_, l)| l.len()).max().unwrap() + 1;
    let mut oracle = Vec::new();
    for round in 0..rounds {
        let pairs: Vec<String> = (0..TYPES.len()).map(|i| format!("c{i} = {}", literal(i, round))).collect();
        let statement = match round {
            0 => format!("INSERT INTO t SET id = 1, {}", pairs.join(", ")),
            _ => format!("UPDATE t SET {}", pairs.join(", ")),
        };
        conn.query_drop(statement).await.unwrap();
        oracle.push(selected(&mut conn, "t").await.remove(0));
    }
    conn.query_drop("DELETE FROM t").await.unwrap();

    // Generated columns are not always in the images; these are stepped over where they are.
    let columns: Vec<String> = (0..TYPES.len()).map(|i| format!("c{i}")).collect();
    let found = changes(&events(&from).await, "reader_types", "t", &columns);
    assert_eq!(found.len(), rounds + 1);
    let check = |cells: &Option<Vec<Cell>>, row: &Row| {
        let cells = cells.as_ref().unwrap();
        assert_eq!(cells.len(), TYPES.len());
        for (i, (kind, _)) in TYPES.iter().enumerate() {
            same(&cells[i], row.as_ref(i).unwrap(), kind);
        }
    };
    for (i, change) in found.iter().enumerate() {
        let op = if i == 0 {
            Op::Insert
        } else if i == rounds {
            Op::Delete
        } else {
            Op::Update
        };
        assert_eq!(change.op, op);
        if i > 0 {
            check(&change.before, &oracle[i - 1]);
        }
        if i < rounds {
            check(&change.after, &oracle[i]);
        }
    }
    conn.query_drop("DROP DATABASE reader_types").await.unwrap();
}
