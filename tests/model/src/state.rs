//! The state of everything, and what is said about it.

use crate::backfill::Chunk;
use crate::bus::{LANES, Partition, Scopes, has};
use crate::id_mapper::Minting;
use crate::legacy::{Binlog, KEYS, Legacy};
use crate::mapper::Routed;
use crate::protocol::Protocol;
use crate::reader::Reader;
use crate::verifier::{Fence, Pass};
use crate::writer::{Doing, Worker};

/// A row of the target: the child's value, and its parent's name and id. 0 for both: NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    pub value: u8,
    pub parent: u8,
    pub id: u8,
}

/// What the plan says of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Row(Option<Row>),
    /// The parent exists and has no entry in its map: nothing may be written.
    IdMissing,
}

/// What was done that must never be done. The properties look at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Broken {
    /// A scope was made what an older snapshot says.
    pub older: bool,
    /// A NULL was committed by the transaction that first reported it.
    pub unreported: bool,
    pub map_changed: bool,
    /// A lane's `next_offset` went back, or beyond the end of its topic.
    pub offset: bool,
    /// A value that the plan never says.
    pub invented: bool,
    pub applied_back: bool,
}

/// No snapshot was applied to the scope yet.
pub const NEVER: u8 = u8::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub binlog: Binlog,
    /// The table `reader`: up to here everything is durable on the bus.
    pub position: u8,
    pub reader: Reader,
    /// A reader that was deposed behind its barrier: the transactions that it will still append.
    pub deposed: Option<(u8, u8)>,
    /// `changes.<children>` and `changes.<parents>`.
    pub changes: [Partition; 2],
    pub mapper: Option<Routed>,
    pub old_mapper: Option<Routed>,
    /// The table `redrive`.
    pub redrive: Scopes,
    pub mapped: [Partition; LANES],
    /// `mapped.<map>`: the parent is to get its entry.
    pub map_mark: bool,
    pub id_mapper: Option<Minting>,
    pub old_id_mapper: Option<Minting>,
    /// The parent's entry in the map; 0: none.
    pub map: u8,
    pub writes: [Partition; LANES],
    /// The incarnation in the lanes' topics.
    pub topic: u8,
    pub writer: [Worker; LANES],
    /// Workers of a writer that does not know that it has lost the lane.
    pub old_writer: [Option<Worker>; LANES],
    /// A mapper of an incarnation before is still there.
    pub foreign_mapper: bool,
    pub chunk: Chunk,
    /// A range of a walker that has lost the target.
    pub old_chunk: Option<Chunk>,
    pub target: [Option<Row>; KEYS],
    /// Open exceptions: reports of a missing parent, and scopes that are parked.
    pub reports: Scopes,
    pub parked: Scopes,
    pub fence: Fence,
    /// The table `applied`.
    pub applied: u8,
    pub pass: Pass,
    /// Faults that may still happen.
    pub faults: u8,
    /// The snapshot that was applied last, of each scope.
    pub seen: [u8; KEYS],
    pub broken: Broken,
}

impl State {
    pub fn rows(&self, m: &Protocol) -> Legacy {
        self.binlog.rows(m.first, self.binlog.visible)
    }

    /// Every scope is what the plan says of what is visible now, and nothing is parked.
    pub fn is_equal(&self, m: &Protocol) -> bool {
        self.parked == 0 && self.different(m) == 0
    }

    /// Scopes that are not what the plan says now.
    pub fn different(&self, m: &Protocol) -> Scopes {
        let rows = self.rows(m);
        (0..m.keys)
            .filter(|k| wanted(*k, &rows, self.map) != Wanted::Row(self.target[*k]))
            .fold(0, |all, k| all | 1 << k)
    }

    /// Is some mark of the scope durable and not applied yet, or will there be one?
    pub fn is_on_its_way(&self, m: &Protocol, key: usize) -> bool {
        let lane = m.lane(key);
        let unpublished = self.binlog.between(self.reader.published, self.binlog.logged);
        let waits = |p: &Partition| has(p.all(), key);
        unpublished.into_iter().any(|c| has(c.children(), key) || c.parent() != 0)
            || waits(&self.changes[0])
            || !self.changes[1].is_empty()
            || has(self.redrive, key)
            || waits(&self.mapped[lane])
            || waits(&self.writes[lane])
            || self.chunk != Chunk::Done
    }

    /// Nothing is left to be done but what a fault would cause.
    pub fn is_quiet(&self, m: &Protocol) -> bool {
        self.binlog.visible == m.commits
            && self.reader.published == m.commits
            && self.changes.iter().chain(&self.mapped).chain(&self.writes).all(Partition::is_empty)
            && !self.map_mark
            && self.redrive == 0
            && self.deposed.is_none()
            && self.old_mapper.is_none()
            && self.old_id_mapper.is_none()
            && self.old_chunk.is_none()
            && self.writer.iter().chain(self.old_writer.iter().flatten()).all(|w| w.doing == Doing::Nothing)
            && self.chunk == Chunk::Done
    }
}

/// The plan, for one scope: the only place where a value is made.
pub fn wanted(key: usize, rows: &Legacy, map: u8) -> Wanted {
    let (value, parent) = (rows.children[key], rows.parent);
    match (value, parent, map) {
        (0, ..) => Wanted::Row(None),
        (_, 0, _) => Wanted::Row(Some(Row { value, parent: 0, id: 0 })),
        (.., 0) => Wanted::IdMissing,
        _ => Wanted::Row(Some(Row { value, parent, id: map })),
    }
}
