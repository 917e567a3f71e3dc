//! What the reader decodes is compared with what a session reads, on samples; a column on which they disagree stops it.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use cdc_reader::ReaderError;
use common::Rig;
use mysql::control::{fidelity, sample};
use plan::checked::Checked;
use testkit::types::TYPES;

/// Makes the sample tables for the plan as it is now.
async fn ensure(rig: &mut Rig) -> Arc<Checked> {
    let plan = rig.context().await.plan;
    let mut session = rig.database.session().await.unwrap();
    let made = sample::ensure(&mut session, &rig.database, &plan).await;
    made.unwrap_or_else(|e| panic!("{e}: {}", e.server_message()));
    plan
}

async fn take(rig: &Rig, plan: &Checked, table: &str) -> bool {
    let mut session = rig.database.session().await.unwrap();
    let taken = sample::take(&mut session, &rig.database, plan, table).await;
    taken.unwrap_or_else(|e| panic!("{table}: {e}: {}", e.server_message()))
}

/// Columns that were compared, rows, and columns that disagree.
async fn compared(rig: &mut Rig, table: &str) -> (usize, u64, Vec<String>) {
    let all = fidelity::all(&mut rig.sql, &rig.database).await.unwrap();
    let of: Vec<_> = all.into_iter().filter(|c| c.table == table).collect();
    let differ = of.iter().filter(|c| c.differ > 0).map(|c| c.column.clone()).collect();
    (of.len(), of.iter().map(|c| c.rows).min().unwrap_or_default(), differ)
}

/// A column in the sample is what it is in the legacy table.
async fn same_columns(rig: &mut Rig, plan: &Checked, table: &str) {
    let control = rig.database.control().to_owned();
    let made = mysql::catalog::load(&mut rig.sql, &control).await.unwrap();
    let made = &made.tables[&sample::table(table)];
    for wanted in sample::columns(&plan.watched[table]) {
        let found = made.column(&wanted.name).unwrap();
        let shape = |c: &plan::catalog::Column| {
            (c.column_type.clone(), c.charset.clone(), c.collation.clone(), c.nullable)
        };
        assert_eq!(shape(found), shape(wanted), "{table}.{}", wanted.name);
    }
}

/// Every type that the binlog can tell exactly: as route columns, and in whole images.
#[tokio::test]
async fn every_type_agrees_in_routes_and_in_whole_images() {
    for whole in [false, true] {
        let mut rig = Rig::new(if whole { "fidelity_rows" } else { "fidelity_types" }).await;
        let told = |kind: &str| !matches!(kind, "GEOMETRY" | "INET6");
        let types: Vec<_> = TYPES.iter().enumerate().filter(|(_, (kind, _))| told(kind)).collect();
        let columns: Vec<String> = types.iter().map(|(i, (kind, _))| format!("c{i} {kind}")).collect();
        rig.exec("SET sql_mode = ''").await;
        rig.exec(&format!(
            "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, kept BIGINT AS (c0 + 2) STORED, extra INT, \
             d DECIMAL(8,2) ZEROFILL, sample INT, {})",
            columns.join(", ")
        ))
        .await;
        if whole {
            rig.files = vec![
                ("plan.yaml", "version: 1\npublish: rows\n".into()),
                ("t.yaml", "table: t\ncolumns: { extra: t.id }\n".into()),
            ];
        } else {
            let names = ["id", "kept", "d", "sample"].map(str::to_owned).into_iter();
            let names = names.chain(types.iter().map(|(i, _)| format!("c{i}")));
            let names: Vec<&'static str> = names.map(|n| &*n.leak()).collect();
            let names: &'static [&'static str] = names.leak();
            rig.watch("t", [names, names, &[]]);
        }
        let rounds = types.iter().map(|(_, (_, literals))| literals.len()).max().unwrap() + 1;
        for round in 0..rounds {
            let set = types.iter().map(|(i, (_, literals))| {
                let literal = literals.get(round % (literals.len() + 1)).copied().unwrap_or("NULL");
                format!("c{i} = {literal}")
            });
            let set = set.collect::<Vec<_>>().join(", ");
            rig.exec(&format!("INSERT INTO t SET d = {round}.5, sample = 7, {set}")).await;
        }
        let plan = ensure(&mut rig).await;
        same_columns(&mut rig, &plan, "t").await;
        let reader = rig.start().await;
        assert!(take(&rig, &plan, "t").await);
        rig.fence().await;
        let (found, rows, differ) = compared(&mut rig, "t").await;
        assert_eq!((found, differ), (sample::columns(&plan.watched["t"]).len(), vec![]));
        assert!(rows >= rounds as u64, "every row is at one of the ends: {rows}");
        let status = reader.now(&mut rig).await;
        assert_eq!((status.rows, status.echoes, status.direct_writes), (0, 0, 0), "a sample is no change");
        assert_eq!((status.published_rows, status.published_images), (0, 0));
        reader.end().await;
    }
}

