//! Plans that can't be right: refused before anything runs, with the place and the way to mend it.

use anyhow::{Context, Result};
use testkit::servers::Mariadb;

use crate::answer::{json, refuses, unframed};
use crate::small::Small;

const TROUBLES: &str = "
CREATE TABLE heap (a INT, b INT, new_b INT);
CREATE TABLE child (id INT PRIMARY KEY, user_id BIGINT UNSIGNED NULL, b INT, new_b INT,
  CONSTRAINT fk_child_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE);
CREATE TABLE tasks (id INT PRIMARY KEY, owner BIGINT UNSIGNED NULL, made DATETIME(6) NULL, days INT NULL, KEY ix_days (days));
";

/// Name, the file `users.yaml`, and what has to be said about it.
const CASES: &[(&str, &str, &[&str])] = &[
    ("no table", "columns: { seconds: 1 }\n", &["users.yaml:1:1", "table"]),
    ("wrong key", "table: users\ncolums: { seconds: 1 }\n", &["users.yaml:2:1", "colums", "columns"]),
    (
        "key without a value",
        "table: users\ncolumns:\n  seconds: { policy: fill }\n",
        &["users.yaml:3", "seconds", "value"],
    ),
    ("wrong word", "table: users\nrisk: hihg\ncolumns: { seconds: 1 }\n", &["users.yaml:2", "hihg", "high"]),
    ("not YAML", "table: [users\n", &["users.yaml:"]),
    (
        "unknown column",
        "table: users\ncolumns:\n  seconds: users.minuets * 60\n",
        &["users.yaml:3:", "`minuets`", "did you mean `minutes`?"],
    ),
    (
        "unknown target column",
        "table: users\ncolumns: { secnds: 1 }\n",
        &["users.yaml:2:", "`secnds`", "did you mean `seconds`?"],
    ),
    (
        "unknown table",
        "table: user\ncolumns: { seconds: 1 }\n",
        &["users.yaml:1:", "`user`", "did you mean `users`?"],
    ),
    (
        "incompatible type",
        "table: users\ncolumns: { seconds: users.email }\n",
        &["users.yaml:2:", "`seconds`", "text", "int(11)", "CAST"],
    ),
    (
        "unindexed look-up",
        "table: users\ncolumns:\n  seconds: (SELECT MAX(t.days) FROM tasks t WHERE t.owner = users.id)\nrefresh: { tasks: owner }\n",
        &["users.yaml:3:", "tasks", "index", "owner"],
    ),
    (
        "unindexed route",
        "table: tasks\ncolumns: { days: tasks.id }\nrefresh:\n  users: { lookup: SELECT t.id FROM tasks t WHERE t.owner = changed.id }\n",
        &["users.yaml:4:", "tasks", "index", "owner"],
    ),
    (
        "cascade",
        "table: child\ncolumns: { new_b: child.b }\n",
        &["users.yaml:1:", "`fk_child_user`", "binary log", "RESTRICT"],
    ),
    (
        "no primary key",
        "table: heap\ncolumns: { new_b: heap.b }\n",
        &["users.yaml:1:", "`heap` has no primary key", "add one"],
    ),
    (
        "no route",
        "table: users\ncolumns:\n  seconds: (SELECT MAX(t.id) FROM tasks t WHERE t.days = users.minutes)\n",
        &["users.yaml:1:8", "`tasks`", "refresh: { tasks:"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_plan_is_refused_with_its_place_and_a_way_out() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "bad_plan").await?;
    small.sql(TROUBLES).await?;
    let d = &small.deployment;
    let mut wrong = String::new();
    for (name, file, parts) in CASES {
        small.plan("users.yaml", file)?;
        let answer = json(d, &["plan", "check"], 1, "plan_check").await.context(*name)?;
        let problems = answer["problems"].as_array().context("problems")?;
        let said: Vec<String> = problems
            .iter()
            .map(|p| {
                format!(
                    "{}:{}:{}: {} {}",
                    p["file"].as_str().unwrap_or(""),
                    p["line"],
                    p["column"],
                    p["message"].as_str().unwrap_or(""),
                    p["help"].as_str().unwrap_or("")
                )
            })
            .collect();
        let missing: Vec<_> = parts.iter().filter(|part| !said.iter().any(|s| s.contains(**part))).collect();
        if !missing.is_empty() {
            wrong += &format!("{name}: {missing:?} is not in {said:#?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");

    // All at once, and every command that needs a plan says the same.
    small.plan("users.yaml", "table: users\ncolumns:\n  seconds: users.minuets\n  boss_uuid: { value: users.bos_id, id_of: users }\n")?;
    for command in [&["up"][..], &["migrate"], &["preflight"], &["plan", "explain"]] {
        refuses(
            d,
            command,
            &["users.yaml:3:", "did you mean `minutes`?", "users.yaml:4:", "did you mean `boss_id`?"],
        )
        .await?;
    }
    let drawn = crate::answer::ask(d, &["plan", "check"]).await?;
    assert!(
        drawn.code == 1 && drawn.err.is_empty() && unframed(&drawn.out).contains("seconds: users.minuets"),
        "{}",
        drawn.out
    );
    assert_eq!(
        server.sql(&format!("SHOW DATABASES LIKE '{}'", d.schemas.control)).await?,
        "",
        "nothing was made"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_without_a_plan() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "bad_folder").await?;
    let at = |path: &str| small.deployment.clone().set("CROSSFADE_PLAN", path);
    for command in [&["up"][..], &["preflight"], &["migrate"]] {
        refuses(&at("/nowhere/plan"), command, &["/nowhere/plan", "--plan"]).await?;
    }
    let empty = tempfile::tempdir()?;
    let path = empty.path().to_str().context("a path")?;
    refuses(&at(path), &["up"], &[path, "plan.yaml"]).await?;
    std::fs::write(empty.path().join("plan.yaml"), "version: 1\n")?;
    refuses(&at(path), &["up"], &["no target"]).await?;
    std::fs::write(empty.path().join("users.yaml"), b"table: \xff\n")?;
    refuses(&at(path), &["up"], &["users.yaml", "UTF-8"]).await?;
    let file = small.file("a-file", "version: 1\n")?;
    refuses(&at(&file), &["up"], &["a-file"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "bad_param").await?;
    let with = |value: &str| small.deployment.clone().set("CROSSFADE_PARAMS", value);
    refuses(&with("admn=1"), &["up"], &["admn", "admin"]).await?;
    refuses(&with("admin=1 OR 1=1"), &["up"], &["admin"]).await?;
    // The system administrator must exist.
    let gone = with("admin=77");
    let report = json(&gone, &["preflight"], 1, "preflight").await?;
    let check = report["checks"].as_array().into_iter().flatten().find(|c| c["setting"] == "parameter admin");
    let check = check.context("no check of the parameter")?;
    assert_eq!((&check["ok"], &check["expected"]), (&false.into(), &"a row of users with id = 77".into()));
    assert!(check["mend"].as_str().is_some_and(|m| m.contains("--param admin=")), "{check}");
    refuses(&gone, &["up"], &["preflight failed", "parameter admin", "id = 77", "--param admin="]).await
}
