//! Wires the mapper: consume changes, route, look up, publish marks, wait for the acks, commit the offset (C2).

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bus::{Committed, Delivery, Event, Record};
use mysql::Session;
use mysql::control::pass;
use service::Context;
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
    let consuming = consume(&context, &metrics, &stop);
    let both = async { tokio::try_join!(redriving, consuming).map(drop) };
    both.await
}

async fn consume(context: &Context, metrics: &Metrics, stop: &CancellationToken) -> Result<(), MapperError> {
    let subscribed =
        context.bus.subscribe(&context.group("mapper"), &context.changes_topics(), Arc::new(Committed)).await;
    let mut consumer = subscribed.map_err(MapperError::Consume)?;
    let mut session = None;
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            event = consumer.next() => event.map_err(MapperError::Consume)?,
        };
        let Event::Records(delivery) = event else { continue };
        let Some(next) = delivery.records.last().map(|(offset, _)| offset + 1) else { continue };
        if !persist(context, metrics, stop, &delivery, &mut session).await? {
            return Ok(());
        }
        consumer.commit(&delivery.topic, delivery.partition, next).await.map_err(MapperError::Consume)?;
    }
}

/// Maps a delivery, again and again while the database is away. `false`: asked to stop before it was done.
async fn persist(
    context: &Context,
    metrics: &Metrics,
    stop: &CancellationToken,
    delivery: &Delivery,
    session: &mut Option<Session>,
) -> Result<bool, MapperError> {
    let mut pause = Duration::from_millis(50);
    loop {
        match map(context, metrics, delivery, session).await {
            Ok(()) => return Ok(true),
            Err(MapperError::Control(e) | MapperError::Lookup { source: e, .. }) if e.is_transient() => {
                tracing::warn!(error = %e, "mapping is tried again");
                *session = None;
            }
            Err(e) => return Err(e),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(false),
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(5)),
        }
    }
}

async fn map(
    context: &Context,
    metrics: &Metrics,
    delivery: &Delivery,
    held: &mut Option<Session>,
) -> Result<(), MapperError> {
    let mut session = match held.take() {
        Some(open) => open,
        None => context.database.session().await.map_err(MapperError::Control)?,
    };
    let mut publisher = Publisher { context, metrics };
    let mut marks: Option<Marks<'_>> = None;
    for (offset, payload) in &delivery.records {
        let batch = proto::decode_changes(payload).map_err(|source| MapperError::Record {
            topic: delivery.topic.clone(),
            partition: delivery.partition,
            offset: *offset,
            source,
        })?;
        metrics.changes.fetch_add(batch.rows.len() as u64, Relaxed);
        let routed = router::route(&context.plan, context.targets(), &batch)?;
        let marks = marks.get_or_insert_with(|| Marks::new(context, batch.cause.clone()));
        for (target, scope) in routed.marks {
            marks.add(&target, scope);
        }
        for (target, route, images) in &routed.lookups {
            let Some(target) = context.plan.target(target) else { continue };
            metrics.lookups.fetch_add(1, Relaxed);
            lookup::run(&mut session, target, *route, images, marks, &mut publisher).await?;
        }
        if !routed.arrived.is_empty() {
            lookup::arrivals(&mut session, context, &batch.table.table, &routed.arrived, marks)
                .await
                .map_err(MapperError::Control)?;
        }
        if routed.truncated {
            order_full_passes(context, &mut session, &batch.table.table).await?;
        }
    }
    if let Some(mut marks) = marks {
        publisher.publish(marks.take()).await?;
    }
    *held = Some(session);
    Ok(())
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
