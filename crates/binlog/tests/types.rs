//! Every column type, in both images: the server's own answer to SELECT is the oracle.

#![allow(clippy::unwrap_used)]

mod common;

use change::{Cell, Op};
use common::{changes, connect, end, events, schema};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value};

/// (type, literals): each literal is inserted, and then replaces the one before it.
const TYPES: &[(&str, &[&str])] = &[
    ("TINYINT", &["-128", "127", "-1"]),
    ("TINYINT UNSIGNED", &["0", "255", "128"]),
    ("SMALLINT", &["-32768", "32767"]),
    ("SMALLINT UNSIGNED", &["65535", "32768"]),
    ("MEDIUMINT", &["-8388608", "8388607", "-1"]),
    ("MEDIUMINT UNSIGNED", &["16777215", "8388608"]),
    ("INT", &["-2147483648", "2147483647"]),
    ("INT UNSIGNED ZEROFILL", &["4294967295", "4294967294"]),
    ("YEAR", &["0", "1901", "2155", "2024"]),
    ("BIGINT", &["-9223372036854775808", "9223372036854775807"]),
    ("BIGINT UNSIGNED", &["18446744073709551615", "9223372036854775808", "0"]),
    ("BOOLEAN", &["TRUE", "FALSE"]),
    ("FLOAT", &["0.5", "-1.25e5", "0"]),
    ("DOUBLE", &["0.1", "-1.7976931348623157e308", "5e-324"]),
    ("DECIMAL(10,0)", &["-9999999999", "7", "0"]),
    ("DECIMAL(38,10)", &["-1234567890123456789012345678.0123456789", "0.0000000001", "-0.5"]),
    ("DECIMAL(65,30)", &["99999999999999999999999999999999999.999999999999999999999999999999", "-1"]),
    ("DECIMAL(9,9)", &["0.123456789", "-0.000000001"]),
    ("DECIMAL(2,1) UNSIGNED", &["9.9", "0"]),
    ("DATE", &["'0000-00-00'", "'2024-00-15'", "'9999-12-31'", "'1000-01-01'"]),
    ("TIME", &["'-838:59:59'", "'838:59:59'", "'00:00:00'", "'-00:00:01'"]),
    ("TIME(1)", &["'-12:34:56.7'", "'-00:00:00.1'", "'12:34:56.7'"]),
    ("TIME(2)", &["'-12:34:56.78'", "'-00:00:00.01'", "'838:59:59.99'"]),
    ("TIME(3)", &["'-12:34:56.789'", "'-00:00:00.001'"]),
    ("TIME(4)", &["'-12:34:56.7891'", "'00:00:00.0001'"]),
    ("TIME(5)", &["'-12:34:56.78912'", "'-838:59:59.99999'"]),
    ("TIME(6)", &["'-12:34:56.789123'", "'-00:00:00.000001'", "'838:59:59.999999'"]),
    ("DATETIME", &["'0000-00-00 00:00:00'", "'2024-02-00 23:59:59'", "'9999-12-31 23:59:59'"]),
    ("DATETIME(1)", &["'2024-02-03 04:05:06.7'", "'1000-01-01 00:00:00.1'"]),
    ("DATETIME(3)", &["'2024-02-03 04:05:06.007'", "'2024-02-03 04:05:06.700'"]),
    ("DATETIME(6)", &["'2024-02-03 04:05:06.000007'", "'9999-12-31 23:59:59.999999'"]),
    ("TIMESTAMP NULL", &["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "0", "'2000-02-29 12:00:00'"]),
    ("TIMESTAMP(2) NULL", &["'2024-02-29 23:59:59.07'", "0", "'1970-01-01 00:00:00.5'"]),
    ("TIMESTAMP(5) NULL", &["'2024-12-31 23:59:59.00007'"]),
    ("TIMESTAMP(6) NULL", &["'1999-12-31 23:59:59.999999'", "'2024-03-01 00:00:00.000001'"]),
    ("BIT(1)", &["1", "0"]),
    ("BIT(17)", &["0x1ffff", "256"]),
    ("BIT(64)", &["0xffffffffffffffff", "1"]),
    ("BINARY(16)", &["x'11000000000000000000000000000000'", "x'00'", "x'ffffffffffffffffffffffffffffff00'"]),
    ("VARBINARY(300)", &["''", "x'00'", "x'ff00'"]),
    ("UUID", &["'123e4567-e89b-12d3-a456-426655440000'", "'0190d6a5-7c1e-7000-8000-000000000000'"]),
    ("INET6", &["'::'", "'2001:db8::ff00:42:8329'"]),
    ("CHAR(5)", &["'a'", "'żółć '", "''", "'😀😀😀😀😀'"]),
    ("CHAR(255)", &["REPEAT('😀', 255)", "'x'"]),
    ("CHAR(36) CHARACTER SET ascii", &["'REQ-1'", "''"]),
    ("CHAR(200) CHARACTER SET utf8mb3", &["REPEAT('ż', 200)", "'é'"]),
    ("VARCHAR(36)", &["'trailing  '", "'naïve'"]),
    ("VARCHAR(300) CHARACTER SET latin1", &["'é € ÿ'", "CHAR(0x81,0x8d,0x9d USING latin1)"]),
    ("VARCHAR(64) CHARACTER SET utf8mb4 COLLATE uca1400_ai_ci", &["'😀'", "'b'"]),
    ("VARCHAR(64) CHARACTER SET latin1 COLLATE latin1_nopad_bin", &["'ä'", "'b'"]),
    ("TINYTEXT", &["'t'", "REPEAT('t', 255)"]),
    ("TEXT CHARACTER SET latin1", &["'ü'", "''"]),
    ("MEDIUMTEXT", &["REPEAT('ü', 70000)", "'m'"]),
    ("LONGTEXT", &["'l'", "REPEAT('l', 100)"]),
    ("JSON", &["'{\"a\": [1, null]}'", "'null'"]),
    ("TINYBLOB", &["x'00ff'", "''"]),
    ("BLOB", &["x'00ff'", "REPEAT(x'80', 1000)"]),
    ("LONGBLOB", &["x'00ff'", "''"]),
    ("ENUM('a','b,c','d''e','żółć')", &["'b,c'", "'żółć'", "'d''e'", "0"]),
    ("ENUM('é','ü') CHARACTER SET latin1", &["'é'", "'ü'"]),
    ("SET('x','y','z','ń')", &["'x,ń'", "''", "'x,y,z,ń'"]),
    ("SET('é','q') CHARACTER SET latin1", &["'é'", "'é,q'"]),
    ("GEOMETRY", &["ST_GeomFromText('POINT(1 2)')", "ST_GeomFromText('LINESTRING(0 0, 1 1)', 4326)"]),
    ("INT INVISIBLE", &["5", "6"]),
];

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
