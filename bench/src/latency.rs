//! Latency: from the moment when a COMMIT returned to the moment when the row can be read in the target.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use mysql::Session;
use serde_json::json;
use testkit::connect;
use tokio::sync::mpsc;

use crate::load::Pace;
use crate::program::Program;
use crate::report::{Asked, Report, hundredths, quantile};
use crate::stand::{COPY, Stand, run as statement};

/// A probe that is not seen by then is an error, not a sample.
const LOST: Duration = Duration::from_secs(60);
const PROBE_EVERY: Duration = Duration::from_millis(50);

/// How long changes took at one rate.
pub struct Latency {
    /// Row changes a second.
    pub rate: u64,
    /// In ms.
    pub p50: f64,
    pub p99: f64,
    max: f64,
    probes: usize,
}

pub async fn run(stand: &Stand, report: &mut Report) -> Result<()> {
    let program = Program::new(stand, COPY, "copy");
    let target = format!("{COPY}.requests_new");
    let mut running = program.up()?;
    running.caught_up(&program).await?;
    let found = measure(stand, report, "crossfade", &target, (100, 2), -1_000_000).await;
    running.check()?;
    for l in found? {
        let asked = if l.rate == 500 { Asked::AtMost(200.0) } else { Asked::Nothing };
        let note = format!("p50 {:.0} ms, max {:.0} ms, {} probes", l.p50, l.max, l.probes);
        report.value(&format!("latency p99 at {} changes/s", l.rate), l.p99, "ms", &note, asked);
    }
    program.wait().await?;
    running.stop().await?;
    stand.same_copy(&target).await
}

/// Whoever follows `requests` into the target, under each rate; before it so many changes a second for so many seconds, to
/// warm up. Probes have ids from `first` downwards.
pub async fn measure(
    stand: &Stand,
    report: &Report,
    by: &str,
    target: &str,
    warm_up: (u64, u64),
    first: i64,
) -> Result<Vec<Latency>> {
    drive(stand, target, warm_up.0, warm_up.1, first).await?;
    let mut latencies = Vec::new();
    for (i, rate) in stand.settings.rates.iter().enumerate() {
        let first = first - 100_000 * (i as i64 + 1);
        let (found, made) = drive(stand, target, *rate, stand.settings.seconds, first).await?;
        let (p50, p99, max) = (quantile(&found, 0.5), quantile(&found, 0.99), quantile(&found, 1.0));
        report.figure(
            "latency",
            json!({ "by": by, "changes_per_s_asked": rate, "changes_per_s_made": made.round(), "probes": found.len(),
                "p50_ms": hundredths(p50), "p99_ms": hundredths(p99), "max_ms": hundredths(max) }),
        );
        latencies.push(Latency { rate: *rate, p50, p99, max, probes: found.len() });
    }
    Ok(latencies)
}

/// Gives the latencies in ms and the row changes a second that were made. Probes have ids from `first` downwards.
async fn drive(
    stand: &Stand,
    target: &str,
    per_second: u64,
    seconds: u64,
    first: i64,
) -> Result<(Vec<f64>, f64)> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let watcher = tokio::spawn(watch(stand.session(COPY).await?, target.to_owned(), receiver));
    let mut db = stand.session(COPY).await?;
    let rows = stand.settings.rows;
    let (began, mut pace) = (Instant::now(), Pace::new(per_second));
    let (mut due, mut id) = (began, first);
    while began.elapsed() < Duration::from_secs(seconds) {
        let n = pace.next().await;
        let probe = Instant::now() >= due;
        statement(&mut db, "START TRANSACTION").await?;
        if n > u64::from(probe) {
            statement(&mut db, &format!("CALL churn_rows({}, {rows})", n - u64::from(probe))).await?;
        }
        if probe {
            statement(&mut db, &probe_row(id)).await?;
        }
        statement(&mut db, "COMMIT").await?;
        if probe {
            // The watcher ends before us only by an error, which is found below.
            let _ = sender.send((id, Instant::now()));
            id -= 1;
            due += PROBE_EVERY;
        }
    }
    let made = pace.made as f64 / began.elapsed().as_secs_f64();
    drop(sender);
    Ok((watcher.await??, made))
}

fn probe_row(id: i64) -> String {
    format!(
        "INSERT INTO requests VALUES ({id}, 'PROBE', 'Probe', '', 0, 0, 1, 1, NULL, 0, 'EUR', NULL, NOW(6), NOW(6), NULL, NULL)"
    )
}

/// Looks for the outstanding probes every millisecond.
async fn watch(
    mut db: Session,
    target: String,
    mut probes: mpsc::UnboundedReceiver<(i64, Instant)>,
) -> Result<Vec<f64>> {
    let mut waiting: HashMap<i64, Instant> = HashMap::new();
    let mut found = Vec::new();
    loop {
        loop {
            match probes.try_recv() {
                Ok((id, at)) => drop(waiting.insert(id, at)),
                Err(mpsc::error::TryRecvError::Empty) => break,
                Err(mpsc::error::TryRecvError::Disconnected) if waiting.is_empty() => return Ok(found),
                Err(mpsc::error::TryRecvError::Disconnected) => break,
            }
        }
        if !waiting.is_empty() {
            let ids: Vec<String> = waiting.keys().map(i64::to_string).collect();
            let sql = format!("SELECT id FROM {target} WHERE id IN ({})", ids.join(","));
            let rows = db.rows(&sql).await.map_err(connect::said)?;
            let now = Instant::now();
            for row in rows {
                if let Some(at) = row.i64(0)?.and_then(|id| waiting.remove(&id)) {
                    found.push(now.duration_since(at).as_secs_f64() * 1000.0);
                }
            }
            if waiting.values().any(|at| at.elapsed() > LOST) {
                bail!("{} probes were not seen within {} s", waiting.len(), LOST.as_secs());
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
