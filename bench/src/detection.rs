//! How soon somebody else's writes into a target are known: one that the binlog has, and one that was kept out of it.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use mysql::Session;
use serde_json::json;
use testkit::connect;

use crate::load::Churn;
use crate::program::Program;
use crate::report::{Asked, Report, hundredths, quantile};
use crate::stand::{COPY, Stand, run as statement};

/// Row changes a second meanwhile.
const CHURN: u64 = 500;
/// Writes of each kind.
const WRITES: u64 = 40;
/// Rows that the churn never touches, downwards from here.
const QUIET: i64 = -5_000_000;
/// Between two passes.
const EVERY: &str = "5s";
/// A write that is not known by then is an error, not a sample.
const LOST: Duration = Duration::from_secs(600);

pub async fn run(stand: &Stand, report: &mut Report) -> Result<()> {
    let program = Program::new(stand, COPY, "copy").verify_every(EVERY);
    let mut db = stand.session(COPY).await?;
    for id in quiet() {
        let row = "'QUIET', 'Quiet', '', 0, 0, 1, 1, NULL, 0, 'EUR', NULL, NOW(6), NOW(6), NULL, NULL";
        statement(&mut db, &format!("INSERT INTO requests VALUES ({id}, {row})")).await?;
    }
    let mut running = program.up()?;
    running.caught_up(&program).await?;
    passes(stand, &program, 1).await?;
    let churn = Churn::start(stand, CHURN).await?;
    let logged = known(stand, &program, &mut db, "direct_write", Duration::from_millis(250)).await?;
    // A pass looks behind the direct writes before what follows is told apart from them.
    passes(stand, &program, 2).await?;
    statement(&mut db, "SET SESSION sql_log_bin = 0").await?;
    let unlogged = known(stand, &program, &mut db, "different", Duration::from_secs(3)).await?;
    passes(stand, &program, 1).await?;
    let pass = passes(stand, &program, 2).await? / 2.0;
    let changes = churn.stop().await?;
    running.check()?;
    program.wait().await?;
    report.figure(
        "detection",
        json!({ "changes_per_s": changes.round(), "rows": stand.settings.rows, "writes": WRITES, "between_passes": EVERY,
            "pass_s": hundredths(pass),
            "logged_p50_s": hundredths(quantile(&logged, 0.5)), "logged_max_s": hundredths(quantile(&logged, 1.0)),
            "unlogged_p50_s": hundredths(quantile(&unlogged, 0.5)), "unlogged_max_s": hundredths(quantile(&unlogged, 1.0)) }),
    );
    for (what, found) in [("a direct write is known", &logged), ("an unlogged write is found", &unlogged)] {
        let note =
            format!("p50 {:.2} s, {} writes, a pass each {pass:.0} s", quantile(found, 0.5), found.len());
        report.value(&format!("{what}, longest"), quantile(found, 1.0), "s", &note, Asked::Nothing);
    }
    running.stop().await?;
    stand.same_copy(&format!("{COPY}.requests_new")).await
}

fn quiet() -> impl Iterator<Item = i64> {
    (0..WRITES as i64 * 2).map(|n| QUIET - n)
}

/// Seconds from each COMMIT until the finding stands there.
async fn known(
    stand: &Stand,
    program: &Program,
    db: &mut Session,
    kind: &str,
    pause: Duration,
) -> Result<Vec<f64>> {
    let mut own = stand.session(COPY).await?;
    let last =
        stand.number(&format!("SELECT COALESCE(MAX(id), 0) FROM `{}`.finding", program.control)).await?;
    let ids: Vec<i64> = if kind == "direct_write" {
        quiet().take(WRITES as usize).collect()
    } else {
        quiet().skip(WRITES as usize).collect()
    };
    let (mut waiting, mut found) = (Vec::new(), Vec::new());
    let (mut ids, mut due) = (ids.into_iter().peekable(), Instant::now());
    while ids.peek().is_some() || !waiting.is_empty() {
        if Instant::now() >= due
            && let Some(id) = ids.next()
        {
            statement(
                db,
                &format!("UPDATE requests_new SET title = 'Written by somebody else' WHERE id = {id}"),
            )
            .await?;
            waiting.push((id, Instant::now()));
            due = Instant::now() + pause;
        }
        let sql = format!(
            "SELECT scope_key FROM `{}`.finding WHERE id > {last} AND kind = '{kind}'",
            program.control
        );
        let rows = own.rows(&sql).await.map_err(connect::said)?;
        let mut keys = Vec::new();
        for row in &rows {
            keys.push(row.text(0)?.unwrap_or_default().to_owned());
        }
        waiting.retain(|(id, at)| {
            let known = keys.iter().any(|k| k.contains(&id.to_string()));
            if known {
                found.push(at.elapsed().as_secs_f64());
            }
            !known
        });
        if waiting.iter().any(|(_, at)| at.elapsed() > LOST) {
            bail!("{} writes were not known within {} s", waiting.len(), LOST.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(found)
}

/// When the last pass ended, as the server's clock says; empty: none has.
async fn last_pass(db: &mut Session, program: &Program) -> Result<String> {
    let sql = format!("SELECT made_at FROM `{}`.verdict WHERE target = ''", program.control);
    let row = db.row(&sql).await.map_err(connect::said)?;
    Ok(row.map(|r| r.text(0).map(|t| t.unwrap_or_default().to_owned())).transpose()?.unwrap_or_default())
}

/// Waits until so many passes have ended; gives the seconds that it took.
async fn passes(stand: &Stand, program: &Program, n: u64) -> Result<f64> {
    let mut db = stand.session(COPY).await?;
    let began = Instant::now();
    let mut last = last_pass(&mut db, program).await?;
    let mut ended = 0;
    while ended < n {
        if began.elapsed() > LOST {
            bail!("no pass came to its end within {} s", LOST.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = last_pass(&mut db, program).await?;
        if now != last {
            (last, ended) = (now, ended + 1);
        }
    }
    Ok(began.elapsed().as_secs_f64())
}
