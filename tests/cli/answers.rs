//! What each command answers, before, while and after a deployment runs.

use std::time::Duration;

use anyhow::{Context, Result};
use testkit::servers::{Kafka, Mariadb};
use testkit::wait::until;

use crate::small::Small;
use crate::{ask, both, json, refuses, support};

/// A plan that can't be right: a column is mistyped.
const MISTYPED: &str = "table: users\ncolumns: { seconds: users.minuets * 60 }\n";

#[tokio::test(flavor = "multi_thread")]
async fn before_anything_runs() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "cli_before").await?;
    let d = &small.deployment;
    for command in [
        &["status"][..],
        &["wait", "--timeout", "1s"],
        &["backfill"],
        &["backfill", "--again"],
        &["pause"],
        &["resume"],
        &["verify", "--once"],
        &["exceptions", "list"],
        &["exceptions", "redrive"],
        &["exceptions", "waive", "--because", "x"],
        &["recover"],
    ] {
        refuses(d, command, &["error: ", "no control schema", &d.schemas.control, "crossfade up"]).await?;
    }
    let unknown = both(d, &["verdict"], 2, "verdict").await?;
    assert_eq!(unknown["verdict"], "unknown");
    assert!(
        unknown["reasons"][0]["next_step"].as_str().is_some_and(|s| s.contains("verify --once")),
        "{unknown}"
    );
    refuses(d, &["topics"], &["in-process", "kafka://"]).await?;
    refuses(d, &["topics", "--create"], &["in-process", "kafka://"]).await?;
    refuses(d, &["service", "writer"], &["--bus kafka://", "crossfade up"]).await?;
    refuses(d, &["health"], &["`listen` is not set"]).await?;
    refuses(d, &["verify"], &["--once"]).await?;

    let right = both(d, &["plan", "check"], 0, "plan_check").await?;
    assert_eq!(right["targets"], serde_json::json!(["people", "users"]));
    both(d, &["plan", "explain"], 0, "plan_explain").await?;
    let one = both(d, &["plan", "explain", "--only", "people"], 0, "plan_explain").await?;
    assert_eq!(one["targets"].as_array().map(Vec::len), Some(1));
    refuses(d, &["plan", "explain", "--only", "peple"], &["no target `peple`", "people, users"]).await?;
    let schema = ask(d, &["plan", "schema"]).await?;
    let schema: serde_json::Value = serde_json::from_str(&schema.out)?;
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    both(d, &["verify", "--deferred"], 0, "deferred").await?;

    // The control schema is missing, and the preflight says so; `up` makes it.
    let report = both(d, &["preflight", "--role", "writer,mapper"], 0, "preflight").await?;
    let checks = || report["checks"].as_array().into_iter().flatten();
    let failed: Vec<&str> =
        checks().filter(|c| c["ok"] == false).filter_map(|c| c["name"].as_str()).collect();
    assert!(failed.contains(&"control"), "{report}");
    let roles: Vec<&str> =
        checks().filter(|c| c["expected"] == "held").filter_map(|c| c["setting"].as_str()).collect();
    assert_eq!(roles, ["of the writer", "of the mapper"]);
    let grants = both(d, &["preflight", "--print-grants"], 0, "grants").await?;
    assert!(grants["grants"].as_str().is_some_and(|g| g.contains("REPLICATION SLAVE ON *.*")), "{grants}");

    let made = json(d, &["migrate"], 0, "migrate").await?;
    assert_eq!((&made["from"], &made["to"]), (&0.into(), &1.into()));
    let again = both(d, &["migrate"], 0, "migrate").await?;
    assert_eq!(again["from"], 1);
    both(d, &["preflight"], 0, "preflight").await?;
    let late = both(d, &["wait", "--timeout", "100ms"], 1, "wait").await?;
    assert_eq!(late["applied"], false);
    assert!(late["waits_for"].as_str().is_some_and(|w| w.contains("crossfade up")), "{late}");
    both(d, &["status"], 0, "status").await?;
    refuses(d, &["recover"], &["never started"]).await?;
    both(d, &["exceptions", "list"], 0, "exceptions").await?;

    small.plan("users.yaml", MISTYPED)?;
    let wrong = both(d, &["plan", "check"], 1, "plan_check").await?;
    let problem = &wrong["problems"][0];
    assert_eq!((&problem["file"], &problem["line"]), (&"users.yaml".into(), &2.into()), "{wrong}");
    assert!(problem["help"].as_str().is_some_and(|h| h.contains("minutes")), "{wrong}");
    refuses(d, &["plan", "explain"], &["minuets", "did you mean `minutes`?"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn while_and_after_it_runs() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "cli_runs").await?;
    let d = &small.deployment;
    let mut up = small.up().await?;
    both(d, &["backfill"], 0, "backfill").await?;
    let applied = both(d, &["wait"], 0, "wait").await?;
    assert_eq!((&applied["applied"], &applied["waits_for"]), (&true.into(), &serde_json::Value::Null));
    refuses(d, &["verify", "--once", "--only", "peple"], &["no target `peple`", "people, users"]).await?;
    refuses(d, &["backfill", "--again", "--only", "peple"], &["no target `peple`"]).await?;
    both(d, &["verify", "--once"], 0, "verdict").await?;
    let ready = both(d, &["verdict"], 0, "verdict").await?;
    assert_eq!(ready["verdict"], "ready");
    both(d, &["verdict", "--only", "people"], 0, "verdict_target").await?;
    let status = both(d, &["status"], 0, "status").await?;
    assert_eq!((&status["verdict"], status["services"].as_array().map(Vec::len)), (&"ready".into(), Some(5)));

    // It expires.
    small.control("UPDATE verdict SET expires_at = NOW(6) - INTERVAL 1 SECOND").await?;
    let expired = both(d, &["verdict"], 2, "verdict").await?;
    assert!(expired["reasons"][0]["detail"].as_str().is_some_and(|s| s.contains("expired")), "{expired}");
    assert_eq!(json(d, &["status"], 0, "status").await?["verdict"], "unknown");

    // Two rows can't both have a unique value: one is parked, and the verdict is no until it is waived.
    small
        .sql("UPDATE users SET email = 'ann' WHERE id = 3; UPDATE users SET boss_id = 77 WHERE id = 2")
        .await?;
    let applied = both(d, &["wait"], 0, "wait").await?;
    assert_eq!(applied["parked"], 1, "{applied}");
    both(d, &["verify", "--once"], 1, "verdict").await?;
    let no = both(d, &["verdict"], 1, "verdict").await?;
    assert_eq!(no["verdict"], "not_ready");
    assert!(no.to_string().contains("crossfade exceptions list --parked"), "{no}");
    assert_eq!(json(d, &["verdict", "--only", "users"], 0, "verdict_target").await?["reports"], 1);
    let listed = both(d, &["exceptions", "list"], 0, "exceptions").await?;
    let all = listed["exceptions"].as_array().context("a list")?;
    let of =
        |kind: &str| all.iter().find(|e| e["kind"] == kind).with_context(|| format!("no {kind} in {listed}"));
    assert_eq!(of("parked")?["reason"], "duplicate");
    assert!(
        of("parked")?["detail"].as_str().is_some_and(|t| t.contains("uq_email") && !t.contains("ann")),
        "{listed}"
    );
    let report = of("report")?;
    assert_eq!((&report["column"], &report["missing_id"]), (&"boss_uuid".into(), &"77".into()), "{report}");
    let parked = both(d, &["exceptions", "list", "--parked"], 0, "exceptions").await?;
    assert_eq!(parked["exceptions"].as_array().map(Vec::len), Some(1));
    assert_eq!(json(d, &["exceptions", "redrive", "--parked"], 0, "redrive").await?["redriven"], 1);
    small.applied(&mut up).await?;

    // A waiver wants a reason, and something to waive.
    let without = ask(d, &["exceptions", "waive", "--parked"]).await?;
    assert!(without.code == 2 && without.err.contains("--because"), "{}", without.err);
    refuses(d, &["exceptions", "waive", "--because", " "], &["--because"]).await?;
    assert_eq!(
        json(d, &["exceptions", "waive", "--target", "none", "--because", "x"], 1, "waive").await?["waived"],
        0
    );
    let waived =
        json(d, &["exceptions", "waive", "--target", "people", "--because", "a test account"], 0, "waive")
            .await?;
    assert_eq!(waived["waived"], 1);
    let kept =
        small.control("SELECT waived_by, waived_because FROM exceptions WHERE waived_at IS NOT NULL").await?;
    assert_eq!(kept, "cf\ta test account");
    both(d, &["verify", "--once"], 0, "verdict").await?;
    both(d, &["verdict"], 0, "verdict").await?;

    // Once it can be written, nothing is left of it.
    small
        .sql("UPDATE users SET email = 'cid' WHERE id = 3; UPDATE users SET boss_id = 1 WHERE id = 2")
        .await?;
    small.applied(&mut up).await?;
    let none = json(d, &["exceptions", "list"], 0, "exceptions").await?;
    assert_eq!(none["exceptions"].as_array().map(Vec::len), Some(0), "{none}");
    let again = json(d, &["backfill", "--again"], 0, "backfill").await?;
    assert_eq!(again["done"], true);

    // Without the services nothing is applied, and `wait` says where it stands.
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    let late = both(d, &["wait", "--timeout", "200ms"], 1, "wait").await?;
    assert_eq!((&late["applied"], &late["waits_for"]), (&false.into(), &"cdc-reader".into()), "{late}");
    let stopped = json(d, &["status"], 0, "status").await?;
    let states: Vec<&str> =
        stopped["services"].as_array().into_iter().flatten().filter_map(|s| s["state"].as_str()).collect();
    assert_eq!(states, ["stopped"; 5]);
    Ok(())
}

