//! The set-wise SQL form of an id's derivation gives the same bytes as the `ids` crate.
#![allow(clippy::unwrap_used)]

mod common;

use change::Cell;
use common::database;
use ids::{KeyKind, Namespace, default_namespace, derive, sql_expression};
use plan::quote;
use proptest::prelude::*;

fn id_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9a-fA-F]{32}",
        "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
        "[0-9a-fA-F]{31}[ g\n]?",
        "[0-9a-fA-F]{32}[ \n]",
        "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{11}[-\n]",
        "REQ-[0-9]{4}-[0-9]{6}",
        "[ -~]{0,36}",
        "\\PC{0,36}",
    ]
}

/// Writes the ids into a table, so that the column's own type and character set take part, and compares the bytes.
async fn agree(column_type: &str, kind: KeyKind, ids: Vec<Cell>, schema: &str) {
    let database = database(schema).await;
    let mut session = database.session().await.unwrap();
    session.execute(&format!("CREATE TABLE t (n INT PRIMARY KEY, id {column_type})")).await.unwrap();
    let namespace = Namespace::of(default_namespace(), "things");
    for (at, chunk) in ids.chunks(500).enumerate() {
        let values: Vec<_> = chunk
            .iter()
            .enumerate()
            .map(|(i, c)| format!("({}, {})", at * 500 + i, quote::cell(c)))
            .collect();
        session.execute(&format!("INSERT INTO t VALUES {}", values.join(","))).await.unwrap();
    }
    let sql = sql_expression(namespace, kind, "t.`id`");
    let rows = session.rows(&format!("SELECT id, {sql} FROM t ORDER BY n")).await.unwrap();
    assert_eq!(rows.len(), ids.len());
    for (row, id) in rows.iter().zip(&ids) {
        // What a service would read is what is derived: a CHAR column gives back less than was written.
        let read = match kind {
            KeyKind::Integer => id.clone(),
            KeyKind::Text => Cell::Text(row.text(0).unwrap().unwrap().into()),
        };
        let derived = derive(namespace, &read).unwrap().uuid();
        assert_eq!(row.bytes(1), Some(&derived.as_bytes()[..]), "{read:?} (written as {id:?})");
    }
}

fn sample<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>, n: usize) -> Vec<T> {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::default();
    (0..n).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

#[tokio::test]
async fn integers_agree() {
    let edges = [0, 1, 9, 10, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX];
    let ids: Vec<_> = edges.into_iter().chain(sample(any::<u64>(), 2000)).map(Cell::UInt).collect();
    agree("BIGINT UNSIGNED", KeyKind::Integer, ids.clone(), "ids_u").await;
    agree("BIGINT UNSIGNED ZEROFILL", KeyKind::Integer, ids, "ids_z").await;
    let ids = [i64::MIN, -1, 0].into_iter().chain(sample(any::<i64>(), 1000)).map(Cell::Int).collect();
    agree("BIGINT", KeyKind::Integer, ids, "ids_s").await;
}

#[tokio::test]
async fn texts_agree_in_every_character_set() {
    let ids = sample(id_text(), 3000);
    let ascii = ids.iter().filter(|t| t.is_ascii() && t.len() <= 36).cloned().map(Cell::Text).collect();
    agree("VARCHAR(36) CHARACTER SET ascii COLLATE ascii_general_ci", KeyKind::Text, ascii, "ids_a").await;
    let latin =
        ids.iter().map(|t| t.chars().filter(|c| ('\u{a0}'..'\u{100}').contains(c) || c.is_ascii()).collect());
    agree("VARCHAR(40) CHARACTER SET latin1", KeyKind::Text, latin.map(Cell::Text).collect(), "ids_l").await;
    agree(
        "CHAR(40) CHARACTER SET utf8mb4",
        KeyKind::Text,
        ids.into_iter().map(Cell::Text).collect(),
        "ids_m",
    )
    .await;
}
