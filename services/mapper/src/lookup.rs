//! Routes that need the database: look-ups of the plan, and scopes that wait for a parent.
//!
//! Plain reads, after the change became visible (P4), so that their snapshot contains it. A wide fan-out is read as a
//! stream and published in pages: memory stays bounded.

use bus::Record;
use change::{Cell, Fold, Key};
use futures::TryStreamExt;
use mysql::control::exceptions;
use mysql::{DbError, Session};
use plan::checked::{RouteBy, Target};
use plan::sql;
use service::Context;

use crate::marks::Marks;

/// Marks that are held before they are published.
const PAGE: usize = 10_000;
/// Images in one look-up.
const IMAGES: usize = 200;

/// What goes on when a page is full.
#[async_trait::async_trait]
pub trait Sink: Send {
    async fn publish(&mut self, records: Vec<Record>) -> Result<(), crate::MapperError>;
}

/// Runs one look-up for all images and adds what it finds.
pub async fn run(
    session: &mut Session,
    target: &Target,
    route: usize,
    images: &[Vec<Cell>],
    marks: &mut Marks<'_>,
    sink: &mut dyn Sink,
) -> Result<(), crate::MapperError> {
    let route = &target.routes[route];
    let RouteBy::Lookup { query, uses } = &route.by else { return Ok(()) };
    let failed = |source| crate::MapperError::Lookup {
        table: route.from.clone(),
        target: target.table.clone(),
        source,
    };
    for some in images.chunks(IMAGES) {
        let text = sql::lookup(query, uses, some);
        let mut rows = session.stream(&text).map_err(failed)?;
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            let cells = target.scope.iter().enumerate().map(|(i, s)| row.cell(i, &s.source_column));
            let key = Key(cells.collect::<Result<_, _>>().map_err(failed)?);
            if key.0.iter().all(|c| !c.is_null()) {
                marks.add(&target.table, key);
            }
            if marks.len() >= PAGE {
                sink.publish(marks.take()).await?;
            }
        }
    }
    Ok(())
}

/// Adds the scopes whose reports or parking name these parents.
pub async fn arrivals(
    session: &mut Session,
    context: &Context,
    table: &str,
    arrived: &[Cell],
    marks: &mut Marks<'_>,
) -> Result<(), DbError> {
    let Some(key) = context.plan.watched.get(table).and_then(|w| w.key.first()) else { return Ok(()) };
    let fold = Fold::of(&key.data_type, key.collation.as_deref());
    for (target, scope) in exceptions::waiting_for(session, &context.database, table, fold, arrived).await? {
        if context.targets().any(|t| t.table == target) {
            marks.add(&target, scope);
        }
    }
    Ok(())
}
