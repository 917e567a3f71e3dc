//! A topic in memory: partitions whose records stay until every reading group has committed past them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;

use super::group::Part;
use crate::{BusError, Delivery};

/// What a record costs beside its payload, so that empty ones are bounded as well.
const OVERHEAD: usize = 64;

pub(super) struct Topic {
    pub logs: Vec<Log>,
    /// Woken when records were dropped.
    pub space: Arc<Notify>,
    /// Groups that must commit a record before it is dropped.
    readers: Vec<String>,
    bytes: usize,
}

#[derive(Default)]
pub(super) struct Log {
    start: u64,
    records: VecDeque<Bytes>,
    committed: BTreeMap<String, u64>,
}

impl Topic {
    pub fn new(partitions: u32, readers: Vec<String>) -> Self {
        let logs = (0..partitions).map(|_| Log::default()).collect();
        Self { logs, space: Arc::new(Notify::new()), readers, bytes: 0 }
    }

    pub fn is_read_by(&self, group: &str) -> bool {
        self.readers.iter().any(|reader| reader == group)
    }

    pub fn ends(&self) -> Vec<u64> {
        self.logs.iter().map(Log::end).collect()
    }

    pub fn committed(&self, group: &str) -> Vec<u64> {
        self.logs.iter().map(|log| log.committed(group)).collect()
    }

    /// Appends if there is room for it. An empty topic takes any record, so that none waits for ever.
    pub fn push(&mut self, partition: usize, payload: Bytes, limit: usize) -> bool {
        let cost = payload.len() + OVERHEAD;
        if self.bytes > 0 && self.bytes + cost > limit {
            return false;
        }
        self.logs[partition].records.push_back(payload);
        self.bytes += cost;
        self.trim(partition);
        true
    }

    /// Moves the group's offset forward (never back) and drops what nobody has to read any more.
    pub fn commit(&mut self, group: &str, partition: usize, next_offset: u64) {
        let log = &mut self.logs[partition];
        let next = next_offset.max(log.committed(group));
        log.committed.insert(group.to_owned(), next);
        self.trim(partition);
    }

    fn trim(&mut self, partition: usize) {
        let log = &mut self.logs[partition];
        let keep = self.readers.iter().map(|group| log.committed(group)).min().unwrap_or(log.end());
        let mut freed = 0;
        while log.start < keep {
            let Some(payload) = log.records.pop_front() else { break };
            freed += payload.len() + OVERHEAD;
            log.start += 1;
        }
        if freed > 0 {
            self.bytes -= freed;
            self.space.notify_waiters();
        }
    }
}

impl Log {
    pub fn end(&self) -> u64 {
        self.start + self.records.len() as u64
    }

    pub fn committed(&self, group: &str) -> u64 {
        self.committed.get(group).copied().unwrap_or(0)
    }

    /// `offset`, if it is one that this log can go on from.
    pub fn within(&self, part: &Part, offset: u64) -> Result<u64, BusError> {
        if (self.start..=self.end()).contains(&offset) {
            return Ok(offset);
        }
        let (topic, partition) = part.clone();
        Err(BusError::OffsetGap { topic, partition, wanted: offset, start: self.start, end: self.end() })
    }

    /// Records from `position` on, at least one if there is any, then as many as fit in `limit` bytes.
    pub fn read(&self, part: &Part, position: u64, limit: usize) -> Result<Option<Delivery>, BusError> {
        let skip = self.within(part, position)? - self.start;
        let skip = usize::try_from(skip).expect("at most the number of records in memory");
        let mut bytes = 0;
        let mut records = Vec::new();
        for (offset, payload) in (position..).zip(self.records.range(skip..)) {
            bytes += payload.len() + OVERHEAD;
            if bytes > limit && !records.is_empty() {
                break;
            }
            records.push((offset, payload.clone()));
        }
        let (topic, partition) = part.clone();
        Ok((!records.is_empty()).then_some(Delivery { topic, partition, records }))
    }
}
