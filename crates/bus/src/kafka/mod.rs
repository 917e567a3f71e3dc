//! The bus on Kafka: one process per service, scaled by partitions.
//!
//! At least once: the producer is idempotent, waits for all replicas and never gives a record up; consumers commit only
//! what they are told to, and never jump over a hole in the log. An error that is not transient ends the client: make a
//! new one, which is safe because records are marks.

mod consumer;
mod failure;
mod inbox;
mod offsets;
mod revive;
mod settings;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::future_producer::OwnedDeliveryResult;
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer as _};

use crate::{Bus, BusError, Consumer, Record, Start, TopicSpec};
use consumer::{Context, KafkaConsumer};
use inbox::{Inbox, Part};
use offsets::Offsets;
use revive::{Revival, SILENCE};
pub use settings::{BadSettings, Settings};

/// Between two looks at a full queue of the producer, and at topics that are being made.
const PAUSE: Duration = Duration::from_millis(5);
const CREATION_PATIENCE: Duration = Duration::from_secs(60);

/// Clones share their connections.
#[derive(Clone)]
pub struct Kafka {
    settings: Settings,
    producer: FutureProducer<Logged>,
    revival: Arc<Revival>,
    offsets: Offsets,
    /// Topics that are known to exist, with their number of partitions.
    known: Arc<Mutex<HashMap<String, u32>>>,
}

impl Kafka {
    /// Makes the clients. They connect in the background; `topics` is the first call that needs a broker.
    pub fn connect(settings: Settings) -> Result<Self, BusError> {
        let producer = FutureProducer::from_config_and_context(&settings.producer(), Logged)
            .map_err(|error| failure::broker("make a Kafka producer", &error))?;
        let offsets = Offsets::new(&settings)?;
        Ok(Self { settings, producer, revival: Arc::default(), offsets, known: Arc::default() })
    }

