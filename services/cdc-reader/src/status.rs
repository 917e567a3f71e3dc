//! What a reader says of itself. Cheap to read, never a cell's value.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use change::Position;

/// Counters run since the start of this reader.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Status {
    pub epoch: u64,
    /// Text of the position up to which everything is durable on the bus; `None` until the reader has its start.
    pub acked: Option<String>,
    /// The same as it stands in the control schema.
    pub saved: Option<String>,
    pub connected: bool,
    pub reconnects: u64,
    pub events: u64,
    pub transactions: u64,
    /// Rows of watched tables, echoes among them.
    pub rows: u64,
    /// Updates that changed nothing the plan reads.
    pub echoes: u64,
    pub published_rows: u64,
    /// Records of whole images, tombstones among them.
    pub published_images: u64,
    /// Of both.
    pub published_bytes: u64,
    pub barriers: u64,
    /// Transactions of others that wrote into targets.
    pub direct_writes: u64,
    /// Commit time of the newest transaction read, by the source's clock: milliseconds since 1970.
    pub source_time_ms: u64,
    /// From the commit of the last probed beat until it came back through the binlog: the reader's lag, in
    /// milliseconds.
    pub lag_ms: u64,
    /// The largest batch so far, in bytes of cells and whole images.
    pub largest_batch: u64,
}

/// Counters that both tasks write.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub connected: AtomicBool,
    pub reconnects: AtomicU64,
    pub events: AtomicU64,
    pub transactions: AtomicU64,
    pub rows: AtomicU64,
    pub echoes: AtomicU64,
    pub published_rows: AtomicU64,
    pub published_images: AtomicU64,
    pub published_bytes: AtomicU64,
    pub barriers: AtomicU64,
    pub direct_writes: AtomicU64,
    pub source_time_ms: AtomicU64,
    pub lag_ms: AtomicU64,
    pub largest_batch: AtomicU64,
}

impl Counters {
    pub fn status(&self, epoch: u64, acked: &Position, saved: &Position) -> Status {
        Status {
            epoch,
            acked: Some(acked.to_string()),
            saved: Some(saved.to_string()),
            connected: self.connected.load(Relaxed),
            reconnects: self.reconnects.load(Relaxed),
            events: self.events.load(Relaxed),
            transactions: self.transactions.load(Relaxed),
            rows: self.rows.load(Relaxed),
            echoes: self.echoes.load(Relaxed),
            published_rows: self.published_rows.load(Relaxed),
            published_images: self.published_images.load(Relaxed),
            published_bytes: self.published_bytes.load(Relaxed),
            barriers: self.barriers.load(Relaxed),
            direct_writes: self.direct_writes.load(Relaxed),
            source_time_ms: self.source_time_ms.load(Relaxed),
            lag_ms: self.lag_ms.load(Relaxed),
            largest_batch: self.largest_batch.load(Relaxed),
        }
    }
}
