//! How many rows the statements touch: keys find their rows by an index, whatever the keys are.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use change::{Cell, Key};
use common::{catalog, check_one};
use mysql::Session;
use plan::sql::{IdentitySql, Scopes, TargetSql};

const TABLES: &str = "
CREATE TABLE users (id BIGINT UNSIGNED PRIMARY KEY, name VARCHAR(20), name_new VARCHAR(20));
CREATE TABLE roles (id BIGINT PRIMARY KEY);
CREATE TABLE requests (id BIGINT PRIMARY KEY);
CREATE TABLE assignments (id BIGINT PRIMARY KEY, request_id BIGINT, created_at DATETIME(6), KEY (request_id));
CREATE TABLE users_id_map (legacy_id BIGINT UNSIGNED PRIMARY KEY, uuid_binary BINARY(16) NOT NULL UNIQUE);
INSERT INTO users SELECT seq, CONCAT('u', seq), NULL FROM seq_1_to_3000;
INSERT INTO users VALUES (9223372036854775808, 'v', NULL), (18446744073709551615, 'w', NULL);
";
const TARGET: &str = "
table: users
risk: low
columns:
  name_new: UPPER(name)
";

/// Rows that the engine was asked for.
async fn rows_read(session: &mut Session, sql: &str) -> u64 {
    session.execute("FLUSH STATUS").await.unwrap();
    session.rows(sql).await.unwrap();
    let counts = session.rows("SHOW SESSION STATUS LIKE 'Handler_read%'").await.unwrap();
    counts.iter().map(|r| r.text(1).unwrap().unwrap().parse::<u64>().unwrap()).sum()
}

/// One literal beyond the signed integers among others makes the server compare all of them as decimals, without index.
#[tokio::test]
async fn keys_on_both_sides_of_the_signed_integers_are_found_by_the_index() {
    let (mut session, catalog) = catalog("plan_access", TABLES).await;
    let plan = check_one(&catalog, TARGET).unwrap_or_else(|p| panic!("{}", p.render()));
    let keys: Vec<Key> =
        [1, 7, 2999, 1 << 63, u64::MAX].into_iter().map(|n| Key(vec![Cell::UInt(n)])).collect();
    let scopes = Scopes::Keys(&keys);
    let sql = TargetSql::new(&plan, plan.target("users").unwrap(), "none");
    let identity = IdentitySql::new(&plan, plan.entity("users").unwrap());
    let statements =
        [sql.digest_wanted(scopes).rows, sql.digest_present(scopes).rows, identity.unmapped(scopes)];
    for statement in statements {
        let read = rows_read(&mut session, &statement).await;
        assert!((5..100).contains(&read), "{read} rows for five keys: {statement}");
    }
}
