//! The way back on a real server: what goes forward and back is what it was, whatever the values; and what the legacy
//! column cannot say is refused, not bent.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use mysql::Session;
use plan::catalog::Catalog;
use plan::checked::Checked;
use plan::sql::{Range, Scopes, TargetSql};
use plan::{Parameters, Reverse};

const SCHEMA: &str = "
CREATE TABLE users (id BIGINT UNSIGNED PRIMARY KEY);
CREATE TABLE users_id_map (legacy_id BIGINT UNSIGNED PRIMARY KEY, uuid_binary BINARY(16) NOT NULL, UNIQUE KEY (uuid_binary));
CREATE TABLE depts (code VARCHAR(10) COLLATE utf8mb4_general_ci PRIMARY KEY);
CREATE TABLE depts_id_map (legacy_id VARCHAR(10) COLLATE utf8mb4_general_ci PRIMARY KEY, uuid_binary BINARY(16) NOT NULL, UNIQUE KEY (uuid_binary));
CREATE TABLE items (id INT PRIMARY KEY,
  minutes INT, user_id BIGINT UNSIGNED, boss_id BIGINT UNSIGNED, dept VARCHAR(10) COLLATE utf8mb4_general_ci,
  wide BIGINT, note VARCHAR(20), old_text VARCHAR(20) CHARACTER SET latin1, amount DECIMAL(9,2), doc JSON, at DATETIME(6), tag VARCHAR(5), day DATETIME(6), flag INT,
  new_seconds INT, new_owner BIGINT UNSIGNED, new_owner_uuid BINARY(16), new_boss BINARY(16), new_dept BINARY(16),
  new_small SMALLINT UNSIGNED, new_note VARCHAR(10), new_text VARCHAR(20) CHARACTER SET utf8mb4, new_amount DECIMAL(6,2), new_doc JSON,
  new_at DATETIME(6), new_tag VARCHAR(9), new_day DATETIME, new_flag INT, new_count INT, new_or INT, KEY ix_boss (new_boss));
CREATE TABLE parts (a INT, b VARCHAR(20), note TEXT, extra INT NULL, PRIMARY KEY (a, b));
CREATE TABLE parts_new (x INT, b VARCHAR(20), text TEXT, extra INT NULL, PRIMARY KEY (x, b));
CREATE TABLE parts_some (a INT, b VARCHAR(20), note TEXT, PRIMARY KEY (a, b));
CREATE TABLE users_new (id BINARY(16) PRIMARY KEY);
";

const SETTINGS: &str = "version: 1\nentities: { users: {}, depts: {} }\n";

const ITEMS: &str = "
table: items
columns:
  new_seconds: items.minutes * 60
  new_owner: { value: items.user_id, references: users }
  new_owner_uuid: { value: items.user_id, id_of: users }
  new_boss: { value: items.boss_id, id_of: users }
  new_dept: { value: items.dept, id_of: depts }
  new_small: items.wide
  new_note: items.note
  new_text: CONVERT(items.old_text USING utf8mb4)
  new_amount: items.amount
  new_doc: items.doc
  new_at: items.at
  new_tag: items.tag
  new_day: items.day
  new_flag: { value: items.flag, policy: fill }
  new_count: (SELECT COUNT(*) FROM users u WHERE u.id = items.user_id)
  new_or: COALESCE(items.flag, 0)
refresh: { users: by_verifier, depts: by_verifier }
";

