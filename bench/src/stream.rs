//! Stream: a backlog that was made while `crossfade` was away, against bare upserts of as many rows.

use anyhow::Result;
use serde_json::json;

use crate::program::Program;
use crate::report::{Asked, Report, hundredths};
use crate::stand::{self, COPY, HAND, Stand};
use crate::{hand, load};

async fn rounds(stand: &Stand, report: &mut Report, program: &Program) -> Result<Rates> {
    let changes = stand.settings.changes as f64;
    let mut rates = Rates::default();
    for round in 0..stand.settings.rounds {
        // How long a start takes that finds nothing to do.
        let (idle, ..) = catch_up(program).await?;
        load::backlog(stand, stand.settings.changes).await?;
        let (took, peak, cpu) = catch_up(program).await?;
        stand.same_copy(&format!("{COPY}.requests_new")).await?;
        let rate = changes / took;
        let without_start = changes / (took - idle).max(0.001);
        report.figure(
            "stream",
            json!({ "by": "crossfade", "round": round, "seconds": hundredths(took), "idle_start_s": hundredths(idle),
                "changes_per_s": rate.round(), "changes_per_s_without_start": without_start.round(),
                "cpu_s_per_million": cpu.map(|c| (c / changes * 1e6).round()), "peak_rss_mib": peak.map(f64::round) }),
        );
        rates.whole.push(rate);
        rates.without_start.push(without_start);
        bare(stand, report, round, &mut rates).await?;
    }
    Ok(rates)
}

pub async fn run(stand: &Stand, report: &mut Report) -> Result<()> {
    let program = Program::new(stand, COPY, "copy");
    program.forget(stand).await?;
    let mut first = program.up()?;
    first.caught_up(&program).await?;
    first.stop().await?;
    let rates = rounds(stand, report, &program).await?;
    let (what, unit, other) = ("stream, start excluded", "changes/s", "bare upsert of 1000 rows");
    report.ratio(what, unit, &rates.without_start, &format!("{other}, 1 conn."), &rates.one, Asked::Nothing);
    report.ratio(what, unit, &rates.without_start, &format!("{other}, 2 conn."), &rates.two, Asked::Nothing);
    report.ratio(
        "stream, start included",
        unit,
        &rates.whole,
        &format!("{other}, 2 conn."),
        &rates.two,
        Asked::Nothing,
    );
    Ok(())
}

#[derive(Default)]
struct Rates {
    whole: Vec<f64>,
    without_start: Vec<f64>,
    one: Vec<f64>,
    two: Vec<f64>,
}

/// From the start of the process until everything is applied: seconds, peak memory in MiB, processor seconds.
async fn catch_up(program: &Program) -> Result<(f64, Option<f64>, Option<f64>)> {
    let mut running = program.up()?;
    running.caught_up(program).await?;
    let took = running.since.elapsed().as_secs_f64();
    let (peak, cpu) = (running.peak_mib(), running.cpu_seconds());
    running.stop().await?;
    Ok((took, peak, cpu))
}

/// The limit: the same number of changed rows, nothing but upserts.
async fn bare(stand: &Stand, report: &Report, round: usize, rates: &mut Rates) -> Result<()> {
    let from = format!("{COPY}.requests");
    let count = stand.settings.changes.min(stand.settings.rows);
    let statements = hand::upserts(stand, &from, count).await?;
    for connections in [1, 2] {
        stand.durable(false).await?;
        let fresh = format!(
            "DROP TABLE IF EXISTS requests_new; CREATE TABLE requests_new LIKE {from}; INSERT INTO requests_new SELECT * FROM {from}"
        );
        stand::run(&mut stand.session(HAND).await?, &fresh).await?;
        stand.durable(true).await?;
        let rate = count as f64 / hand::timed(stand, &statements, connections).await?;
        let fields = json!({ "by": "bare upsert", "round": round, "connections": connections, "rows_per_s": rate.round() });
        report.figure("stream", fields);
        if connections == 1 { &mut rates.one } else { &mut rates.two }.push(rate);
    }
    Ok(())
}
