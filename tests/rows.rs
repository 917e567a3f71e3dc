//! `publish: rows` end to end: what others read from Kafka, replayed in order, is the source table; and Crossfade goes on as
//! before.

#[path = "support/small.rs"]
mod small;
mod support;

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use small::Small;
use support::Deployment;
use testkit::servers::{Kafka, Logged, Mariadb};
use tokio::process::Child;

const LANES: u32 = 2;

const PLAN: &str = "version: 1\npublish: rows\nparameters:\n  admin: { references: users, default: 1 }\nentities:\n  users: {}\n";

/// `note` and `at` are read by nobody but others. Without the unique email, since a changed key may find it still taken by the
/// old one, in another lane, and is parked then.
const MORE: &str = "DELETE FROM people; DELETE FROM users; ALTER TABLE people DROP INDEX uq_email; \
    ALTER TABLE users ADD note MEDIUMTEXT NULL, ADD at DATETIME(6) NULL, ADD half INT AS (minutes / 2) STORED";

/// A table as others know it, by key.
type Known = BTreeMap<String, Value>;

/// Applies the records of a partition in their order, as a consumer would that keeps a copy.
fn replay(log: &[Logged], known: &mut Known) -> Result<()> {
    let mut here = Known::new();
    for record in log {
        let key = record.key.clone().context("a record without a key")?;
        let Some(payload) = &record.payload else {
            ensure!(!here.contains_key(&key), "a tombstone without its delete: {key}");
            continue;
        };
        let event: Value = serde_json::from_str(payload)?;
        match event["op"].as_str() {
            Some("c" | "u") => drop(here.insert(key, event["after"].clone())),
            Some("d") => drop(here.remove(&key)),
            Some("t") => here.clear(),
            _ => anyhow::bail!("an unknown operation: {payload}"),
        }
    }
    known.append(&mut here);
    Ok(())
}

/// The table by the server's own JSON.
async fn table(small: &Small<'_>) -> Result<Known> {
    let rows = small
        .sql(
            "SELECT JSON_OBJECT('id', id, 'email', email, 'minutes', minutes, 'boss_id', boss_id, 'other', other, \
             'seconds', seconds, 'boss_uuid', TO_BASE64(boss_uuid), 'note', note, \
             'at', CONCAT(REPLACE(at, ' ', 'T'), 'Z')) FROM users",
        )
        .await?;
    let row = |line: &str| {
        // The client doubles backslashes.
        let row: Value =
            serde_json::from_str(&line.replace("\\\\", "\\")).with_context(|| line.to_owned())?;
        Ok((format!("{{\"id\":{}}}", row["id"]), row))
    };
    rows.lines().map(row).collect()
}

/// What others know is what the table holds.
async fn told(small: &Small<'_>, kafka: &Kafka) -> Result<usize> {
    let (mut known, mut events) = (Known::new(), 0);
    for partition in 0..LANES {
        let log = kafka.log("crossfade.1.rows.users", partition).await?;
        events += log.len();
        replay(&log, &mut known)?;
    }
    let wanted = table(small).await?;
    for (key, row) in &wanted {
        ensure!(
            known.get(key) == Some(row),
            "{key}: others know {:?}, the table holds {row}",
            known.get(key)
        );
    }
    ensure!(known.len() == wanted.len(), "others know {} rows, the table has {}", known.len(), wanted.len());
    Ok(events)
}

/// Inserts, changes of all kinds, changed keys, deletes; user 1 stays.
async fn churn(small: &Small<'_>, round: u64) -> Result<()> {
    let mut all = String::new();
    for n in 0..40 {
        let id = 2 + (round * 17 + n * 7) % 60;
        let unique = round * 1000 + n;
        all += &match n % 8 {
            0..=2 => format!(
                "INSERT IGNORE INTO users (id, email, minutes, boss_id) VALUES ({id}, 'ż-{unique}\"', {n}, 1);"
            ),
            3 => format!("UPDATE users SET minutes = {unique} WHERE id = {id};"),
            4 => format!("UPDATE users SET note = REPEAT('n{unique} ', 50), at = NOW(6) WHERE id < {id};"),
            5 => format!("UPDATE IGNORE users SET id = {id} + 100 WHERE id = {id};"),
            6 => format!(
                "BEGIN; UPDATE users SET other = {n} WHERE id % 3 = 0; DELETE FROM users WHERE id = {id}; COMMIT;"
            ),
            _ => format!("DELETE FROM users WHERE id = 100 + {id};"),
        };
    }
    small.sql(&all).await.map(drop)
}

