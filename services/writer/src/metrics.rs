//! Counts of the writer, for the metrics page and for `crossfade status`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::apply::Outcome;

#[derive(Debug, Default)]
pub struct Metrics {
    pub batches: AtomicU64,
    pub marks: AtomicU64,
    pub changed: AtomicU64,
    pub parked: AtomicU64,
    /// Batches whose lane somebody else had moved.
    pub fenced: AtomicU64,
    pub retries: AtomicU64,
    pub chunks: AtomicU64,
}

impl Metrics {
    pub fn applied(&self, marks: u64, outcome: &Outcome) {
        self.batches.fetch_add(1, Relaxed);
        self.marks.fetch_add(marks, Relaxed);
        self.changed.fetch_add(outcome.changed, Relaxed);
        self.parked.fetch_add(outcome.parked, Relaxed);
    }

    pub fn chunk(&self, outcome: &Outcome) {
        self.chunks.fetch_add(1, Relaxed);
        self.changed.fetch_add(outcome.changed, Relaxed);
        self.parked.fetch_add(outcome.parked, Relaxed);
    }
}
