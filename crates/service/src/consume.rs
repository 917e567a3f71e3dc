//! The loop of a service between two topics: take a delivery, do its work, commit the offset.
//!
//! The offset is committed only after the work is done and durable, so a crash repeats work and never skips it.

use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, Committed, Delivery, Event};
use bytes::Bytes;
use mysql::{DbError, Session};
use proto::RecordError;
use tokio_util::sync::CancellationToken;

use crate::Context;

/// What a service does with a delivery. Whatever it does may be repeated.
#[async_trait::async_trait]
pub trait Work: Send {
    type Error: std::error::Error + From<ConsumeError> + Send;

    /// Returns once what follows from the delivery is durable. `session` is empty at first and after an error, and is
    /// kept for the next delivery.
    async fn take(&mut self, delivery: &Delivery, session: &mut Option<Session>) -> Result<(), Self::Error>;

    /// The database's part in an error.
    fn database_error(error: &Self::Error) -> Option<&DbError>;
}

/// What stops the loop, apart from the work itself.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    #[error("consume {group}: {source}")]
    Bus { group: String, source: BusError },
    #[error("a record on {topic}/{partition} at offset {offset} cannot be read: {source}")]
    Record { topic: String, partition: u32, offset: u64, source: RecordError },
}

/// Decodes the records of a delivery.
pub fn decode<T>(
    delivery: &Delivery,
    decode: impl Fn(&Bytes) -> Result<T, RecordError>,
) -> Result<Vec<T>, ConsumeError> {
    let one = |(offset, payload): &(u64, Bytes)| {
        decode(payload).map_err(|source| ConsumeError::Record {
            topic: delivery.topic.clone(),
            partition: delivery.partition,
            offset: *offset,
            source,
        })
    };
    delivery.records.iter().map(one).collect()
}

/// Runs until `stop`. Work that fails while the database is away is tried again, for as long as it takes.
pub async fn consume<W: Work>(
    context: &Context,
    service: &str,
    topics: &[String],
    work: &mut W,
    stop: &CancellationToken,
) -> Result<(), W::Error> {
    if topics.is_empty() {
        // A plan without ids: a broker would call it a mistake to subscribe to nothing.
        stop.cancelled().await;
        return Ok(());
    }
    let group = context.group(service);
    let failed = |source| W::Error::from(ConsumeError::Bus { group: group.clone(), source });
    let mut consumer = context.bus.subscribe(&group, topics, Arc::new(Committed)).await.map_err(failed)?;
    let mut session = None;
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            event = consumer.next() => event.map_err(failed)?,
        };
        let Event::Records(delivery) = event else { continue };
        let Some(next) = delivery.records.last().map(|(offset, _)| offset + 1) else { continue };
        if !persist(work, &delivery, &mut session, stop).await? {
            return Ok(());
        }
        consumer.commit(&delivery.topic, delivery.partition, next).await.map_err(failed)?;
    }
}

/// `false`: asked to stop before it was done.
async fn persist<W: Work>(
    work: &mut W,
    delivery: &Delivery,
    session: &mut Option<Session>,
    stop: &CancellationToken,
) -> Result<bool, W::Error> {
    let mut pause = Duration::from_millis(50);
    loop {
        match work.take(delivery, session).await {
            Ok(()) => return Ok(true),
            Err(error) => {
                *session = None;
                let passes = W::database_error(&error).is_some_and(DbError::is_transient);
                if !passes {
                    return Err(error);
                }
                tracing::warn!(%error, topic = %delivery.topic, "tried again");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(false),
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(5)),
        }
    }
}
