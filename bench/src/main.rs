//! Side-by-side benchmarks: Crossfade against what one would write by hand, and against Debezium,
//! on the same data, in the same run.
//!
//! Variables are listed in `settings.rs`, figures in `README.md`. Stdout: one JSON object a line, then the table.

mod backfill;
mod debezium;
mod detection;
mod hand;
mod latency;
mod load;
mod memory;
mod program;
mod report;
mod settings;
mod stand;
mod stream;
mod usage;

use std::process::ExitCode;

use anyhow::{Context, Result};
use report::Report;
use settings::Settings;
use stand::Stand;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    // On a signal the future is dropped, and with it the server and the program that it started.
    let ended = tokio::select! {
        ended = run() => ended,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        e = terminated() => Err(e),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("bench: {e:#}");
            ExitCode::from(2)
        }
    }
}

/// Comes back with SIGTERM.
async fn terminated() -> anyhow::Error {
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
            anyhow::anyhow!("terminated")
        }
        Err(e) => anyhow::Error::new(e).context("listen for SIGTERM"),
    }
}

async fn run() -> Result<()> {
    let settings = Settings::read()?;
    let mut report = Report::default();
    let stand = Stand::start(&settings).await.context("start the private MariaDB")?;
    report.setting(&settings, &stand).await?;
    if settings.wants("backfill") {
        backfill::copy(&stand, &mut report).await.context("backfill of a copy")?;
        backfill::columns(&stand, &mut report).await.context("backfill of parallel columns")?;
    }
    if settings.wants("stream") {
        stream::run(&stand, &mut report).await.context("stream")?;
    }
    if settings.wants("latency") {
        latency::run(&stand, &mut report).await.context("latency")?;
    }
    if settings.wants("memory") {
        memory::run(&stand, &mut report).await.context("memory")?;
    }
    if settings.wants("detection") {
        detection::run(&stand, &mut report).await.context("detection")?;
    }
    if settings.wants("debezium") {
        debezium::run(&stand, &mut report).await.context("debezium")?;
    }
    report.table();
    Ok(())
}
