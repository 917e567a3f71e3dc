//! Counts of the id-mapper.

use std::sync::atomic::AtomicU64;

#[derive(Debug, Default)]
pub struct Metrics {
    pub marks: AtomicU64,
    pub minted: AtomicU64,
    pub collisions: AtomicU64,
}
