//! The bus in memory does what every bus does, and keeps to its bounds.

// Helpers are test code too.
#![allow(clippy::unwrap_used)]

mod suite;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bus::in_process::Limits;
use bus::{Bus, BusError, InProcess};
use suite::{Rig, committed, numbered, record, within};

struct Memory(InProcess);

async fn memory(_: &str) -> Option<Memory> {
    let limits =
        Limits { total: 256 << 10, record: 1_000_000, delivery: 64 << 10, grace: Duration::from_secs(3) };
    Some(Memory(InProcess::new(limits, |_| vec!["a".to_owned(), "b".to_owned()])))
}

#[async_trait]
impl Rig for Memory {
    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(self.0.clone())
    }

    fn topic(&self, name: &str) -> String {
        name.to_owned()
    }

    fn group(&self, name: &str) -> String {
        name.to_owned()
    }

    /// Records go when every group has committed past them.
    async fn trim(&self, topic: &str, partition: u32, start: u64) {
        for group in ["a", "b"] {
            let mut reader = self.reader(group, &[&topic.to_owned()], committed()).await;
            reader.until("an assignment", |reader| !reader.owned.is_empty()).await;
            reader.consumer.commit(topic, partition, start).await.unwrap();
        }
    }
}

suite::every_bus!(memory);

#[tokio::test]
async fn a_topic_without_readers_blocks_itself_only() {
    let rig = memory("").await.unwrap();
    let (full, free) = (rig.created("full", 1).await, rig.created("free", 1).await);
    let bus = rig.bus();
    let fill = bus.append((0..100).map(|_| record(&full, 0, vec![0; 10_000])).collect());
    let filled = tokio::time::timeout(Duration::from_millis(100), fill).await;
    assert!(filled.is_err(), "nobody read, and yet everything went in");
    // The share of each of the two topics.
    assert_eq!(bus.ends(&[&full]).await.unwrap(), [[(128 << 10) / 10_064]]);
    within("another topic", bus.append(numbered(&free, 0, 0..10))).await.unwrap();

    // A consumer that commits makes room again; one that only reads does not. Group `b` must have committed as well.
    for group in ["a", "b"] {
        let (blocked, to) = (rig.bus(), full.clone());
        let mut more =
            tokio::spawn(async move { blocked.append(vec![record(&to, 0, vec![0; 10_000])]).await });
        let mut reader = rig.reader(group, &[&full], committed()).await;
        reader.gather(13).await;
        let early = tokio::time::timeout(Duration::from_millis(50), &mut more).await;
        assert!(early.is_err(), "there was no room before the commit");
        reader.consumer.commit(&full, 0, 13).await.unwrap();
        if group == "b" {
            within("room", more).await.unwrap().unwrap();
        } else {
            more.abort();
        }
    }
}

#[tokio::test]
async fn a_group_that_the_bus_was_not_told_of_is_refused() {
    let rig = memory("").await.unwrap();
    let topic = rig.created("told", 1).await;
    let refused = rig.bus().subscribe("c", &[topic], committed()).await;
    assert!(matches!(refused.err().unwrap(), BusError::Broker { transient: false, .. }));
}

#[tokio::test]
async fn a_topic_that_no_group_reads_keeps_nothing() {
    let bus = InProcess::new(Limits::default(), |_| Vec::new());
    let rig = Memory(bus);
    let topic = rig.created("unread", 1).await;
    within("any amount", rig.bus().append((0..100).map(|_| record(&topic, 0, vec![0; 900_000])).collect()))
        .await
        .unwrap();
    assert_eq!(rig.bus().ends(&[&topic]).await.unwrap(), [[100]]);
}

#[tokio::test]
async fn an_owner_that_hangs_loses_its_partition() {
    let rig = memory("").await.unwrap();
    let topic = rig.created("hang", 1).await;
    let other = rig.created("other", 1).await;
    rig.bus().append(numbered(&topic, 0, 0..1)).await.unwrap();
    let mut zombie = rig.reader("a", &[&other, &topic], committed()).await;
    zombie.until("everything", |zombie| zombie.owned.len() == 2 && zombie.count == 1).await;
    // It never asks again.
    let mut heir = rig.reader("a", &[&other, &topic], committed()).await;
    heir.until("its share", |heir| heir.owned.len() == 1).await;
    let (topic, partition) = heir.owned[0].clone();
    zombie.consumer.commit(&topic, partition, 0).await.unwrap();
}

#[tokio::test]
async fn a_closed_bus_says_so_to_who_waits() {
    let rig = memory("").await.unwrap();
    let topic = rig.created("closed", 1).await;
    let mut reader = rig.reader("a", &[&topic], committed()).await;
    reader.until("an assignment", |reader| !reader.owned.is_empty()).await;
    let bus = rig.0.clone();
    let close = async {
        tokio::task::yield_now().await;
        bus.close();
    };
    let (error, ()) = tokio::join!(reader.failure(), close);
    assert!(matches!(error, BusError::Closed));
    assert!(matches!(rig.bus().append(numbered(&topic, 0, 0..1)).await, Err(BusError::Closed)));
}