    /// Runs a question that blocks.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Offsets) -> Result<T, BusError> + Send + 'static,
    ) -> Result<T, BusError> {
        let offsets = self.offsets.clone();
        tokio::task::spawn_blocking(move || question(&offsets)).await.map_err(|_| BusError::Closed)?
    }

    fn known(&self, topic: &str) -> Option<u32> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(topic).copied()
    }

    /// The client would wait for an unknown topic, so it is asked for first; once, because topics do not shrink.
    async fn partitions(&self, topic: &str) -> Result<u32, BusError> {
        if let Some(partitions) = self.known(topic) {
            return Ok(partitions);
        }
        let name = topic.to_owned();
        let partitions = self.ask(move |offsets| offsets.partitions(&name)).await?;
        let partitions = partitions.ok_or_else(|| BusError::NoTopic(topic.to_owned()))?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.to_owned(), partitions);
        Ok(partitions)
    }

    /// How many partitions each of these topics has, and all of them in order.
    async fn parts(&self, topics: &[&str]) -> Result<(Vec<u32>, Vec<Part>), BusError> {
        let mut counts = Vec::with_capacity(topics.len());
        let mut parts = Vec::new();
        for topic in topics {
            let count = self.partitions(topic).await?;
            parts.extend((0..count).map(|partition| ((*topic).to_owned(), partition)));
            counts.push(count);
        }
        Ok((counts, parts))
    }

    async fn check(&self, record: &Record) -> Result<(), BusError> {
        let partitions = self.partitions(&record.topic).await?;
        if record.partition >= partitions {
            let reason = format!("{} has no partition {}", record.topic, record.partition);
            return Err(BusError::Broker { doing: "append", reason, transient: false });
        }
        let (bytes, limit) = (record.size(), self.settings.record_limit());
        if bytes > limit {
            return Err(BusError::TooLarge { topic: record.topic.clone(), bytes, limit });
        }
        Ok(())
    }

    /// The broker's answer, for as long as it takes.
    async fn delivered(
        &self,
        mut delivery: DeliveryFuture,
        topic: &str,
    ) -> Result<OwnedDeliveryResult, BusError> {
        loop {
            match tokio::time::timeout(SILENCE, &mut delivery).await {
                Ok(answer) => return answer.map_err(|_| BusError::Closed),
                Err(_) => {
                    let (own, topic) = (self.clone(), topic.to_owned());
                    let look = move || {
                        own.revival.look(own.producer.client(), Some(&topic), own.settings.brokers());
                    };
                    tokio::task::spawn_blocking(look).await.map_err(|_| BusError::Closed)?;
                }
            }
        }
    }

    fn refused(&self, record: &Record, error: &KafkaError) -> BusError {
        if error.rdkafka_error_code() == Some(Code::MessageSizeTooLarge) {
            let (topic, bytes) = (record.topic.clone(), record.size());
            return BusError::TooLargeForBroker { topic, bytes };
        }
        let error = failure::topic("append", &record.topic, error);
        if matches!(error, BusError::NoTopic(_)) {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&record.topic);
        }
        error
    }

    fn admin(&self) -> Result<AdminClient<Logged>, KafkaError> {
        AdminClient::from_config_and_context(&self.settings.consumer(None), Logged)
    }

    async fn create(&self, specs: &[TopicSpec]) -> Result<(), BusError> {
        let failed = |error| failure::broker("create topics", &error);
        let admin = self.admin().map_err(failed)?;
        let config = self.settings.topic();
        let wanted: Vec<NewTopic> = specs
            .iter()
            .map(|spec| NewTopic {
                name: &spec.name,
                num_partitions: spec.partitions.cast_signed(),
                replication: TopicReplication::Fixed(self.settings.replication()),
                config: config.clone(),
            })
            .collect();
        let options = AdminOptions::new().operation_timeout(Some(CREATION_PATIENCE));
        for answer in admin.create_topics(&wanted, &options).await.map_err(failed)? {
            match answer {
                // Another service was faster.
                Ok(_) | Err((_, Code::TopicAlreadyExists)) => {}
                Err((topic, code)) => {
                    let reason = format!("{topic}: {code}");
                    let transient = failure::is_transient(code);
                    return Err(BusError::Broker { doing: "create topics", reason, transient });
                }
            }
        }
        // What the controller has made, the brokers learn a moment later.
        let give_up = tokio::time::Instant::now() + CREATION_PATIENCE;
        for spec in specs {
            loop {
                let name = spec.name.clone();
                let seen = self
                    .ask(move |offsets| offsets.parts(&name).and_then(|parts| offsets.ends(&parts)))
                    .await;
                match seen {
                    Ok(_) => break,
                    Err(error) if tokio::time::Instant::now() >= give_up => return Err(error),
                    Err(_) => tokio::time::sleep(PAUSE * 10).await,
                }
            }
        }
        Ok(())
    }
}

/// Cuts the answers for all partitions into those of each topic.
fn by_topic(counts: &[u32], mut answers: &[u64]) -> Vec<Vec<u64>> {
    let mut own = |count: &u32| {
        let (own, rest) = answers.split_at(*count as usize);
        answers = rest;
        own.to_vec()
    };
    counts.iter().map(&mut own).collect()
}

#[async_trait]
impl Bus for Kafka {
    async fn append(&self, records: Vec<Record>) -> Result<(), BusError> {
        for record in &records {
            self.check(record).await?;
        }
        let mut sent = Vec::with_capacity(records.len());
        for record in records {
            loop {
                let message = FutureRecord::<[u8], [u8]> {
                    topic: &record.topic,
                    partition: Some(record.partition.cast_signed()),
                    payload: record.payload.as_deref(),
                    key: record.key.as_deref(),
                    timestamp: None,
                    headers: None,
                };
                match self.producer.send_result(message) {
                    Ok(delivery) => break sent.push((delivery, record)),
                    Err((KafkaError::MessageProduction(Code::QueueFull), _)) => {
                        tokio::time::sleep(PAUSE).await
                    }
                    Err((error, _)) => return Err(self.refused(&record, &error)),
                }
            }
        }
        for (delivery, record) in sent {
            let answer = self.delivered(delivery, &record.topic).await?;
            answer.map_err(|(error, _)| self.refused(&record, &error))?;
        }
        Ok(())
    }

