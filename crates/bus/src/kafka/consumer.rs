//! A consumer of a group. A thread of its own polls Kafka without a pause, so that work between two calls of `next` may
//! take as long as it needs without the group losing patience.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use tokio::runtime::Handle;

use super::failure;
use super::inbox::{Duty, Inbox, Part};
use super::offsets::{COMING_BACK, Offsets};
use super::revive::{Revival, SILENCE};
use crate::{BusError, Consumer, Event, Start};

pub(super) struct Context {
    inbox: Arc<Inbox>,
}

pub(super) type Client = BaseConsumer<Context>;

impl Context {
    pub fn new(inbox: Arc<Inbox>) -> Self {
        Self { inbox }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        super::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "kafka");
    }
}

impl ConsumerContext for Context {
    /// Only notes what shall happen: the thread acts when the time has come.
    fn rebalance(&self, client: &Client, err: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let parts = parts_of(list);
        let closing = self.inbox.stopped();
        let done = match err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS if closing || parts.is_empty() => {
                client.incremental_assign(&TopicPartitionList::new())
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.inbox.assign(parts);
                Ok(())
            }
            _ => {
                let at_once = closing || client.assignment_lost();
                self.inbox.revoke(parts, at_once);
                if at_once || !self.inbox.is_moving() { client.incremental_unassign(list) } else { Ok(()) }
            }
        };
        if let Err(error) = done {
            self.inbox.fail(failure::broker("answer to a rebalance", &error));
        }
    }

    /// What passes is committed again with the next round of librdkafka's own commits.
    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        let Err(error) = result else { return };
        let passes =
            |code| code == Code::NoOffset || failure::is_membership(code) || failure::is_transient(code);
        if error.rdkafka_error_code().is_some_and(passes) {
            tracing::debug!(%error, "commit again");
        } else {
            self.inbox.fail(failure::broker("commit", &error));
        }
    }
}

fn parts_of(list: &TopicPartitionList) -> Vec<Part> {
    let part = |partition: i32| u32::try_from(partition).expect("Kafka's partitions begin at 0");
    list.elements().iter().map(|element| (element.topic().to_owned(), part(element.partition()))).collect()
}

pub(super) struct KafkaConsumer {
    inbox: Arc<Inbox>,
    /// The thread is the owner, so that the farewell to the group never blocks a task.
    client: Weak<Client>,
}

impl KafkaConsumer {
    pub fn start(
        client: Client,
        inbox: Arc<Inbox>,
        offsets: Offsets,
        group: String,
        topic: Option<String>,
        start: Arc<dyn Start>,
    ) -> Result<Self, BusError> {
        let client = Arc::new(client);
        let handle = Handle::current();
        let consumer = Self { inbox: inbox.clone(), client: Arc::downgrade(&client) };
        let (revival, heard) = (Revival::default(), Instant::now());
        let poller =
            Poller { client, inbox, offsets, group, topic, start, handle, paused: false, revival, heard };
        std::thread::Builder::new().name("kafka-poll".to_owned()).spawn(move || poller.run()).map_err(
            |error| BusError::Broker {
                doing: "start the polling thread",
                reason: error.to_string(),
                transient: true,
            },
        )?;
        Ok(consumer)
    }
}

impl Drop for KafkaConsumer {
    fn drop(&mut self) {
        self.inbox.stop();
    }
}

#[async_trait]
impl Consumer for KafkaConsumer {
    async fn next(&mut self) -> Result<Event, BusError> {
        self.inbox.next().await
    }

    async fn commit(&mut self, topic: &str, partition: u32, next_offset: u64) -> Result<(), BusError> {
        let part = (topic.to_owned(), partition);
        let Some(client) = self.client.upgrade() else { return Ok(()) };
        if !self.inbox.holds(&part) {
            return Ok(());
        }
        let list = list(&[(part.clone(), Offset::Offset(next_offset.cast_signed()))])?;
        match client.store_offsets(&list) {
            // It was taken from us between the look and now.
            Err(_) if !self.inbox.holds(&part) => Ok(()),
            done => done.map_err(|error| failure::topic("commit", topic, &error)),
        }
    }
}

pub(super) fn list(parts: &[(Part, Offset)]) -> Result<TopicPartitionList, BusError> {
    let mut list = TopicPartitionList::with_capacity(parts.len());
    for ((topic, partition), offset) in parts {
        list.add_partition_offset(topic, partition.cast_signed(), *offset)
            .map_err(|error| failure::broker("name an offset", &error))?;
    }
    Ok(list)
}

struct Poller {
    client: Arc<Client>,
    inbox: Arc<Inbox>,
    offsets: Offsets,
    group: String,
    start: Arc<dyn Start>,
    handle: Handle,
    paused: bool,
    /// One of the topics, to ask for.
    topic: Option<String>,
    revival: Revival,
    /// When the client last had a record, or was asked how it is.
    heard: Instant,
}

