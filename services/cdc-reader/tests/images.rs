//! Whole images for others: exact, complete, in order, and nothing of them where nobody reads.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::atomic::Ordering::Relaxed;

use base64::Engine;
use bus::Record;
use common::Rig;
use serde_json::{Value, json};
use testkit::servers::Mariadb;
use testkit::types::TYPES;

/// A plan that reads `id` and `name`, and writes `extra`.
async fn users(name: &str) -> Rig {
    users_on(Rig::new(name).await).await
}

async fn users_on(mut rig: Rig) -> Rig {
    rig.exec(
        "CREATE TABLE users (id BIGINT UNSIGNED PRIMARY KEY, name VARCHAR(40), other INT, twice INT AS (other * 2) STORED, \
         extra VARCHAR(40))",
    )
    .await;
    rig.files = vec![
        ("plan.yaml", "version: 1\npublish: rows\n".into()),
        ("users.yaml", "table: users\ncolumns: { extra: users.name }\n".into()),
    ];
    rig
}

fn records(rig: &Rig) -> Vec<Record> {
    rig.bus.images.lock().unwrap().clone()
}

fn parse(record: &Record) -> Value {
    record.payload.as_ref().map_or(Value::Null, |p| serde_json::from_slice(p).unwrap())
}

/// Operation, key, and the column `other` of both images.
fn told(record: &Record) -> String {
    let (key, event) = (String::from_utf8_lossy(record.key.as_ref().unwrap()), parse(record));
    match event["op"].as_str() {
        None => format!("{key} is gone"),
        Some(op) => format!("{op} {key} {} {}", event["before"]["other"], event["after"]["other"]),
    }
}

/// What others get of a row, and what the server shows of it, in one form.
enum Shown {
    Number,
    Real,
    Bits,
    Hex,
    Plain,
    /// Behind it stands `Z`, and `T` where the server has a space.
    Iso,
}

fn shown(kind: &str) -> Option<Shown> {
    Some(match kind.split(['(', ' ']).next().unwrap() {
        "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" | "BOOLEAN" | "YEAR" => Shown::Number,
        "FLOAT" | "DOUBLE" => Shown::Real,
        "BIT" => Shown::Bits,
        "BINARY" | "VARBINARY" | "TINYBLOB" | "BLOB" | "LONGBLOB" => Shown::Hex,
        "DATE" | "TIME" | "DATETIME" | "TIMESTAMP" => Shown::Iso,
        "GEOMETRY" | "INET6" => return None,
        _ => Shown::Plain,
    })
}

fn select(i: usize, shown: &Shown) -> String {
    match shown {
        Shown::Real => format!("CAST(CAST(c{i} AS DOUBLE) AS CHAR)"),
        Shown::Bits => format!("CAST(c{i} + 0 AS CHAR)"),
        Shown::Hex => format!("HEX(c{i})"),
        _ => format!("CAST(c{i} AS CHAR)"),
    }
}

#[track_caller]
fn same(kind: &str, shown: &Shown, value: &Value, server: Option<&str>) {
    let Some(server) = server else {
        assert_eq!(*value, Value::Null, "{kind}");
        return;
    };
    let bytes = || base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap()).unwrap();
    let found = match shown {
        Shown::Number => {
            assert!(value.is_number(), "{kind}: {value}");
            let (digits, wanted) = (value.to_string(), server.trim_start_matches('0'));
            assert_eq!(digits, if wanted.is_empty() { "0" } else { wanted }, "{kind}");
            return;
        }
        Shown::Real => {
            let (found, wanted) = (value.as_f64().unwrap(), server.parse::<f64>().unwrap());
            let found = if kind.starts_with("FLOAT") { f64::from(found as f32) } else { found };
            assert_eq!(found, wanted, "{kind}: {value}");
            return;
        }
        Shown::Bits => match value {
            Value::Bool(bit) => u64::from(*bit).to_string(),
            _ => bytes().iter().rev().fold(0_u64, |n, byte| n << 8 | u64::from(*byte)).to_string(),
        },
        Shown::Hex => bytes().iter().map(|b| format!("{b:02X}")).collect(),
        Shown::Iso => value.as_str().unwrap().strip_suffix('Z').unwrap().replace('T', " "),
        Shown::Plain => value.as_str().unwrap().to_owned(),
    };
    assert!(found == server, "{kind}: others get {found:?}, the server shows {server:?}");
}

