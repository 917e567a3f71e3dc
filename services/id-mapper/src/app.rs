//! Wires the id-mapper: consume marks, mint what they need, forward them unchanged, commit the offset (C3).

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bus::{Committed, Delivery, Event, Record};
use ids::Namespace;
use mysql::Session;
use plan::checked::Entity;
use plan::sql::{IdentitySql, Scopes, TargetSql};
use service::Context;
use tokio_util::sync::CancellationToken;

use crate::error::IdMapperError;
use crate::metrics::Metrics;
use crate::{mint, needs, passes};

/// The namespace of an entity's derived UUIDs.
pub fn namespace(context: &Context, entity: &Entity) -> Namespace {
    Namespace::of(context.namespace, &entity.table)
}

pub async fn run(
    context: Context,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> Result<(), IdMapperError> {
    let stop = stop.child_token();
    let passing = passes::run(&context, &metrics, &stop);
    let consuming = consume(&context, &metrics, &stop);
    let both = async { tokio::try_join!(passing, consuming).map(drop) };
    both.await
}

async fn consume(
    context: &Context,
    metrics: &Metrics,
    stop: &CancellationToken,
) -> Result<(), IdMapperError> {
    let subscribed = context
        .bus
        .subscribe(&context.group("id-mapper"), &context.mapped_topics(), Arc::new(Committed))
        .await;
    let mut consumer = subscribed.map_err(IdMapperError::Consume)?;
    let mut session = None;
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            event = consumer.next() => event.map_err(IdMapperError::Consume)?,
        };
        let Event::Records(delivery) = event else { continue };
        let Some(next) = delivery.records.last().map(|(offset, _)| offset + 1) else { continue };
        if !persist(context, metrics, stop, &delivery, &mut session).await? {
            return Ok(());
        }
        consumer.commit(&delivery.topic, delivery.partition, next).await.map_err(IdMapperError::Consume)?;
    }
}

/// Mints and forwards, again and again while the database is away. `false`: asked to stop before it was done.
async fn persist(
    context: &Context,
    metrics: &Metrics,
    stop: &CancellationToken,
    delivery: &Delivery,
    session: &mut Option<Session>,
) -> Result<bool, IdMapperError> {
    let mut pause = Duration::from_millis(50);
    loop {
        match forward(context, metrics, delivery, session).await {
            Ok(()) => return Ok(true),
            Err(IdMapperError::Needs { source, .. } | IdMapperError::Mint { source, .. })
                if source.is_transient() =>
            {
                tracing::warn!(error = %source, "minting is tried again");
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

async fn forward(
    context: &Context,
    metrics: &Metrics,
    delivery: &Delivery,
    held: &mut Option<Session>,
) -> Result<(), IdMapperError> {
    let (db, plan) = (&context.database, &context.plan);
    let mut batches = Vec::with_capacity(delivery.records.len());
    for (offset, payload) in &delivery.records {
        let batch = proto::decode_marks(payload).map_err(|source| IdMapperError::Record {
            topic: delivery.topic.clone(),
            partition: delivery.partition,
            offset: *offset,
            source,
        })?;
        metrics.marks.fetch_add(batch.marks.len() as u64, Relaxed);
        batches.push(batch);
    }
    let Some(name) = batches.first().map(|b| b.target.clone()) else { return Ok(()) };
    let keys = needs::scopes(batches.iter());
    let needs_failed = |source| IdMapperError::Needs { target: name.clone(), source };
    let mut session = match held.take() {
        Some(open) => open,
        None => db.session().await.map_err(needs_failed)?,
    };
    if let Some(entity) = plan.entities.iter().find(|e| e.map == name) {
        let sql = IdentitySql::new(plan, entity);
        let ids = needs::of_entity(&mut session, &sql, Scopes::Keys(&keys)).await.map_err(needs_failed)?;
        mint_all(context, metrics, &mut session, entity, &ids).await?;
        *held = Some(session);
        return Ok(());
    }
    let Some(target) = plan.target(&name) else {
        *held = Some(session);
        return Ok(());
    };
    let sql = TargetSql::new(plan, target, db.control());
    let needed = needs::of_target(&mut session, &sql, Scopes::Keys(&keys)).await.map_err(needs_failed)?;
    for (entity, ids) in &needed {
        if let Some(entity) = plan.entity(entity) {
            mint_all(context, metrics, &mut session, entity, ids).await?;
        }
    }
    *held = Some(session);
    let topic = context.topics.writes(&name);
    let records = delivery
        .records
        .iter()
        .map(|(_, payload)| Record::new(&topic, delivery.partition, payload.clone()))
        .collect();
    context.bus.append(records).await.map_err(IdMapperError::Forward)
}

async fn mint_all(
    context: &Context,
    metrics: &Metrics,
    session: &mut Session,
    entity: &Entity,
    ids: &[change::Cell],
) -> Result<(), IdMapperError> {
    if ids.is_empty() {
        return Ok(());
    }
    let namespace = namespace(context, entity);
    let done = mint::mint(session, &context.database, &context.plan, entity, &namespace, ids).await?;
    metrics.minted.fetch_add(done.ids, Relaxed);
    metrics.collisions.fetch_add(done.collisions, Relaxed);
    Ok(())
}
