//! Runs the passes that were ordered: the backfill, a full pass of a batch target, the answer to TRUNCATE.
//!
//! Passes are rows of the control schema, so they survive restarts: a pass goes on from `done_to`. Row passes wait until
//! every id pass is done and the reader has begun.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mysql::control::{applied, hold, pass};
use mysql::{Class, DbError};
use plan::sql::TargetSql;
use tokio_util::sync::CancellationToken;

use crate::chunk::{self, Chunk, ChunkSize};
use crate::error::WriterError;
use crate::lane::Shared;
use crate::throttle::{self, Reasons};

/// How often an idle runner looks for work.
const LOOK: Duration = Duration::from_millis(200);

/// Passes that a runner of this process works on.
pub type Claimed = Arc<Mutex<HashSet<u64>>>;

pub async fn run(
    shared: Arc<Shared>,
    claimed: Claimed,
    mut throttled: Reasons,
    stop: CancellationToken,
) -> Result<(), WriterError> {
    while !stop.is_cancelled() {
        match next(&shared, &claimed).await {
            Ok(Some(pass)) => {
                let id = pass.id;
                let target = pass.target.clone();
                let ended = walk(&shared, pass, &mut throttled, &stop).await;
                claimed.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                match ended {
                    Ok(()) => continue,
                    Err(e) if e.is_transient() || e.class == Class::LockWait => {
                        tracing::warn!(%target, error = %e, "the pass is interrupted and goes on");
                    }
                    Err(source) => return Err(WriterError::Pass { target, source }),
                }
            }
            Ok(None) => {}
            Err(e) if e.is_transient() => tracing::warn!(error = %e, "cannot look for passes"),
            Err(source) => return Err(WriterError::Pass { target: String::new(), source }),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    Ok(())
}

/// The first row pass that may run and that nobody here runs.
async fn next(shared: &Shared, claimed: &Claimed) -> Result<Option<pass::Pass>, DbError> {
    let (context, db) = (&shared.context, &shared.context.database);
    let mut loan = shared.sessions.take().await?;
    let session = &mut loan.worker.session;
    let found = if hold::is_held(session, db).await?
        || applied::published(session, db, &context.source).await?.is_none()
        || !chunk::open_passes(session, context, pass::Kind::Ids).await?.is_empty()
    {
        None
    } else {
        let open = chunk::open_passes(session, context, pass::Kind::Rows).await?;
        let mut claimed = claimed.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = |p: &pass::Pass| context.targets().any(|t| t.table == p.target);
        open.into_iter().find(|p| ours(p) && claimed.insert(p.id))
    };
    shared.sessions.give_back(loan);
    Ok(found)
}

/// Chunk after chunk to the end, or until something stops it.
async fn walk(
    shared: &Shared,
    mut pass: pass::Pass,
    throttled: &mut Reasons,
    stop: &CancellationToken,
) -> Result<(), DbError> {
    let context = &shared.context;
    let Some(target) = context.plan.target(&pass.target) else { return Ok(()) };
    let sql = TargetSql::new(&context.plan, target, context.database.control());
    let mut size = ChunkSize::new(context, target.kind);
    let mut loan = shared.sessions.take().await?;
    while !stop.is_cancelled() {
        throttle::free(throttled, stop).await;
        if hold::is_held(&mut loan.worker.session, &context.database).await? {
            break;
        }
        match chunk::run(context, &mut loan.worker, &sql, &mut pass, size.scopes()).await? {
            Chunk::Taken => break,
            Chunk::Done { outcome, last } => {
                shared.metrics.chunk(&outcome);
                size.learn(outcome.held);
                if last {
                    tracing::info!(target = %pass.target, scanned = pass.scanned, changed = pass.changed, "pass done");
                    break;
                }
            }
        }
    }
    shared.sessions.give_back(loan);
    Ok(())
}
