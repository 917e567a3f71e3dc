//! What a plan is refused for, and what the refusal says. Each case is one file; all answers stand in one snapshot.
#![allow(clippy::unwrap_used)]

mod common;

use common::{SETTINGS, catalog, check_one, files};
use plan::Parameters;
use plan::catalog::Flavour;

/// A schema with the troubles that real ones have.
const SCHEMA: &str = "
CREATE TABLE roles (id BIGINT UNSIGNED PRIMARY KEY, name VARCHAR(64) NOT NULL);
CREATE TABLE users (id BIGINT UNSIGNED PRIMARY KEY, email VARCHAR(190) NOT NULL, role_id BIGINT UNSIGNED NULL,
  nickname VARCHAR(40) CHARACTER SET latin1 NULL, birthday DATE NULL, born_year INT AS (YEAR(birthday)) STORED,
  new_email VARCHAR(190) NULL, new_role BINARY(16) NULL, new_year INT NULL);
CREATE TABLE requests (id VARCHAR(36) CHARACTER SET ascii PRIMARY KEY, owner BIGINT UNSIGNED NULL,
  started DATETIME(6) NULL, new_started DATETIME(6) NULL);
CREATE TABLE assignments (id BIGINT UNSIGNED PRIMARY KEY,
  request_id VARCHAR(36) CHARACTER SET ascii NOT NULL, status VARCHAR(20) NOT NULL,
  created_at DATETIME(6) NOT NULL, KEY ix_request (request_id, created_at));
CREATE TABLE heap (a INT, b INT, new_b INT);
CREATE TABLE isam (id INT PRIMARY KEY, b INT, new_b INT) ENGINE=MyISAM;
CREATE TABLE child (id INT PRIMARY KEY, user_id BIGINT UNSIGNED NULL, b INT, new_b INT,
  CONSTRAINT fk_child_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL);
CREATE TABLE watched_over (id INT PRIMARY KEY, b INT, new_b INT);
CREATE TRIGGER tr_watch BEFORE UPDATE ON watched_over FOR EACH ROW SET NEW.b = 1;
CREATE TABLE odd (id VARCHAR(20) CHARACTER SET sjis PRIMARY KEY, b INT, new_b INT);
CREATE TABLE shadow (user_id BINARY(16) PRIMARY KEY, email VARCHAR(190) NOT NULL, n INT NULL);
CREATE TABLE order_lines (id BIGINT UNSIGNED PRIMARY KEY, user_id BIGINT UNSIGNED NOT NULL, KEY ix_user (user_id));
CREATE TABLE kinds (kind ENUM('b','a') PRIMARY KEY, b INT, new_b INT);
CREATE TABLE bare_shadow (user_id BIGINT UNSIGNED NOT NULL, n INT NULL, id INT PRIMARY KEY);
";

