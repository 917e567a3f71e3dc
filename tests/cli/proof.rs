//! What a verdict stands on: that the verifier is awake, that repeating changes nothing, and that what nobody logged is found.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use testkit::servers::Mariadb;
use testkit::wait::until;

use crate::small::Small;
use crate::{both, json, refuses, support};

const CLOSED: &str = "SELECT GROUP_CONCAT(CONCAT(target, ' ', scope_key, ' ', kind, ' ', cause, ' ', state) ORDER BY id) FROM finding";

fn criterion(verdict: &Value, name: &str) -> Value {
    let all = verdict["criteria"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|c| c["name"] == name).unwrap_or_default()
}

fn reason<'a>(verdict: &'a Value, criterion: &str) -> Option<&'a Value> {
    verdict["reasons"].as_array()?.iter().find(|r| r["criterion"] == criterion)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_out_of_the_binlog_is_found_named_and_repaired() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "cli_unlogged").await?;
    let d = &small.deployment;
    let mut up = small.up().await?;
    let verdict = json(d, &["verify", "--once"], 0, "verdict").await?;
    let rerun = criterion(&verdict, "zero-change re-run");
    assert_eq!(rerun["answer"], "ready", "{rerun}");
    for target in verdict["targets"].as_array().into_iter().flatten() {
        let replay = &target["replay"];
        assert!(replay["marks"].as_u64() > Some(0) && replay["rows"].as_u64() > Some(0), "{target}");
        assert!(target["sampled"].as_u64() > Some(0), "{target}");
    }
    assert_eq!(verdict["canary"]["found"], verdict["canary"]["damaged"]);
    let references = criterion(&verdict, "referential integrity");
    let followed = references["evidence"].as_str().unwrap_or_default().to_owned();
    assert!(references["answer"] == "ready" && followed.starts_with("1 references"), "{references}");

    // One on either side: nothing in the binlog leads to them.
    small
        .sql("SET SESSION sql_log_bin = 0; UPDATE people SET email = 'evil' WHERE id = 2; UPDATE users SET minutes = 50 WHERE id = 3")
        .await?;
    let verdict = json(d, &["verify", "--once"], 0, "verdict").await?;
    let unlogged: u64 =
        verdict["targets"].as_array().into_iter().flatten().filter_map(|t| t["unlogged"].as_u64()).sum();
    assert_eq!(unlogged, 2, "{verdict}");
    assert_eq!(
        small.control(CLOSED).await?,
        "people 2 different unlogged repaired,users 3 different unlogged repaired"
    );
    assert_eq!(
        small.sql("SELECT email FROM people WHERE id = 2; SELECT seconds FROM users WHERE id = 3").await?,
        "bob\n3000"
    );
    // A logged one has its writer.
    small.sql("UPDATE people SET email = 'evil' WHERE id = 1").await?;
    small.applied(&mut up).await?;
    json(d, &["verify", "--once"], 0, "verdict").await?;
    let last =
        "SELECT CONCAT(scope_key, ' ', cause) FROM finding WHERE kind = 'different' ORDER BY id DESC LIMIT 1";
    assert_eq!(small.control(last).await?, "1 direct_write");
    let findings = both(d, &["findings", "--all", "--target", "people"], 0, "findings").await?;
    let kinds: Vec<_> =
        findings["findings"].as_array().into_iter().flatten().map(|f| f["kind"].clone()).collect();
    assert_eq!(kinds, ["different", "direct_write", "different"]);
    assert_eq!(both(d, &["findings"], 0, "findings").await?["findings"], serde_json::json!([]));
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cascade_took_away_is_found_and_named() -> Result<()> {
    let server = Mariadb::shared().await?;
    let mut small = Small::new(server, "cli_cascade").await?;
    small.deployment = small.deployment.clone().set("CROSSFADE_VERIFY_EVERY", "1s");
    // The plan is checked before there is a cascade, and the reader does not hear of it.
    let mut up = small.up().await?;
    small
        .sql("CREATE TABLE teams (id INT PRIMARY KEY); INSERT INTO teams VALUES (1), (2); UPDATE users SET other = IF(id = 2, 2, 1)")
        .await?;
    small
        .sql("SET SESSION sql_log_bin = 0; ALTER TABLE users ADD FOREIGN KEY (other) REFERENCES teams (id) ON DELETE CASCADE")
        .await?;
    small.applied(&mut up).await?;
    small.sql("DELETE FROM teams WHERE id = 2").await?;
    until("the next pass finds it, and mends it", Duration::from_secs(60), || async {
        let found = small.control(CLOSED).await.map_err(|e| e.to_string())?;
        if found.contains("people 2 extra unlogged repaired") { Ok(()) } else { Err(found) }
    })
    .await?;
    // Whoever reads the plan anew is told of the constraint.
    refuses(&small.deployment, &["verify", "--once"], &["users_ibfk_1", "ON DELETE CASCADE"]).await?;
    assert_eq!(small.sql("SELECT COUNT(*) FROM people").await?, "2");
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_stays_open_while_nothing_is_known_of_its_scope() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "cli_left_open").await?;
    let d = &small.deployment;
    let mut up = small.up().await?;
    small.sql("SET SESSION sql_log_bin = 0; UPDATE people SET email = 'evil' WHERE id = 2").await?;
    json(d, &["verify", "--once", "--no-repair"], 1, "verdict").await?;
    // Two with one address: it is parked, with the wrong value.
    small.sql("UPDATE users SET email = 'ann' WHERE id = 2").await?;
    small.applied(&mut up).await?;
    json(d, &["verify", "--once"], 1, "verdict").await?;
    assert_eq!(small.control(CLOSED).await?, "people 2 different unlogged confirmed");
    small.sql("UPDATE users SET email = 'bea' WHERE id = 2").await?;
    small.applied(&mut up).await?;
    json(d, &["verify", "--once"], 0, "verdict").await?;
    assert_eq!(small.control(CLOSED).await?, "people 2 different unlogged repaired");
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_compared_under_another_plan_or_before_a_gap_is_forgotten() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "cli_forgotten").await?;
    let d = &small.deployment;
    let mut up = small.up().await?;
    d.yes(&["verify", "--once"]).await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    let half_way = "REPLACE INTO sweep (target, known, segment, began_at) VALUES ('people', 0, 3, NOW(6))";
    let kept = "SELECT (SELECT COUNT(*) FROM sweep) + (SELECT COUNT(*) FROM coverage)";
    small.control(half_way).await?;
    d.yes(&["migrate"]).await?;
    assert_ne!(small.control(kept).await?, "0", "the same plan goes on");
    let people =
        "shadow: people\nfrom: users\nscope: { id: users.id }\ncolumns: { email: UPPER(users.email) }\n";
    small.plan("people.yaml", people)?;
    d.yes(&["migrate", "--accept-plan"]).await?;
    assert_eq!(small.control(kept).await?, "0");
    small.control(half_way).await?;
    d.yes(&["recover"]).await?;
    assert_eq!(small.control(kept).await?, "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_differences_are_not_repaired_before_somebody_says_so() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "cli_many").await?;
    let d = &small.deployment;
    let mut up = small.up().await?;
    small.sql("SET SESSION sql_log_bin = 0; UPDATE people SET email = CONCAT(email, '!')").await?;
    let verdict = json(d, &["verify", "--once", "--repair-limit", "2"], 1, "verdict").await?;
    let people = verdict["targets"].as_array().into_iter().flatten().find(|t| t["target"] == "people");
    let people = people.cloned().unwrap_or_default();
    assert_eq!(people["too_many"], true, "{people}");
    let detail = reason(&people, "rows equal").map(|r| r["detail"].to_string()).unwrap_or_default();
    assert!(detail.contains("more than 2 scopes differ"), "{people}");
    assert_eq!(
        small.sql("SELECT COUNT(*) FROM people WHERE email LIKE '%!'").await?,
        "3",
        "nothing was repaired"
    );
    json(d, &["verify", "--once", "--repair-limit", "3"], 0, "verdict").await?;
    assert_eq!(small.sql("SELECT COUNT(*) FROM people WHERE email LIKE '%!'").await?, "0");
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_that_does_not_see_its_own_damage_says_nothing() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "cli_canary").await?;
    let d = &small.deployment;
    let mut up = small.up().await?;
    json(d, &["verify", "--once"], 0, "verdict").await?;
    // Whatever is damaged is as it was: there is nothing to be seen.
    let blind = "CREATE TRIGGER u BEFORE UPDATE ON canary_new FOR EACH ROW
  SET NEW.name = OLD.name, NEW.note = OLD.note, NEW.amount = OLD.amount, NEW.at = OLD.at, NEW.uuid = OLD.uuid;