    async fn subscribe(
        &self,
        group: &str,
        topics: &[String],
        start: Arc<dyn Start>,
    ) -> Result<Box<dyn Consumer>, BusError> {
        for topic in topics {
            self.partitions(topic).await?;
        }
        let inbox = Arc::new(Inbox::new(self.settings.buffer));
        let client = BaseConsumer::from_config_and_context(
            &self.settings.consumer(Some(group)),
            Context::new(inbox.clone()),
        )
        .map_err(|error| failure::broker("make a Kafka consumer", &error))?;
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        client.subscribe(&topics).map_err(|error| failure::broker("subscribe", &error))?;
        let consumer = KafkaConsumer::start(
            client,
            inbox,
            self.offsets.clone(),
            group.to_owned(),
            topics.first().map(|&topic| topic.to_owned()),
            start,
        )?;
        Ok(Box::new(consumer))
    }

    async fn ends(&self, topics: &[&str]) -> Result<Vec<Vec<u64>>, BusError> {
        let (counts, parts) = self.parts(topics).await?;
        let ends = self.ask(move |offsets| offsets.ends(&parts)).await?;
        Ok(by_topic(&counts, &ends))
    }

    async fn committed(&self, group: &str, topics: &[&str]) -> Result<Vec<Vec<u64>>, BusError> {
        let (counts, parts) = self.parts(topics).await?;
        let group = group.to_owned();
        let committed = self.ask(move |offsets| offsets.committed(&group, &parts)).await?;
        Ok(by_topic(&counts, &committed))
    }

    async fn retention(&self, topic: &str) -> Result<Option<Duration>, BusError> {
        self.partitions(topic).await?;
        let failed = |error: &KafkaError| failure::topic("ask for a topic's settings", topic, error);
        let admin = self.admin().map_err(|error| failed(&error))?;
        let options = AdminOptions::new().request_timeout(Some(CREATION_PATIENCE));
        let answer = admin.describe_configs(&[ResourceSpecifier::Topic(topic)], &options).await;
        let answer = answer.map_err(|error| failed(&error))?.pop();
        let found = answer.unwrap_or(Err(Code::UnknownTopicOrPartition));
        let found = found.map_err(|code| failed(&KafkaError::AdminOp(code)))?;
        let number = |name: &str| -> Option<i64> {
            found.entries.iter().find(|entry| entry.name == name)?.value.as_deref()?.parse().ok()
        };
        // -1 is without limit. What the broker does not say is not relied on.
        Ok(match (number("retention.ms"), number("retention.bytes")) {
            (Some(ms), Some(..0)) => u64::try_from(ms).ok().map(Duration::from_millis),
            _ => Some(Duration::ZERO),
        })
    }

    fn reaches_others(&self) -> bool {
        true
    }

    async fn topics(&self, wanted: &[TopicSpec], create: bool) -> Result<Vec<String>, BusError> {
        let names: Vec<String> = wanted.iter().map(|spec| spec.name.clone()).collect();
        let found: Vec<Option<u32>> =
            self.ask(move |offsets| names.iter().map(|name| offsets.partitions(name)).collect()).await?;
        let mut wrong = Vec::new();
        let mut missing = Vec::new();
        for (spec, partitions) in wanted.iter().zip(found) {
            match partitions {
                Some(partitions) if partitions == spec.partitions => {}
                None if create => missing.push(spec.clone()),
                _ => wrong.push(spec.name.clone()),
            }
        }
        if !missing.is_empty() {
            self.create(&missing).await?;
        }
        Ok(wrong)
    }
}

/// The client's messages go to our log.
struct Logged;

impl ClientContext for Logged {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "kafka");
    }
}

fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => tracing::warn!(facility, "kafka: {message}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(facility, "kafka: {message}"),
        RDKafkaLogLevel::Debug => tracing::debug!(facility, "kafka: {message}"),
    }
}
