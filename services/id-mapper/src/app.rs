//! Wires the id-mapper: consume marks, mint what they need, forward them unchanged, commit the offset (C3).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bus::{Delivery, Record};
use change::{Cell, Key};
use ids::Namespace;
use mysql::{DbError, Session};
use plan::checked::Entity;
use plan::sql::{IdentitySql, Scopes, TargetSql};
use service::{Context, Work};
use tokio_util::sync::CancellationToken;

use crate::error::IdMapperError;
use crate::metrics::Metrics;
use crate::{mint, needs, passes};

/// Scopes that one query asks about.
const SCOPES: usize = 1000;

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

    async fn take(
        &mut self,
        deliveries: &[Delivery],
        held: &mut Option<Session>,
    ) -> Result<(), IdMapperError> {
        let mut forwarded = Vec::new();
        let mut scopes: BTreeMap<String, Vec<Key>> = BTreeMap::new();
        for delivery in deliveries {
            for (batch, (_, payload)) in service::decode(delivery, |payload| proto::decode_marks(payload))?
                .into_iter()
                .zip(&delivery.records)
            {
                self.metrics.marks.fetch_add(batch.marks.len() as u64, Relaxed);
                if self.context.plan.target(&batch.target).is_some() {
                    let topic = self.context.topics.writes(&batch.target);
                    forwarded.push(Record::new(topic, delivery.partition, payload.clone()));
                }
                scopes.entry(batch.target).or_default().extend(batch.marks.into_iter().map(|m| m.scope));
            }
        }
        for (name, mut scopes) in scopes {
            change::distinct(&mut scopes);
            for some in scopes.chunks(SCOPES) {
                self.mint(&name, Scopes::Keys(some), held).await?;
            }
        }
        self.context.bus.append(forwarded).await.map_err(IdMapperError::Forward)
    }

    fn database_error(error: &IdMapperError) -> Option<&DbError> {
        match error {
            IdMapperError::Needs { source, .. } | IdMapperError::Mint { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl Minting<'_> {
    /// Gives these scopes of a target, or these rows of an entity, what ids they need.
    async fn mint(
        &self,
        name: &str,
        scopes: Scopes<'_>,
        held: &mut Option<Session>,
    ) -> Result<(), IdMapperError> {
        let (db, plan) = (&self.context.database, &self.context.plan);
        let failed = |source| IdMapperError::Needs { target: name.into(), source };
        let mut session = db.resume(held).await.map_err(failed)?;
        if let Some(entity) = plan.entities.iter().find(|e| e.map == name) {
            let sql = IdentitySql::new(plan, entity);
            let ids = needs::of_entity(&mut session, &sql, scopes).await.map_err(failed)?;
            self.mint_all(&mut session, entity, &ids).await?;
        } else if let Some(target) = plan.target(name) {
            let sql = TargetSql::new(plan, target, db.control());
            for (entity, ids) in needs::of_target(&mut session, &sql, scopes).await.map_err(failed)? {
                if let Some(entity) = plan.entity(&entity) {
                    self.mint_all(&mut session, entity, &ids).await?;
                }
            }
        }
        *held = Some(session);
        Ok(())
    }

    async fn mint_all(
        &self,
        session: &mut Session,
        entity: &Entity,
        ids: &[Cell],
    ) -> Result<(), IdMapperError> {
        if ids.is_empty() {
            return Ok(());
        }
        let (context, metrics) = (self.context, self.metrics);
        let namespace = namespace(context, entity);
        let done = mint::mint(session, &context.database, &context.plan, entity, &namespace, ids).await?;
        metrics.minted.fetch_add(done.ids, Relaxed);
        metrics.collisions.fetch_add(done.collisions, Relaxed);
        Ok(())
    }
}
