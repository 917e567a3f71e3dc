//! Scopes that can't be computed: reported or parked, each with its reason, and healed when the reason goes.

use anyhow::{Context, Result};
use serde_json::Value;
use testkit::servers::Mariadb;

use crate::answer::json;
use crate::small::Small;
use crate::support::{self, Deployment};

async fn exceptions(d: &Deployment) -> Result<Vec<Value>> {
    let listed = json(d, &["exceptions", "list"], 0, "exceptions").await?;
    listed["exceptions"].as_array().cloned().context("a list")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_does_not_fit_and_a_parent_that_is_gone() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "bad_value").await?;
    let d = &small.deployment;
    let mut up = small.up().await?;
    small
        .sql("UPDATE users SET minutes = 2000000000 WHERE id = 1; UPDATE users SET boss_id = 9 WHERE id = 2")
        .await?;
    small.applied(&mut up).await?;
    assert_eq!(
        small.sql("SELECT seconds IS NULL FROM users WHERE id = 1").await?,
        "1",
        "the old value does not stay"
    );
    let all = exceptions(d).await?;
    let short = |e: &Value| {
        [&e["scope_key"], &e["kind"], &e["column"], &e["reason"], &e["missing_id"]]
            .map(|v| v.as_str().unwrap_or("-").to_owned())
            .join(" ")
    };
    let mut said: Vec<String> = all.iter().map(short).collect();
    said.sort();
    assert_eq!(said, ["1 report seconds does_not_fit -", "2 report boss_uuid missing_parent 9"]);
    // A report is no reason against the verdict.
    d.yes(&["verify", "--once"]).await?;
    small
        .sql("UPDATE users SET minutes = 1 WHERE id = 1; INSERT INTO users (id, email) VALUES (9, 'zoe')")
        .await?;
    small.applied(&mut up).await?;
    assert_eq!(exceptions(d).await?, [Value::Null; 0]);
    assert_eq!(small.sql("SELECT COUNT(*) FROM users WHERE boss_uuid IS NULL").await?, "0");
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_rounded_unasked() -> Result<()> {
    let server = Mariadb::shared().await?;
    let schema = "CREATE TABLE tasks (id INT PRIMARY KEY, minutes INT NULL, at DATETIME(6) NULL, hours INT NULL, rounded INT NULL, seen DATETIME(3) NULL);
INSERT INTO tasks (id, minutes, at) VALUES (1, 60, '2024-01-01 00:00:00.123000'), (2, 90, '2024-01-01 00:00:00.123456'), (3, -90, NULL)";
    let folder = tempfile::tempdir()?;
    let small = Small::of(server, "bad_fraction", schema, folder.path().to_path_buf()).await?;
    small.plan("plan.yaml", "version: 1\n")?;
    small.plan(
        "tasks.yaml",
        "table: tasks\ncolumns:\n  hours: tasks.minutes / 60\n  rounded: ROUND(tasks.minutes / 60)\n  seen: tasks.at\n",
    )?;
    let d = &small.deployment;
    let mut up = small.up().await?;
    let rows = "SELECT CONCAT_WS(' ', id, IFNULL(hours, '-'), rounded, IFNULL(seen, '-')) FROM tasks";
    assert_eq!(small.sql(rows).await?, "1 1 1 2024-01-01 00:00:00.123\n2 - 2 -\n3 - -2 -");
    let all = exceptions(d).await?;
    let mut said: Vec<String> = all
        .iter()
        .map(|e| format!("{} {} {}", e["scope_key"], e["column"], e["reason"]).replace('"', ""))
        .collect();
    said.sort();
    assert_eq!(said, ["2 hours does_not_fit", "2 seen does_not_fit", "3 hours does_not_fit"]);
    d.yes(&["verify", "--once"]).await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

/// He was there at the start: the preflight saw to that.
#[tokio::test(flavor = "multi_thread")]
async fn the_system_administrator_goes_while_it_runs() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "bad_admin").await?;
    let d = &small.deployment;
    let mut up = small.up().await?;
    small.sql("INSERT INTO users (id, email) VALUES (5, 'eve')").await?;
    small.applied(&mut up).await?;
    small.sql("UPDATE users SET boss_id = 5 WHERE id IN (2, 3); DELETE FROM users WHERE id = 1").await?;
    small.sql("INSERT INTO users (id, email, minutes) VALUES (6, 'fay', 6)").await?;
    small.applied(&mut up).await?;
    let all = exceptions(d).await?;
    let of = |scope: &str| {
        all.iter().find(|e| e["scope_key"] == scope).with_context(|| format!("{scope}: {all:?}"))
    };
    assert_eq!((&of("6")?["kind"], &of("6")?["reason"]), (&"parked".into(), &"parameter_missing".into()));
    let told = d.run(&["verify", "--once"]).await?;
    assert_eq!(told.status.code(), Some(1), "{}", String::from_utf8_lossy(&told.stdout));
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    crate::answer::refuses(d, &["up"], &["preflight failed", "parameter admin", "id = 1"]).await?;
    // He comes back.
    small.sql("INSERT INTO users (id, email) VALUES (1, 'ann')").await?;
    let mut up = small.up().await?;
    d.yes(&["exceptions", "redrive", "--parked"]).await?;
    small.applied(&mut up).await?;
    d.yes(&["verify", "--once"]).await?;
    assert_eq!(exceptions(d).await?, [Value::Null; 0]);
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

/// An id whose bytes another has is given others, and that is written down before: also if we die in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_collision_is_recorded_before_the_id_is_given() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "bad_collision").await?;
    let d = &small.deployment;
    let mut up = small.up().await?;
    small.sql("INSERT INTO users (id, email) VALUES (9, 'zoe')").await?;
    small.applied(&mut up).await?;
    let own = small.sql("SELECT HEX(uuid_binary) FROM users_id_map WHERE legacy_id = 9").await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));

    // Somebody else has the bytes of 9, and the server refuses any others for it: that is where we die.
    small
        .sql(&format!(
            "DELETE FROM users WHERE id = 9; UPDATE users_id_map SET legacy_id = 1000 WHERE legacy_id = 9;
             ALTER TABLE users_id_map ADD CONSTRAINT no_other CHECK (legacy_id <> 9 OR uuid_binary = x'{own}')"
        ))
        .await?;
    let up = d.start(&["up"])?;
    small.sql("INSERT INTO users (id, email) VALUES (9, 'zoe')").await?;
    let ended = up.wait_with_output().await?;
    assert!(!ended.status.success(), "the id-mapper cannot go on");
    let recorded = "SELECT CONCAT(HEX(wanted), ' ', HEX(given)) FROM id_collision WHERE entity = 'users' AND legacy_id = '9'";
    let told = small.control(recorded).await?;
    assert!(told.starts_with(&own) && !told.ends_with(&own), "{told}");

    small.sql("ALTER TABLE users_id_map DROP CONSTRAINT no_other").await?;
    let mut up = small.up().await?;
    small.applied(&mut up).await?;
    let given = small.sql("SELECT HEX(uuid_binary) FROM users_id_map WHERE legacy_id = 9").await?;
    assert_eq!(told, format!("{own} {given}"));
    assert_eq!(small.control(recorded).await?, told);
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}
