//! The bus in memory, for one process: bounded by bytes, partitioned, at least once.
//!
//! Nothing survives the process. That is honest because the binlog is the durable log: the reader's saved position is what
//! the fence says is applied, and a new process begins a new incarnation.
//!
//! Each topic has a limit of its own, so that a full topic never blocks an append to one further down. A record stays until
//! every group that reads its topic has committed past it, whether the group has subscribed yet or not: the groups of a
//! topic are told by the function that the bus is made with. A consumer that never commits therefore stops the flow.

mod group;
mod log;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::{Bus, BusError, Consumer, Event, Record, Start, TopicSpec};
use group::{Group, Part, Turn};
use log::Topic;

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes in memory over all topics; each topic has an equal share, but at least `MIN_SHARE`.
    pub total: usize,
    /// Bytes of one record.
    pub record: usize,
    /// Bytes of one `Event::Records`; a larger record comes alone.
    pub delivery: usize,
    /// How long a partition waits for an owner that does not answer to `Revoked`.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { total: 64 << 20, record: 1_000_000, delivery: 256 << 10, grace: Duration::from_secs(10) }
    }
}

/// The least share of a topic, in bytes.
const MIN_SHARE: usize = 64 << 10;

/// Clones are handles to one bus.
#[derive(Clone)]
pub struct InProcess {
    shared: Arc<Shared>,
}

/// The groups that read a topic.
type Readers = dyn Fn(&str) -> Vec<String> + Send + Sync;

struct Shared {
    limits: Limits,
    readers: Box<Readers>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    topics: BTreeMap<String, Topic>,
    groups: HashMap<String, Group>,
    members: u64,
    closed: bool,
}