/// The stream goes on while passes are held.
#[tokio::test(flavor = "multi_thread")]
async fn pause_holds_the_backfill_and_resume_lets_it_go_on() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "cli_pause").await?;
    let d = &small.deployment;
    d.yes(&["migrate"]).await?;
    assert_eq!(json(d, &["pause"], 0, "hold").await?["held"], true);
    assert!(ask(d, &["pause"]).await?.err.contains("crossfade resume"), "twice is once");
    let mut up = d.start(&["up"])?;
    let seconds = || small.sql("SELECT seconds FROM users WHERE id = 2");
    // Each change may be the one before the reader's start, which only the backfill would see: change until one arrives.
    let streamed = until("the stream", Duration::from_secs(60), || async {
        let change = "UPDATE users SET minutes = minutes + 1, boss_id = 1 WHERE id = 2";
        small.sql(change).await.map_err(|e| e.to_string())?;
        match seconds().await {
            Ok(now) if now != "NULL" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    streamed.await?;
    let held = json(d, &["wait", "--timeout", "1500ms"], 1, "wait").await?;
    assert!(held["waits_for"].as_str().is_some_and(|w| w.starts_with("the pass over ")), "{held}");
    let status = json(d, &["status"], 0, "status").await?;
    assert_eq!(status["held"], true);
    for pass in status["backfill"].as_array().context("passes")? {
        assert_eq!((&pass["state"], &pass["scanned"]), (&"pending".into(), &0.into()), "{pass}");
    }
    assert_eq!(small.sql("SELECT COUNT(*) FROM people WHERE id <> 2").await?, "0");
    assert!(ask(d, &["status"]).await?.out.contains("passes are held"));

    assert_eq!(json(d, &["resume"], 0, "hold").await?["held"], false);
    d.yes(&["wait", "--timeout", "60s"]).await?;
    assert_eq!(small.sql("SELECT COUNT(*) FROM people").await?, "3");
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_made_and_looked_at() -> Result<()> {
    let Some(kafka) = Kafka::shared().await? else { return Ok(()) };
    let server = Mariadb::shared().await?;
    let mut small = Small::new(server, "cli_topics").await?;
    small.deployment.bus = kafka.url();
    let d = &small.deployment;
    refuses(d, &["topics"], &["no control schema", "topics --create"]).await?;
    let made = json(d, &["topics", "--create"], 0, "topics").await?;
    assert_eq!(both(d, &["topics"], 0, "topics").await?, made);
    assert_eq!(json(d, &["topics", "--create"], 0, "topics").await?, made, "twice is once");
    let other = d.clone().set("CROSSFADE_LANES", "7");
    refuses(&other, &["topics"], &["topics are not as they must be"]).await
}
