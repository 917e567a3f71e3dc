//! What a bus refuses, and what it says then.

use std::sync::Arc;

use async_trait::async_trait;
use bus::{BusError, Start, TopicSpec};

use super::{At, Rig, committed, numbered, record};

pub async fn what_does_not_exist_is_named(rig: &dyn Rig) {
    let (bus, topic) = (rig.bus(), rig.topic("nowhere"));
    let missing = |error: BusError| matches!(error, BusError::NoTopic(name) if name == topic);
    assert!(missing(bus.append(vec![record(&topic, 0, "x")]).await.unwrap_err()));
    assert!(missing(bus.ends(&[&topic]).await.unwrap_err()));
    assert!(missing(bus.committed(&rig.group("a"), &[&topic]).await.unwrap_err()));
    let subscribed = bus.subscribe(&rig.group("a"), std::slice::from_ref(&topic), committed()).await;
    assert!(missing(subscribed.err().unwrap()));
    // None of this has made it.
    let wanted = [TopicSpec { name: topic.clone(), partitions: 1 }];
    assert_eq!(bus.topics(&wanted, false).await.unwrap(), std::slice::from_ref(&topic));
    assert_eq!(bus.topics(&wanted, true).await.unwrap(), [""; 0]);
    bus.append(vec![record(&topic, 0, "x")]).await.unwrap();
    assert!(bus.append(vec![record(&topic, 1, "x")]).await.is_err(), "there is no partition 1");
    assert_eq!(bus.ends(&[&topic]).await.unwrap(), [[1]]);
}

pub async fn other_partition_counts_are_named(rig: &dyn Rig) {
    let topic = rig.created("count", 2).await;
    for create in [false, true] {
        for partitions in [1, 2, 3] {
            let wanted = [TopicSpec { name: topic.clone(), partitions }];
            let wrong = rig.bus().topics(&wanted, create).await.unwrap();
            assert_eq!(wrong.is_empty(), partitions == 2, "{partitions}");
        }
    }
}

pub async fn a_gap_stops_the_consumer(rig: &dyn Rig) {
    let topic = rig.created("gap", 1).await;
    rig.bus().append(numbered(&topic, 0, 0..10)).await.unwrap();

    let mut beyond = rig.reader("a", &[&topic], Arc::new(At(11))).await;
    let error = beyond.failure().await;
    assert!(matches!(error, BusError::OffsetGap { wanted: 11, start: 0, end: 10, .. }), "{error}");
    drop(beyond);

    rig.trim(&topic, 0, 4).await;
    let mut before = rig.reader("b", &[&topic], Arc::new(At(3))).await;
    let error = before.failure().await;
    assert!(matches!(error, BusError::OffsetGap { wanted: 3, start: 4, end: 10, .. }), "{error}");
    drop(before);

    let mut inside = rig.reader("b", &[&topic], Arc::new(At(4))).await;
    inside.gather(6).await;
}

pub async fn a_record_that_is_too_large_is_refused(rig: &dyn Rig) {
    let topic = rig.created("large", 1).await;
    let records = vec![record(&topic, 0, "small"), record(&topic, 0, vec![0; 1_000_001])];
    let error = rig.bus().append(records).await.unwrap_err();
    assert!(matches!(error, BusError::TooLarge { bytes: 1_000_001, .. }), "{error}");
    let limit = match error {
        BusError::TooLarge { limit, .. } => limit,
        _ => unreachable!(),
    };
    // Nothing of the batch was written, and what is just inside the limit goes through.
    rig.bus().append(vec![record(&topic, 0, vec![0; limit])]).await.unwrap();
    assert_eq!(rig.bus().ends(&[&topic]).await.unwrap(), [[1]]);
    let mut reader = rig.reader("a", &[&topic], committed()).await;
    reader.gather(1).await;
}

struct Broken;

#[async_trait]
impl Start for Broken {
    async fn next_offset(&self, _: &str, _: u32) -> Result<Option<u64>, BusError> {
        Err(BusError::Broker { doing: "read the lane", reason: "no database".to_owned(), transient: true })
    }
}

pub async fn a_failing_start_ends_the_consumer(rig: &dyn Rig) {
    let topic = rig.created("broken", 1).await;
    let mut reader = rig.reader("a", &[&topic], Arc::new(Broken)).await;
    let error = reader.failure().await;
    assert!(matches!(error, BusError::Broker { doing: "read the lane", .. }), "{error}");
}
