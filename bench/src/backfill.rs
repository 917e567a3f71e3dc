//! Backfill by `crossfade up` against statements written by hand, alternating over the same data.

use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::json;
use testkit::connect;

use crate::hand;
use crate::program::{Program, Running};
use crate::report::{Asked, Report, hundredths};
use crate::stand::{COLUMNS, COPY, HAND, Stand, run};

const LIMIT: Duration = Duration::from_secs(1800);

/// How a pass went, as its row in the control schema told.
pub struct Walked {
    /// Scopes a second between the first chunk and the last.
    pub rate: f64,
    /// From the start of the process to its first chunk: checks, control schema, reader.
    pub start: f64,
    /// From the start of the process to the end of the pass.
    pub total: f64,
}

/// A shadow table of the same shape.
pub async fn copy(stand: &Stand, report: &mut Report) -> Result<()> {
    let rows = stand.settings.rows;
    let program = Program::new(stand, COPY, "copy");
    let by_hand = hand::copy(&format!("{COPY}.requests"), rows);
    let mut rates = Rates::default();
    for round in 0..stand.settings.rounds {
        for connections in [1, 2] {
            let fresh =
                "DROP TABLE IF EXISTS requests_new; CREATE TABLE requests_new LIKE bench_copy.requests";
            run(&mut stand.session(HAND).await?, fresh).await?;
            let rate = rows as f64 / hand::timed(stand, &by_hand, connections).await?;
            stand.same_copy(&format!("{HAND}.requests_new")).await?;
            rates.by_hand(report, "copy", round, connections, rate);
        }
        run(&mut stand.session(COPY).await?, "TRUNCATE requests_new").await?;
        rates.ours(report, "copy", round, pass(stand, &program).await?);
        stand.same_copy(&format!("{COPY}.requests_new")).await?;
    }
    rates.compare(report, "backfill, copy", "INSERT ... SELECT", Asked::AtLeast(0.8));
    Ok(())
}

/// Three columns beside the old ones, two of them references.
pub async fn columns(stand: &Stand, report: &mut Report) -> Result<()> {
    let rows = stand.settings.rows;
    let program = Program::new(stand, COLUMNS, "columns");
    let (table, users) = (format!("{COLUMNS}.requests"), format!("{COLUMNS}.users"));
    let by_hand = hand::columns(&table, &users, rows);
    let mut rates = Rates::default();
    for round in 0..stand.settings.rounds {
        for connections in [1, 2] {
            unfill(stand).await?;
            let rate = rows as f64 / hand::timed(stand, &by_hand, connections).await?;
            filled(stand).await?;
            rates.by_hand(report, "columns", round, connections, rate);
        }
        unfill(stand).await?;
        rates.ours(report, "columns", round, pass(stand, &program).await?);
        filled(stand).await?;
    }
    rates.compare(report, "backfill, 3 columns, 2 references", "UPDATE ... BETWEEN", Asked::AtLeast(0.8));
    Ok(())
}

/// A first start, from the process to the end of its pass.
async fn pass(stand: &Stand, program: &Program) -> Result<Walked> {
    program.forget(stand).await?;
    let mut running = program.up()?;
    let walked = walk(stand, program, &mut running).await?;
    running.stop().await?;
    Ok(walked)
}

/// Looks at the pass until it is done.
pub async fn walk(stand: &Stand, program: &Program, running: &mut Running) -> Result<Walked> {
    let sql = format!("SELECT scanned, state = 'done' FROM `{}`.pass WHERE kind = 'rows'", program.control);
    let mut db = stand.session(HAND).await?;
    let mut first: Option<(u64, f64)> = None;
    let mut seen = (0, 0.0);
    while running.since.elapsed() < LIMIT {
        running.check()?;
        // Until the control schema stands there is nothing to be seen.
        if let Ok(Some(row)) = db.row(&sql).await {
            let (scanned, now) = (row.u64(0)?.unwrap_or_default(), running.since.elapsed().as_secs_f64());
            if scanned > 0 && first.is_none() {
                first = Some((scanned, now));
            }
            if scanned > seen.0 {
                seen = (scanned, now);
            }
            if row.bool(1)? == Some(true) {
                let (from, began) = first.unwrap_or((0, 0.0));
                let rate = (seen.0 - from) as f64 / (seen.1 - began).max(0.001);
                return Ok(Walked { rate, start: began, total: now });
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("the pass is not done after {} s: {} scopes scanned", LIMIT.as_secs(), seen.0)
}

#[derive(Default)]
struct Rates {
    ours: Vec<f64>,
    one: Vec<f64>,
    two: Vec<f64>,
}

impl Rates {
    fn by_hand(&mut self, report: &Report, what: &str, round: usize, connections: usize, rate: f64) {
        let fields = json!({ "what": what, "by": "hand", "round": round, "connections": connections,
            "chunk": hand::CHUNK, "rows_per_s": rate.round() });
        report.figure("backfill", fields);
        if connections == 1 { &mut self.one } else { &mut self.two }.push(rate);
    }

    fn ours(&mut self, report: &Report, what: &str, round: usize, walked: Walked) {
        let fields = json!({ "what": what, "by": "crossfade", "round": round, "rows_per_s": walked.rate.round(),
            "start_s": hundredths(walked.start), "total_s": hundredths(walked.total) });
        report.figure("backfill", fields);
        self.ours.push(walked.rate);
    }

    fn compare(&self, report: &mut Report, what: &str, other: &str, asked: Asked) {
        report.ratio(what, "rows/s", &self.ours, &format!("{other}, 1 conn."), &self.one, asked);
        report.ratio(what, "rows/s", &self.ours, &format!("{other}, 2 conn."), &self.two, Asked::Nothing);
    }
}

/// The three columns as they are before anybody filled them.
async fn unfill(stand: &Stand) -> Result<()> {
    stand.durable(false).await?;
    let mut db = stand.session(COLUMNS).await?;
    let ranges = stand.settings.rows.div_ceil(100_000);
    for i in 0..ranges {
        let (low, high) = (i * 100_000 + 1, (i + 1) * 100_000);
        let sql = format!(
            "UPDATE requests SET created_by_id = NULL, assigned_to_id = NULL, started_at = NULL WHERE id BETWEEN {low} AND {high}"
        );
        run(&mut db, &sql).await?;
    }
    stand.durable(true).await
}

async fn filled(stand: &Stand) -> Result<()> {
    let mut db = stand.session(COLUMNS).await?;
    let wrong = "SELECT COUNT(*) FROM requests WHERE NOT (created_by_id <=> created_by_user_id \
        AND assigned_to_id <=> assigned_to_user_id AND started_at <=> COALESCE(due_at, created_at))";
    match connect::number(&mut db, wrong).await? {
        0 => Ok(()),
        n => bail!("{n} rows of {COLUMNS}.requests are not filled as the plan says"),
    }
}