/// Keys: how rows are picked depends on them.
#[tokio::test]
async fn every_kind_of_key_is_sampled_from_end_to_end() {
    const KEYS: [(&str, &str, &str); 12] = [
        ("k_big", "BIGINT UNSIGNED", "18446744073709551615 - seq"),
        ("k_int", "BIGINT", "CAST(seq AS SIGNED) * 1000 - 50000"),
        ("k_tiny", "TINYINT", "CAST(seq AS SIGNED) - 60"),
        ("k_utf8", "VARCHAR(30) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "CONCAT('ż', seq, ' ')"),
        ("k_latin", "VARCHAR(30) CHARACTER SET latin1 COLLATE latin1_swedish_ci", "CONCAT('é', seq)"),
        ("k_char", "CHAR(36) CHARACTER SET ascii COLLATE ascii_general_ci", "CONCAT('REQ-', seq)"),
        ("k_binary", "BINARY(16)", "UNHEX(CONCAT(MD5(seq)))"),
        ("k_varbinary", "VARBINARY(20)", "UNHEX(HEX(seq))"),
        ("k_decimal", "DECIMAL(20,4)", "CAST(seq AS SIGNED) / 8 - 5"),
        ("k_date", "DATE", "DATE '2024-01-01' + INTERVAL seq DAY"),
        ("k_datetime", "DATETIME(6)", "TIMESTAMP '2024-01-01 00:00:00.000001' + INTERVAL seq HOUR"),
        ("k_timestamp", "TIMESTAMP(6)", "TIMESTAMP '2024-01-01 00:00:00.5' + INTERVAL seq HOUR"),
    ];
    let mut rig = Rig::new("fidelity_keys").await;
    for (table, kind, value) in KEYS {
        rig.exec(&format!(
            "CREATE TABLE {table} (a {kind} NOT NULL, b VARCHAR(9) NOT NULL, PRIMARY KEY (a, b))"
        ))
        .await;
        rig.exec(&format!("INSERT INTO {table} SELECT {value}, '' FROM seq_1_to_100")).await;
        rig.watch(table, [&["a", "b"], &["a", "b"], &[]]);
    }
    rig.exec("CREATE TABLE k_none (a INT PRIMARY KEY)").await;
    rig.watch("k_none", [&["a"], &["a"], &[]]);
    let plan = ensure(&mut rig).await;
    let reader = rig.start().await;
    for table in plan.watched.keys() {
        assert!(take(&rig, &plan, table).await, "{table}");
    }
    rig.fence().await;
    for (table, ..) in KEYS {
        same_columns(&mut rig, &plan, table).await;
        let (found, rows, differ) = compared(&mut rig, table).await;
        assert_eq!((found, differ), (2, vec![]), "{table}");
        assert!((21..=50).contains(&rows), "both ends, and something between them: {table} {rows}");
        let samples = format!("{}.{}", rig.database.control(), sample::table(table));
        let reached = format!(
            "SELECT (SELECT COUNT(*) FROM {samples} WHERE a IN ((SELECT MIN(a) FROM {table}), (SELECT MAX(a) FROM {table})))"
        );
        assert!(rig.number(&reached).await >= 2, "{table}");
    }
    assert_eq!(compared(&mut rig, "k_none").await, (0, 0, vec![]), "an empty table");
    // What agrees goes.
    let mut session = rig.database.session().await.unwrap();
    sample::clear(&mut session, &rig.database, &plan, "k_big").await.unwrap();
    let left = format!("SELECT COUNT(*) FROM {}.fidelity_k_big", rig.database.control());
    assert_eq!(rig.number(&left).await, 0);
    reader.end().await;
}

async fn users(name: &str) -> (Rig, Arc<Checked>) {
    let mut rig = Rig::new(name).await;
    rig.exec("CREATE TABLE users (id BIGINT PRIMARY KEY, name VARCHAR(40), role INT, other INT)").await;
    rig.exec("INSERT INTO users VALUES (1, 'ann', 31337, 0), (2, 'bob', 31337, 0)").await;
    rig.watch("users", [&["id", "role"], &["id", "name", "role"], &[]]);
    let plan = ensure(&mut rig).await;
    rig.start().await.end().await;
    (rig, plan)
}

/// Behind the binlog's back.
async fn unseen(rig: &mut Rig, statement: &str) {
    let control = rig.database.control().to_owned();
    let statement = statement.replace("fidelity_", &format!("{control}.fidelity_"));
    rig.exec(&format!("SET sql_log_bin = 0; {statement}; SET sql_log_bin = 1")).await;
}

async fn refused(rig: &mut Rig) -> String {
    let error = cdc_reader::Reader::new(rig.context().await).run(Default::default());
    let error = tokio::time::timeout(common::LIMIT, error).await.expect("it goes on").unwrap_err();
    assert!(matches!(error, ReaderError::Fidelity { .. }), "{error}");
    assert_eq!(error.code(), "FIDELITY");
    error.to_string()
}

#[tokio::test]
async fn a_column_that_disagrees_is_refused_by_name_until_it_agrees() {
    let (mut rig, plan) = users("fidelity_no").await;
    let before = rig.saved().await;
    rig.exec("INSERT INTO users (id) VALUES (3)").await;
    assert!(take(&rig, &plan, "users").await);
    rig.exec("INSERT INTO users (id) VALUES (4)").await;
    unseen(&mut rig, "UPDATE fidelity_users SET role = role + 1 WHERE id = 2").await;
    for _ in 0..2 {
        let said = refused(&mut rig).await;
        assert!(said.contains("users, column `role`:"), "{said}");
        assert!(!said.contains("3133") && !said.contains("`id`"), "no values, no other column: {said}");
        assert!(!rig.bus.story("users").contains(&"insert 4".to_owned()), "nothing from the sample on");
        assert!(!rig.saved().await.reaches(&stored_end(&mut rig).await), "the position is before it");
        assert_eq!(compared(&mut rig, "users").await.2, ["role"]);
        assert!(!take(&rig, &plan, "users").await, "its rows stay for the next start");
    }
    assert!(rig.saved().await.reaches(&before));
    unseen(&mut rig, "UPDATE fidelity_users SET role = role - 1 WHERE id = 2").await;
    let reader = rig.start().await;
    rig.fence().await;
    assert!(rig.bus.story("users").contains(&"insert 4".to_owned()));
    assert_eq!(compared(&mut rig, "users").await.2, Vec::<String>::new());
    assert!(take(&rig, &plan, "users").await);
    reader.end().await;
}

async fn stored_end(rig: &mut Rig) -> change::Position {
    fidelity::disagreeing(&mut rig.sql, &rig.database).await.unwrap()[0].end().unwrap()
}

#[tokio::test]
async fn a_position_beyond_a_disagreement_does_not_forget_it() {
    let (mut rig, plan) = users("fidelity_past").await;
    assert!(take(&rig, &plan, "users").await);
    unseen(&mut rig, "UPDATE fidelity_users SET role = NULL").await;
    refused(&mut rig).await;
    // As at the first start of an in-process bus, when nothing is proved yet.
    rig.exec(&format!("UPDATE {}.reader SET position = NULL", rig.database.control())).await;
    for _ in 0..2 {
        refused(&mut rig).await;
    }
    // `crossfade recover`.
    sample::forget_all(&mut rig.sql, &rig.database).await.unwrap();
    let reader = rig.start().await;
    assert!(take(&rig, &plan, "users").await);
    rig.fence().await;
    let (found, rows, differ) = compared(&mut rig, "users").await;
    assert!(found == 2 && rows >= 4 && differ.is_empty(), "{found} {rows} {differ:?}");
    reader.end().await;
}

#[tokio::test]
async fn another_shape_begins_anew() {
    let (mut rig, plan) = users("fidelity_shape").await;
    assert!(take(&rig, &plan, "users").await);
    unseen(&mut rig, "UPDATE fidelity_users SET role = 5").await;
    refused(&mut rig).await;
    rig.exec("ALTER TABLE users MODIFY role BIGINT").await;
    let plan = ensure(&mut rig).await;
    assert_eq!(compared(&mut rig, "users").await, (0, 0, vec![]), "it says nothing about this shape");
    let reader = rig.start().await;
    assert!(take(&rig, &plan, "users").await);
    rig.fence().await;
    let (found, rows, differ) = compared(&mut rig, "users").await;
    assert!(found == 2 && rows >= 4 && differ.is_empty(), "{found} {rows} {differ:?}");
    reader.end().await;
}

/// Before a change of such a row ever comes.
#[tokio::test]
async fn a_column_that_is_not_decoded_is_refused_by_name() {
    for (name, kind, value) in [
        ("fidelity_ucs2", "VARCHAR(20) CHARACTER SET ucs2", "'abc'"),
        ("fidelity_inet6", "INET6", "'2001:db8::ff00:42:8329'"),
    ] {
        let mut rig = Rig::new(name).await;
        rig.exec(&format!("CREATE TABLE users (id BIGINT PRIMARY KEY, place {kind})")).await;
        rig.exec(&format!("INSERT INTO users VALUES (1, {value})")).await;
        rig.watch("users", [&["id", "place"], &["id", "place"], &[]]);
        let plan = ensure(&mut rig).await;
        rig.start().await.end().await;
        assert!(take(&rig, &plan, "users").await);
        let said = refused(&mut rig).await;
        assert!(said.contains("users, column `place`:"), "{said}");
        assert_eq!(compared(&mut rig, "users").await.2, ["place"]);
    }
}
