//! Holds the backfill back while the source or a replica is busy. The stream is never throttled: it only follows.

use std::time::Duration;

use mysql::ServerLoad;
use service::Context;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const LOOK: Duration = Duration::from_secs(1);

/// Why passes wait; empty: they may go on.
pub type Reasons = watch::Receiver<Vec<String>>;

/// Looks once a second while anything is limited. What cannot be measured counts as too high.
pub async fn run(context: Context, reasons: watch::Sender<Vec<String>>, stop: CancellationToken) {
    let limits = &context.throttle;
    let limited =
        limits.replica_lag.is_some() || limits.threads_running.is_some() || limits.history_length.is_some();
    if !limited {
        return;
    }
    let mut load = ServerLoad::new(context.database.clone(), limits.clone());
    while !stop.is_cancelled() {
        let now = load.look().await.too_high;
        reasons.send_if_modified(|before| {
            if before.is_empty() != now.is_empty() {
                tracing::info!(reasons = %now.join("; "), "the backfill {}", if now.is_empty() { "goes on" } else { "waits" });
            }
            let changed = *before != now;
            *before = now;
            changed
        });
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Waits until passes may go on, or `stop`.
pub async fn free(reasons: &mut Reasons, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        // The sender is gone when nothing is limited.
        _ = reasons.wait_for(Vec::is_empty) => {}
    }
}
