//! The bus: durable, partitioned, at-least-once. Two implementations behind one trait: Kafka, and in-process.

pub mod fence;
pub mod in_process;
pub mod kafka;
pub mod topic;

pub use in_process::InProcess;
pub use kafka::Kafka;
pub use topic::Topics;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

/// A record to append. Partitions are chosen by the producer, always explicitly.
#[derive(Clone, Debug)]
pub struct Record {
    pub topic: String,
    pub partition: u32,
    /// For a log that somebody compacts. Crossfade's own consumers do not get it.
    pub key: Option<Bytes>,
    /// `None`: what this key said before is gone. A consumer of ours reads it as empty.
    pub payload: Option<Bytes>,
}

impl Record {
    /// A record without a key.
    pub fn new(topic: impl Into<String>, partition: u32, payload: impl Into<Bytes>) -> Self {
        Self { topic: topic.into(), partition, key: None, payload: Some(payload.into()) }
    }

    /// Bytes of key and payload.
    pub fn size(&self) -> usize {
        [&self.key, &self.payload].into_iter().flatten().map(Bytes::len).sum()
    }
}

/// Records of one partition, in order.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub topic: String,
    pub partition: u32,
    /// (offset, payload)
    pub records: Vec<(u64, Bytes)>,
}

#[derive(Debug)]
pub enum Event {
    /// These partitions are ours now; records of them start at the offsets that `Start` gave.
    Assigned(Vec<(String, u32)>),
    /// They are no longer ours: drop what is buffered for them, commit nothing. The next owner asks for its start when
    /// `next` is called again (or this consumer is dropped), and in 10 seconds at the latest: so end what is under way
    /// before that call.
    Revoked(Vec<(String, u32)>),
    Records(Delivery),
}

/// Where a consumer starts in a partition that it is given.
#[async_trait]
pub trait Start: Send + Sync {
    /// `None`: at the group's committed offset, or at 0 if it has none. An offset that the log does not have any more, or
    /// not yet, ends the consumer with `OffsetGap`; nothing is ever skipped.
    async fn next_offset(&self, topic: &str, partition: u32) -> Result<Option<u64>, BusError>;
}

/// Start at the group's committed offset.
pub struct Committed;

#[async_trait]
impl Start for Committed {
    async fn next_offset(&self, _: &str, _: u32) -> Result<Option<u64>, BusError> {
        Ok(None)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum BusError {
    #[error("OFFSET_GAP: {topic}/{partition}: offset {wanted} is outside the log's range {start}..{end}")]
    OffsetGap { topic: String, partition: u32, wanted: u64, start: u64, end: u64 },
    #[error("no topic `{0}`: create it with `crossfade topics --create`")]
    NoTopic(String),
    #[error("record of {bytes} bytes for {topic} is over the limit of {limit}")]
    TooLarge { topic: String, bytes: usize, limit: usize },
    #[error("the broker finds a record of {bytes} bytes for {topic} too large")]
    TooLargeForBroker { topic: String, bytes: usize },
    #[error("the bus was closed")]
    Closed,
    #[error("{doing}: {reason}")]
    Broker { doing: &'static str, reason: String, transient: bool },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    pub name: String,
    pub partitions: u32,
}

#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Appends and returns once every record is durable. An error says nothing about which records were written.
    /// Waits while the bus is full: this is the back-pressure.
    async fn append(&self, records: Vec<Record>) -> Result<(), BusError>;

    /// Joins the group. Partitions come and go as events.
    async fn subscribe(
        &self,
        group: &str,
        topics: &[String],
        start: std::sync::Arc<dyn Start>,
    ) -> Result<Box<dyn Consumer>, BusError>;

    /// The next offset to be written, per topic and partition.
    async fn ends(&self, topics: &[&str]) -> Result<Vec<Vec<u64>>, BusError>;

    /// The group's committed offsets (next to be read), per topic and partition; 0 where it has none.
    async fn committed(&self, group: &str, topics: &[&str]) -> Result<Vec<Vec<u64>>, BusError>;

    /// How long a topic keeps its records at least, read or not. `None`: until they were read, or for ever. Zero: that
    /// depends on their bytes.
    async fn retention(&self, topic: &str) -> Result<Option<Duration>, BusError>;

    /// Can anybody outside this process read what is appended?
    fn reaches_others(&self) -> bool;

    /// Creates what is missing (`create`), and names what is missing or has another number of partitions.
    async fn topics(&self, wanted: &[TopicSpec], create: bool) -> Result<Vec<String>, BusError>;
}

#[async_trait]
pub trait Consumer: Send {
    /// The next event. Cancel-safe. An error is final for this consumer.
    async fn next(&mut self) -> Result<Event, BusError>;

    /// What comes before `next_offset` is done. The broker hears of it in moments, and before this consumer leaves the
    /// group; a commit that the broker refuses ends the consumer. A partition that is no longer ours is ignored.
    async fn commit(&mut self, topic: &str, partition: u32, next_offset: u64) -> Result<(), BusError>;
}