const CASES: &[(&str, &str)] = &[
    ("unknown key", "table: users\ncolums: { new_email: users.email }\n"),
    ("unknown key in a column", "table: users\ncolumns:\n  new_email: { value: users.email, polcy: fill }\n"),
    ("wrong word", "table: users\nrisk: hihg\ncolumns: { new_email: users.email }\n"),
    ("no table", "columns: { new_email: users.email }\n"),
    ("both kinds", "table: users\nshadow: shadow\ncolumns: { new_email: users.email }\n"),
    ("a key twice", "table: users\ntable: users\n"),
    ("unknown table", "table: user\ncolumns: { new_email: email }\n"),
    ("unknown target column", "table: users\ncolumns: { new_emial: users.email }\n"),
    (
        "unknown column",
        "table: users\ncolumns:\n  new_email: >\n    CONCAT(users.email,\n      users.nicknam)\n",
    ),
    ("unknown bare column", "table: users\ncolumns: { new_email: emial }\n"),
    ("unknown relation", "table: users\ncolumns: { new_email: usr.email }\n"),
    ("text into int", "table: users\ncolumns: { new_year: users.email }\n"),
    ("date into int", "table: users\ncolumns: { new_year: users.birthday }\n"),
    (
        "uuid into text",
        "table: users\ncolumns:\n  new_email: { value: users.role_id, id_of: roles }\nrefresh: { roles: by_verifier }\n",
    ),
    ("no such entity", "table: users\ncolumns:\n  new_role: { value: users.role_id, id_of: role }\n"),
    (
        "reference of the wrong kind",
        "table: users\ncolumns:\n  new_role: { value: users.email, id_of: roles }\nrefresh: { roles: by_verifier }\n",
    ),
    (
        "a row of two scopes",
        "shadow: order_lines\nfrom: users\nscope: { user_id: users.id }\ncolumns: { id: users.role_id }\n",
    ),
    ("no order among keys", "table: kinds\ncolumns: { new_b: kinds.b }\n"),
    ("generated target", "table: users\ncolumns: { born_year: 1 }\n"),
    ("key as target", "table: users\ncolumns: { id: 1 }\n"),
    ("no value", "table: users\ncolumns:\n  new_email: { policy: fill }\n"),
    (
        "unindexed read",
        "table: users\ncolumns:\n  new_year: (SELECT COUNT(*) FROM assignments a WHERE a.status = users.email)\nrefresh: { assignments: by_verifier }\n",
    ),
    (
        "uncorrelated read",
        "table: users\ncolumns:\n  new_year: (SELECT COUNT(*) FROM assignments a)\nrefresh: { assignments: by_verifier }\n",
    ),
    (
        "index hidden by a number",
        "table: users\ncolumns:\n  new_year: (SELECT COUNT(*) FROM assignments a WHERE a.request_id = users.id)\nrefresh: { assignments: by_verifier }\n",
    ),
    (
        "index hidden by a character set",
        "table: users\ncolumns:\n  new_year: (SELECT COUNT(*) FROM assignments a WHERE a.request_id = users.email)\nrefresh: { assignments: by_verifier }\n",
    ),
    (
        "unindexed look-up",
        "table: requests\ncolumns: { new_started: requests.started }\nrefresh:\n  users: { lookup: SELECT r.id FROM requests r WHERE r.owner = changed.id }\n",
    ),
    (
        "a look-up of too much",
        "table: requests\ncolumns:\n  new_started: (SELECT MIN(a.created_at) FROM assignments a WHERE a.request_id = requests.id)\nrefresh:\n  assignments: { lookup: \"SELECT r.id, r.owner FROM requests r WHERE r.id = changed.request_id LIMIT 3\" }\n",
    ),
    (
        "no route",
        "table: requests\ncolumns:\n  new_started: (SELECT MIN(a.created_at) FROM assignments a WHERE a.request_id = requests.id)\n",
    ),
    ("no route for a parent", "table: users\ncolumns:\n  new_role: { value: users.role_id, id_of: roles }\n"),
    (
        "a needless route",
        "table: users\ncolumns: { new_email: users.email }\nrefresh: { roles: by_verifier }\n",
    ),
    (
        "a route by the wrong column",
        "table: requests\ncolumns:\n  new_started: (SELECT MIN(a.created_at) FROM assignments a WHERE a.request_id = requests.id)\nrefresh: { assignments: id }\n",
    ),
    (
        "a condition that can't be decided",
        "table: requests\ncolumns:\n  new_started: (SELECT MIN(a.created_at) FROM assignments a WHERE a.request_id = requests.id)\nrefresh:\n  assignments: { value: request_id, when: status LIKE 'o%' }\n",
    ),
    ("NOW", "table: users\ncolumns: { new_email: \"CONCAT(users.email, NOW())\" }\n"),
    ("RAND", "table: users\ncolumns: { new_year: RAND() }\n"),
    ("SLEEP", "table: users\ncolumns: { new_year: SLEEP(10) }\n"),
    ("LOAD_FILE", "table: users\ncolumns: { new_email: \"LOAD_FILE('/etc/passwd')\" }\n"),
    ("GET_LOCK", "table: users\ncolumns: { new_year: \"GET_LOCK('a', 1)\" }\n"),
    ("a mistyped fragment", "table: users\ncolumns: { new_year: \"asignment_at(1, 2)\" }\n"),
    ("a fragment with too few arguments", "table: users\ncolumns: { new_year: assignment_at(1) }\n"),
    ("a variable", "table: users\ncolumns: { new_email: '@@version' }\n"),
    ("a parameter that is not there", "table: users\ncolumns: { new_year: ':sytem_admin' }\n"),
    ("two statements", "table: users\ncolumns:\n  new_year: |\n    1;\n    DROP TABLE users\n"),
    ("not SQL", "table: users\ncolumns: { new_year: 1 + + FROM }\n"),
    (
        "INTO",
        "table: users\ncolumns: { new_email: (SELECT r.name INTO OUTFILE '/tmp/x' FROM roles r WHERE r.id = users.role_id) }\nrefresh: { roles: by_verifier }\n",
    ),
    (
        "a lock",
        "table: users\ncolumns: { new_email: (SELECT r.name FROM roles r WHERE r.id = users.role_id FOR UPDATE) }\nrefresh: { roles: by_verifier }\n",
    ),
    ("WITH", "table: users\ncolumns: { new_email: (WITH x AS (SELECT 1) SELECT 1) }\n"),
    ("UNION", "table: users\ncolumns: { new_email: (SELECT 'a' UNION SELECT 'b') }\n"),
    (
        "a derived table",
        "table: users\ncolumns: { new_email: (SELECT x.name FROM (SELECT name FROM roles) x) }\n",
    ),
    (
        "LIMIT without ORDER BY",
        "table: users\ncolumns: { new_email: (SELECT r.name FROM roles r WHERE r.id = users.role_id LIMIT 1) }\nrefresh: { roles: by_verifier }\n",
    ),
    (
        "GROUP_CONCAT without ORDER BY",
        "table: users\ncolumns: { new_email: (SELECT GROUP_CONCAT(r.name) FROM roles r WHERE r.id = users.role_id) }\nrefresh: { roles: by_verifier }\n",
    ),
    ("another schema", "table: users\ncolumns: { new_email: (SELECT u.User FROM mysql.user u) }\n"),
    ("quotes beyond the printer", "table: users\ncolumns: { new_email: \"'a''''b'\" }\n"),
    ("PIPES", "table: users\ncolumns: { new_email: users.email || 'x' }\n"),
    ("no primary key", "table: heap\ncolumns: { new_b: heap.b }\n"),
    ("MyISAM", "table: isam\ncolumns: { new_b: isam.b }\n"),
    ("a cascade", "table: child\ncolumns: { new_b: child.b }\n"),
    ("a trigger", "table: watched_over\ncolumns: { new_b: watched_over.b }\n"),
    ("a key that can't be transcoded", "table: odd\ncolumns: { new_b: odd.b }\n"),
    ("a shadow without a scope", "shadow: shadow\nfrom: users\ncolumns: { email: users.email }\n"),
    (
        "a scope of the wrong type",
        "shadow: shadow\nfrom: users\nscope: { user_id: users.id }\ncolumns: { email: users.email }\n",
    ),
    (
        "a scope without an index",
        "shadow: bare_shadow\nfrom: users\nscope: { user_id: users.id }\ncolumns: { n: 1, id: users.id }\n",
    ),
    (
        "a column without a value",
        "shadow: shadow\nfrom: users\nscope: { user_id: { value: users.id, id_of: users } }\ncolumns: { n: 1 }\n",
    ),
    (
        "a projection without an alias",
        "shadow: shadow\nrows: SELECT CONCAT(u.email, 'x') FROM users u\nscope: { user_id: { value: u.id, id_of: users } }\n",
    ),
    (
        "rows in an order",
        "shadow: shadow\nrows: SELECT u.email FROM users u ORDER BY u.id LIMIT 3\nscope: { user_id: { value: u.id, id_of: users } }\n",
    ),
    (
        "rows that scan",
        "shadow: shadow\nrows: SELECT u.email, COUNT(*) AS n FROM users u JOIN assignments a ON a.status = u.email GROUP BY u.id, u.email\nscope: { user_id: { value: u.id, id_of: users } }\nrefresh: { assignments: by_verifier }\n",
    ),
    (
        "a star without from",
        "shadow: shadow\nrows: SELECT u.email FROM users u\nscope: { user_id: { value: u.id, id_of: users } }\ncolumns: { \"*\": copy }\n",
    ),
    (
        "reading what is written",
        "table: users\ncolumns: { new_email: users.email, new_year: CHAR_LENGTH(users.new_email) }\n",
    ),
    ("batch without a schedule", "table: users\nsync: batch\ncolumns: { new_email: users.email }\n"),
    ("no cron", "table: users\nsync: batch\nschedule: hourly\ncolumns: { new_email: users.email }\n"),
    ("no date", "table: users\ndefer: { reason: r, review_by: soon }\ncolumns: { new_email: users.email }\n"),
    (
        "several at once",
        "table: users\ncolumns:\n  new_email: emial\n  new_year: users.birthday\n  new_role: { value: users.role_id, id_of: rolls }\n",
    ),
];

