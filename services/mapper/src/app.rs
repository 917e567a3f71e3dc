//! Wires the mapper: consume changes, route, look up, publish marks, wait for the acks, commit the offset (C2).

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bus::{Delivery, Record};
use change::ChangeBatch;
use mysql::control::pass;
use mysql::{DbError, Session};
use service::{Context, Work};
use tokio_util::sync::CancellationToken;

use crate::error::MapperError;
use crate::lookup::{self, Sink};
use crate::marks::Marks;
use crate::metrics::Metrics;
use crate::{redrive, router};

/// Publishes pages of marks and waits until they are durable.
struct Publisher<'a> {
    context: &'a Context,
    metrics: &'a Metrics,
}

#[async_trait::async_trait]
impl Sink for Publisher<'_> {
    async fn publish(&mut self, records: Vec<Record>) -> Result<(), MapperError> {
        if records.is_empty() {
            return Ok(());
        }
        self.metrics.marks.fetch_add(records.len() as u64, Relaxed);
        self.context.bus.append(records).await.map_err(MapperError::Publish)
    }
}

pub async fn run(
    context: Context,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> Result<(), MapperError> {
    let stop = stop.child_token();
    let redriving = redrive::run(&context, &metrics, &stop);
    let mut mapping = Mapping { context: &context, metrics: &metrics };
    let topics = context.changes_topics();
    let consuming = service::consume(&context, "mapper", &topics, &mut mapping, &stop);
    let both = async { tokio::try_join!(redriving, consuming).map(drop) };
    both.await
}

/// Maps deliveries.
struct Mapping<'a> {
    context: &'a Context,
    metrics: &'a Metrics,
}

#[async_trait::async_trait]
impl Work for Mapping<'_> {
    type Error = MapperError;

    async fn take(&mut self, deliveries: &[Delivery], held: &mut Option<Session>) -> Result<(), MapperError> {
        let (context, metrics) = (self.context, self.metrics);
        let mut batches = Vec::new();
        for delivery in deliveries {
            batches.extend(service::decode(delivery, |payload| proto::decode_changes(payload))?);
        }
        let mut session = context.database.resume(held).await.map_err(MapperError::Control)?;
        let mut publisher = Publisher { context, metrics };
        let mut records = Vec::new();
        for batch in ChangeBatch::merge(batches) {
            metrics.changes.fetch_add(batch.rows.len() as u64, Relaxed);
            let routed = router::route(&context.plan, context.targets(), &batch)?;
            let mut marks = Marks::new(context, batch.cause.clone());
            for (target, scope) in routed.marks {
                marks.add(&target, scope);
            }
            for (target, route, images) in &routed.lookups {
                let Some(target) = context.plan.target(target) else { continue };
                metrics.lookups.fetch_add(1, Relaxed);
                lookup::run(&mut session, target, *route, images, &mut marks, &mut publisher).await?;
            }
            if !routed.arrived.is_empty() {
                lookup::arrivals(&mut session, context, &batch.table.table, &routed.arrived, &mut marks)
                    .await
                    .map_err(MapperError::Control)?;
            }
            if routed.truncated {
                order_full_passes(context, &mut session, &batch.table.table).await?;
            }
            records.extend(marks.take());
        }
        *held = Some(session);
        publisher.publish(records).await
    }

    fn database_error(error: &MapperError) -> Option<&DbError> {
        match error {
            MapperError::Control(e) | MapperError::Lookup { source: e, .. } => Some(e),
            _ => None,
        }
    }
}

/// TRUNCATE has no row images: every target that reads the table gets a full pass.
async fn order_full_passes(context: &Context, session: &mut Session, table: &str) -> Result<(), MapperError> {
    for (ordinal, target) in context.targets().enumerate() {
        let reads = target.routes.iter().any(|r| r.from == table)
            || target.scope.iter().any(|s| s.source_table == table);
        if reads {
            let ordinal = 100 + ordinal as u32;
            pass::order(session, &context.database, &target.table, pass::Kind::Rows, ordinal, "truncate", 0)
                .await
                .map_err(MapperError::Control)?;
        }
    }
    Ok(())
}