async fn start_all(deployment: &Deployment) -> Result<Vec<Child>> {
    ["cdc-reader", "mapper", "id-mapper", "writer", "verifier"]
        .iter()
        .map(|name| deployment.start(&["service", name]))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn others_can_rebuild_the_table_through_restarts_and_large_rows() -> Result<()> {
    let Some(kafka) = Kafka::start(&[]).await? else { return Ok(()) };
    let mut small = Small::new(Mariadb::shared().await?, "rows").await?;
    small.sql(MORE).await?;
    small.sql("INSERT INTO users (id, email) VALUES (1, 'admin')").await?;
    small.plan("plan.yaml", PLAN)?;
    small.deployment = small.deployment.clone().set("CROSSFADE_LANES", &LANES.to_string());
    // The topics take more than a client sends unless told.
    small.deployment.bus = format!("{}?create.max.message.bytes=8000000", kafka.url());
    let d = &small.deployment;
    let topics = d.yes(&["topics", "--create"]).await?;
    assert!(topics.contains("crossfade.1.rows.users"), "{topics}");
    let explained = d.json(&["plan", "explain"]).await?;
    let published = &explained["published"][0];
    assert_eq!(published["columns"], serde_json::json!(["id"]));
    assert_eq!(published["rows"].as_array().map(Vec::len), Some(9), "{published}");
    assert_eq!(published["left_out"], serde_json::json!(["half"]));

    let mut services = start_all(d).await?;
    d.yes(&["wait", "--timeout", "60s"]).await?;
    small.sql("UPDATE users SET minutes = 1 WHERE id = 1").await?;
    for round in 0..12 {
        churn(&small, round).await?;
        if round % 4 == 2 {
            support::kill(&mut services[0]).await?;
            churn(&small, 100 + round).await?;
            services[0] = d.start(&["service", "cdc-reader"])?;
        }
    }
    d.yes(&["wait", "--timeout", "60s"]).await?;
    let events = told(&small, &kafka).await?;
    assert!(events > 500, "only {events} events");
    d.yes(&["verify", "--once"]).await?;
    assert_eq!(d.json(&["verdict"]).await?["verdict"], "ready");
    // Own writes are told too, and no mark follows from them: nothing goes round.
    d.yes(&["wait", "--timeout", "60s"]).await?;
    let settled = told(&small, &kafka).await?;
    d.yes(&["wait", "--timeout", "60s"]).await?;
    assert_eq!(told(&small, &kafka).await?, settled);

    // A row that no message holds stops the reader, which names it, and goes on where it was when the limit is raised.
    support::kill(&mut services[0]).await?;
    small.sql("UPDATE users SET note = REPEAT('large ', 400000) WHERE id = 1").await?;
    let reader = d.command(&["service", "cdc-reader"]).stderr(Stdio::piped()).spawn()?;
    let ended = tokio::time::timeout(Duration::from_secs(60), reader.wait_with_output()).await;
    let ended = ended.context("the reader goes on")??;
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(2), "{said}");
    for part in ["ROW_TOO_LARGE", ".users", "{\"id\":1}", "message.max.bytes", "crossfade.1.rows.users"] {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
    let mut wider = d.clone();
    wider.bus = format!("{}?message.max.bytes=8000000", kafka.url());
    services[0] = wider.start(&["service", "cdc-reader"])?;
    small.sql("UPDATE users SET other = 77 WHERE id = 1").await?;
    d.yes(&["wait", "--timeout", "60s"]).await?;
    told(&small, &kafka).await?;

    small.sql("TRUNCATE TABLE users").await?;
    small.sql("INSERT INTO users (id, email) VALUES (1, 'again')").await?;
    d.yes(&["wait", "--timeout", "60s"]).await?;
    told(&small, &kafka).await?;
    for mut service in services {
        assert_eq!(support::terminate(&mut service).await?, Some(0));
    }
    Ok(())
}

/// On one machine nobody else could read them.
#[tokio::test(flavor = "multi_thread")]
async fn the_in_process_bus_says_that_nobody_hears() -> Result<()> {
    let small = Small::new(Mariadb::shared().await?, "rows_alone").await?;
    small.plan("plan.yaml", PLAN)?;
    let log = small.file("log", "")?;
    let d = &small.deployment;
    let mut up = d.command(&["up"]).stderr(std::fs::File::create(&log)?).spawn()?;
    small.applied(&mut up).await?;
    small.sql("UPDATE users SET other = 5, minutes = 9").await?;
    d.yes(&["wait", "--timeout", "60s"]).await?;
    let count = "SELECT JSON_VALUE(detail, '$.published_images') FROM service WHERE name = 'cdc-reader'";
    assert_eq!(small.control(count).await?.trim(), "0");
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    let said = std::fs::read_to_string(&log)?;
    assert!(said.contains("publish: rows") && said.contains("in-process bus"), "{said}");
    Ok(())
}
