//! Names of topics: `{prefix}.{incarnation}.{changes|mapped|writes|rows}.{table}`.
//!
//! Two tables never share a topic. Kafka allows letters, digits, `.`, `_` and `-` in a topic's name, at most 249 of them,
//! and refuses two names that differ only in `.` and `_`. So letters, digits and `_` stand for themselves, and every other
//! byte of the table's name (UTF-8) becomes `-` and two hex digits: `we`ird` is `we-60ird`. A name that gets too long is cut
//! and ends in `--` and a 128-bit hash of the whole; `--` never comes out of the escaping.

use std::fmt::Write;

/// Kafka's limit on a topic's name, in bytes.
pub const MAX_NAME: usize = 249;
/// What the prefix may take of it, in bytes.
const MAX_PREFIX: usize = 100;
const HASH_DIGITS: usize = 32;

/// The topics of one incarnation of the bus.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Topics {
    prefix: String,
    incarnation: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{prefix}` cannot begin the topics' names: {reason}; use 1 to 100 letters, digits, `.`, `_` or `-`")]
pub struct BadPrefix {
    pub prefix: String,
    pub reason: &'static str,
}

impl Topics {
    pub fn new(prefix: impl Into<String>, incarnation: u64) -> Result<Self, BadPrefix> {
        let prefix = prefix.into();
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let reason = if prefix.is_empty() {
            "it is empty"
        } else if prefix.len() > MAX_PREFIX {
            "it is too long"
        } else if !prefix.chars().all(legal) {
            "Kafka does not allow one of its characters"
        } else {
            return Ok(Self { prefix, incarnation });
        };
        Err(BadPrefix { prefix, reason })
    }

    /// Name of a service's consumer group.
    pub fn group(&self, service: &str) -> String {
        format!("{}.{}.{service}", self.prefix(), self.incarnation())
    }

    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// What the reader publishes of this legacy table.
    pub fn changes(&self, table: &str) -> String {
        self.name("changes", table)
    }

    /// Marks of this target on their way to the id-mapper.
    pub fn mapped(&self, target: &str) -> String {
        self.name("mapped", target)
    }

    /// Marks of this target on their way to the writer: its partitions are the target's lanes.
    pub fn writes(&self, target: &str) -> String {
        self.name("writes", target)
    }

    /// Whole images of this legacy table's rows, for other consumers.
    pub fn rows(&self, table: &str) -> String {
        self.name("rows", table)
    }

    fn name(&self, kind: &str, table: &str) -> String {
        let mut name = format!("{}.{}.{kind}.", self.prefix, self.incarnation);
        let room = MAX_NAME - name.len();
        let escaped = escape(table);
        if escaped.len() <= room {
            name.push_str(&escaped);
        } else {
            // ASCII only, so any byte is a boundary.
            name.push_str(&escaped[..room - HASH_DIGITS - 2]);
            write!(name, "--{:032x}", xxhash_rust::xxh3::xxh3_128(table.as_bytes()))
                .expect("a String takes all");
        }
        name
    }
}

fn escape(table: &str) -> String {
    let mut out = String::with_capacity(table.len());
    for byte in table.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            out.push(char::from(byte));
        } else {
            write!(out, "-{byte:02x}").expect("a String takes all");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_stand_for_themselves() {
        let topics = Topics::new("crossfade", 3).unwrap();
        assert_eq!(topics.changes("audit_logs"), "crossfade.3.changes.audit_logs");
        assert_eq!(topics.mapped("users"), "crossfade.3.mapped.users");
        assert_eq!(topics.writes("slas_new"), "crossfade.3.writes.slas_new");
        assert_eq!(topics.rows("users"), "crossfade.3.rows.users");
    }

    #[test]
    fn no_two_tables_share_a_topic_even_where_kafka_takes_dot_for_underscore() {
        let topics = Topics::new("c", 0).unwrap();
        let long = "長".repeat(64);
        let names = [
            "a.b",
            "a_b",
            "a-b",
            "a-2eb",
            "A_b",
            "a b",
            "a`b",
            "we`ird; drop",
            "ü",
            "u",
            "Ü",
            "..",
            ".",
            "",
            &long,
        ];
        let mut seen = std::collections::HashMap::new();
        for name in names.into_iter().chain([&*format!("{}長x", "長".repeat(62))]) {
            let topic = topics.changes(name);
            assert!(topic.len() <= MAX_NAME, "{topic}");
            assert!(topic.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c)), "{topic}");
            assert_eq!(seen.insert(topic.replace('.', "_"), name), None, "{topic} stands for two tables");
        }
    }

    #[test]
    fn the_longest_prefix_leaves_room_for_a_hash() {
        let topics = Topics::new("p".repeat(100), u64::MAX).unwrap();
        assert_eq!(topics.changes(&"😀".repeat(64)).len(), MAX_NAME);
    }

    #[test]
    fn a_prefix_that_kafka_would_refuse_is_refused_here() {
        for bad in ["", "a b", "ü", "a/b", &"x".repeat(101)] {
            assert!(Topics::new(bad, 0).is_err(), "{bad}");
        }
    }
}