CREATE TRIGGER d BEFORE INSERT ON canary_new FOR EACH ROW SET NEW.amount = 0";
    small.control(blind).await?;
    let verdict = json(d, &["verify", "--once"], 2, "verdict").await?;
    assert!(reason(&verdict, "verifier awake").is_some(), "{verdict}");
    // Not for one of the targets a flag goes up.
    json(d, &["flags", "set", "people", "dual_write", "--because", "x"], 1, "flag_set").await?;
    // Nor does a look at one target alone say more.
    d.run(&["verify", "--once", "--only", "people"]).await?;
    assert_eq!(small.control("SELECT verdict FROM verdict WHERE target = 'people'").await?, "unknown");
    small.control("DROP TRIGGER u; DROP TRIGGER d").await?;
    json(d, &["verify", "--once"], 0, "verdict").await?;
    json(d, &["flags", "set", "people", "dual_write", "--because", "x"], 0, "flag_set").await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_a_map_that_changes_after_it_was_seen_stands_against_everything() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "cli_maps").await?;
    let d = &small.deployment;
    let mut up = small.up().await?;
    small.sql("UPDATE users_id_map SET created_at = created_at - INTERVAL 1 HOUR").await?;
    json(d, &["verify", "--once"], 0, "verdict").await?;
    let verdict = json(d, &["verify", "--once"], 0, "verdict").await?;
    assert_eq!(verdict["id_maps"][0]["seen"], 3, "{verdict}");
    // Another UUID, and everything that refers to it with it: a bijection still, and nobody logged it.
    let swap = "SET SESSION sql_log_bin = 0;
