//! What the writer does while the application writes both sides.

use std::time::Duration;

use anyhow::Result;
use testkit::servers::Mariadb;
use testkit::wait::until;

use crate::small::Small;
use crate::{both, json, refuses, support};

fn set<'a>(target: &'a str, mode: &'a str) -> [&'a str; 6] {
    ["mode", "set", target, mode, "--because", "as planned"]
}

const COUNTS: &str = "SELECT COALESCE(CONCAT(SUM(equal), ' ', SUM(filled), ' ', SUM(different)), '-') FROM dual_write WHERE target = ";

#[tokio::test(flavor = "multi_thread")]
async fn dual_writes_are_compared_and_never_overwritten_until_the_target_is_the_writers_again() -> Result<()>
{
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "cli_modes").await?;
    let d = &small.deployment;
    let mut up = small.up().await?;
    d.yes(&["verify", "--once"]).await?;

    json(d, &set("users", "compare"), 1, "mode_set").await?;
    refuses(d, &set("users", "read"), &["`read` is no mode", "compare"]).await?;
    for target in ["users", "people"] {
        d.yes(&["flags", "set", target, "dual_write", "--because", "week one"]).await?;
        let moved = json(d, &set(target, "compare"), 0, "mode_set").await?;
        assert_eq!((&moved["was"], &moved["mode"]), (&"write".into(), &"compare".into()));
    }
    json(d, &set("users", "off"), 1, "mode_set").await?;

    // Both sides in one transaction.
    small
        .sql("START TRANSACTION; UPDATE users SET minutes = 5, seconds = 300, email = 'abe' WHERE id = 1; UPDATE people SET email = 'abe' WHERE id = 1; COMMIT")
        .await?;
    small.applied(&mut up).await?;
    assert_eq!(small.control(&format!("{COUNTS}'people'")).await?, "1 0 0");
    assert_eq!(small.control(&format!("{COUNTS}'users'")).await?, "3 0 0", "he is the others' boss");
    let verdict = json(d, &["verify", "--once"], 0, "verdict").await?;
    let criterion = |verdict: &serde_json::Value| {
        let all = verdict["criteria"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|c| c["name"] == "identical dual writes").unwrap_or_default()
    };
    assert_eq!(criterion(&verdict)["answer"], "ready", "{verdict}");

    // Only legacy: what is missing is filled in, what differs is left as it is, and it is a finding.
    small
        .sql("INSERT INTO users (id, email, minutes) VALUES (4, 'dan', 4); UPDATE users SET minutes = 9, email = 'bea' WHERE id = 2; DELETE FROM users WHERE id = 3")
        .await?;
    small.applied(&mut up).await?;
    let people = "SELECT GROUP_CONCAT(id, ' ', email ORDER BY id) FROM people";
    assert_eq!(small.sql(people).await?, "1 abe,2 bob,3 cid,4 dan");
    assert_eq!(small.sql("SELECT seconds FROM users WHERE id = 2").await?, "120");
    assert_eq!(
        small.control(&format!("{COUNTS}'people'")).await?,
        "1 1 2",
        "one new, one other, one too many"
    );
    let users = "SELECT CONCAT(SUM(filled), ' ', SUM(different)) FROM dual_write WHERE target = 'users'";
    assert_eq!(small.control(users).await?, "1 1");
    let verdict = json(d, &["verify", "--once"], 1, "verdict").await?;
    assert_eq!(criterion(&verdict)["answer"], "not_ready", "{verdict}");
    let open = "SELECT GROUP_CONCAT(target, ' ', scope_key, ' ', kind ORDER BY target, scope_key) FROM finding WHERE closed_at IS NULL";
    let findings = "people 2 different,people 3 extra,users 2 different";
    assert_eq!(small.control(open).await?, findings);
    d.run(&["verify", "--once"]).await?;
    assert_eq!(small.control(open).await?, findings, "each is said once");
    assert_eq!(small.sql(people).await?, "1 abe,2 bob,3 cid,4 dan", "nor does a repair overwrite it");

    // The mode outlives the process.
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    let mut up = small.up().await?;
    let listed = both(d, &["mode", "list"], 0, "modes").await?;
    assert!(listed["modes"].as_array().is_some_and(|m| m.iter().all(|m| m["mode"] == "compare")), "{listed}");

    // Back: what was left alone is written again.
    d.yes(&["flags", "set", "people", "legacy", "--because", "rollback"]).await?;
    json(d, &set("users", "write"), 0, "mode_set").await?;
    small.applied(&mut up).await?;
    assert_eq!(small.sql(people).await?, "1 abe,2 bea,4 dan");
    assert_eq!(small.sql("SELECT seconds FROM users WHERE id = 2").await?, "540");
    d.yes(&["verify", "--once"]).await?;
    assert_eq!(small.control(open).await?, "NULL");
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_whose_lanes_are_off_is_left_alone_and_its_passes_wait() -> Result<()> {
    let server = Mariadb::shared().await?;
    let mut small = Small::new(server, "cli_off").await?;
    small.deployment = small.deployment.clone().set("CROSSFADE_VERIFY_EVERY", "1s");
    let d = &small.deployment;
    let mut up = small.up().await?;
    d.yes(&["verify", "--once"]).await?;
    for state in ["dual_write", "shadow_read", "new_read"] {
        d.yes(&["flags", "set", "people", state, "--because", "cutover"]).await?;
    }
    json(d, &set("people", "off"), 0, "mode_set").await?;
    small.sql("UPDATE users SET email = 'zoe', minutes = 7 WHERE id = 2").await?;
    small.applied(&mut up).await?;
    assert_eq!(small.sql("SELECT email FROM people WHERE id = 2").await?, "bob");
    assert_eq!(small.sql("SELECT seconds FROM users WHERE id = 2").await?, "420", "others go on");
    let verdict = json(d, &["verify", "--once"], 2, "verdict").await?;
    let reasons: Vec<_> = verdict["targets"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|t| t["reasons"].as_array())
        .flatten()
        .collect();
    assert!(reasons.len() == 1 && reasons[0]["criterion"] == "mode", "{verdict}");
    json(d, &["verdict", "--only", "users"], 0, "verdict_target").await?;
    assert_eq!(small.sql("SELECT email FROM people WHERE id = 2").await?, "bob");

    // The verifier's own passes take no reads back: the legacy side may lack what the application wrote.
    // Nor does a pass that waits until the lanes are on again keep it from looking.
    small
        .control("INSERT INTO pass (target, kind, ordinal, reason, created_at) VALUES ('people', 'rows', 1, 'again', NOW(6))")
        .await?;
    small.control("DELETE FROM verdict").await?;
    until("the verifier has looked", Duration::from_secs(60), || async {
        match small.control("SELECT COUNT(*) FROM verdict").await.map_err(|e| e.to_string())?.as_str() {
            "3" => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await?;
    d.yes(&["verify", "--once", "--only", "users"]).await?;
    assert_eq!(small.control("SELECT state FROM flag WHERE target = 'people'").await?, "new_read");

    json(d, &set("people", "write"), 1, "mode_set").await?;
    d.yes(&["flags", "set", "people", "legacy", "--because", "back"]).await?;
    json(d, &set("people", "write"), 0, "mode_set").await?;
    small.applied(&mut up).await?;
    assert_eq!(small.sql("SELECT email FROM people WHERE id = 2").await?, "zoe");
    d.yes(&["verify", "--once"]).await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}
