//! An adversary damages the target in ways that weaker checks do not see: a count, a sum of values, a XOR of CRCs, a
//! comparison under the server's collation. Each way is tried with 100 seeds; each damage is found at its very rows, in
//! one comparison, and nothing else is.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use change::{Cell, Key};
use mysql::{Database, Session};
use plan::Parameters;
use plan::checked::Checked;
use plan::sql::{Range, Scopes, TargetSql};
use rand::rngs::StdRng;
use rand::seq::index::sample;
use rand::{Rng, SeedableRng};
use testkit::servers::empty_schema;
use verifier::compare;

const SEEDS: u64 = 100;
const ROWS: u64 = 300;

const SCHEMA: &str = "
CREATE TABLE owners (id BIGINT UNSIGNED NOT NULL PRIMARY KEY);
CREATE TABLE owners_id_map (legacy_id BIGINT UNSIGNED NOT NULL PRIMARY KEY, uuid_binary BINARY(16) NOT NULL UNIQUE);
CREATE TABLE things (
  id BIGINT UNSIGNED NOT NULL PRIMARY KEY, name VARCHAR(40) NULL, note VARCHAR(40) NULL, price DECIMAL(12,4) NULL,
  amount INT NULL, at DATETIME(6) NULL, owner BIGINT UNSIGNED NULL);
CREATE TABLE things_new (
  id BIGINT UNSIGNED NOT NULL PRIMARY KEY, name VARCHAR(40) NULL, note VARCHAR(40) NULL, price DECIMAL(12,4) NULL,
  amount INT NULL, at DATETIME(6) NULL, owner_uuid BINARY(16) NULL);
INSERT INTO owners SELECT seq FROM seq_1_to_40;
INSERT INTO owners_id_map SELECT id, UNHEX(MD5(CONCAT('owner', id))) FROM owners;
INSERT INTO things SELECT seq, CONCAT('name ', seq), CASE seq % 4 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE CONCAT('1.', seq) END,
  seq / 7, seq * 3, '2026-01-01 00:00:00' + INTERVAL seq SECOND, 1 + seq % 40 FROM seq_1_to_300;
INSERT INTO things_new SELECT t.id, t.name, t.note, t.price, t.amount, t.at, m.uuid_binary
  FROM things t JOIN owners_id_map m ON m.legacy_id = t.owner;
CREATE TABLE pristine LIKE things_new;
INSERT INTO pristine SELECT * FROM things_new;
";

const TARGET: &str = "
shadow: things_new
from: things
scope: { id: things.id }
columns:
  name: things.name
  note: things.note
  price: things.price
  amount: things.amount
  at: things.at
  owner_uuid: { value: things.owner, id_of: owners }
refresh: { owners: by_verifier }
";

/// What was done, and the scopes that it damaged.
type Damage = (String, BTreeSet<u64>);

fn rows(rng: &mut StdRng, count: usize) -> Vec<u64> {
    sample(rng, ROWS as usize, count).into_iter().map(|i| i as u64 + 1).collect()
}

fn list(rows: &[u64]) -> String {
    rows.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}

/// One row of which `condition` holds in the multiples of 4 or behind them.
fn row_of(rng: &mut StdRng, rest: u64) -> u64 {
    4 * rng.random_range(1..ROWS / 4) + rest
}

fn update(set: &str, rows: &[u64]) -> Damage {
    (format!("UPDATE things_new SET {set} WHERE id IN ({})", list(rows)), rows.iter().copied().collect())
}

