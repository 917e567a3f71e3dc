//! Memory: the most that `crossfade up` holds during a first start, while the application writes.

use anyhow::Result;
use serde_json::json;

use crate::backfill;
use crate::load::Churn;
use crate::program::Program;
use crate::report::{Asked, Report, hundredths};
use crate::stand::{COPY, Stand, run as statement};

/// Row changes a second meanwhile.
const CHURN: u64 = 500;

pub async fn run(stand: &Stand, report: &mut Report) -> Result<()> {
    let program = Program::new(stand, COPY, "copy");
    program.forget(stand).await?;
    statement(&mut stand.session(COPY).await?, "TRUNCATE requests_new").await?;
    let churn = Churn::start(stand, CHURN).await?;
    let mut running = program.up()?;
    let walked = backfill::walk(stand, &program, &mut running).await?;
    let made = churn.stop().await?;
    running.caught_up(&program).await?;
    let peak = running.peak_mib();
    report.figure(
        "memory",
        json!({ "peak_rss_mib": peak.map(hundredths), "churn_per_s": made.round(),
            "backfill_rows_per_s": walked.rate.round(), "total_s": hundredths(walked.total),
            "cpu_s": running.cpu_seconds().map(hundredths) }),
    );
    if let Some(peak) = peak {
        let note = format!("backfill under {made:.0} changes/s");
        report.value("peak resident memory", peak, "MiB", &note, Asked::AtMost(256.0));
    }
    running.stop().await?;
    stand.same_copy(&format!("{COPY}.requests_new")).await
}
