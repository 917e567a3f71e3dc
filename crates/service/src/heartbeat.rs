//! Each running service says in the control schema how it is, once a second.

use std::sync::Arc;
use std::time::Duration;

use mysql::{Database, DbError, Session};
use plan::quote::text;
use tokio_util::sync::CancellationToken;

use crate::health::Health;
use crate::retry::Retry;

const EVERY: Duration = Duration::from_secs(1);

/// What a service says of itself. Names and numbers only, never a cell's value.
#[derive(Clone, Debug)]
pub struct Status {
    /// At most 16 characters: `starting`, `running`, `waiting`, `held`, `stopped`.
    pub state: &'static str,
    pub detail: serde_json::Value,
}

/// Runs until `stop`, then says `stopped`. A database that is away is a reason to try again in a second, and makes the
/// process unready.
pub async fn heartbeat(
    database: Database,
    health: Health,
    service: &'static str,
    instance: String,
    status: Arc<dyn Fn() -> Status + Send + Sync>,
    stop: CancellationToken,
) {
    let table = database.control_table("service");
    let mut session: Option<Session> = None;
    let mut retry = Retry::new("the heartbeat");
    loop {
        let last = stop.is_cancelled();
        let mut status = status();
        if last {
            status.state = "stopped";
        }
        let beat = beat(&database, &mut session, &table, service, &instance, &status);
        match tokio::time::timeout(Duration::from_secs(5), beat).await {
            Ok(Ok(())) => {
                retry.worked();
                health.ready("database");
            }
            Ok(Err(e)) => {
                session = None;
                health.not_ready("database", e.to_string());
                retry.failed(|tries| tracing::warn!(error = %e, tries, "the heartbeat is missing"));
            }
            Err(_) => {
                session = None;
                health.not_ready("database", "no answer within 5 s");
            }
        }
        if last {
            if let Some(session) = session {
                session.close().await;
            }
            return;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn beat(
    database: &Database,
    held: &mut Option<Session>,
    table: &str,
    service: &str,
    instance: &str,
    status: &Status,
) -> Result<(), DbError> {
    if held.is_none() {
        *held = Some(database.session().await?);
    }
    let Some(session) = held else { return Ok(()) };
    let detail = text(&status.detail.to_string());
    let sql = format!(
        "INSERT INTO {table} (name, instance, state, detail, seen_at) VALUES ({}, {}, {state}, {detail}, NOW(6)) \
         ON DUPLICATE KEY UPDATE state = {state}, detail = {detail}, seen_at = NOW(6)",
        text(service),
        text(instance),
        state = text(status.state),
    );
    session.execute(&sql).await.map(drop).map_err(|e| e.doing("say in the control schema how we are"))
}
