//! Takes scopes that are to be marked again, and marks them like any other.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use change::{Cause, Key};
use mysql::control::{applied, exceptions, redrive};
use mysql::{DbError, Session};
use service::{Context, Retry};
use tokio_util::sync::CancellationToken;

use crate::error::MapperError;
use crate::marks::Marks;
use crate::metrics::Metrics;

const LOOK: Duration = Duration::from_millis(50);
const TAKE: u32 = 1000;
/// Scopes that wait for another row's value are marked again in turns: so many, and then a rest.
const TURN: u32 = 200;
const REST: Duration = Duration::from_secs(2);

/// Runs until `stop`.
pub async fn run(context: &Context, metrics: &Metrics, stop: &CancellationToken) -> Result<(), MapperError> {
    let mut session: Option<Session> = None;
    let mut retry = Retry::with_most("redrive", REST);
    let (mut rested, mut behind) = (Instant::now(), 0);
    while !stop.is_cancelled() {
        let both = async {
            let mut marked = once(context, &mut session).await?;
            if rested.elapsed() >= REST {
                marked += turn(context, &mut session, &mut behind).await?;
                rested = Instant::now();
            }
            Ok(marked)
        };
        let (taken, pause) = match both.await {
            Ok(n) => {
                retry.worked();
                (n, LOOK)
            }
            Err(MapperError::Control(e)) if e.is_transient() => {
                session = None;
                (0, retry.failed(|tries| tracing::warn!(error = %e, tries, "redrive is tried again")))
            }
            Err(e) => return Err(e),
        };
        metrics.redriven.fetch_add(taken as u64, Relaxed);
        if taken < TAKE as usize {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
    Ok(())
}

/// Marks parked scopes whose unique value another row had, in turns, until they come through. The other row gives the
/// value up under its own mark, in another lane, and nothing tells us when.
async fn turn(
    context: &Context,
    session: &mut Option<Session>,
    behind: &mut u64,
) -> Result<usize, MapperError> {
    let control = |e: DbError| MapperError::Control(e);
    let mut own = context.database.resume(session).await.map_err(control)?;
    let parked = exceptions::parked(&mut own, &context.database, exceptions::DUPLICATE, *behind, TURN)
        .await
        .map_err(control)?;
    *session = Some(own);
    *behind = if parked.len() < TURN as usize { 0 } else { parked.last().map_or(0, |(id, ..)| *id) };
    mark(context, parked.into_iter().map(|(_, target, scope)| (target, scope))).await
}

/// Marks the scopes of whatever runs; gives their number.
async fn mark(context: &Context, scopes: impl Iterator<Item = (String, Key)>) -> Result<usize, MapperError> {
    let mut marks = Marks::new(context, Cause::default());
    for (target, scope) in scopes {
        let runs = context.targets().any(|t| t.table == target)
            || context.plan.entities.iter().any(|e| e.map == target);
        if runs {
            marks.add(&target, scope);
        }
    }
    let count = marks.len();
    if count > 0 {
        context.bus.append(marks.take()).await.map_err(MapperError::Publish)?;
    }
    Ok(count)
}

/// One transaction: take, publish, delete. A crash in between marks twice, which is harmless.
async fn once(context: &Context, session: &mut Option<Session>) -> Result<usize, MapperError> {
    let control = |e: DbError| MapperError::Control(e);
    let mut own = context.database.resume(session).await.map_err(control)?;
    own.begin().await.map_err(control)?;
    let entries = redrive::take(&mut own, &context.database, TAKE).await.map_err(control)?;
    let ids: Vec<u64> = entries.iter().map(|e| e.id).collect();
    mark(context, entries.into_iter().map(|e| (e.target, e.scope))).await?;
    // On the topics of an incarnation before nobody finds them: then they stay, for those who are of now. Asked behind the publishing,
    // which may take as long as the broker likes: the answer holds a lock.
    let incarnation = context.topics.incarnation();
    if !ids.is_empty()
        && !applied::is_current(&mut own, &context.database, &context.source, incarnation)
            .await
            .map_err(control)?
    {
        own.rollback().await.map_err(control)?;
        return Err(MapperError::Replaced { incarnation });
    }
    redrive::done(&mut own, &context.database, &ids).await.map_err(control)?;
    own.commit().await.map_err(control)?;
    *session = Some(own);
    Ok(ids.len())
}
