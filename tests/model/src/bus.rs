//! The bus: partitions from the offset up to which their group has come. What was consumed is forgotten, and offsets are
//! counted from there, so that states which differ in their past only are one.

use crate::legacy::KEYS;

/// A set of scopes, one bit each.
pub type Scopes = u8;

pub fn has(scopes: Scopes, key: usize) -> bool {
    scopes & (1 << key) != 0
}

pub fn each(scopes: Scopes) -> impl Iterator<Item = usize> {
    (0..KEYS).filter(move |k| has(scopes, *k))
}

/// Partitions of `mapped` and `writes`.
pub const LANES: usize = 2;
/// Records that one partition holds. An append waits for room.
const ROOM: usize = 4;

/// The records of a partition that are not consumed. A record is a set: of scopes, or of bits about the parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Partition {
    count: u8,
    records: [u8; ROOM],
}

impl Partition {
    pub fn end(&self) -> u8 {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn has_room(&self, records: u8) -> bool {
        usize::from(self.count + records) <= ROOM
    }

    /// Nothing is appended for an empty set.
    pub fn append(&mut self, record: u8) {
        if record != 0 {
            self.records[usize::from(self.count)] = record;
            self.count += 1;
        }
    }

    pub fn records(&self) -> &[u8] {
        &self.records[..usize::from(self.count)]
    }

    /// Everything that is said in it.
    pub fn all(&self) -> u8 {
        self.first(u8::MAX)
    }

    /// Everything that is said in its first records.
    pub fn first(&self, records: u8) -> u8 {
        self.records().iter().take(records.into()).fold(0, |all, record| all | record)
    }

    /// The group goes on by this many records.
    pub fn consume(&mut self, records: u8) {
        let before = std::mem::take(self);
        before.records().iter().skip(records.into()).for_each(|record| self.append(*record));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_consumed_leaves_no_trace() {
        let mut partition = Partition::default();
        [1, 2, 4].into_iter().for_each(|r| partition.append(r));
        partition.consume(2);
        let mut fresh = Partition::default();
        fresh.append(4);
        assert_eq!(partition, fresh);
        assert!(partition.has_room(3) && !partition.has_room(4));
        assert_eq!(partition.all(), 4);
    }
}
