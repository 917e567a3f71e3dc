//! Counts of the mapper.

use std::sync::atomic::AtomicU64;

#[derive(Debug, Default)]
pub struct Metrics {
    pub changes: AtomicU64,
    pub marks: AtomicU64,
    pub lookups: AtomicU64,
    pub redriven: AtomicU64,
}
