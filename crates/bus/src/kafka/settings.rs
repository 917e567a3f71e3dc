//! Where the brokers are and how to talk to them: `kafka://host:port,host:port?property=value&…`, librdkafka's names.
//!
//! What the promises rest on is not the user's to change, and a check of identities is only turned off together with
//! `insecure`. Properties that begin with `create.` are settings of the topics that Crossfade creates
//! (`create.retention.ms`, `create.min.insync.replicas`, `create.replication.factor`).

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::config::ClientConfig;

/// Kept for seven days: long enough for a long weekend's outage of everything downstream.
const RETENTION_MS: &str = "604800000";
/// librdkafka's own default, in bytes.
const MESSAGE_MAX_BYTES: usize = 1_000_000;
/// What a message costs beside its key and payload, in bytes; generous.
const MESSAGE_OVERHEAD: usize = 512;
/// The producer's queue, in KiB: small, so that back-pressure reaches the reader of the binlog.
const QUEUE_KBYTES: usize = 16_384;

/// Set by Crossfade, under each name that librdkafka has for it.
const OURS: &[&str] = &[
    "acks",
    "allow.auto.create.topics",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "bootstrap.servers",
    "delivery.timeout.ms",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "group.protocol",
    "isolation.level",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.send.max.retries",
    "message.timeout.ms",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "request.required.acks",
    "retries",
    "transactional.id",
];

#[derive(Clone)]
pub struct Settings {
    brokers: String,
    properties: BTreeMap<String, String>,
    replication: i32,
    topic: BTreeMap<String, String>,
    message_max: usize,
    queue_kbytes: usize,
    /// Bytes of records that wait in one consumer for `next`, beside librdkafka's own queue of half as much.
    pub buffer: usize,
}

/// Everything that is wrong with the settings, at once. Names properties, never their values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Kafka settings cannot be used:\n  {}", .0.join("\n  "))]
pub struct BadSettings(pub Vec<String>);

impl Settings {
    /// `properties` win over those in the URL, so that secrets can come from a file.
    pub fn parse(
        url: &str,
        properties: &BTreeMap<String, String>,
        insecure: bool,
    ) -> Result<Self, BadSettings> {
        let mut wrong = Vec::new();
        let (brokers, query) = match url.strip_prefix("kafka://") {
            Some(rest) => rest.split_once('?').unwrap_or((rest, "")),
            None => {
                wrong.push("the URL does not begin with `kafka://`".to_owned());
                ("", "")
            }
        };
        let brokers = brokers.trim_end_matches('/');
        if brokers.contains('@') {
            wrong.push(
                "user and password stand in `sasl.username` and `sasl.password`, not before `@`".to_owned(),
            );
        } else if url.starts_with("kafka://") && brokers.split(',').any(|broker| !is_host_and_port(broker)) {
            wrong.push("the brokers are not a list of `host:port`, separated by commas".to_owned());
        }
        let mut all = BTreeMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').map(|(name, value)| (decode(name), decode(value))) {
                Some((Some(name), Some(value))) => drop(all.insert(name, value)),
                _ => wrong.push("a property in the URL is not `name=value` with %-escapes".to_owned()),
            }
        }
        all.extend(properties.iter().map(|(name, value)| (name.clone(), value.clone())));

        let mut topic = BTreeMap::from([
            ("cleanup.policy".to_owned(), "delete".to_owned()),
            ("retention.ms".to_owned(), RETENTION_MS.to_owned()),
        ]);
        let mut own = BTreeMap::new();
        for (name, value) in all {
            if let Some(name) = name.strip_prefix("create.") {
                topic.insert(name.to_owned(), value);
            } else if OURS.contains(&name.as_str()) || name.starts_with("plugin.") {
                wrong.push(format!("`{name}` is Crossfade's own: its promises rest on it"));
            } else if !insecure && turns_verification_off(&name, &value) {
                wrong.push(format!(
                    "`{name}` turns off the check of the brokers' identity: needs `insecure: true`"
                ));
            } else {
                own.insert(name, value);
            }
        }
        let replication =
            number(&mut wrong, "create.replication.factor", topic.remove("replication.factor"), -1);
        let message_max =
            number(&mut wrong, "message.max.bytes", own.get("message.max.bytes").cloned(), MESSAGE_MAX_BYTES);
        let own_queue = own.get("queue.buffering.max.kbytes").cloned();
        let queue_kbytes = number(&mut wrong, "queue.buffering.max.kbytes", own_queue, QUEUE_KBYTES);
        if wrong.is_empty() {
            let brokers = brokers.to_owned();
            let buffer = 16 << 20;
            Ok(Self { brokers, properties: own, replication, topic, message_max, queue_kbytes, buffer })
        } else {
            Err(BadSettings(wrong))
        }
    }

    /// Does what is sent travel unencrypted?
    pub fn is_plaintext(&self) -> bool {
        let protocol = self.properties.get("security.protocol").map(|value| value.to_ascii_lowercase());
        !matches!(protocol.as_deref(), Some("ssl" | "sasl_ssl"))
    }

    /// Bytes that a record's key and payload may have. One that is larger than the producer's queue would wait for ever.
    pub fn record_limit(&self) -> usize {
        self.message_max.min(self.queue_kbytes.saturating_mul(1024)).saturating_sub(MESSAGE_OVERHEAD)
    }

    /// -1: the broker's default.
    pub(super) fn replication(&self) -> i32 {
        self.replication
    }

    /// Settings of the topics that we create.
    pub(super) fn topic(&self) -> Vec<(&str, &str)> {
        self.topic.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("queue.buffering.max.kbytes", QUEUE_KBYTES.to_string())
            .set("compression.type", "lz4")
            .set("linger.ms", "2");
        self.common(&mut config);
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            // For ever: nothing is dropped because an outage was long. Who waits may give up waiting.
            .set("message.timeout.ms", "0");
        config
    }

    /// `host:port`, separated by commas.
    pub(super) fn brokers(&self) -> &str {
        &self.brokers
    }

    pub(super) fn consumer(&self, group: Option<&str>) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("queued.max.messages.kbytes", (self.buffer / 2048).max(64).to_string())
            .set("fetch.message.max.bytes", "1048576")
            // The pause after a full queue; the default of a second would be seen as lag.
            .set("fetch.queue.backoff.ms", "20")
            .set("fetch.wait.max.ms", "100")
            // A member that died is missed within ten seconds; one that hangs longer starts over.
            .set("session.timeout.ms", "10000")
            // How soon a member learns that partitions move; the default is 3 seconds.
            .set("heartbeat.interval.ms", "1000")
            // A broker that has just come back may say that nobody leads yet; the default is to ask again after five minutes.
            .set("topic.metadata.refresh.interval.ms", "5000");
        self.common(&mut config);
        config
            .set("auto.offset.reset", "error")
            // What the service says is done, and nothing else, goes to the broker in rounds: an answer per delivery would
            // be waited for longer than the delivery's own work.
            .set("enable.auto.offset.store", "false")
            .set("enable.auto.commit", "true")
            .set("auto.commit.interval.ms", "50")
            .set("isolation.level", "read_committed");
        if let Some(group) = group {
            config.set("group.id", group).set("partition.assignment.strategy", "cooperative-sticky");
        }
        config
    }

    fn common(&self, config: &mut ClientConfig) {
        config.set("client.id", "crossfade").set("socket.keepalive.enable", "true");
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.brokers).set("allow.auto.create.topics", "false");
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.properties.keys().collect();
        f.debug_struct("Settings")
            .field("brokers", &self.brokers)
            .field("properties", &names)
            .finish_non_exhaustive()
    }
}

