//! The statements of a plain copy, run by hand one by one.
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
async fn an_extra_row_is_found_where_the_numbers_are_equal() {
    let (mut session, catalog) = catalog("plan_plain_copy", TABLES).await;
    let plan = check_one(&catalog, COPY).unwrap_or_else(|p| panic!("{}", p.render()));
    let sql = TargetSql::new(&plan, plan.target("requests_new").unwrap(), "none");
    let keys: Vec<Key> = (1..=4).map(|n| Key(vec![Cell::UInt(n)])).collect();
    let copy = sql.plain_copy(Scopes::Keys(&keys)).expect("a plain copy");

    // Without row 2 and with row 4, the source has as many rows as the target, and other ones.
    session.execute("DELETE FROM requests WHERE id = 2; INSERT INTO requests VALUES (4, 'd')").await.unwrap();
    let present = session.rows(&copy.present).await.unwrap();
    let present: Vec<_> =
        present.iter().map(|r| (r.u64(0).unwrap().unwrap(), r.bool(1).unwrap().unwrap())).collect();
    assert_eq!(present, [(1, false), (3, true)]);
    assert_eq!(session.execute(&copy.upsert).await.unwrap(), 3, "1 for the new row, 2 for the changed one");
    assert_eq!(session.execute(&copy.upsert).await.unwrap(), 2, "1 for each equal row");
    assert_eq!(session.row(&copy.count).await.unwrap().unwrap().u64(0).unwrap(), Some(3));
}
