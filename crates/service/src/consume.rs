//! The loop of a service between two topics: take what is waiting, do its work, commit the offsets.
//!
//! An offset is committed only after the work is done and durable, so a crash repeats work and never skips it. What waits
//! together is done together: the more a service lags, the fewer statements and acknowledgements a record costs.

use std::sync::Arc;

use bus::{BusError, Committed, Consumer, Delivery, Event};
use bytes::Bytes;
use futures::FutureExt;
use mysql::{DbError, Session};
use proto::RecordError;
use tokio_util::sync::CancellationToken;

use crate::{Context, Retry};

/// Bytes of records that are done together, as far as one delivery does not bring more.
const TOGETHER: usize = 256 << 10;

/// What a service does with deliveries. Whatever it does may be repeated.
#[async_trait::async_trait]
pub trait Work: Send {
    type Error: std::error::Error + From<ConsumeError> + Send;

    /// Returns once what follows from the deliveries is durable. `session` is empty at first and after an error, and is
    /// kept for the next ones.
    async fn take(
        &mut self,
        deliveries: &[Delivery],
        session: &mut Option<Session>,
    ) -> Result<(), Self::Error>;

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
        let deliveries = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            deliveries = waiting(&mut *consumer) => deliveries.map_err(failed)?,
        };
        if !persist(work, &deliveries, &mut session, stop).await? {
            return Ok(());
        }
        for delivery in &deliveries {
            let Some((last, _)) = delivery.records.last() else { continue };
            consumer.commit(&delivery.topic, delivery.partition, last + 1).await.map_err(failed)?;
        }
    }
}

/// Waits for a delivery and takes what else is there already; nothing of a partition that was revoked meanwhile.
async fn waiting(consumer: &mut dyn Consumer) -> Result<Vec<Delivery>, BusError> {
    let mut deliveries = Vec::new();
    let mut bytes = 0;
    while bytes < TOGETHER {
        let event = if deliveries.is_empty() {
            consumer.next().await?
        } else {
            match consumer.next().now_or_never() {
                Some(event) => event?,
                None => break,
            }
        };
        match event {
            Event::Assigned(_) => {}
            Event::Revoked(parts) => {
                let gone =
                    |d: &Delivery| parts.iter().any(|(topic, p)| *p == d.partition && *topic == d.topic);
                deliveries.retain(|delivery| !gone(delivery));
            }
            Event::Records(delivery) => {
                bytes += delivery.records.iter().map(|(_, payload)| payload.len()).sum::<usize>();
                deliveries.push(delivery);
            }
        }
    }
    Ok(deliveries)
}

/// `false`: asked to stop before it was done.
async fn persist<W: Work>(
    work: &mut W,
    deliveries: &[Delivery],
    session: &mut Option<Session>,
    stop: &CancellationToken,
) -> Result<bool, W::Error> {
    let mut retry = Retry::new("the work on records");
    loop {
        let pause = match work.take(deliveries, session).await {
            Ok(()) => {
                retry.worked();
                return Ok(true);
            }
            Err(error) => {
                *session = None;
                let passes = W::database_error(&error).is_some_and(DbError::is_transient);
                if !passes {
                    return Err(error);
                }
                retry.failed(
                    |tries| tracing::warn!(%error, tries, deliveries = deliveries.len(), "tried again"),
                )
            }
        };
        tokio::select! {
            () = stop.cancelled() => return Ok(false),
            () = tokio::time::sleep(pause) => {}
        }
    }
}