fn turns_verification_off(name: &str, value: &str) -> bool {
    match name {
        "enable.ssl.certificate.verification" => !value.eq_ignore_ascii_case("true"),
        "ssl.endpoint.identification.algorithm" => !value.eq_ignore_ascii_case("https"),
        _ => false,
    }
}

fn is_host_and_port(broker: &str) -> bool {
    broker
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn number<T: std::str::FromStr>(wrong: &mut Vec<String>, name: &str, value: Option<String>, default: T) -> T {
    match value.map(|value| value.parse()) {
        None => default,
        Some(Ok(number)) => number,
        Some(Err(_)) => {
            wrong.push(format!("`{name}` is not a number"));
            default
        }
    }
}

/// %-escapes; `+` is itself, since secrets have it.
fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
                u8::try_from(high * 16 + low).expect("two hex digits")
            }
            _ => byte,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Settings, BadSettings> {
        Settings::parse(url, &BTreeMap::new(), false)
    }

    #[test]
    fn brokers_properties_and_topic_settings_are_told_apart() {
        let settings =
            parse("kafka://a:9092,[::1]:9093?sasl.password=p%26w+d&create.retention.ms=5&create.replication.factor=3")
                .unwrap();
        assert_eq!(settings.brokers, "a:9092,[::1]:9093");
        assert_eq!(settings.properties["sasl.password"], "p&w+d");
        assert_eq!(settings.replication(), 3);
        assert_eq!(settings.topic(), [("cleanup.policy", "delete"), ("retention.ms", "5")]);
        assert!(!format!("{settings:?}").contains("p&w"), "a secret is shown");
    }

    #[test]
    fn a_record_fits_into_a_message_and_into_the_queue() {
        let limit = |url| parse(url).unwrap().record_limit();
        assert_eq!(limit("kafka://a:1"), 999_488);
        assert_eq!(limit("kafka://a:1?message.max.bytes=2000000"), 1_999_488);
        assert_eq!(limit("kafka://a:1?message.max.bytes=90000000"), (16 << 20) - 512);
        assert_eq!(
            limit("kafka://a:1?message.max.bytes=90000000&queue.buffering.max.kbytes=131072"),
            89_999_488
        );
    }

    #[test]
    fn what_is_wrong_is_said_at_once_without_values() {
        let error = parse(
            "kafka://nowhere?acks=0&delivery.timeout.ms=1&enable.ssl.certificate.verification=hush&%zz=1",
        )
        .unwrap_err();
        assert_eq!(error.0.len(), 5, "{error}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }

    #[test]
    fn verification_is_only_turned_off_with_insecure() {
        let url = "kafka://a:1?ssl.endpoint.identification.algorithm=none&security.protocol=ssl";
        assert!(parse(url).is_err());
        assert!(!Settings::parse(url, &BTreeMap::new(), true).unwrap().is_plaintext());
    }
}
