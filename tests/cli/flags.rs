//! Flags on the command line: up with the verdict, down at once, and a trail that shows when somebody changed it.

use std::time::Duration;

use anyhow::Result;
use testkit::servers::Mariadb;
use testkit::wait::until;

use crate::small::Small;
use crate::{both, json, refuses, support};

fn set<'a>(target: &'a str, state: &'a str) -> [&'a str; 6] {
    ["flags", "set", target, state, "--because", "as planned"]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_goes_up_by_steps_with_the_verdict_and_down_at_once() -> Result<()> {
    let server = Mariadb::shared().await?;
    let small = Small::new(server, "cli_flags").await?;
    let d = &small.deployment;
    let mut up = small.up().await?;

    // Nobody has looked yet.
    let refused = json(d, &set("people", "dual_write"), 1, "flag_set").await?;
    assert_eq!((&refused["state"], &refused["moved"]), (&"legacy".into(), &false.into()));
    let listed = both(d, &["flags", "list"], 0, "flags").await?;
    assert!(
        listed["flags"].as_array().is_some_and(|f| f.iter().all(|f| f["allowed_up"].is_null())),
        "{listed}"
    );

    d.yes(&["verify", "--once"]).await?;
    refuses(d, &set("people", "new_read"), &["`people` is at legacy", "the next step is dual_write"]).await?;
    refuses(d, &set("peple", "dual_write"), &["peple", "people"]).await?;
    refuses(d, &set("people", "dual"), &["`dual` is no state", "shadow_read"]).await?;
    refuses(d, &["flags", "set", "people", "dual_write", "--because", " "], &["a reason is needed"]).await?;
    for (state, was) in [("dual_write", "legacy"), ("shadow_read", "dual_write"), ("new_read", "shadow_read")]
    {
        let moved = json(d, &set("people", state), 0, "flag_set").await?;
        assert_eq!((&moved["was"], &moved["state"]), (&was.into(), &state.into()));
    }

    // The verdict over everything must hold, too.
    small.control("UPDATE verdict SET expires_at = NOW(6) - INTERVAL 1 SECOND WHERE target = ''").await?;
    json(d, &set("users", "dual_write"), 1, "flag_set").await?;

    // Down needs nothing, not even a verdict.
    small.control("DELETE FROM verdict").await?;
    json(d, &set("people", "dual_write"), 0, "flag_set").await?;
    json(d, &set("people", "shadow_read"), 1, "flag_set").await?;
    json(d, &set("people", "legacy"), 0, "flag_set").await?;

    let history = both(d, &["flags", "history", "--target", "people"], 0, "flag_history").await?;
    let steps: Vec<String> = history["entries"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|e| format!("{} {} {}", e["from"], e["to"], e["verdict_digest"].is_string()).replace('"', ""))
        .collect();
    let wanted = [
        "legacy dual_write true",
        "dual_write shadow_read true",
        "shadow_read new_read true",
        "new_read dual_write false",
        "dual_write legacy false",
    ];
    assert_eq!(steps, wanted);

    for (tampered, at) in [
        ("UPDATE audit SET because = 'somebody else' WHERE id = 2", 2),
        ("DELETE FROM audit WHERE id = 1", 2),
    ] {
        small.control(tampered).await?;
        let broken = both(d, &["flags", "history"], 1, "flag_history").await?;
        assert_eq!(broken["broken_at"], at, "{tampered}");
    }
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_go_back_to_the_legacy_side_when_the_verdict_falls() -> Result<()> {
    let server = Mariadb::shared().await?;
    let mut small = Small::new(server, "cli_fall").await?;
    small.deployment = small.deployment.clone().set("CROSSFADE_VERIFY_EVERY", "1s");
    let d = &small.deployment;
    let mut up = small.up().await?;
    d.yes(&["verify", "--once"]).await?;
    for state in ["dual_write", "shadow_read", "new_read"] {
        json(d, &set("people", state), 0, "flag_set").await?;
        json(d, &set("users", state), 0, "flag_set").await?;
    }
    // One email for two people: the second is parked, which is a definite no.
    small.sql("UPDATE users SET email = 'ann' WHERE id = 3").await?;
    until("reads go back", Duration::from_secs(60), || async {
        let sql = "SELECT CONCAT(target, ' ', state, ' ', who) FROM flag ORDER BY target";
        match small.control(sql).await.map_err(|e| e.to_string())?.as_str() {
            "people dual_write crossfade\nusers new_read cf" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .await?;
    let history = json(d, &["flags", "history"], 0, "flag_history").await?;
    let last = history["entries"].as_array().and_then(|e| e.last()).cloned().unwrap_or_default();
    assert_eq!((&last["who"], &last["because"]), (&"crossfade".into(), &"the verdict is not_ready".into()));
    // A waiver is in the same trail.
    json(d, &["exceptions", "waive", "--because", "known twins"], 0, "waive").await?;
    let history = json(d, &["flags", "history", "--target", "people"], 0, "flag_history").await?;
    let last = history["entries"].as_array().and_then(|e| e.last()).cloned().unwrap_or_default();
    assert_eq!((&last["what"], &last["to"]), (&"waive".into(), &"1 scopes waived".into()));
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}
