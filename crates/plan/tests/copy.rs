//! The statements of a plain copy, run by hand in orders that only a race gives.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use change::{Cell, Key};
use common::{catalog, check_one};
use plan::sql::{Scopes, TargetSql};

const TABLES: &str = "
CREATE TABLE users (id BIGINT PRIMARY KEY, name VARCHAR(20));
CREATE TABLE roles (id BIGINT PRIMARY KEY);
CREATE TABLE assignments (id BIGINT PRIMARY KEY, request_id BIGINT, created_at DATETIME(6), KEY (request_id));
CREATE TABLE requests (id BIGINT PRIMARY KEY, title VARCHAR(20));
CREATE TABLE requests_new (id BIGINT PRIMARY KEY, title VARCHAR(20));
INSERT INTO requests VALUES (1, 'a'), (2, 'b');
INSERT INTO requests_new VALUES (1, 'old'), (3, 'gone in the source');
";
const COPY: &str = "
shadow: requests_new
risk: low
from: requests
scope: { id: requests.id }
columns: { \"*\": copy }
";

#[tokio::test]
async fn an_extra_row_is_found_though_another_came_meanwhile() {
    let (mut session, catalog) = catalog("plan_plain_copy", TABLES).await;
    let plan = check_one(&catalog, COPY).unwrap_or_else(|p| panic!("{}", p.render()));
    let sql = TargetSql::new(&plan, plan.target("requests_new").unwrap(), "none");
    let keys: Vec<Key> = (1..=4).map(|n| Key(vec![Cell::UInt(n)])).collect();
    let copy = sql.plain_copy(Scopes::Keys(&keys)).expect("a plain copy");

    assert_eq!(session.row(&copy.present).await.unwrap().unwrap().u64(0).unwrap(), Some(2));
    session.execute(&copy.upsert).await.unwrap();
    // Now the source has three rows, and so has the target: another set.
    session.execute("INSERT INTO requests VALUES (4, 'd')").await.unwrap();
    let extras = session.rows(&copy.extras).await.unwrap();
    let extras: Vec<_> = extras.iter().map(|r| r.u64(0).unwrap()).collect();
    assert_eq!(extras, [Some(3)]);
}
