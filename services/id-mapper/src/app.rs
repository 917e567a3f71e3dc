//! Wires the id-mapper: consume marks, mint what they need, forward them unchanged, commit the offset (C3).

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bus::{Delivery, Record};
use bytes::Bytes;
use ids::Namespace;
use mysql::{DbError, Session};
use plan::checked::Entity;
use plan::sql::{IdentitySql, Scopes, TargetSql};
use service::{Context, Work};
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
    let mut minting = Minting { context: &context, metrics: &metrics };
    let topics = context.mapped_topics();
    let consuming = service::consume(&context, "id-mapper", &topics, &mut minting, &stop);
    let both = async { tokio::try_join!(passing, consuming).map(drop) };
    both.await
}

/// Mints and forwards deliveries.
struct Minting<'a> {
    context: &'a Context,
    metrics: &'a Metrics,
}

#[async_trait::async_trait]
impl Work for Minting<'_> {
    type Error = IdMapperError;

    async fn take(&mut self, delivery: &Delivery, held: &mut Option<Session>) -> Result<(), IdMapperError> {
        let (context, metrics) = (self.context, self.metrics);
        let (db, plan) = (&context.database, &context.plan);
        let batches = service::decode(delivery, |payload| proto::decode_marks(payload))?;
        metrics.marks.fetch_add(batches.iter().map(|b| b.marks.len() as u64).sum(), Relaxed);
        let Some(name) = batches.first().map(|b| b.target.clone()) else { return Ok(()) };
        let keys = needs::scopes(batches.iter());
        let needs_failed = |source| IdMapperError::Needs { target: name.clone(), source };
        let mut session = db.resume(held).await.map_err(needs_failed)?;
        if let Some(entity) = plan.entities.iter().find(|e| e.map == name) {
            let sql = IdentitySql::new(plan, entity);
            let ids =
                needs::of_entity(&mut session, &sql, Scopes::Keys(&keys)).await.map_err(needs_failed)?;
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
        let forward = |payload: &Bytes| Record::new(&topic, delivery.partition, payload.clone());
        let records = delivery.records.iter().map(|(_, payload)| forward(payload)).collect();
        context.bus.append(records).await.map_err(IdMapperError::Forward)
    }

    fn database_error(error: &IdMapperError) -> Option<&DbError> {
        match error {
            IdMapperError::Needs { source, .. } | IdMapperError::Mint { source, .. } => Some(source),
            _ => None,
        }
    }
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