UPDATE users_id_map SET uuid_binary = UNHEX(MD5('other')) WHERE legacy_id = 1;
UPDATE users SET boss_uuid = UNHEX(MD5('other')) WHERE boss_uuid IS NOT NULL";
    small.sql(swap).await?;
    for _ in 0..2 {
        let verdict = json(d, &["verify", "--once"], 1, "verdict").await?;
        assert_eq!(
            (&verdict["id_maps"][0]["bijection"], &verdict["id_maps"][0]["stable"]),
            (&true.into(), &false.into())
        );
        assert!(reason(&verdict, "id maps").is_some(), "{verdict}");
    }
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_goes_on_where_it_was_when_the_verifier_was_killed() -> Result<()> {
    let server = Mariadb::shared().await?;
    let mut small = Small::new(server, "cli_resume").await?;
    small.deployment = small.deployment.clone().set("CROSSFADE_VERIFY_EVERY", "1s");
    small.sql("INSERT INTO users (id, email) SELECT seq, CONCAT('u', seq) FROM seq_10_to_30000").await?;
    let mut up = small.up().await?;
    // `people` comes first, and takes seconds at its pace.
    let sweep =
        "SELECT CONCAT(segment, ' ', began_at, ' ', ended_at IS NULL) FROM sweep WHERE target = 'people'";
    let middle = until("the sweep is in the middle", Duration::from_secs(60), || async {
        let at = small.control(sweep).await.map_err(|e| e.to_string())?;
        let part: u32 = at.split(' ').next().and_then(|p| p.parse().ok()).unwrap_or_default();
        if part > 3 && at.ends_with('1') { Ok((part, at)) } else { Err(at) }
    })
    .await?;
    support::kill(&mut up).await?;
    let first = "SELECT seen_at FROM coverage WHERE target = 'people' AND segment = 0";
    let (part, began) = (middle.0, middle.1.split_once(' ').map(|(_, b)| b.to_owned()).unwrap_or_default());
    let compared = small.control(first).await?;

    let mut up = small.up().await?;
    until("the sweep has ended", Duration::from_secs(90), || async {
        let at = small.control(sweep).await.map_err(|e| e.to_string())?;
        if at.ends_with('0') { Ok(()) } else { Err(at) }
    })
    .await?;
    let ended = small.control("SELECT CONCAT(began_at, ' 1') FROM sweep WHERE target = 'people'").await?;
    assert_eq!(ended, began, "it is the same sweep");
    assert_eq!(small.control(first).await?, compared, "part 0 was not compared again; it was at {part}");
    until("a verdict", Duration::from_secs(90), || async {
        let verdict = small.control("SELECT verdict FROM verdict WHERE target = 'people'").await;
        match verdict.map_err(|e| e.to_string())?.as_str() {
            "ready" => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await?;
    let wanted = small
        .control("SELECT JSON_VALUE(body, '$.wanted_rows') FROM verdict WHERE target = 'people'")
        .await?;
    assert_eq!(wanted, "29994", "rows before and behind the kill count");
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_not_swallowed_by_a_replay_that_is_pending() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "cli_orders").await?;
    let d = &small.deployment;
    let mut up = small.up().await?;
    d.yes(&["pause"]).await?;
    small
        .control("INSERT INTO pass (target, kind, ordinal, reason, most, created_at) VALUES ('people', 'rows', 1, 'replay', 1, NOW(6))")
        .await?;
    let mut again = d.start(&["backfill", "--again", "--only", "people"])?;
    until("the order stands", Duration::from_secs(20), || async {
        let sql = "SELECT COUNT(*) FROM pass WHERE target = 'people' AND reason = 'again'";
        match small.control(sql).await.map_err(|e| e.to_string())?.as_str() {
            "1" => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await?;
    d.yes(&["resume"]).await?;
    assert!(again.wait().await?.success());
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}
