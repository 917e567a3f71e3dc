//! Runs the passes that were ordered: the backfill, a full pass of a batch target, the answer to TRUNCATE.
//!
//! Passes are rows of the control schema, so they survive restarts: a pass goes on from `done_to`. Row passes wait until
//! every id pass is done and the reader has begun. A runner that finds no pass of its own lends the other one a hand.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql::DbError;
use mysql::control::lane::{self, Mode};
use mysql::control::{applied, hold, pass};
use plan::sql::TargetSql;
use service::Retry;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::chunk::{self, Chunk, ChunkSize};
use crate::error::WriterError;
use crate::lane::Shared;
use crate::throttle::{self, Reasons};
use crate::walk::Walk;

/// How often an idle runner looks for work.
const LOOK: Duration = Duration::from_millis(200);
/// How long a runner lends a hand before it looks for a pass of its own again.
const HELP: Duration = Duration::from_secs(2);
/// Sessions that one walk may use.
const HANDS: usize = 2;

/// The walks of this process.
pub type Walks = Arc<Mutex<Vec<Arc<Walk>>>>;

pub async fn run(
    shared: Arc<Shared>,
    walks: Walks,
    mut throttled: Reasons,
    stop: CancellationToken,
) -> Result<(), WriterError> {
    let mut retry = Retry::with_most("passes", HELP);
    while !stop.is_cancelled() {
        let mut pause = LOOK;
        match next(&shared, &walks).await {
            Ok(Some((walk, until))) => {
                let target = walk.target.clone();
                let ended = lend(&shared, &walk, until, &mut throttled, &stop).await;
                leave(&walks, walk).await;
                match ended {
                    Ok(Ended::Over) => {
                        retry.worked();
                        continue;
                    }
                    Ok(Ended::Taken) => tracing::info!(%target, "another process walks over it"),
                    Err(e) if e.is_transient() => {
                        pause = retry.failed(|tries| {
                            tracing::warn!(%target, error = %e, tries, "the pass is interrupted and goes on");
                        });
                    }
                    Err(source) => return Err(WriterError::Pass { target, source }),
                }
            }
            Ok(None) => retry.worked(),
            Err(e) if e.is_transient() => {
                pause = retry.failed(|tries| tracing::warn!(error = %e, tries, "cannot look for passes"));
            }
            Err(source) => return Err(WriterError::Pass { target: String::new(), source }),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    Ok(())
}

/// A walk to work on, and until when: a new one, or that of another runner.
async fn next(shared: &Shared, walks: &Walks) -> Result<Option<(Arc<Walk>, Option<Instant>)>, DbError> {
    let (context, db) = (&shared.context, &shared.context.database);
    let mut walks = walks.lock().await;
    let mut loan = shared.sessions.take().await?;
    let session = &mut loan.worker.session;
    let open = if hold::is_held(session, db).await?
        || applied::published(session, db, &context.source).await?.is_none()
        || !chunk::open_passes(session, context, pass::Kind::Ids).await?.is_empty()
    {
        Vec::new()
    } else {
        chunk::open_passes(session, context, pass::Kind::Rows).await?
    };
    let modes = lane::modes(session, db).await?;
    let mut found = None;
    for pass in &open {
        if modes.get(&pass.target) == Some(&Mode::Off) {
            continue;
        }
        let Some(target) = context.targets().find(|t| t.table == pass.target) else { continue };
        if walks.iter().any(|w| w.target == pass.target) || !Walk::is_free(session, db, &pass.target).await? {
            continue;
        }
        match Walk::begin(db, pass, ChunkSize::new(context, target.kind)).await {
            Ok(Some(walk)) => {
                found = Some(Arc::new(walk));
                break;
            }
            Ok(None) => {}
            // Others may be free.
            Err(e) if e.is_transient() => {
                tracing::warn!(target = %pass.target, error = %e, "its pass cannot begin yet")
            }
            Err(e) => return Err(e),
        }
    }
    shared.sessions.give_back(loan);
    if let Some(walk) = found {
        walks.push(walk.clone());
        return Ok(Some((walk, None)));
    }
    // One count is the list's own.
    let other = walks.iter().find(|w| !open.is_empty() && !w.is_over() && Arc::strong_count(w) <= HANDS);
    Ok(other.map(|walk| (walk.clone(), Some(Instant::now() + HELP))))
}

/// Puts a walk down. The last to do so gives the target free.
async fn leave(walks: &Walks, walk: Arc<Walk>) {
    let mut walks = walks.lock().await;
    walks.retain(|w| !Arc::ptr_eq(w, &walk) || Arc::strong_count(w) > 2);
    if let Some(walk) = Arc::into_inner(walk) {
        walk.close().await;
    }
}

/// Why a hand was put down.
enum Ended {
    /// The walk is over, or the hand is wanted elsewhere.
    Over,
    Taken,
}

/// Chunk after chunk to the end, or until something stops it.
async fn lend(
    shared: &Shared,
    walk: &Walk,
    until: Option<Instant>,
    throttled: &mut Reasons,
    stop: &CancellationToken,
) -> Result<Ended, DbError> {
    let context = &shared.context;
    let Some(target) = context.plan.target(&walk.target) else { return Ok(Ended::Over) };
    let sql = TargetSql::new(&context.plan, target, context.database.control());
    let mut loan = shared.sessions.take().await?;
    let mut ended = Ended::Over;
    while !stop.is_cancelled() && until.is_none_or(|until| Instant::now() < until) {
        throttle::free(throttled, stop).await;
        if hold::is_held(&mut loan.worker.session, &context.database).await? {
            walk.end();
            break;
        }
        match chunk::run(context, &mut loan.worker, &sql, walk).await {
            Ok(Chunk::Done(outcome)) => {
                shared.metrics.chunk(&outcome);
                walk.learn(outcome.held);
            }
            Ok(Chunk::Over) => break,
            Ok(Chunk::Taken) => {
                ended = Ended::Taken;
                break;
            }
            Err(e) => {
                walk.end();
                return Err(e);
            }
        }
    }
    shared.sessions.give_back(loan);
    Ok(ended)
}