impl Poller {
    fn run(mut self) {
        while !self.inbox.stopped() {
            if let Err(error) = self.turn() {
                self.inbox.fail(error);
                // Stay in the group until the task has taken the error and lets go of us.
                while !self.inbox.stopped() {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
    }

    fn turn(&mut self) -> Result<(), BusError> {
        match self.inbox.duty() {
            Duty::None => {}
            Duty::Ask(number, parts) => self.ask(number, parts),
            Duty::Assign(starts) => {
                let starts: Vec<_> = starts
                    .into_iter()
                    .map(|(part, offset)| (part, Offset::Offset(offset.cast_signed())))
                    .collect();
                let done = self.client.incremental_assign(&list(&starts)?);
                done.map_err(|error| failure::broker("take partitions", &error))?;
                if self.paused {
                    self.pause(true)?;
                }
            }
            Duty::Unassign(parts) => {
                let parts: Vec<_> = parts.into_iter().map(|part| (part, Offset::Invalid)).collect();
                let done = self.client.incremental_unassign(&list(&parts)?);
                done.map_err(|error| failure::broker("give partitions back", &error))?;
            }
        }
        self.mind_the_room()?;
        let wait = Duration::from_millis(if self.inbox.is_moving() { 10 } else { 100 });
        match self.client.poll(wait) {
            None => {
                if self.heard.elapsed() >= SILENCE {
                    self.heard = Instant::now();
                    self.revival.look(self.client.client(), self.topic.as_deref(), self.offsets.brokers());
                }
                Ok(())
            }
            Some(Ok(message)) => {
                self.heard = Instant::now();
                let partition = u32::try_from(message.partition()).expect("Kafka's partitions begin at 0");
                let offset = u64::try_from(message.offset()).expect("Kafka's offsets begin at 0");
                let payload = Bytes::copy_from_slice(message.payload().unwrap_or_default());
                self.inbox.push((message.topic().to_owned(), partition), offset, payload);
                Ok(())
            }
            Some(Err(error)) => self.judge(&error),
        }
    }

    /// A full inbox: wait for room, and if that takes long, pause the partitions and go on polling for the group's sake.
    /// (A pause throws away what librdkafka has fetched ahead, so it is not the first choice.)
    fn mind_the_room(&mut self) -> Result<(), BusError> {
        if self.paused {
            if self.inbox.is_half_empty() {
                self.pause(false)?;
            }
        } else if self.inbox.is_full() {
            self.inbox.wait_for_room(Duration::from_secs(1));
            if self.inbox.is_full() {
                self.pause(true)?;
            }
        }
        Ok(())
    }

    fn pause(&mut self, pause: bool) -> Result<(), BusError> {
        let all = self.client.assignment().map_err(|error| failure::broker("list partitions", &error))?;
        let done = if pause { self.client.pause(&all) } else { self.client.resume(&all) };
        self.paused = pause;
        done.map_err(|error| failure::broker("pause or resume", &error))
    }

    fn judge(&self, error: &KafkaError) -> Result<(), BusError> {
        let Some(code) = error.rdkafka_error_code() else { return Err(failure::broker("poll", error)) };
        if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            return Err(failure::broker("poll", error));
        }
        match code {
            // The broker has not got the offset that we want. Which partition it was, the error does not say.
            Code::AutoOffsetReset | Code::OffsetOutOfRange => {
                let held = self.inbox.held();
                self.offsets.check(&held)?;
                Err(failure::broker("read", error))
            }
            _ if failure::is_missing(code) => self.is_there(error),
            // The thread was starved; librdkafka joins the group again.
            Code::PollExceeded => {
                tracing::warn!(group = self.group, "polling was late, joining the group again");
                Ok(())
            }
            _ if failure::is_transient(code) || failure::is_membership(code) => {
                tracing::debug!(group = self.group, %error, "kafka, while polling");
                Ok(())
            }
            _ => Err(failure::broker("poll", error)),
        }
    }

    /// A topic that was there when we subscribed: a broker that is starting does not know it yet.
    fn is_there(&self, error: &KafkaError) -> Result<(), BusError> {
        for ((topic, _), _) in self.inbox.held() {
            loop {
                match self.offsets.partitions(&topic) {
                    Ok(Some(_)) => break,
                    Err(BusError::Broker { transient: true, .. }) if !self.inbox.stopped() => {
                        std::thread::sleep(Duration::from_millis(200));
                    }
                    _ => return Err(failure::topic("poll", &topic, error)),
                }
            }
        }
        Ok(())
    }

    /// Finds out where the partitions start, beside the polling.
    fn ask(&self, number: u64, parts: Vec<Part>) {
        let (inbox, offsets, group, start) =
            (self.inbox.clone(), self.offsets.clone(), self.group.clone(), self.start.clone());
        self.handle.spawn(async move {
            let starts = starts(parts, &offsets, group, &*start).await;
            inbox.found(number, starts);
        });
    }
}

/// Also when the thread ends by a defect: nobody shall wait for it.
impl Drop for Poller {
    fn drop(&mut self) {
        self.inbox.stop();
    }
}

async fn starts(
    parts: Vec<Part>,
    offsets: &Offsets,
    group: String,
    start: &dyn Start,
) -> Result<Vec<(Part, u64)>, BusError> {
    let mut wanted = Vec::with_capacity(parts.len());
    for (topic, partition) in parts {
        let offset = start.next_offset(&topic, partition).await?;
        wanted.push(((topic, partition), offset));
    }
    let since = Instant::now();
    loop {
        let (offsets, group, wanted) = (offsets.clone(), group.clone(), wanted.clone());
        let found = tokio::task::spawn_blocking(move || offsets.starts(&group, wanted));
        match found.await.map_err(|_| BusError::Closed)? {
            // A broker that has just come back knows less than it will in a moment.
            Err(BusError::Broker { transient: true, .. }) if since.elapsed() < COMING_BACK => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            found => return found,
        }
    }
}
