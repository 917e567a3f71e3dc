//! The bus on Kafka does what every bus does, on a real broker, through outages and under long work.

// Helpers are test code too.
#![allow(clippy::unwrap_used)]

mod suite;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bus::kafka::Settings;
use bus::{Bus, Kafka, Record};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use suite::{Rig, committed, numbered, record, within};
use testkit::servers;

struct Broker {
    brokers: String,
    bus: Kafka,
    test: String,
}

impl Broker {
    fn new(server: &servers::Kafka, test: &str, properties: &str) -> Self {
        let mut settings =
            Settings::parse(&format!("{}?{properties}", server.url()), &BTreeMap::new(), false).unwrap();
        settings.buffer = 256 << 10;
        Self { brokers: server.brokers(), bus: Kafka::connect(settings).unwrap(), test: test.to_owned() }
    }
}

async fn broker(test: &str) -> Option<Broker> {
    Some(Broker::new(servers::Kafka::shared().await.unwrap()?, test, ""))
}

#[async_trait]
impl Rig for Broker {
    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(self.bus.clone())
    }

    fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.test)
    }

    fn group(&self, name: &str) -> String {
        format!("{}-{name}", self.test)
    }

    async fn trim(&self, topic: &str, partition: u32, start: u64) {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.brokers).create().unwrap();
        let mut list = TopicPartitionList::new();
        let offset = Offset::Offset(start.cast_signed());
        list.add_partition_offset(topic, partition.cast_signed(), offset).unwrap();
        admin.delete_records(&list, &AdminOptions::new()).await.unwrap();
    }
}

suite::every_bus!(broker);

/// What another consumer sees: keys as they were given, and a tombstone that is one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_see_keys_and_tombstones() {
    let Some(rig) = broker("keyed").await else { return };
    let topic = rig.created("t", 2).await;
    let keyed = |payload: Option<&str>| Record {
        key: Some("{\"id\":7}".into()),
        payload: payload.map(|p| p.to_owned().into()),
        ..record(&topic, 1, "")
    };
    rig.bus().append(vec![keyed(Some("v")), keyed(None), record(&topic, 1, "bare")]).await.unwrap();
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &rig.brokers)
        .set("group.id", "others")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 1, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let seen = tokio::task::spawn_blocking(move || {
        let next = |_| consumer.poll(Duration::from_secs(30)).expect("a record").unwrap().detach();
        (0..3).map(next).collect::<Vec<_>>()
    });
    let seen = seen.await.unwrap();
    let seen: Vec<_> = seen.iter().map(|m| (m.key(), m.payload())).collect();
    let key = b"{\"id\":7}" as &[u8];
    assert_eq!(seen, [(Some(key), Some(b"v" as &[u8])), (Some(key), None), (None, Some(b"bare"))]);
}

