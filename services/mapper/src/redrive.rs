//! Takes scopes that are to be marked again, and marks them like any other.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use change::Cause;
use mysql::control::redrive;
use mysql::{DbError, Session};
use service::Context;
use tokio_util::sync::CancellationToken;

use crate::error::MapperError;
use crate::marks::Marks;
use crate::metrics::Metrics;

const LOOK: Duration = Duration::from_millis(50);
const TAKE: u32 = 1000;

/// Runs until `stop`.
pub async fn run(context: &Context, metrics: &Metrics, stop: &CancellationToken) -> Result<(), MapperError> {
    let mut session: Option<Session> = None;
    while !stop.is_cancelled() {
        let taken = match once(context, &mut session).await {
            Ok(n) => n,
            Err(MapperError::Control(e)) if e.is_transient() => {
                tracing::warn!(error = %e, "redrive is tried again");
                session = None;
                0
            }
            Err(e) => return Err(e),
        };
        metrics.redriven.fetch_add(taken as u64, Relaxed);
        if taken < TAKE as usize {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
    Ok(())
}

/// One transaction: take, publish, delete. A crash in between marks twice, which is harmless.
async fn once(context: &Context, session: &mut Option<Session>) -> Result<usize, MapperError> {
    let control = |e: DbError| MapperError::Control(e);
    let mut own = match session.take() {
        Some(open) => open,
        None => context.database.session().await.map_err(control)?,
    };
    own.begin().await.map_err(control)?;
    let entries = redrive::take(&mut own, &context.database, TAKE).await.map_err(control)?;
    let mut marks = Marks::new(context, Cause::default());
    for entry in &entries {
        let known = context.targets().any(|t| t.table == entry.target)
            || context.plan.entities.iter().any(|e| e.map == entry.target);
        if known {
            marks.add(&entry.target, entry.scope.clone());
        }
    }
    if !marks.is_empty() {
        context.bus.append(marks.take()).await.map_err(MapperError::Publish)?;
    }
    let ids: Vec<u64> = entries.iter().map(|e| e.id).collect();
    redrive::done(&mut own, &context.database, &ids).await.map_err(control)?;
    own.commit().await.map_err(control)?;
    *session = Some(own);
    Ok(ids.len())
}