const PARTS: &str = "
shadow: parts_new
from: parts
scope: { x: parts.a }
columns: { text: parts.note, \"*\": copy }
";

const SOME: &str = "
shadow: parts_some
from: parts
scope: { a: parts.a }
columns: { \"*\": copy }
";

const USERS: &str = "
shadow: users_new
from: users
scope: { id: { value: users.id, id_of: users } }
";

fn forward(catalog: &Catalog) -> Checked {
    let files = [
        ("plan.yaml", SETTINGS),
        ("items.yaml", ITEMS),
        ("parts.yaml", PARTS),
        ("some.yaml", SOME),
        ("users.yaml", USERS),
    ];
    let raw = common::files(&files).unwrap_or_else(|p| panic!("{}", p.render()));
    plan::check(&raw, catalog, &Parameters::new()).unwrap_or_else(|p| panic!("{}", p.render()))
}

fn checked(reverse: &Reverse, catalog: &Catalog) -> Checked {
    let text: String = reverse.files.iter().map(|(name, text)| format!("--- {name}\n{text}")).collect();
    plan::parse_files(reverse.files.iter().cloned().collect())
        .and_then(|raw| plan::check(&raw, catalog, &Parameters::new()))
        .unwrap_or_else(|p| panic!("{}\n{text}", p.render()))
}

/// Writes what a plan wants into the target's columns, as the writer does: rows that are not `ok` stay as they are.
async fn apply(session: &mut Session, plan: &Checked, target: &str) {
    let target = plan.target(target).unwrap();
    let sql = TargetSql::new(plan, target, "none");
    let wanted = sql.wanted(Scopes::Range(&Range::default())).sql;
    let set: Vec<String> =
        target.columns.iter().enumerate().map(|(j, c)| format!("t.`{}` = w.c{j}", c.column.name)).collect();
    let sql = format!("UPDATE items t JOIN ({wanted}) w ON w.k0 = t.id SET {} WHERE w.ok", set.join(", "));
    session.execute(&sql).await.unwrap();
}

/// The sums that the verifier compares.
async fn sums(session: &mut Session, plan: &Checked, target: &str) -> [String; 2] {
    let sql = TargetSql::new(plan, plan.target(target).unwrap(), "none");
    let all = Range::default();
    let mut sums = Vec::new();
    for side in [sql.digest_wanted(Scopes::Range(&all)).sum, sql.digest_present(Scopes::Range(&all)).sum] {
        sums.push(texts(session, &side).await);
    }
    sums.try_into().unwrap()
}

/// The first row.
async fn texts(session: &mut Session, sql: &str) -> String {
    let row = session.row(sql).await.unwrap().unwrap();
    (0..row.len()).map(|i| row.text(i).unwrap().unwrap_or("NULL").to_string()).collect::<Vec<_>>().join(" ")
}

async fn number(session: &mut Session, sql: &str) -> i64 {
    let rows = session.rows(sql).await.unwrap();
    rows.first().unwrap().i64(0).unwrap().unwrap_or_default()
}

/// 2000 rows at random, with missing parents, values that fit in no column of the other side, and NULLs.
async fn fill(session: &mut Session, seed: u32) {
    let random = |range: i64| format!("FLOOR({} + RAND() * {range})", -range / 4);
    let sql = format!(
        "SET @@rand_seed1 = {seed}, @@rand_seed2 = {seed} * 7;
         INSERT INTO users SELECT seq FROM seq_1_to_40;
         INSERT INTO users_id_map SELECT seq, UNHEX(MD5(seq)) FROM seq_1_to_50;
         INSERT INTO depts SELECT CONCAT('Dept', seq) FROM seq_1_to_9;
         INSERT INTO depts_id_map SELECT CONCAT('Dept', seq), UNHEX(MD5(CONCAT('d', seq))) FROM seq_1_to_9;
         INSERT INTO items (id, minutes, user_id, boss_id, dept, wide, note, amount, doc, at, tag, day, flag)
         SELECT seq, IF(RAND() < 0.1, NULL, {}), IF(RAND() < 0.1, NULL, ABS({})), IF(RAND() < 0.1, NULL, ABS({})),
           IF(RAND() < 0.1, NULL, CONCAT(IF(RAND() < 0.5, 'dept', 'DEPT'), ABS({}))), {},
           ELT(1 + FLOOR(RAND() * 5), 'plain', CONVERT(x'c3a4e29883' USING utf8mb4), 'far too long for it', 'blank  ', NULL),
           ROUND(RAND() * 20000, 2), ELT(1 + FLOOR(RAND() * 3), '{{\"a\": 1}}', '[1,  2]', NULL), NOW(6) - INTERVAL seq SECOND,
           ELT(1 + FLOOR(RAND() * 3), 'a', 'A ', NULL), NOW(6), seq
         FROM seq_1_to_2000",
        random(200_000_000),
        random(60),
        random(60),
        random(14),
        random(200_000),
    );
    for statement in sql.split(";\n") {
        session.execute(statement).await.unwrap();
    }
}

#[tokio::test]
async fn forward_and_back_is_the_original() {
    let (mut session, catalog) = common::catalog("plan_reverse_values", SCHEMA).await;
    let forward = forward(&catalog);
    let (reverse, _) = plan::reverse(&forward, &catalog, "crossfade");
    let back = checked(&reverse.unwrap(), &catalog);
    for seed in [3, 11] {
        for table in ["items", "users", "users_id_map", "depts", "depts_id_map"] {
            session.execute(&format!("DELETE FROM {table}")).await.unwrap();
        }
        fill(&mut session, seed).await;
        apply(&mut session, &forward, "items").await;
        let lost = "minutes IS NOT NULL AND new_seconds IS NULL OR new_owner IS NULL AND user_id IS NOT NULL";
        let lost = number(&mut session, &format!("SELECT COUNT(*) FROM items WHERE {lost}")).await;
        assert!(lost > 50, "values that the new side can't hold: {lost}");
        let [wanted, present] = sums(&mut session, &back, "items").await;
        assert_eq!(wanted, present, "the way back changes nothing, seed {seed}");
        assert!(wanted.contains("2000"), "{wanted}");
    }
}

#[tokio::test]
async fn what_the_application_writes_on_the_new_side_comes_back_or_is_refused() {
    let (mut session, catalog) = common::catalog("plan_reverse_writes", SCHEMA).await;
    let forward = forward(&catalog);
    let (reverse, _) = plan::reverse(&forward, &catalog, "crossfade");
    let back = checked(&reverse.unwrap(), &catalog);
    fill(&mut session, 5).await;
    apply(&mut session, &forward, "items").await;
    // Each value by itself, at random; those of other rows are what the application might copy.
    session
        .execute(
            "UPDATE items i JOIN items o ON o.id = 1 + (i.id * 7) % 2000 SET
               i.new_seconds = IF(i.id % 4 = 0, o.new_seconds, i.new_seconds), i.new_owner = o.new_owner,
               i.new_owner_uuid = NULL,
               i.new_boss = o.new_boss, i.new_dept = IF(i.id % 3 = 0, o.new_dept, i.new_dept),
               i.new_small = o.new_small, i.new_note = o.new_note, i.new_amount = o.new_amount, i.new_doc = o.new_doc,
               i.new_at = o.new_at, i.new_tag = o.new_tag",
        )
        .await
        .unwrap();
    for (id, set) in [
        (1, "new_seconds = 61"),
        (2, "new_boss = UNHEX(MD5('nobody'))"),
        (3, "new_seconds = -1"),
        (4, "new_tag = 'too long'"),
        (
            5,
            "new_seconds = 0, new_boss = NULL, new_dept = NULL, new_note = '', new_tag = NULL, new_small = NULL, new_owner = NULL",
        ),
        (6, "new_seconds = -120, new_boss = UNHEX(MD5(7)), new_owner = 7"),
    ] {
        session.execute(&format!("UPDATE items SET {set} WHERE id = {id}")).await.unwrap();
    }
    session.execute("CREATE TABLE before_it AS SELECT * FROM items").await.unwrap();
    apply(&mut session, &back, "items").await;

    let target = back.target("items").unwrap();
    let wanted = TargetSql::new(&back, target, "none").wanted(Scopes::Range(&Range::default()));
    let refused = format!(
        "SELECT COUNT(*), GROUP_CONCAT(k0 ORDER BY k0), MIN(unfit) FROM ({}) w WHERE NOT ok",
        wanted.sql
    );
    let refused = texts(&mut session, &refused).await;
    assert!(refused.starts_with("4 1,2,3,4 "), "{refused}");
    let legacy = target.columns.iter().map(|c| format!("BINARY i.{0} <=> BINARY b.{0}", c.column.name));
    let kept = format!(
        "SELECT COUNT(*) FROM items i JOIN before_it b USING (id) WHERE id <= 4 AND {}",
        legacy.collect::<Vec<_>>().join(" AND ")
    );
    assert_eq!(number(&mut session, &kept).await, 4, "a refused row keeps its legacy columns");
    let six = "SELECT minutes = -2 AND boss_id = 7 AND user_id = 7 FROM items WHERE id = 6";
    assert_eq!(number(&mut session, six).await, 1);

    // And forward again: what was written on the new side stands. Text comes back in its own spelling.
    let inverted =
        ["new_seconds", "new_boss", "new_dept", "new_small", "new_note", "new_amount", "new_at", "new_tag"];
    apply(&mut session, &forward, "items").await;
    for column in inverted {
        let moved = format!(
            "SELECT COUNT(*) FROM items i JOIN before_it b USING (id) WHERE id > 4 AND NOT BINARY i.{column} <=> BINARY b.{column}"
        );
        assert_eq!(number(&mut session, &moved).await, 0, "{column}");
    }
}

#[tokio::test]
async fn each_column_says_how_it_comes_back_or_why_not() {
    let (_, catalog) = common::catalog("plan_reverse_lines", SCHEMA).await;
    let forward = forward(&catalog);
    let explained = plan::explain(&forward, &catalog, "crossfade", None);
    let lines: Vec<String> = explained
        .targets
        .iter()
        .flat_map(|t| t.back.iter().map(|b| format!("{}: {}", t.target, serde_json::to_string(b).unwrap())))
        .collect();
    let (reverse, left_out) = plan::reverse(&forward, &catalog, "crossfade");
    let files = reverse.unwrap().files;
    let text: String = files.iter().map(|(name, text)| format!("--- {name}\n{text}")).collect();
    insta::assert_snapshot!("reverse", format!("{}\n{text}", lines.join("\n")));
    assert!(left_out.iter().any(|l| l.target == "users_new" && l.column.is_none()), "{left_out:?}");
}

#[tokio::test]
async fn a_plan_without_a_way_back_has_none() {
    let (_, catalog) = common::catalog("plan_reverse_none", SCHEMA).await;
    let raw = common::files(&[("plan.yaml", SETTINGS), ("users.yaml", USERS)]).unwrap();
    let checked = plan::check(&raw, &catalog, &Parameters::new()).unwrap();
    let (reverse, left_out) = plan::reverse(&checked, &catalog, "crossfade");
    assert!(reverse.is_none() && left_out.len() == 1, "{left_out:?}");
}

#[tokio::test]
async fn the_shipped_plan_comes_back_as_far_as_it_can() {
    let (mut session, _) = common::catalog("plan_reverse_phase2", common::LEGACY).await;
    let maps = ["users", "process_steps"];
    for map in maps {
        let key = "BIGINT UNSIGNED PRIMARY KEY, uuid_binary BINARY(16) NOT NULL, UNIQUE KEY (uuid_binary)";
        session.execute(&format!("CREATE TABLE {map}_id_map (legacy_id {key})")).await.unwrap();
    }
    let catalog = mysql::catalog::load(&mut session, "plan_reverse_phase2").await.unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plans/phase2");
    let raw = plan::load(&folder).unwrap_or_else(|p| panic!("{}", p.render()));
    let forward =
        plan::check(&raw, &catalog, &Parameters::new()).unwrap_or_else(|p| panic!("{}", p.render()));
    let (reverse, left_out) = plan::reverse(&forward, &catalog, "crossfade");
    let back = checked(&reverse.unwrap(), &catalog);
    let written: Vec<String> = back
        .targets
        .iter()
        .flat_map(|t| t.columns.iter().map(move |c| format!("{}.{}", t.table, c.column.name)))
        .collect();
    assert_eq!(
        written,
        [
            "escalation_rules.trigger_minutes",
            "escalation_rules.designated_user_id",
            "process_steps.default_sla_minutes",
            "requests.created_by_user_id",
        ]
    );
    assert!(left_out.iter().all(|l| !l.reason.is_empty()), "{left_out:?}");
}

/// `keep_if` and `fits_if` in plans that people write.
#[tokio::test]
async fn conditions_have_their_place() {
    let (_, catalog) = common::catalog("plan_reverse_conditions", SCHEMA).await;
    let refused = [
        ("{ value: items.boss_id, id_of: users, keep_if: TRUE }", "new_boss", "can't stand beside `id_of`"),
        (
            "{ value: items.flag, policy: fill, fits_if: TRUE }",
            "new_flag",
            "can't stand beside `policy: fill`",
        ),
        ("{ value: items.flag, keep_if: items.nothing IS NULL }", "new_flag", "unknown column `nothing`"),
        // Another row's value of the column is what the plan writes.
        (
            "{ value: items.flag, keep_if: EXISTS (SELECT 1 FROM items o WHERE o.id = items.flag AND o.new_flag = 1) }",
            "new_flag",
            "reads what the plan writes",
        ),
    ];
    for (column, name, part) in refused {
        let text = format!("table: items\ncolumns:\n  {name}: {column}\nrefresh: {{ users: by_verifier }}\n");
        let problems = common::files(&[("plan.yaml", SETTINGS), ("t.yaml", &text)])
            .and_then(|raw| plan::check(&raw, &catalog, &Parameters::new()))
            .unwrap_err();
        assert!(problems.render().contains(part), "{part}: {}", problems.render());
    }
    let shadow = PARTS.replace("text: parts.note", "text: { value: parts.note, keep_if: TRUE }");
    let problems = common::files(&[("plan.yaml", SETTINGS), ("t.yaml", &shadow)])
        .and_then(|raw| plan::check(&raw, &catalog, &Parameters::new()))
        .unwrap_err();
    assert!(problems.render().contains("`keep_if` is for parallel columns"), "{}", problems.render());
}