#[tokio::test]
async fn a_refusal_says_what_where_and_how_to_mend_it() {
    let (_, catalog) = catalog("plan_errors", SCHEMA).await;
    let mut answers = String::new();
    for (name, file) in CASES {
        let answer = match check_one(&catalog, file) {
            Ok(_) => "ACCEPTED".to_string(),
            Err(problems) => problems.to_string(),
        };
        answers += &format!("# {name}\n{answer}\n\n");
    }
    assert!(!answers.contains("ACCEPTED"), "{answers}");
    // MySQL prints types and foreign keys in other words.
    if catalog.flavour == Flavour::MariaDb {
        insta::assert_snapshot!("errors", answers);
    }
}

/// A name, `plan.yaml`, and the values of parameters.
type Settings = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

#[tokio::test]
async fn settings_are_checked_too() {
    let (_, catalog) = catalog("plan_settings_errors", SCHEMA).await;
    let cases: &[Settings] = &[
        ("another version", "version: 2\n", &[]),
        ("no settings", "", &[]),
        ("an entity that is no table", "version: 1\nentities: { usrs: {} }\n", &[]),
        ("an entity without a key", "version: 1\nentities: { heap: {} }\n", &[]),
        ("a parameter without a value", "version: 1\nparameters: { admin: { references: users } }\n", &[]),
        ("a value for no parameter", "version: 1\nparameters: { admin: { default: 1 } }\n", &[("admn", "1")]),
        (
            "a value of the wrong kind",
            "version: 1\nparameters: { admin: { references: users } }\n",
            &[("admin", "1 OR 1=1")],
        ),
        ("a fragment that is not SQL", "version: 1\nfragments: { f: { sql: SELECT FROM } }\n", &[]),
        ("a fragment named as a function", "version: 1\nfragments: { concat: { sql: 1 } }\n", &[]),
    ];
    let mut answers = String::new();
    for (name, settings, parameters) in cases {
        let parameters: Parameters = parameters.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let target = "table: users\ncolumns: { new_email: users.email }\n";
        let checked = files(&[("plan.yaml", settings), ("users.yaml", target)])
            .and_then(|raw| plan::check(&raw, &catalog, &parameters));
        answers +=
            &format!("# {name}\n{}\n\n", checked.map_or_else(|p| p.to_string(), |_| "ACCEPTED".into()));
    }
    assert!(!answers.contains("ACCEPTED"), "{answers}");
    insta::assert_snapshot!("settings_errors", answers);
}

