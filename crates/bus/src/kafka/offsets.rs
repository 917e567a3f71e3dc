//! Questions about offsets and topics. All of them block and are bounded in time.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::consumer::list;
use super::failure;
use super::inbox::Part;
use super::revive::Revival;
use super::settings::Settings;
use crate::BusError;

const PATIENCE: Duration = Duration::from_secs(10);
/// How long a broker that has come back is given to know its topics, which it learns one after the other, and the ends of its logs.
pub(super) const COMING_BACK: Duration = Duration::from_secs(60);

/// Clones share their connections.
#[derive(Clone)]
pub(super) struct Offsets {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    /// Of no group.
    client: Asker,
    /// One per group whose committed offsets were asked for; they never join it.
    groups: Mutex<HashMap<String, Arc<Asker>>>,
    /// Topics that have been seen, and since when one of them is missing.
    seen: Mutex<HashMap<String, Option<Instant>>>,
}

struct Asker {
    client: BaseConsumer,
    revival: Revival,
}

impl Asker {
    /// Errors of the connection wait in its queue: they are said again by the question itself.
    fn ready(&self) -> &BaseConsumer {
        while self.client.poll(Duration::ZERO).is_some() {}
        &self.client
    }

    fn revive(&self, settings: &Settings) {
        self.revival.revive(self.client.client(), settings.brokers());
    }
}