impl InProcess {
    /// `readers` names the groups that read a topic. Records of a topic that no group reads are counted and dropped.
    pub fn new(limits: Limits, readers: impl Fn(&str) -> Vec<String> + Send + Sync + 'static) -> Self {
        let shared = Shared { limits, readers: Box::new(readers), state: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// Ends every waiting and every later call with `Closed`.
    pub fn close(&self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.topics.values().for_each(|topic| topic.space.notify_waiters());
        state.groups.values().for_each(Group::wake_all);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is complete before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn open(&self) -> Result<(), BusError> {
        if self.closed { Err(BusError::Closed) } else { Ok(()) }
    }

    fn topic(&self, name: &str) -> Result<&Topic, BusError> {
        self.topics.get(name).ok_or_else(|| BusError::NoTopic(name.to_owned()))
    }

    /// The number of partitions, 0 for an unknown topic.
    fn partitions(topics: &BTreeMap<String, Topic>, name: &str) -> u32 {
        topics.get(name).map_or(0, |topic| u32::try_from(topic.logs.len()).expect("made from a u32"))
    }

    fn check(&self, record: &Record, limit: usize) -> Result<(), BusError> {
        let partitions = self.topic(&record.topic)?.logs.len();
        if record.partition as usize >= partitions {
            let reason = format!("{} has no partition {}", record.topic, record.partition);
            return Err(BusError::Broker { doing: "append", reason, transient: false });
        }
        let bytes = record.size();
        if bytes > limit {
            return Err(BusError::TooLarge { topic: record.topic.clone(), bytes, limit });
        }
        Ok(())
    }

    /// Where a partition that a member was given starts.
    fn start(&self, group: &str, part: &Part, wanted: Option<u64>) -> Result<u64, BusError> {
        let log = &self.topic(&part.0)?.logs[part.1 as usize];
        log.within(part, wanted.unwrap_or_else(|| log.committed(group)))
    }
}

#[async_trait]
impl Bus for InProcess {
    async fn append(&self, records: Vec<Record>) -> Result<(), BusError> {
        let shared = &*self.shared;
        {
            let state = shared.lock();
            records.iter().try_for_each(|record| state.check(record, shared.limits.record))?;
        }
        for record in records {
            loop {
                let full = {
                    let mut state = shared.lock();
                    state.open()?;
                    let share = (shared.limits.total / state.topics.len().max(1)).max(MIN_SHARE);
                    let State { topics, groups, .. } = &mut *state;
                    let Some(topic) = topics.get_mut(&record.topic) else {
                        return Err(BusError::NoTopic(record.topic));
                    };
                    let payload = record.payload.clone().unwrap_or_default();
                    if topic.push(record.partition as usize, payload, share) {
                        let part = (record.topic.clone(), record.partition);
                        groups.values().for_each(|group| group.wake_reader(&part));
                        break;
                    }
                    // Made under the lock, so that no drop of records is missed.
                    topic.space.clone().notified_owned()
                };
                full.await;
            }
        }
        Ok(())
    }

    async fn subscribe(
        &self,
        group: &str,
        topics: &[String],
        start: Arc<dyn Start>,
    ) -> Result<Box<dyn Consumer>, BusError> {
        let mut state = self.shared.lock();
        state.open()?;
        for name in topics {
            if !state.topic(name)?.is_read_by(group) {
                let reason = format!("the bus was not told that group `{group}` reads {name}");
                return Err(BusError::Broker { doing: "subscribe", reason, transient: false });
            }
        }
        state.members += 1;
        let id = state.members;
        let wake = Arc::new(Notify::new());
        let State { topics: known, groups, .. } = &mut *state;
        let grace = self.shared.limits.grace;
        let entry = groups.entry(group.to_owned()).or_insert_with(|| Group::new(grace));
        entry.join(id, topics, wake.clone(), |name| State::partitions(known, name));
        let shared = self.shared.clone();
        Ok(Box::new(InProcessConsumer { shared, group: group.to_owned(), id, wake, start }))
    }

    async fn ends(&self, topics: &[&str]) -> Result<Vec<Vec<u64>>, BusError> {
        let state = self.shared.lock();
        state.open()?;
        topics.iter().map(|topic| Ok(state.topic(topic)?.ends())).collect()
    }

    async fn committed(&self, group: &str, topics: &[&str]) -> Result<Vec<Vec<u64>>, BusError> {
        let state = self.shared.lock();
        state.open()?;
        topics.iter().map(|topic| Ok(state.topic(topic)?.committed(group))).collect()
    }

    async fn retention(&self, _: &str) -> Result<Option<Duration>, BusError> {
        Ok(None)
    }

    fn reaches_others(&self) -> bool {
        false
    }

    async fn topics(&self, wanted: &[TopicSpec], create: bool) -> Result<Vec<String>, BusError> {
        let mut state = self.shared.lock();
        state.open()?;
        let mut wrong = Vec::new();
        for spec in wanted {
            match state.topics.get(&spec.name) {
                Some(topic) if topic.logs.len() == spec.partitions as usize => {}
                None if create => {
                    let topic = Topic::new(spec.partitions, (self.shared.readers)(&spec.name));
                    state.topics.insert(spec.name.clone(), topic);
                }
                _ => wrong.push(spec.name.clone()),
            }
        }
        Ok(wrong)
    }
}

struct InProcessConsumer {
    shared: Arc<Shared>,
    group: String,
    id: u64,
    wake: Arc<Notify>,
    start: Arc<dyn Start>,
}

/// What `next` does outside the lock.
enum Step {
    Done(Event),
    Start(Vec<(Part, u64)>),
    Wait(Option<tokio::time::Instant>),
}

impl InProcessConsumer {
    fn step(&self) -> Result<Step, BusError> {
        let mut state = self.shared.lock();
        state.open()?;
        let State { topics, groups, .. } = &mut *state;
        let group = groups.get_mut(&self.group).expect("subscribe made it");
        match group.turn(self.id) {
            Turn::Revoked(parts) => return Ok(Step::Done(Event::Revoked(parts))),
            Turn::Start(parts) => return Ok(Step::Start(parts)),
            Turn::Read(parts) => {
                for (part, position) in parts {
                    let log = topics.get(&part.0).and_then(|topic| topic.logs.get(part.1 as usize));
                    let limit = self.shared.limits.delivery;
                    let Some(log) = log else { continue };
                    if let Some(delivery) = log.read(&part, position, limit)? {
                        group.advance(self.id, &part, position + delivery.records.len() as u64);
                        return Ok(Step::Done(Event::Records(delivery)));
                    }
                }
            }
            Turn::Idle => {}
        }
        Ok(Step::Wait(group.deadline(self.id)))
    }

    /// Where each partition starts is known: announce those that are still ours.
    fn settle(&self, found: Vec<(Part, u64, Option<u64>)>) -> Result<Option<Event>, BusError> {
        let mut state = self.shared.lock();
        state.open()?;
        let mut assigned = Vec::new();
        for (part, number, wanted) in found {
            if !state.groups.get(&self.group).is_some_and(|group| group.awaits(&part, number)) {
                continue;
            }
            let position = state.start(&self.group, &part, wanted)?;
            state.groups.get_mut(&self.group).expect("subscribe made it").settle(&part, position);
            assigned.push(part);
        }
        Ok((!assigned.is_empty()).then_some(Event::Assigned(assigned)))
    }
}

#[async_trait]
impl Consumer for InProcessConsumer {
    async fn next(&mut self) -> Result<Event, BusError> {
        loop {
            match self.step()? {
                Step::Done(event) => return Ok(event),
                Step::Start(parts) => {
                    let mut found = Vec::new();
                    for (part, number) in parts {
                        let wanted = self.start.next_offset(&part.0, part.1).await?;
                        found.push((part, number, wanted));
                    }
                    if let Some(event) = self.settle(found)? {
                        return Ok(event);
                    }
                }
                Step::Wait(None) => self.wake.notified().await,
                // Over the deadline or woken: either way the next step looks again.
                Step::Wait(Some(deadline)) => {
                    let _ = tokio::time::timeout_at(deadline, self.wake.notified()).await;
                }
            }
        }
    }

    async fn commit(&mut self, topic: &str, partition: u32, next_offset: u64) -> Result<(), BusError> {
        let mut state = self.shared.lock();
        state.open()?;
        let State { topics, groups, .. } = &mut *state;
        let part = (topic.to_owned(), partition);
        if !groups.get(&self.group).is_some_and(|group| group.holds(self.id, &part)) {
            return Ok(());
        }
        let log = topics.get_mut(topic).ok_or_else(|| BusError::NoTopic(topic.to_owned()))?;
        let end = log.logs[partition as usize].end();
        if next_offset > end {
            let reason = format!("{topic}/{partition}: {next_offset} is beyond the end {end}");
            return Err(BusError::Broker { doing: "commit", reason, transient: false });
        }
        log.commit(&self.group, partition as usize, next_offset);
        Ok(())
    }
}

impl Drop for InProcessConsumer {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let State { topics, groups, .. } = &mut *state;
        if let Some(group) = groups.get_mut(&self.group) {
            group.leave(self.id, |name| State::partitions(topics, name));
        }
    }
}
