//! Id passes: every row of an entity gets its entry, in bulk, before any target is filled.
//!
//! The server derives the bytes of a range itself; what is then still without an entry collided and is minted one by one.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use ids::KeyKind;
use mysql::control::{applied, hold, pass};
use mysql::{DbError, Session, scan};
use plan::catalog::Flavour;
use plan::checked::IdKind;
use plan::sql::{IdentitySql, Range, ScopeTable, Scopes};
use service::{Context, Retry};
use tokio_util::sync::CancellationToken;

use crate::app::namespace;
use crate::error::IdMapperError;
use crate::metrics::Metrics;
use crate::{mint, needs};

const LOOK: Duration = Duration::from_millis(200);

pub async fn run(
    context: &Context,
    metrics: &Metrics,
    stop: &CancellationToken,
) -> Result<(), IdMapperError> {
    let mut session: Option<Session> = None;
    let mut retry = Retry::with_most("id passes", Duration::from_secs(2));
    while !stop.is_cancelled() {
        let pause = match one(context, metrics, stop, &mut session).await {
            Ok(more) => {
                retry.worked();
                if more {
                    continue;
                }
                LOOK
            }
            Err(IdMapperError::Mint { source, .. } | IdMapperError::Needs { source, .. })
                if source.is_transient() =>
            {
                session = None;
                retry.failed(
                    |tries| tracing::warn!(error = %source, tries, "the id pass is interrupted and goes on"),
                )
            }
            Err(e) => return Err(e),
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    Ok(())
}

/// Runs the first open id pass to its end; `false`: there is none that may run.
async fn one(
    context: &Context,
    metrics: &Metrics,
    stop: &CancellationToken,
    held: &mut Option<Session>,
) -> Result<bool, IdMapperError> {
    let db = &context.database;
    let failed = |source: DbError| IdMapperError::Needs { target: "pass".into(), source };
    let mut session = db.resume(held).await.map_err(failed)?;
    let idle = hold::is_held(&mut session, db).await.map_err(failed)?
        || applied::published(&mut session, db, &context.source).await.map_err(failed)?.is_none();
    let open = if idle {
        Vec::new()
    } else {
        pass::all(&mut session, db, "state <> 'done' AND kind = 'ids'").await.map_err(failed)?
    };
    let Some(first) = open.first() else {
        *held = Some(session);
        return Ok(false);
    };
    let Some(mut pass) = pass::start(&mut session, db, first.id).await.map_err(failed)? else {
        *held = Some(session);
        return Ok(true);
    };
    let mut size = 2000u64;
    while !stop.is_cancelled() {
        if hold::is_held(&mut session, db).await.map_err(failed)? {
            break;
        }
        let started = Instant::now();
        match chunk(context, metrics, &mut session, &mut pass, size).await? {
            Chunk::Done => {
                let ratio = context.chunk_budget.as_secs_f64() / started.elapsed().as_secs_f64().max(0.000_1);
                size = ((size as f64 * ratio.clamp(0.5, 2.0)) as u64).clamp(100, 20_000);
            }
            Chunk::Last | Chunk::Taken => break,
        }
    }
    *held = Some(session);
    Ok(true)
}

enum Chunk {
    Done,
    Last,
    Taken,
}

/// A range of ids. Entries are only ever added, so a crash between the insert and the pass's place repeats nothing wrong.
async fn chunk(
    context: &Context,
    metrics: &Metrics,
    session: &mut Session,
    pass: &mut pass::Pass,
    size: u64,
) -> Result<Chunk, IdMapperError> {
    let (db, plan) = (&context.database, &context.plan);
    let Some(entity) = plan.entities.iter().find(|e| e.map == pass.target) else { return Ok(Chunk::Last) };
    let failed = |source| IdMapperError::Mint { entity: entity.table.clone(), source };
    let sql = IdentitySql::new(plan, entity);
    let table = ScopeTable { table: entity.table.clone(), columns: vec![entity.key.clone()] };
    let high =
        scan::boundary(session, &plan.schema, &table, pass.done_to.as_ref(), size).await.map_err(failed)?;
    let range = Range { low: pass.done_to.clone(), high: high.clone() };
    let namespace = namespace(context, entity);
    let mut minted = 0;
    // MySQL 9 has no SHA1 built in: there every id is minted below.
    if plan.flavour == Flavour::MariaDb {
        let kind = match entity.kind {
            IdKind::Integer => KeyKind::Integer,
            IdKind::Text => KeyKind::Text,
        };
        let derive = ids::sql_expression(namespace, kind, &sql.key_expression());
        minted +=
            mint::insert(session, &sql.insert_range(Scopes::Range(&range), &derive)).await.map_err(failed)?;
    }
    let left = needs::of_entity(session, &sql, Scopes::Range(&range)).await.map_err(failed)?;
    if !left.is_empty() {
        let done = mint::mint(session, db, plan, entity, &namespace, &left).await?;
        minted += done.ids;
        metrics.collisions.fetch_add(done.collisions, Relaxed);
    }
    metrics.minted.fetch_add(minted, Relaxed);
    let step = pass::Step {
        done_to: high.as_ref().or(pass.done_to.as_ref()),
        last: high.is_none(),
        scanned: size.min(minted.max(1)),
        changed: minted,
    };
    if !pass::advance(session, db, pass, &step).await.map_err(failed)? {
        return Ok(Chunk::Taken);
    }
    if high.is_none() {
        tracing::info!(entity = %entity.table, "id pass done");
        return Ok(Chunk::Last);
    }
    pass.done_to = high;
    Ok(Chunk::Done)
}