#[tokio::test]
async fn every_type_is_told_exactly_in_both_images() {
    let mut rig = Rig::new("image_types").await;
    let types: Vec<(usize, &str, &[&str], Shown)> = TYPES
        .iter()
        .enumerate()
        .filter_map(|(i, (kind, literals))| Some((i, *kind, *literals, shown(kind)?)))
        .collect();
    let columns: Vec<String> = types.iter().map(|(i, kind, ..)| format!("c{i} {kind}")).collect();
    rig.exec("SET sql_mode = ''").await;
    rig.exec(&format!(
        "CREATE TABLE t (id INT PRIMARY KEY, sum BIGINT AS (id + 1) VIRTUAL, kept BIGINT AS (id + 2) STORED, extra INT, {})",
        columns.join(", ")
    ))
    .await;
    rig.files = vec![
        ("plan.yaml", "version: 1\npublish: rows\n".into()),
        ("t.yaml", "table: t\ncolumns: { extra: t.id }\n".into()),
    ];
    let reader = rig.start().await;
    let rounds = types.iter().map(|(_, _, literals, _)| literals.len()).max().unwrap() + 1;
    let cells: Vec<String> = types.iter().map(|(i, _, _, shown)| select(*i, shown)).collect();
    let mut oracle: Vec<Vec<Option<String>>> = Vec::new();
    for round in 0..rounds {
        let set = types.iter().map(|(i, _, literals, _)| {
            let literal = literals.get(round % (literals.len() + 1)).copied().unwrap_or("NULL");
            format!("c{i} = {literal}")
        });
        let set = set.collect::<Vec<_>>().join(", ");
        match round {
            0 => rig.exec(&format!("INSERT INTO t SET id = 1, {set}")).await,
            _ => rig.exec(&format!("UPDATE t SET {set}")).await,
        }
        let row = rig.sql.row(&format!("SELECT {} FROM t", cells.join(", "))).await.unwrap().unwrap();
        oracle.push((0..types.len()).map(|i| row.text(i).unwrap().map(str::to_owned)).collect());
    }
    rig.exec("DELETE FROM t").await;
    rig.fence().await;

    let records = records(&rig);
    let events: Vec<Value> = records.iter().map(parse).collect();
    assert_eq!(events.len(), rounds + 2, "one a change, and a tombstone");
    assert!(records.iter().all(|r| r.key.as_deref() == Some(br#"{"id":1}"#)));
    let check = |image: &Value, wanted: &[Option<String>]| {
        let names: Vec<&String> = image.as_object().unwrap().keys().collect();
        assert_eq!(names.len(), types.len() + 2, "id, extra, and no generated column: {names:?}");
        for ((i, kind, _, shown), wanted) in types.iter().zip(wanted) {
            same(kind, shown, &image[format!("c{i}")], wanted.as_deref());
        }
    };
    for (i, event) in events.iter().take(rounds + 1).enumerate() {
        let op = if i == 0 {
            "c"
        } else if i == rounds {
            "d"
        } else {
            "u"
        };
        assert_eq!(event["op"], op);
        match i {
            0 => assert_eq!(event["before"], Value::Null),
            _ => check(&event["before"], &oracle[i - 1]),
        }
        match i == rounds {
            true => assert_eq!(event["after"], Value::Null),
            false => check(&event["after"], &oracle[i]),
        }
    }
    assert!(records[rounds + 1].payload.is_none());
    reader.end().await;
}

#[tokio::test]
async fn others_hear_of_every_change_and_the_mapper_of_no_echo() {
    let mut rig = users("image_echo").await;
    let reader = rig.start().await;
    rig.exec("INSERT INTO users (id, name, other) VALUES (18446744073709551615, 'a', 1), (2, 'b', 2)").await;
    rig.exec("UPDATE users SET other = 3 WHERE id = 2").await;
    rig.exec("UPDATE users SET extra = 'ours' WHERE id = 2").await;
    rig.exec("UPDATE users SET id = 4 WHERE id = 2").await;
    rig.exec("DELETE FROM users WHERE id = 4").await;
    rig.fence().await;
    let mut story = rig.bus.story("users");
    story.sort();
    assert_eq!(story, ["delete 4", "insert 18446744073709551615", "insert 2", "update 2 -> 4"]);
    let all = records(&rig);
    let of = |id: &str| -> Vec<String> {
        all.iter().map(told).filter(|t| t.contains(&format!("{{\"id\":{id}}}"))).collect()
    };
    assert_eq!(of("18446744073709551615"), [r#"c {"id":18446744073709551615} null 1"#]);
    assert_eq!(
        of("2"),
        [
            r#"c {"id":2} null 2"#,
            r#"u {"id":2} 2 3"#,
            r#"u {"id":2} 3 3"#,
            r#"d {"id":2} 3 null"#,
            r#"{"id":2} is gone"#
        ]
    );
    assert_eq!(of("4"), [r#"c {"id":4} null 3"#, r#"d {"id":4} 3 null"#, r#"{"id":4} is gone"#]);
    assert_eq!(parse(&all[1])["after"], json!({"id": 2, "name": "b", "other": 2, "extra": null}));
    let mut partitions: Vec<(&[u8], u32)> =
        all.iter().map(|r| (r.key.as_deref().unwrap(), r.partition)).collect();
    partitions.sort_unstable();
    partitions.dedup();
    assert_eq!(partitions.len(), 3, "a key keeps its partition: {partitions:?}");
    assert_eq!(reader.now(&mut rig).await.published_images, 9);
    reader.end().await;
}

/// Also where the change is none for the mapper, so that only others hear of it.
#[tokio::test]
async fn what_others_are_told_can_be_seen() {
    let server = Mariadb::start(&["--sync-binlog=0"]).await.unwrap();
    let mut rig = users_on(Rig::on(&server, "image_visible").await).await;
    rig.exec("INSERT INTO users (id, other) VALUES (0, -1), (1, -1), (2, -1), (3, -1)").await;
    let (reader, seen) =
        rig.watched_writes(300, |w, i| format!("UPDATE users SET other = {i} WHERE id = {w}")).await;
    assert_eq!(seen, (1200, 0));
    assert_eq!((rig.bus.story("users").len(), reader.now(&mut rig).await.published_images), (0, 1200));
    reader.end().await;
}

#[tokio::test]
async fn an_event_says_where_it_comes_from() {
    let mut rig = users("image_source").await;
    let reader = rig.start().await;
    rig.exec("BEGIN; INSERT INTO users (id) VALUES (1), (2); UPDATE users SET other = id; COMMIT").await;
    let gtid = rig.sql.row("SELECT @@last_gtid, @@server_id, UNIX_TIMESTAMP()").await.unwrap().unwrap();
    rig.fence().await;
    let events: Vec<Value> = records(&rig).iter().map(parse).collect();
    let rows: Vec<u64> = events.iter().map(|e| e["source"]["row"].as_u64().unwrap()).collect();
    assert_eq!(rows, [0, 1, 2, 3]);
    for event in &events {
        let source = &event["source"];
        assert_eq!(source["gtid"], gtid.text(0).unwrap().unwrap());
        assert_eq!(source["server_id"], gtid.u64(1).unwrap().unwrap());
        let age = gtid.u64(2).unwrap().unwrap() * 1000 - source["ts_ms"].as_u64().unwrap();
        assert!(age < 20_000 && event["ts_ms"].as_u64() >= source["ts_ms"].as_u64(), "{event}");
        assert_eq!((&source["connector"], &source["name"]), (&json!("mariadb"), &json!("test")));
        assert_eq!((&source["db"], &source["table"]), (&json!(rig.database.schema()), &json!("users")));
        assert_eq!(source["epoch"], reader.now(&mut rig).await.epoch);
    }
    reader.end().await;
}

#[tokio::test]
async fn an_emptied_table_is_told_in_every_partition() {
    let mut rig = users("image_truncate").await;
    rig.exec("INSERT INTO users (id) VALUES (1), (2)").await;
    let reader = rig.start().await;
    rig.exec("TRUNCATE TABLE users").await;
    rig.exec("ALTER TABLE users ENGINE=InnoDB").await;
    rig.fence().await;
    let all = records(&rig);
    let partitions: Vec<u32> = all.iter().map(|r| r.partition).collect();
    assert_eq!(partitions, [0, 1, 2, 3], "and a rebuild empties nothing");
    for record in &all {
        let event = parse(record);
        assert_eq!((record.key.as_deref(), &event["op"]), (Some(&b"null"[..]), &json!("t")));
        assert_eq!((&event["before"], &event["after"]), (&Value::Null, &Value::Null));
    }
    assert_eq!(rig.bus.story("users"), ["truncate", "truncate"], "the mapper takes no risk with a rebuild");
    reader.end().await;
}

#[tokio::test]
async fn whole_images_never_pass_each_other() {
    let mut rig = users("image_order").await;
    rig.settings.batch_rows = 1;
    let reader = rig.start().await;
    rig.exec("INSERT INTO users (id, other) VALUES (1, 0)").await;
    rig.fence().await;
    rig.bus.failures.store(3, Relaxed);
    for n in 1..=40 {
        rig.exec(&format!("UPDATE users SET other = {n}")).await;
    }
    rig.fence().await;
    assert_eq!(rig.bus.failures.load(Relaxed), 0);
    let values: Vec<u64> =
        records(&rig).iter().map(|r| parse(r)["after"]["other"].as_u64().unwrap()).collect();
    assert_eq!(values, (0..=40).collect::<Vec<_>>());
    reader.end().await;
}

#[tokio::test]
async fn memory_is_bounded_by_bytes_here_too() {
    let mut rig = users("image_bytes").await;
    rig.settings.batch_bytes = 256 << 10;
    let reader = rig.start().await;
    rig.exec("INSERT INTO users (id, name, other) SELECT seq, REPEAT('n', 40), seq FROM seq_1_to_20000")
        .await;
    rig.fence().await;
    assert_eq!(records(&rig).len(), 20_000);
    let status = reader.now(&mut rig).await;
    assert!(status.largest_batch < 300 << 10, "{status:?}");
    assert!(status.barriers > 10, "{status:?}");
    reader.end().await;
}

#[tokio::test]
async fn nobody_listens_to_a_bus_in_memory() {
    let mut rig = users("image_alone").await;
    rig.bus.alone.store(true, Relaxed);
    let reader = rig.start().await;
    rig.exec("INSERT INTO users (id, name) VALUES (1, 'a')").await;
    rig.exec("UPDATE users SET other = 3").await;
    rig.fence().await;
    assert_eq!(rig.bus.story("users"), ["insert 1"]);
    assert_eq!(records(&rig).len(), 0);
    reader.end().await;
}

#[tokio::test]
async fn columns_may_come_and_go_but_not_change_their_type() {
    let mut rig = users("image_ddl").await;
    let reader = rig.start().await;
    rig.exec("ALTER TABLE users ADD COLUMN later INT").await;
    rig.exec("INSERT INTO users (id, later) VALUES (1, 7)").await;
    rig.fence().await;
    let image = parse(&records(&rig)[0])["after"].clone();
    assert_eq!(image, json!({"id": 1, "name": null, "other": null, "extra": null}));
    rig.exec("ALTER TABLE users DROP COLUMN twice, DROP COLUMN other").await;
    rig.exec("UPDATE users SET extra = 'x'").await;
    rig.fence().await;
    let event = parse(&records(&rig)[1]);
    assert_eq!(event["before"], json!({"id": 1, "name": null, "extra": null}));
    assert_eq!(event["after"], json!({"id": 1, "name": null, "extra": "x"}));
    // The plan writes `extra` and reads it nowhere; others read it.
    rig.exec("ALTER TABLE users MODIFY extra VARBINARY(40)").await;
    let error = reader.error().await;
    assert_eq!(error.code(), "SCHEMA_CHANGED");
    assert!(error.to_string().contains("column `extra`"), "{error}");
}