type Way = (&'static str, fn(&mut StdRng) -> Damage);

const WAYS: &[Way] = &[
    ("a bit flips in a UUID", |rng| {
        let (byte, bit) = (rng.random_range(1..=16), 1 << rng.random_range(0..8));
        let flipped = format!(
            "owner_uuid = INSERT(owner_uuid, {byte}, 1, CHAR(ORD(SUBSTR(owner_uuid, {byte}, 1)) ^ {bit}))"
        );
        update(&flipped, &rows(rng, 1))
    }),
    ("a bit flips in a number", |rng| {
        update(&format!("amount = amount ^ {}", 1 << rng.random_range(0..20)), &rows(rng, 1))
    }),
    ("two UUIDs are swapped", |rng| {
        let two = loop {
            let two = rows(rng, 2);
            if two[0] % 40 != two[1] % 40 {
                break two;
            }
        };
        let (a, b) = (two[0], two[1]);
        let sql = format!(
            "UPDATE things_new t JOIN pristine p ON p.id = IF(t.id = {a}, {b}, {a}) SET t.owner_uuid = p.owner_uuid WHERE t.id IN ({a}, {b})"
        );
        (sql, two.into_iter().collect())
    }),
    ("a constant is added to many rows", |rng| {
        let count = rng.random_range(2..100);
        update(&format!("amount = amount + {}", rng.random_range(1..1000)), &rows(rng, count))
    }),
    ("what one row gets another loses", |rng| {
        let (two, n) = (rows(rng, 2), rng.random_range(1..1000));
        update(&format!("amount = amount + IF(id = {}, {n}, -{n})", two[0]), &two)
    }),
    ("values move to the next column", |rng| {
        let row = row_of(rng, 2);
        (
            format!(
                "UPDATE things_new t JOIN pristine p USING (id) SET t.name = p.note, t.note = p.name WHERE id = {row}"
            ),
            [row].into(),
        )
    }),
    ("the border between two columns moves", |rng| {
        update(
            "note = CONCAT(RIGHT(name, 1), note), name = LEFT(name, CHAR_LENGTH(name) - 1)",
            &[row_of(rng, 2)],
        )
    }),
    ("a row is dropped", |rng| {
        let one = rows(rng, 1);
        (format!("DELETE FROM things_new WHERE id = {}", one[0]), one.into_iter().collect())
    }),
    ("a row is there that should not be", |rng| {
        let (from, id) = (rows(rng, 1)[0], rng.random_range(ROWS + 1..u64::MAX));
        let sql = format!(
            "INSERT INTO things_new SELECT {id}, name, note, price, amount, at, owner_uuid FROM pristine WHERE id = {from}"
        );
        (sql, [id].into())
    }),
    ("a row is another one's twin", |rng| {
        let two = rows(rng, 2);
        let sql = format!(
            "REPLACE INTO things_new SELECT {}, name, note, price, amount, at, owner_uuid FROM pristine WHERE id = {}",
            two[1], two[0]
        );
        (sql, [two[1]].into())
    }),
    ("the same damage is done twice", |rng| update("name = 'x', note = 'x'", &rows(rng, 2))),
    ("a zero is appended to digits in text", |rng| update("note = CONCAT(note, '0')", &[row_of(rng, 3)])),
    ("a space is appended", |rng| update("name = CONCAT(name, ' ')", &rows(rng, 1))),
    ("a capital", |rng| update("name = UPPER(name)", &rows(rng, 1))),
    ("NULL becomes ''", |rng| update("note = ''", &[row_of(rng, 0)])),
    ("'' becomes NULL", |rng| update("note = NULL", &[row_of(rng, 1)])),
    ("NULL becomes 'NULL'", |rng| update("note = 'NULL'", &[row_of(rng, 0)])),
    ("a microsecond", |rng| update("at = at + INTERVAL 1 MICROSECOND", &rows(rng, 1))),
    ("a ten-thousandth", |rng| update("price = price + 0.0001", &rows(rng, 1))),
];

async fn stage() -> (Session, Checked) {
    let url = empty_schema("adversary").await.unwrap();
    let mut session = Database::new(url.parse().unwrap(), "none").session().await.unwrap();
    session.execute(SCHEMA).await.unwrap();
    let catalog = mysql::catalog::load(&mut session, "adversary").await.unwrap();
    let files = [("plan.yaml", "version: 1\nentities: { owners: {} }\n"), ("things_new.yaml", TARGET)];
    let raw = plan::parse_files(files.map(|(n, t)| (n.to_owned(), t.to_owned())).into()).unwrap();
    let plan = plan::check(&raw, &catalog, &Parameters::new()).unwrap_or_else(|p| panic!("{p}"));
    (session, plan)
}

async fn found(session: &mut Session, sql: &TargetSql<'_>) -> BTreeSet<u64> {
    let all = Range { low: None, high: None };
    let compared = compare::range(session, sql, Scopes::Range(&all)).await.unwrap();
    compared
        .differences
        .iter()
        .map(|d| match d.scope {
            Key(ref cells) => match cells.as_slice() {
                [Cell::UInt(n)] => *n,
                [Cell::Int(n)] => u64::try_from(*n).unwrap(),
                other => panic!("{other:?}"),
            },
        })
        .collect()
}

#[tokio::test]
async fn every_damage_is_found_where_it_is_and_nowhere_else() {
    let (mut session, plan) = stage().await;
    let sql = TargetSql::new(&plan, &plan.targets[0], "none");
    assert_eq!(found(&mut session, &sql).await, BTreeSet::new(), "the stage itself is right");
    for (way, damage) in WAYS {
        for seed in 0..SEEDS {
            let (statement, damaged) = damage(&mut StdRng::seed_from_u64(seed));
            let matched = session.execute(&statement).await.unwrap();
            assert!(matched > 0, "{way}, seed {seed}: {statement}");
            assert_eq!(found(&mut session, &sql).await, damaged, "{way}, seed {seed}: {statement}");
            let rows: Vec<u64> = damaged.into_iter().collect();
            let rows = list(&rows);
            session.execute(&format!("DELETE FROM things_new WHERE id IN ({rows})")).await.unwrap();
            session
                .execute(&format!("INSERT INTO things_new SELECT * FROM pristine WHERE id IN ({rows})"))
                .await
                .unwrap();
        }
    }
    assert_eq!(found(&mut session, &sql).await, BTreeSet::new(), "the stage is right again");
}
