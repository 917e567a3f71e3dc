//! What only time shows. `make soak` runs it for longer: `CROSSFADE_SOAK` (such as `30m`), `CROSSFADE_SEED`, `CROSSFADE_RATE` (transactions a second).

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use support::{Deployment, phase2};
use testkit::churn::{Churn, ChurnOptions};
use testkit::connect;
use testkit::oracle::{self, Options};
use testkit::sample;
use testkit::servers::Mariadb;

/// How long it takes where nobody says so: in the run of all tests.
const SHORT: Duration = Duration::from_secs(20);
/// So many passes must end meanwhile, for which it goes on a little longer.
const PASSES: usize = 2;
const PATIENCE: Duration = Duration::from_secs(120);

/// Acts after which only a verification finds what else has changed: its findings are no false alarms.
const FOUND_BY_VERIFICATION: &[&str] = &["move_user", "comeback", "role"];

/// How long, the seed, and transactions a second.
fn settings() -> Result<(Duration, u64, f64)> {
    let time = match std::env::var("CROSSFADE_SOAK") {
        Ok(text) => humantime::parse_duration(&text).with_context(|| format!("CROSSFADE_SOAK: `{text}`"))?,
        Err(_) => SHORT,
    };
    let number = |name: &str, default: f64| match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name}: `{text}` is not a number")),
        Err(_) => Ok(default),
    };
    Ok((time, number("CROSSFADE_SEED", 31.0)? as u64, number("CROSSFADE_RATE", 100.0)?))
}

/// The verifier compares without end while the application writes: as nothing is wrong, it finds nothing.
#[tokio::test(flavor = "multi_thread")]
async fn churn_alone_raises_no_alarm() -> Result<()> {
    let (time, seed, rate) = settings()?;
    let server = Mariadb::shared().await?;
    let schemas = server.schemas("soak").await?;
    sample::load(&schemas.url, 0.03, seed).await?;
    // Nearly all the time a pass is on its way.
    let mut deployment = Deployment::new(schemas.clone(), phase2())
        .set("CROSSFADE_VERIFY_EVERY", "500ms")
        .set("CROSSFADE_VERIFY_SHARE", "50");
    deployment.include_deferred = true;
    let options =
        ChurnOptions { sessions: 4, rate, seed, without: FOUND_BY_VERIFICATION, ..Default::default() };
    let churn = Churn::start(&schemas.url, options).await?;
    let mut up = deployment.start(&["up"])?;
    deployment.begun().await?;
    deployment.yes(&["backfill"]).await?;

    let mut db = connect::to(&schemas.url).await?;
    let (began, mut verdicts, mut last) = (Instant::now(), BTreeMap::<String, u64>::new(), String::new());
    let (mut alarms, mut made, mut reasons) = (Vec::new(), 0, BTreeMap::<String, u64>::new());
    let ended = |n: usize| n >= PASSES || began.elapsed() > time + PATIENCE;
    while began.elapsed() < time || !ended(made) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        anyhow::ensure!(up.try_wait()?.is_none(), "crossfade up has ended");
        let sql =
            format!("SELECT made_at, verdict, body FROM `{}`.verdict WHERE target = ''", schemas.control);
        let Some(stored) = db.row(&sql).await.map_err(connect::said)? else { continue };
        let text = |i: usize| Ok::<_, mysql::DbError>(stored.text(i)?.unwrap_or_default().to_owned());
        let (made_at, verdict, body) = (text(0)?, text(1)?, text(2)?);
        if made_at == last {
            continue;
        }
        last.clone_from(&made_at);
        made += 1;
        *verdicts.entry(verdict.clone()).or_default() += 1;
        let body: serde_json::Value =
            serde_json::from_str(&body).with_context(|| format!("the stored verdict: {body}"))?;
        let targets = body["targets"].as_array().into_iter().flatten();
        let of_targets = targets.flat_map(|t| {
            let own = t["reasons"].as_array().into_iter().flatten();
            own.map(|r| (t["target"].as_str().unwrap_or_default().to_owned(), r))
        });
        let own = body["reasons"].as_array().into_iter().flatten().map(|r| (String::new(), r));
        for (target, reason) in own.chain(of_targets) {
            let criterion = reason["criterion"].as_str().unwrap_or_default();
            *reasons.entry(format!("{}: {criterion} {target}", reason["answer"])).or_default() += 1;
            // A scope may be parked for a moment while its parent is on its way; everything else that is *not ready* is an alarm.
            if reason["answer"] == "not_ready" && criterion != "no open exceptions" {
                alarms.push(format!("{made_at} {target}: {reason}"));
            }
        }
    }
    let report = churn.stop().await?;
    println!(
        "seed {seed}: {} transactions in {} s, verdicts while they were made: {verdicts:?}, because: {reasons:?}",
        report.tally.committed,
        began.elapsed().as_secs()
    );
    assert!(made >= PASSES, "hardly a pass came to its end: {verdicts:?}");
    assert!(alarms.is_empty(), "{alarms:#?}");
    let sql = format!(
        "SELECT target, kind, cause, COUNT(*), MIN(scope_key) FROM `{}`.finding GROUP BY 1, 2, 3",
        schemas.control
    );
    assert_eq!(server.sql(&sql).await?, "", "findings where nothing was wrong");

    deployment.yes(&["wait", "--timeout", "120s"]).await?;
    deployment.yes(&["verify", "--once"]).await?;
    let options = Options { include_deferred: true, ledger: Some(report.ledger), ..Options::default() };
    oracle::expect_none(&schemas.url, &schemas.control, &options).await?;
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}
