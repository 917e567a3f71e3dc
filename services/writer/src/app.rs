//! Wires the writer: one consumer, one worker per lane, and the runners of passes.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bus::{BusError, Event, Start};
use service::Context;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::error::WriterError;
use crate::lane::{self, LaneWorker, Load, Shared};
use crate::metrics::Metrics;
use crate::sessions::Sessions;
use crate::{passes, throttle};

/// Sessions for lanes and passes together. The database does the work; more would only make them wait for each other.
const SESSIONS: usize = 4;
/// Passes that run side by side.
const RUNNERS: usize = 2;
/// Bytes of marks that wait in this process.
const BUFFER: usize = 32 << 20;

/// A lane starts where its row says; the broker's committed offset is for tools only.
struct LaneStart {
    context: Context,
}

#[async_trait]
impl Start for LaneStart {
    async fn next_offset(&self, topic: &str, partition: u32) -> Result<Option<u64>, BusError> {
        let target = target_of(&self.context, topic)?;
        lane::find(&self.context, &target, partition, topic).await.map(|l| Some(l.next_offset)).map_err(|e| {
            BusError::Broker { doing: "ask the lane for its offset", reason: e.to_string(), transient: false }
        })
    }
}

fn target_of(context: &Context, topic: &str) -> Result<String, BusError> {
    let found = context.targets().find(|t| context.topics.writes(&t.table) == topic);
    found.map(|t| t.table.clone()).ok_or_else(|| BusError::NoTopic(topic.into()))
}

type Lanes = HashMap<(String, u32), (mpsc::UnboundedSender<Load>, CancellationToken)>;

/// What the lanes of this process share; the counts can be watched through it.
pub fn share(context: Context) -> Arc<Shared> {
    Arc::new(Shared {
        sessions: Sessions::new(context.database.clone(), SESSIONS),
        context,
        metrics: Metrics::default(),
    })
}

/// Runs until `stop`, or until something definite is wrong.
pub async fn run(context: Context, stop: CancellationToken) -> Result<(), WriterError> {
    run_shared(share(context), stop).await
}

/// The same for what is shared already.
pub async fn run_shared(shared: Arc<Shared>, stop: CancellationToken) -> Result<(), WriterError> {
    let stop = stop.child_token();
    let mut tasks: JoinSet<Result<(), WriterError>> = JoinSet::new();
    let walks = passes::Walks::default();
    let (reasons, throttled) = tokio::sync::watch::channel(Vec::new());
    let throttling = throttle::run(shared.context.clone(), reasons, stop.clone());
    tasks.spawn(async move {
        throttling.await;
        Ok(())
    });
    for _ in 0..RUNNERS {
        tasks.spawn(passes::run(shared.clone(), walks.clone(), throttled.clone(), stop.clone()));
    }
    let ended = consume(&shared, &mut tasks, &stop).await;
    stop.cancel();
    let mut first = ended;
    while let Some(task) = tasks.join_next().await {
        let result = task.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
        first = first.and(result);
    }
    first
}

/// Hands records to the lanes. A lane that ends with an error ends the service.
async fn consume(
    shared: &Arc<Shared>,
    tasks: &mut JoinSet<Result<(), WriterError>>,
    stop: &CancellationToken,
) -> Result<(), WriterError> {
    let context = &shared.context;
    let buffer = Arc::new(Semaphore::new(BUFFER));
    let start = Arc::new(LaneStart { context: context.clone() });
    let subscribed = context.bus.subscribe(&context.group("writer"), &context.writes_topics(), start).await;
    let mut consumer = subscribed.map_err(WriterError::Consume)?;
    let mut lanes: Lanes = HashMap::new();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Some(ended) = tasks.join_next() => {
                match ended {
                    Ok(Ok(())) => continue,
                    Ok(Err(e)) => return Err(e),
                    Err(e) => std::panic::resume_unwind(e.into_panic()),
                }
            }
            event = consumer.next() => event.map_err(WriterError::Consume)?,
        };
        match event {
            Event::Assigned(partitions) => {
                for (topic, lane) in partitions {
                    let target = target_of(context, &topic).map_err(WriterError::Consume)?;
                    let found = lane::find(context, &target, lane, &topic);
                    let found = stop.run_until_cancelled(found).await;
                    let Some(found) = found.transpose()? else { return Ok(()) };
                    let (sender, loads) = mpsc::unbounded_channel();
                    let token = stop.child_token();
                    let worker = LaneWorker::new(shared.clone(), found, loads, token.clone());
                    tasks.spawn(worker.run());
                    lanes.insert((topic, lane), (sender, token));
                }
            }
            Event::Revoked(partitions) => {
                for key in partitions {
                    if let Some((_, token)) = lanes.remove(&key) {
                        token.cancel();
                    }
                }
            }
            Event::Records(delivery) => {
                let bytes: usize = delivery.records.iter().map(|(_, p)| p.len() + 16).sum();
                let share = bytes.clamp(1, BUFFER / 2) as u32;
                let permit = tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    permit = buffer.clone().acquire_many_owned(share) => permit.expect("the semaphore is never closed"),
                };
                let last = delivery.records.last().map(|(offset, _)| offset + 1);
                let key = (delivery.topic, delivery.partition);
                if let Some((sender, _)) = lanes.get(&key) {
                    // A lane that has ended reports why through its task.
                    let _ = sender.send(Load { records: delivery.records, permit });
                }
                // For tools, and so that the in-process bus can forget: the lane's own offset is what counts.
                if let Some(next) = last {
                    consumer.commit(&key.0, key.1, next).await.map_err(WriterError::Consume)?;
                }
            }
        }
    }
}
