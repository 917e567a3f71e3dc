//! A client that has lost all its brokers.
//!
//! A broker that is starting may answer that there are no brokers at all. librdkafka (2.10 to 2.12 at least) then forgets
//! those that it knew, and has nobody left to ask: it stands still for good, without an error. So a client that has been
//! silent for a while is asked something, and gets the brokers of the settings again if it has no answer.

use std::ffi::CString;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::bindings::rd_kafka_brokers_add;
use rdkafka::client::{Client, ClientContext};

/// How long a client may be silent, and at least between two revivals.
pub(super) const SILENCE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(1);

/// When a client was last given its brokers again.
#[derive(Debug, Default)]
pub(super) struct Revival(Mutex<Option<Instant>>);

impl Revival {
    /// Asks for this topic, and revives the client if it has no answer. Blocks for a second at most.
    pub fn look<C: ClientContext>(&self, client: &Client<C>, topic: Option<&str>, brokers: &str) {
        let Some(topic) = topic else { return };
        if client.fetch_metadata(Some(topic), PATIENCE).is_err() {
            self.revive(client, brokers);
        }
    }

    /// Gives the client the brokers of the settings, as at its start. Does no harm to one that has brokers.
    pub fn revive<C: ClientContext>(&self, client: &Client<C>, brokers: &str) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|at| at.elapsed() < SILENCE) {
            return;
        }
        *last = Some(Instant::now());
        let Ok(brokers) = CString::new(brokers) else { return };
        // SAFETY: the handle lives as long as the client that we borrow; librdkafka copies the string.
        #[expect(unsafe_code, reason = "rdkafka has no safe call for it")]
        let added = unsafe { rd_kafka_brokers_add(client.native_ptr(), brokers.as_ptr()) };
        tracing::debug!(added, "a Kafka client that had no answer has its first brokers again");
    }
}
