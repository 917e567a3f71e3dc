//! Queries of the application in both forms: run by each pass on some scopes, compared and timed.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;
use testkit::servers::Mariadb;

use crate::small::Small;
use crate::{both, json, support};

const PEOPLE: &str = "shadow: people\nfrom: users\nscope: { id: users.id }\ncolumns: { email: users.email }\nreads:\n  by_id:\n    legacy: SELECT email FROM users WHERE id = :id\n";
const RIGHT: &str = "    new: SELECT email FROM people WHERE id = :id\n";
const WRONG: &str = "    new: SELECT UPPER(email) FROM people WHERE id = :id AND id <> 3\n";

/// The boss of a user, through the id map on the new side.
const USERS: &str = "table: users
columns:
  seconds: users.minutes * 60
  boss_uuid: { value: users.boss_id, id_of: users, fallback: \":admin\" }
refresh:
  users: { lookup: \"SELECT u.id FROM users u WHERE u.boss_id = changed.id\" }
reads:
  boss:
    legacy: SELECT b.id, b.email FROM users u JOIN users b ON b.id = COALESCE(u.boss_id, :admin) WHERE u.id = :id
    new: >
      SELECT b.id, b.email FROM users u JOIN users_id_map m ON m.uuid_binary = u.boss_uuid
      JOIN users b ON b.id = m.legacy_id WHERE u.id = :id
";

const OPEN: &str = "SELECT GROUP_CONCAT(target, ' ', read_name, ' ', scope_key ORDER BY id) FROM finding WHERE kind = 'shadow_read' AND closed_at IS NULL";

fn criterion(verdict: &Value) -> Value {
    let all = verdict["criteria"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|c| c["name"] == "identical reads").unwrap_or_default()
}

fn read(verdict: &Value, target: &str) -> Value {
    let all = verdict["targets"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|t| t["target"] == target).unwrap_or_default()["reads"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_are_alike_are_counted_and_timed_and_churn_makes_no_false_alarm() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "cli_reads").await?;
    let d = &small.deployment;
    let mut up = small.up().await?;
    let verdict = json(d, &["verify", "--once"], 0, "verdict").await?;
    assert_eq!(
        criterion(&verdict)["answer"],
        "unknown",
        "no read is named, and nothing is held back: {verdict}"
    );
    assert_eq!(support::terminate(&mut up).await?, Some(0));

    small.plan("people.yaml", &format!("{PEOPLE}{RIGHT}"))?;
    small.plan("users.yaml", USERS)?;
    both(d, &["plan", "check"], 0, "plan_check").await?;
    let explained = both(d, &["plan", "explain"], 0, "plan_explain").await?;
    assert!(explained.to_string().contains("= :id"), "{explained}");
    d.yes(&["migrate", "--accept-plan"]).await?;
    small.sql("INSERT INTO users (id, email, minutes, boss_id) SELECT seq, CONCAT('u', seq), 1, 1 + seq % 3 FROM seq_4_to_400").await?;
    let mut up = small.up().await?;
    let verdict = json(d, &["verify", "--once"], 0, "verdict").await?;
    assert_eq!(criterion(&verdict)["answer"], "ready", "{verdict}");
    for target in ["people", "users"] {
        let read = read(&verdict, target);
        assert!(read["keys"].as_u64() >= Some(40) && read["differ"] == 0, "{read}");
        for form in ["legacy", "new"] {
            let (p50, p99) = (read[form]["p50_us"].as_u64(), read[form]["p99_us"].as_u64());
            assert!(p50 > Some(0) && p99 >= p50, "{read}");
        }
    }

    // Every row changes all the time, on both sides of each read.
    let began = Instant::now();
    let churn = async {
        let mut n = 0;
        while began.elapsed() < Duration::from_secs(12) {
            n += 1;
            small
                .sql(&format!("UPDATE users SET email = CONCAT('e', {n}, '-', id), boss_id = 1 + (id + {n}) % 3 WHERE id % 7 = {n} % 7"))
                .await?;
        }
        Ok::<_, anyhow::Error>(n)
    };
    let verify = async {
        let mut passes = 0;
        while began.elapsed() < Duration::from_secs(9) {
            let verdict = d.run(&["verify", "--once", "--output", "json"]).await?;
            let verdict: Value = serde_json::from_slice(&verdict.stdout)?;
            assert_ne!(criterion(&verdict)["answer"], "not_ready", "{verdict}");
            passes += 1;
        }
        Ok(passes)
    };
    let (rounds, passes) = tokio::try_join!(churn, verify)?;
    assert!(rounds > 5 && passes > 0, "{rounds} rounds, {passes} passes");
    assert_eq!(small.control("SELECT COUNT(*) FROM finding WHERE kind = 'shadow_read'").await?, "0");
    small.applied(&mut up).await?;
    let verdict = json(d, &["verify", "--once"], 0, "verdict").await?;
    assert_eq!(criterion(&verdict)["answer"], "ready", "{verdict}");
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_differs_is_a_definite_no_until_it_reads_alike() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "cli_reads_differ").await?;
    let d = &small.deployment;
    small.plan("people.yaml", &format!("{PEOPLE}{WRONG}"))?;
    let mut up = small.up().await?;
    for _ in 0..2 {
        let verdict = json(d, &["verify", "--once"], 1, "verdict").await?;
        assert_eq!(criterion(&verdict)["answer"], "not_ready", "{verdict}");
        let reasons = verdict["targets"].to_string();
        assert!(
            reasons.contains("read `by_id` gives other results in its new form for 3 scopes"),
            "{reasons}"
        );
        assert_eq!(
            small.control(OPEN).await?,
            "people by_id 1,people by_id 2,people by_id 3",
            "each is said once"
        );
    }
    // Keys only: no value of either form stands anywhere in the control schema.
    let said = small.control("SELECT CONCAT_WS(' ', scope_key, scope, wanted, present) FROM finding").await?;
    let body = small.control("SELECT GROUP_CONCAT(body) FROM verdict").await?;
    assert!(!said.contains("ann") && !said.contains("ANN") && !body.contains("ANN"), "{said}\n{body}");
    let refused = json(d, &["flags", "set", "people", "dual_write", "--because", "x"], 1, "flag_set").await?;
    assert_eq!(refused["state"], "legacy");
    json(d, &["flags", "set", "users", "dual_write", "--because", "its reads are none"], 0, "flag_set")
        .await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));

    small.plan("people.yaml", &format!("{PEOPLE}{RIGHT}"))?;
    d.yes(&["migrate", "--accept-plan"]).await?;
    let mut up = small.up().await?;
    let verdict = json(d, &["verify", "--once"], 0, "verdict").await?;
    assert_eq!(criterion(&verdict)["answer"], "ready", "{verdict}");
    assert_eq!(small.control(OPEN).await?, "NULL");
    for state in ["dual_write", "shadow_read", "new_read"] {
        json(d, &["flags", "set", "people", state, "--because", "as planned"], 0, "flag_set").await?;
    }
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_takes_too_long_is_given_up_and_is_no_answer() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "cli_reads_slow").await?;
    let d = &small.deployment;
    small
        .sql("INSERT INTO users (id, email, minutes, boss_id) SELECT seq, CONCAT('u', seq), 1, 1 FROM seq_4_to_3000")
        .await?;
    // 3000 * 3000 * 3000 pairs; and a list of 3000 rows.
    let wide = "FROM users a JOIN users b ON b.boss_id = a.boss_id";
    let slow = format!(
        "SELECT COUNT(*) {wide} JOIN users c ON c.boss_id = b.boss_id JOIN users d ON d.boss_id = c.boss_id WHERE a.id = :id"
    );
    let long = format!("SELECT b.email {wide} WHERE a.id = :id");
    let reads = format!(
        "reads:\n  slow: {{ legacy: \"{slow}\", new: \"SELECT 1 FROM people WHERE id = :id\" }}\n  long: {{ legacy: \"{long}\", new: \"{long}\" }}\n"
    );
    small.plan("people.yaml", &format!("{}{reads}", PEOPLE.split("reads:").next().unwrap_or_default()))?;
    let mut up = small.up().await?;
    let verdict = json(d, &["verify", "--once"], 2, "verdict").await?;
    assert_eq!(criterion(&verdict)["answer"], "unknown", "{verdict}");
    let reasons = verdict["targets"].to_string();
    assert!(
        reasons.contains("read `slow` gave no answer") && reasons.contains("read `long` gave no answer"),
        "{reasons}"
    );
    assert_eq!(small.control(OPEN).await?, "NULL");
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}
