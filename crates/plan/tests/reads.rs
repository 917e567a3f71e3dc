//! Reads: what a query in two forms may be, what is refused and where, and what is sent for a scope.
#![allow(clippy::unwrap_used)]

mod common;

use change::{Cell, Key};
use common::{catalog, check_one};
use plan::sql::TargetSql;

const SCHEMA: &str = "
CREATE TABLE roles (id BIGINT UNSIGNED PRIMARY KEY, name VARCHAR(64) NOT NULL);
CREATE TABLE users (id BIGINT UNSIGNED PRIMARY KEY, email VARCHAR(190) NOT NULL, role_id BIGINT UNSIGNED NULL,
  born DATE NULL, new_role BINARY(16) NULL, KEY ix_role (role_id));
CREATE TABLE people (user_id BINARY(16) PRIMARY KEY, email VARCHAR(190) NOT NULL);
CREATE TABLE requests (id VARCHAR(36) CHARACTER SET ascii PRIMARY KEY, owner BIGINT UNSIGNED NULL);
CREATE TABLE assignments (id BIGINT PRIMARY KEY, request_id VARCHAR(36) CHARACTER SET ascii, created_at DATETIME(6),
  KEY (request_id));
CREATE TABLE admins (system_admin BIGINT UNSIGNED PRIMARY KEY, n INT);
CREATE TABLE counts (id VARCHAR(36) CHARACTER SET ascii PRIMARY KEY, n BIGINT NULL);
CREATE TABLE isam (id BIGINT UNSIGNED PRIMARY KEY, b INT) ENGINE=MyISAM;
";

const PEOPLE: &str = "shadow: people
from: users
scope: { user_id: { value: users.id, id_of: users } }
columns: { email: users.email }
reads:
  by_id:
";

fn people(legacy: &str, new: &str) -> String {
    format!("{PEOPLE}    legacy: {legacy}\n    new: {new}\n")
}

const LEGACY: &str = "SELECT email FROM users WHERE id = :user_id";
const NEW: &str = "SELECT p.email FROM users_id_map m JOIN people p ON p.user_id = m.uuid_binary WHERE m.legacy_id = :user_id";

#[tokio::test]
async fn both_forms_are_sent_with_the_scope_put_in() {
    let (mut session, catalog) = catalog("plan_reads", SCHEMA).await;
    let plan = check_one(&catalog, &people(LEGACY, NEW)).unwrap_or_else(|p| panic!("{}", p.render()));
    let target = plan.target("people").unwrap();
    let read = &target.reads[0];
    assert_eq!((read.name.as_str(), read.ordered), ("by_id", false));
    let sql = TargetSql::new(&plan, target, "none");
    let key = Key(vec![Cell::UInt(7)]);
    let legacy = "SELECT `users`.`email` FROM `plan_reads`.`users` AS `users` WHERE `users`.`id` = (7)";
    assert_eq!(sql.read(&read.legacy, &key), legacy);
    mysql::ensure_maps(&mut session, &plan).await.unwrap();
    for form in [&read.legacy, &read.new] {
        session.rows(&sql.read(form, &key)).await.unwrap();
    }
    let explained = plan::explain(&plan, &catalog, "none", None);
    assert!(explained.targets[0].reads[0].new.ends_with("`m`.`legacy_id` = :user_id"), "{explained}");
    assert!(explained.to_string().contains("read by_id"), "{explained}");

    // What is compared is part of the plan; what is read for it marks nothing.
    let bare = check_one(&catalog, PEOPLE.trim_end_matches("reads:\n  by_id:\n")).unwrap();
    assert_ne!(plan.digest, bare.digest);
    assert_eq!(plan.watched["users"].read, bare.watched["users"].read);

    let ordered = |form: &str| format!("{form} ORDER BY 1 + 0");
    let both = check_one(&catalog, &people(&ordered(LEGACY), &ordered(NEW))).unwrap();
    assert!(both.targets[0].reads[0].ordered);
    let one = check_one(&catalog, &people(LEGACY, &ordered(NEW))).unwrap();
    assert!(!one.targets[0].reads[0].ordered);
}