impl Offsets {
    pub fn new(settings: &Settings) -> Result<Self, BusError> {
        let client = create(settings, None)?;
        let settings = settings.clone();
        let shared = Shared { settings, client, groups: Mutex::default(), seen: Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    pub fn brokers(&self) -> &str {
        self.shared.settings.brokers()
    }

    fn client(&self) -> &BaseConsumer {
        self.shared.client.ready()
    }

    /// Notes that a topic is there, or is not.
    fn note(&self, topic: &str, is_there: bool) -> Result<(), BusError> {
        let mut seen = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if is_there {
            seen.insert(topic.to_owned(), None);
            return Ok(());
        }
        let Some(since) = seen.get_mut(topic) else { return Ok(()) };
        if since.get_or_insert_with(Instant::now).elapsed() < COMING_BACK {
            let reason = format!("{topic} is not known just now");
            return Err(BusError::Broker { doing: "ask for a topic", reason, transient: true });
        }
        Ok(())
    }

    /// The number of partitions; `None` if there is no such topic.
    pub fn partitions(&self, topic: &str) -> Result<Option<u32>, BusError> {
        let metadata = self
            .client()
            .fetch_metadata(Some(topic), PATIENCE)
            .inspect_err(|_| self.shared.client.revive(&self.shared.settings))
            .map_err(|error| failure::broker("ask for a topic", &error))?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return self.note(topic, false).map(|()| None);
        };
        match found.error().map(Code::from) {
            Some(code) if failure::is_missing(code) => self.note(topic, false).map(|()| None),
            Some(code) => Err(BusError::Broker {
                doing: "ask for a topic",
                reason: format!("{topic}: {code}"),
                transient: failure::is_transient(code),
            }),
            None => {
                self.note(topic, true)?;
                Ok(Some(u32::try_from(found.partitions().len()).expect("Kafka counts partitions in 32 bits")))
            }
        }
    }

    /// All partitions of a topic.
    pub fn parts(&self, topic: &str) -> Result<Vec<Part>, BusError> {
        let count = self.partitions(topic)?.ok_or_else(|| BusError::NoTopic(topic.to_owned()))?;
        Ok((0..count).map(|partition| (topic.to_owned(), partition)).collect())
    }

    /// High watermarks, in the order of `parts`.
    pub fn ends(&self, parts: &[Part]) -> Result<Vec<u64>, BusError> {
        self.bounds(parts, Offset::End)
    }

    fn starts_of_logs(&self, parts: &[Part]) -> Result<Vec<u64>, BusError> {
        self.bounds(parts, Offset::Beginning)
    }

    /// One request for all partitions of a broker: a "time" of -1 or -2 asks for the log's end or beginning.
    fn bounds(&self, parts: &[Part], which: Offset) -> Result<Vec<u64>, BusError> {
        if parts.is_empty() {
            return Ok(Vec::new());
        }
        let wanted: Vec<_> = parts.iter().map(|part| (part.clone(), which)).collect();
        let answer = self.client().offsets_for_times(list(&wanted)?, PATIENCE);
        let found = match answer {
            Ok(answer) => in_order(parts, &answer, None),
            Err(error) => Err(failure::topic("ask for offsets", &parts[0].0, &error)),
        };
        if found.is_err() {
            self.shared.client.revive(&self.shared.settings);
            self.look_anew(parts);
        }
        match found {
            Err(BusError::NoTopic(topic)) => {
                self.note(&topic, false)?;
                Err(BusError::NoTopic(topic))
            }
            found => found,
        }
    }

    /// What the client has kept of the leaders may be of before a broker's crash, and it keeps it for minutes.
    fn look_anew(&self, parts: &[Part]) {
        let topics: BTreeSet<&str> = parts.iter().map(|(topic, _)| topic.as_str()).collect();
        for topic in topics {
            // The question itself is asked again by whoever asked it; nor do others hear of a broker that is away.
            if self.partitions(topic).is_err() {
                return;
            }
        }
    }

    /// The group's committed offsets, in the order of `parts`; 0 where it has none.
    pub fn committed(&self, group: &str, parts: &[Part]) -> Result<Vec<u64>, BusError> {
        if parts.is_empty() {
            return Ok(Vec::new());
        }
        let client = {
            let mut groups = self.shared.groups.lock().unwrap_or_else(PoisonError::into_inner);
            match groups.get(group) {
                Some(client) => client.clone(),
                None => {
                    let client = Arc::new(create(&self.shared.settings, Some(group))?);
                    groups.insert(group.to_owned(), client.clone());
                    client
                }
            }
        };
        let wanted: Vec<_> = parts.iter().map(|part| (part.clone(), Offset::Invalid)).collect();
        let answer = client.ready().committed_offsets(list(&wanted)?, PATIENCE);
        if answer.is_err() {
            client.revive(&self.shared.settings);
        }
        let answer = answer.map_err(|error| failure::broker("ask for committed offsets", &error))?;
        in_order(parts, &answer, Some(0))
    }

    /// Where to start: at the wanted offset, else at the committed one, else at 0; always inside the log.
    pub fn starts(
        &self,
        group: &str,
        wanted: Vec<(Part, Option<u64>)>,
    ) -> Result<Vec<(Part, u64)>, BusError> {
        let open: Vec<Part> =
            wanted.iter().filter(|(_, offset)| offset.is_none()).map(|(part, _)| part.clone()).collect();
        let mut committed = self.committed(group, &open)?.into_iter();
        let starts: Vec<(Part, u64)> = wanted
            .into_iter()
            .map(|(part, offset)| (part, offset.or_else(|| committed.next()).unwrap_or(0)))
            .collect();
        self.check(&starts)?;
        Ok(starts)
    }

    /// Fails if one of the offsets is outside its log.
    pub fn check(&self, offsets: &[(Part, u64)]) -> Result<(), BusError> {
        let parts: Vec<Part> = offsets.iter().map(|(part, _)| part.clone()).collect();
        let (lows, highs) = (self.starts_of_logs(&parts)?, self.ends(&parts)?);
        for (((part, wanted), start), end) in offsets.iter().zip(lows).zip(highs) {
            if !(start..=end).contains(wanted) {
                let (topic, partition) = part.clone();
                return Err(BusError::OffsetGap { topic, partition, wanted: *wanted, start, end });
            }
        }
        Ok(())
    }
}

fn create(settings: &Settings, group: Option<&str>) -> Result<Asker, BusError> {
    let client = settings.consumer(group).create_with_context(DefaultConsumerContext);
    let client = client.map_err(|error| failure::broker("make a Kafka client", &error))?;
    Ok(Asker { client, revival: Revival::default() })
}

fn in_order(parts: &[Part], answer: &TopicPartitionList, none: Option<u64>) -> Result<Vec<u64>, BusError> {
    let missing = |reason: &str, part: &Part| BusError::Broker {
        doing: "ask for offsets",
        reason: format!("{}/{}: {reason}", part.0, part.1),
        transient: true,
    };
    let mut out = Vec::with_capacity(parts.len());
    for part in parts {
        let Some(found) = answer.find_partition(&part.0, part.1.cast_signed()) else {
            return Err(missing("no answer", part));
        };
        found.error().map_err(|error| failure::topic("ask for offsets", &part.0, &error))?;
        match (found.offset(), none) {
            (Offset::Offset(offset), _) => {
                out.push(u64::try_from(offset).map_err(|_| missing("a negative offset", part))?);
            }
            (_, Some(none)) => out.push(none),
            (_, None) => return Err(missing("no offset in the answer", part)),
        }
    }
    Ok(out)
}
