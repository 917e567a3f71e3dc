//! What every bus has to do, written against the trait. `suite!` makes the tests of one implementation of it.

mod flow;
mod group;
mod refusal;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bus::{Bus, BusError, Committed, Consumer, Event, Record, Start, TopicSpec};
use bytes::Bytes;

pub use flow::*;
pub use group::*;
pub use refusal::*;

/// One bus, and names that no other test uses.
#[async_trait]
pub trait Rig: Sync {
    fn bus(&self) -> Arc<dyn Bus>;
    fn topic(&self, name: &str) -> String;
    /// Groups `a` and `b` read every topic.
    fn group(&self, name: &str) -> String;
    /// Makes the log of a partition begin at this offset.
    async fn trim(&self, topic: &str, partition: u32, start: u64);

    async fn created(&self, name: &str, partitions: u32) -> String {
        let topic = self.topic(name);
        let wanted = [TopicSpec { name: topic.clone(), partitions }];
        assert_eq!(self.bus().topics(&wanted, true).await.unwrap(), Vec::<String>::new());
        topic
    }

    /// Waits until the group has committed exactly this.
    async fn commits(&self, group: &str, topic: &str, wanted: &[u64]) {
        let (bus, group) = (self.bus(), self.group(group));
        let mut last = vec![Vec::new()];
        let settled = async {
            while last != [wanted] {
                tokio::time::sleep(Duration::from_millis(10)).await;
                last = bus.committed(&group, &[topic]).await.unwrap();
            }
        };
        if tokio::time::timeout(Duration::from_secs(60), settled).await.is_err() {
            panic!("{group} committed {last:?} of {topic}, not {wanted:?}");
        }
    }

    async fn reader(&self, group: &str, topics: &[&String], start: Arc<dyn Start>) -> Reader {
        let topics: Vec<String> = topics.iter().map(|topic| (*topic).clone()).collect();
        let consumer = self.bus().subscribe(&self.group(group), &topics, start).await.unwrap();
        Reader { consumer, owned: Vec::new(), revoked: Vec::new(), seen: BTreeMap::new(), count: 0 }
    }
}

pub fn record(topic: &str, partition: u32, payload: impl Into<Bytes>) -> Record {
    Record::new(topic, partition, payload)
}

pub fn numbered(topic: &str, partition: u32, numbers: std::ops::Range<u64>) -> Vec<Record> {
    numbers.map(|n| record(topic, partition, n.to_string())).collect()
}

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(60), future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within a minute"),
    }
}

pub fn committed() -> Arc<dyn Start> {
    Arc::new(Committed)
}

/// Starts every partition at the same offset.
pub struct At(pub u64);

#[async_trait]
impl Start for At {
    async fn next_offset(&self, _: &str, _: u32) -> Result<Option<u64>, BusError> {
        Ok(Some(self.0))
    }
}

type Part = (String, u32);

pub struct Reader {
    pub consumer: Box<dyn Consumer>,
    pub owned: Vec<Part>,
    pub revoked: Vec<Part>,
    /// Offset and payload of each record, per partition, as they came.
    pub seen: BTreeMap<Part, Vec<(u64, Bytes)>>,
    pub count: usize,
}

impl Reader {
    /// One event, noted and checked against the rules that always hold.
    pub async fn step(&mut self) -> Result<(), BusError> {
        match self.consumer.next().await? {
            Event::Assigned(parts) => {
                assert!(!parts.is_empty());
                for part in parts {
                    assert!(!self.owned.contains(&part), "{part:?} was assigned twice");
                    self.owned.push(part);
                }
            }
            Event::Revoked(parts) => {
                assert!(!parts.is_empty());
                for part in parts {
                    let at = self.owned.iter().position(|owned| *owned == part);
                    self.owned
                        .remove(at.unwrap_or_else(|| panic!("{part:?} was revoked without being ours")));
                    self.revoked.push(part);
                }
            }
            Event::Records(delivery) => {
                let part = (delivery.topic, delivery.partition);
                assert!(self.owned.contains(&part), "records of {part:?}, which is not ours");
                assert!(!delivery.records.is_empty());
                self.count += delivery.records.len();
                self.seen.entry(part).or_default().extend(delivery.records);
            }
        }
        Ok(())
    }

    pub async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        within(what, async {
            while !done(self) {
                self.step().await.unwrap();
            }
        })
        .await;
    }

    pub async fn gather(&mut self, count: usize) {
        self.until("records", |reader| reader.count >= count).await;
        assert_eq!(self.count, count, "more records than were asked for");
    }

    /// The error that ends it.
    pub async fn failure(&mut self) -> BusError {
        within("an error", async {
            loop {
                if let Err(error) = self.step().await {
                    break error;
                }
            }
        })
        .await
    }

    pub fn offsets(&self, topic: &str, partition: u32) -> Vec<u64> {
        let seen = self.seen.get(&(topic.to_owned(), partition));
        seen.map(|records| records.iter().map(|(offset, _)| *offset).collect()).unwrap_or_default()
    }

    pub fn payloads(&self, topic: &str, partition: u32) -> Vec<&[u8]> {
        let seen = self.seen.get(&(topic.to_owned(), partition));
        seen.map(|records| records.iter().map(|(_, payload)| &payload[..]).collect()).unwrap_or_default()
    }
}

macro_rules! suite {
    ($rig:path: $($test:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let Some(rig) = $rig(stringify!($test)).await else { return };
                suite::$test(&rig).await;
            }
        )*
    };
}
pub(crate) use suite;

macro_rules! every_bus {
    ($rig:path) => {
        suite::suite!($rig:
            records_keep_their_order, keys_are_for_others, each_group_reads_everything, a_new_consumer_goes_on_at_the_commit,
            the_start_decides, ends_and_commits_are_counted, next_may_be_cancelled, a_full_bus_makes_append_wait,
            two_consumers_share_and_hand_over, the_last_one_takes_all, who_lost_a_partition_commits_nothing,
            the_old_owner_is_done_before_the_new_one_starts,
            what_does_not_exist_is_named, other_partition_counts_are_named, a_gap_stops_the_consumer,
            a_record_that_is_too_large_is_refused, a_failing_start_ends_the_consumer,
        );
    };
}
pub(crate) use every_bus;