#[tokio::test]
async fn text_keys_are_put_in_as_text() {
    let (mut session, catalog) = catalog("plan_reads_text", SCHEMA).await;
    let odd = "shadow: counts\nfrom: assignments\nscope: { id: assignments.request_id }\ncolumns: { n: 1 }\nreads:\n  n:\n    legacy: SELECT COUNT(*) FROM assignments WHERE request_id = :id\n    new: SELECT COUNT(*) FROM counts WHERE id = :id\n";
    let plan = check_one(&catalog, odd).unwrap_or_else(|p| panic!("{}", p.render()));
    let sql = TargetSql::new(&plan, &plan.targets[0], "none");
    let hostile = Key(vec![Cell::Text("x' OR 'a' = 'a".into())]);
    let text = sql.read(&plan.targets[0].reads[0].legacy, &hostile);
    assert!(text.ends_with("= ('x'' OR ''a'' = ''a')"), "{text}");
    assert_eq!(session.row(&text).await.unwrap().unwrap().u64(0).unwrap(), Some(0));
}

#[tokio::test]
async fn what_is_wrong_is_said_at_its_place() {
    let (_, catalog) = catalog("plan_reads_errors", SCHEMA).await;
    let cases: &[(&str, &str, &str)] = &[
        ("SELECT emial FROM users WHERE id = :user_id", NEW, "7:20: unknown column `emial`"),
        ("SELECT email FROM users WHERE id = :id", NEW, "7:48: unknown parameter `:id`"),
        (LEGACY, "SELECT email FROM peple WHERE user_id = x'00'", "8:28: unknown table `peple`"),
        (
            LEGACY,
            "SELECT p.email FROM people p WHERE p.email = :user_id",
            "8:47: `people` (as `p`) is read without an index",
        ),
        (LEGACY, "SELECT p.email FROM people p", "is read without an index"),
        (
            LEGACY,
            "SELECT email, 1 FROM users WHERE id = :user_id",
            "8:10: the legacy form gives 1 columns, the new form 2",
        ),
        (
            "SELECT id FROM users WHERE id = :user_id",
            "SELECT m.uuid_binary FROM users_id_map m WHERE m.legacy_id = :user_id",
            "8:10: column 1 is an integer in the legacy form and bytes in the new form",
        ),
        (LEGACY, "SELECT email FROM users WHERE id = 7", "8:10: the query has no parameter"),
        (LEGACY, "SELECT email FROM users WHERE id = :user_id FOR UPDATE", "locking clauses"),
        (LEGACY, "DELETE FROM users WHERE id = :user_id", "8:10:"),
        (LEGACY, "SELECT email FROM users WHERE id = :user_id INTO OUTFILE 'x'", "target.yaml:8:"),
        (LEGACY, "SELECT SLEEP(1) FROM users WHERE id = :user_id", "8:17: function SLEEP()"),
        (LEGACY, "SELECT email FROM users WHERE id = :user_id LIMIT 1", "LIMIT without ORDER BY"),
        (LEGACY, "SELECT b FROM isam WHERE id = :user_id", "stored by MyISAM"),
        (LEGACY, "SELECT * FROM users WHERE id = :user_id", "columns are named one by one"),
    ];
    for (legacy, new, part) in cases {
        let problems = check_one(&catalog, &people(legacy, new)).map(|_| "accepted").unwrap_err().to_string();
        assert!(problems.contains(part), "{part} is not in: {problems}");
    }
    let missing = check_one(&catalog, &format!("{PEOPLE}    legacy: {LEGACY}\n")).unwrap_err().to_string();
    assert!(missing.contains("missing field `new`"), "{missing}");
    let clash = "shadow: admins\nfrom: users\nscope: { system_admin: users.id }\ncolumns: { n: 1 }\nreads:\n  r:\n    legacy: SELECT 1 FROM users WHERE id = :system_admin\n    new: SELECT n FROM admins WHERE system_admin = :system_admin\n";
    let clash = check_one(&catalog, clash).unwrap_err().to_string();
    assert!(clash.contains("6:3: `:system_admin` would be a parameter of plan.yaml and a column"), "{clash}");
}