/// Whole rows need columns that can be told exactly; keys do not.
#[tokio::test]
async fn whole_rows_are_told_exactly_or_not_at_all() {
    let schema = "
CREATE TABLE odd (id BIGINT PRIMARY KEY, name VARCHAR(20) CHARACTER SET sjis, place POINT, address INET6,
  squeezed TEXT COMPRESSED, kind ENUM('a') CHARACTER SET ucs2, twice BIGINT AS (id * 2) STORED, b INT, new_b INT);
CREATE TABLE plain (b INT, id BIGINT, twice INT AS (b * 2) VIRTUAL, new_b INT, PRIMARY KEY (id));

";
    let (_, catalog) = catalog("plan_rows_errors", schema).await;
    let checked = |publish: &str, tables: &[(&str, &str)]| {
        let settings = format!("version: 1\n{publish}\n");
        let targets = tables.iter().map(|(table, columns)| {
            (format!("{table}.yaml"), format!("table: {table}\ncolumns: {columns}\n"))
        });
        let all: Vec<(String, String)> =
            std::iter::once(("plan.yaml".into(), settings)).chain(targets).collect();
        let all: Vec<(&str, &str)> = all.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        files(&all).and_then(|raw| plan::check(&raw, &catalog, &Parameters::new()))
    };
    let plain = ("plain", "{ new_b: plain.b }");
    let odd = ("odd", "{ new_b: odd.b }");
    let answers = [checked("publish: whole", &[plain]), checked("publish: rows", &[plain, odd])];
    let answers: Vec<String> = answers.into_iter().map(|a| a.unwrap_err().to_string()).collect();
    if catalog.flavour == Flavour::MariaDb {
        insta::assert_snapshot!("rows", answers.join("\n\n"));
    }

    // A table that the plan does not read is nobody's concern, and keys were never in danger.
    let rows = checked("publish: rows", &[plain]).unwrap_or_else(|p| panic!("{p}"));
    let image = rows.watched["plain"].image.as_ref().unwrap();
    let names: Vec<&str> = image.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!((names, image.left_out.as_slice()), (vec!["id", "b", "new_b"], &["twice".to_owned()][..]));
    let keys = checked("publish: keys", &[plain]).unwrap();
    let unsaid = checked("", &[plain]).unwrap();
    assert!(keys.watched["plain"].image.is_none());
    assert_eq!(keys.watched["plain"].published.len(), 1);
    assert_eq!(rows.watched["plain"].published.len(), 1, "the mapper gets no more than before");
    assert_eq!(keys.digest, unsaid.digest);
    assert_ne!(rows.digest, keys.digest);
    checked("publish: keys", &[odd]).unwrap_or_else(|p| panic!("{p}"));
}