/// A record that the client would send and the topic does not take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_too_large_for_the_topic_is_refused() {
    let Some(server) = servers::Kafka::shared().await.unwrap() else { return };
    let rig = Broker::new(server, "narrow", "message.max.bytes=3000000&create.max.message.bytes=100000");
    let topic = rig.created("t", 1).await;
    let error = within("an answer", rig.bus().append(vec![record(&topic, 0, noise(1, 2_000_000))])).await;
    let error = error.unwrap_err();
    assert!(matches!(error, bus::BusError::TooLargeForBroker { bytes: 2_000_000, .. }), "{error}");
    assert_eq!(rig.bus().ends(&[&topic]).await.unwrap(), [[0]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_tells_how_long_it_keeps_records() {
    let Some(server) = servers::Kafka::shared().await.unwrap() else { return };
    let kept = [
        ("days", "", Some(Duration::from_hours(7 * 24))),
        ("short", "create.retention.ms=60000", Some(Duration::from_mins(1))),
        ("ever", "create.retention.ms=-1", None),
        ("bytes", "create.retention.bytes=1000000", Some(Duration::ZERO)),
    ];
    for (name, properties, expected) in kept {
        let rig = Broker::new(server, "retention", properties);
        let topic = rig.created(name, 1).await;
        assert_eq!(rig.bus().retention(&topic).await.unwrap(), expected, "{name}");
    }
    let error = Broker::new(server, "retention", "").bus().retention("retention.none").await.unwrap_err();
    assert!(matches!(error, bus::BusError::NoTopic(_)), "{error}");
}

/// Longer than the group's patience with a member that does not poll.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_may_take_longer_than_the_groups_patience() {
    let Some(server) = servers::Kafka::shared().await.unwrap() else { return };
    let rig = Broker::new(server, "patience", "session.timeout.ms=6000&max.poll.interval.ms=6000");
    let topic = rig.created("t", 1).await;
    rig.bus().append(numbered(&topic, 0, 0..3)).await.unwrap();
    let mut reader = rig.reader("a", &[&topic], committed()).await;
    reader.gather(3).await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    within("a commit", reader.consumer.commit(&topic, 0, 3)).await.unwrap();
    rig.bus().append(numbered(&topic, 0, 3..4)).await.unwrap();
    reader.gather(4).await;
    assert_eq!(reader.revoked, []);
    rig.commits("a", &topic, &[3]).await;
}

/// More than the inbox holds, while nobody takes it out, for longer than the polling thread waits for room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_consumer_misses_nothing() {
    let Some(rig) = broker("slow").await else { return };
    let topic = rig.created("t", 2).await;
    let records = |partition| (0..200_u64).map(move |n| (partition, n));
    let all = records(0)
        .chain(records(1))
        .map(|(partition, _)| record(&topic, partition, noise(partition.into(), 10_000)));
    rig.bus().append(all.collect()).await.unwrap();
    let mut reader = rig.reader("a", &[&topic], committed()).await;
    reader.until("a beginning", |reader| reader.count > 0).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    reader.gather(400).await;
    for partition in 0..2 {
        assert_eq!(reader.offsets(&topic, partition), (0..200).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_the_broker_is_waited_out() {
    let Some(server) = servers::Kafka::start(&[]).await.unwrap() else { return };
    let rig = Broker::new(&server, "outage", "");
    let topic = rig.created("t", 1).await;
    let mut reader = rig.reader("a", &[&topic], committed()).await;
    rig.bus().append(numbered(&topic, 0, 0..5)).await.unwrap();
    reader.gather(5).await;
    // An outage may be longer than the group's patience: then what was not committed comes again.
    within("a commit", reader.consumer.commit(&topic, 0, 5)).await.unwrap();
    rig.commits("a", &topic, &[5]).await;
    server.crash().await.unwrap();
    let (bus, to) = (rig.bus(), topic.clone());
    let mut writing = tokio::spawn(async move { bus.append(numbered(&to, 0, 5..10)).await });
    let early = tokio::time::timeout(Duration::from_secs(1), &mut writing).await;
    assert!(early.is_err(), "acknowledged without a broker: {early:?}");
    server.restart().await.unwrap();
    within("the records", writing).await.unwrap().unwrap();
    reader.gather(10).await;
    within("a commit", reader.consumer.commit(&topic, 0, 10)).await.unwrap();
    assert_eq!(reader.payloads(&topic, 0), [b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9"]);
    rig.commits("a", &topic, &[10]).await;
}

/// Bytes that don't compress, so that a fetch brings as much as it weighs.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

/// The log is cut under a consumer, beyond all that can have been fetched ahead: it must say so and not jump.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_cut_under_a_consumer_stops_it() {
    const RECORDS: u64 = 1000;
    let Some(rig) = broker("cut").await else { return };
    let topic = rig.created("t", 1).await;
    rig.bus().append((0..RECORDS).map(|n| record(&topic, 0, noise(n, 10_000))).collect()).await.unwrap();
    let mut reader = rig.reader("a", &[&topic], committed()).await;
    reader.until("a beginning", |reader| reader.count > 0).await;
    rig.trim(&topic, 0, RECORDS).await;
    let error = reader.failure().await;
    assert!(matches!(error, bus::BusError::OffsetGap { start: RECORDS, end: RECORDS, .. }), "{error}");
    assert!(reader.count < RECORDS as usize);
    assert_eq!(reader.offsets(&topic, 0), (0..reader.count as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn without_a_broker_questions_fail_as_transient() {
    let port = testkit::ports::free();
    let settings = Settings::parse(&format!("kafka://127.0.0.1:{port}"), &BTreeMap::new(), false).unwrap();
    let bus = Kafka::connect(settings).unwrap();
    let error = within("an answer", bus.ends(&["t"])).await.unwrap_err();
    assert!(matches!(error, bus::BusError::Broker { transient: true, .. }), "{error}");
}
