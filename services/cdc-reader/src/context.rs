//! What a reader is given.

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, Topics};
use mysql::Database;
use plan::checked::Checked;

#[derive(Clone)]
pub struct Context {
    pub database: Database,
    pub bus: Arc<dyn Bus>,
    pub plan: Arc<Checked>,
    /// Deferred targets run, too.
    pub include_deferred: bool,
    pub topics: Topics,
    /// Name of the source: the key of its row in the control table `reader`.
    pub source: String,
    /// Partitions of each `changes.*` topic.
    pub partitions: u32,
    pub settings: Settings,
}

#[derive(Clone, Debug)]
pub struct Settings {
    /// Must be no other replica's. `None`: a random one above 2^30, another at each connection.
    pub server_id: Option<u32>,
    /// A batch is handed on when it holds this many bytes of cells and whole images, in the middle of a transaction if need
    /// be.
    pub batch_bytes: usize,
    /// The same for rows, each whole image counted as one more.
    pub batch_rows: usize,
    /// Batches that may be on their way to the bus at one time; with whole images one, whatever stands here.
    pub in_flight: usize,
    /// Without anything else to do, a beat is committed this often.
    pub heartbeat: Duration,
    /// The server says that it is alive this often; after three times that in silence the stream is opened anew.
    pub server_heartbeat: Duration,
    /// A position is saved at most this long after the changes before it were acknowledged.
    pub save_within: Duration,
    /// Our own beat must come back through the binlog within this time.
    pub beat_bound: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server_id: None,
            batch_bytes: 4 << 20,
            batch_rows: 10_000,
            in_flight: 4,
            heartbeat: Duration::from_secs(1),
            server_heartbeat: Duration::from_secs(2),
            save_within: Duration::from_millis(20),
            beat_bound: Duration::from_secs(30),
        }
    }
}