/// A fragment that calls itself, and fragments that grow without end.
#[tokio::test]
async fn fragments_end() {
    let (_, catalog) = catalog("plan_fragments", SCHEMA).await;
    let mut bomb = String::from("version: 1\nfragments:\n  f0: { sql: \"1 + 1 + 1 + 1\" }\n");
    for i in 1..16 {
        bomb += &format!("  f{i}: {{ sql: \"f{p}() + f{p}() + f{p}() + f{p}()\" }}\n", p = i - 1);
    }
    let recursive = "version: 1\nfragments:\n  f15: { sql: \"1 + g()\" }\n  g: { sql: f15() }\n";
    for settings in [bomb.as_str(), recursive] {
        let start = std::time::Instant::now();
        let target = "table: users\ncolumns: { new_year: f15() }\n";
        let raw = files(&[("plan.yaml", settings), ("users.yaml", target)]).unwrap();
        let problems = plan::check(&raw, &catalog, &Parameters::new()).unwrap_err().to_string();
        assert!(problems.contains("nodes") || problems.contains("calls itself"), "{problems}");
        assert!(start.elapsed().as_secs() < 1, "{:?}", start.elapsed());
    }
}

/// A fragment can't capture a name of its surroundings, however it nests.
#[tokio::test]
async fn nested_fragments_keep_their_names_apart() {
    let (_, catalog) = catalog("plan_hygiene", SCHEMA).await;
    let target = "
table: requests
columns:
  new_started: >
    (SELECT a.created_at FROM assignments a
     WHERE a.id = assignment_at(requests.id, (SELECT b.created_at FROM assignments b
                                              WHERE b.id = assignment_at(requests.id, requests.started))))
refresh: { assignments: request_id }
";
    let checked = check_one(&catalog, target).unwrap_or_else(|p| panic!("{p}"));
    insta::assert_snapshot!("hygiene", checked.targets[0].columns[0].value);
    assert!(!SETTINGS.is_empty());
}
