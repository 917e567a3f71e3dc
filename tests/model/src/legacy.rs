//! The application's side: the rows that it has, and the transactions that it commits.

use crate::bus::Scopes;

/// Scopes of the model at most. Each is the key of one child row.
pub const KEYS: usize = 3;
/// Transactions at most.
pub const COMMITS: usize = 4;

/// Bits of a record on `changes.<parents>`.
pub const BORN: u8 = 1;
pub const RENAMED_OR_GONE: u8 = 2;

/// One transaction of the application. The one parent is referenced by every child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// A child row is inserted or updated.
    Write(usize),
    Remove(usize),
    Bear,
    Kill,
    Rename,
    /// The parent arrives together with a row that refers to it.
    BearAndWrite(usize),
    /// The parent goes, and a row that refers to it changes.
    KillAndWrite(usize),
}

/// Legacy rows as one snapshot sees them. 0: there is no such row; otherwise the number of the write that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Legacy {
    pub parent: u8,
    pub children: [u8; KEYS],
}

impl Change {
    /// Can the application do this now? It deletes what is there, and inserts what is not.
    pub fn is_possible(self, now: &Legacy) -> bool {
        match self {
            Change::Write(_) => true,
            Change::Remove(k) => now.children[k] > 0,
            Change::Bear | Change::BearAndWrite(_) => now.parent == 0,
            Change::Kill | Change::Rename | Change::KillAndWrite(_) => now.parent > 0,
        }
    }

    /// Child rows in its row events.
    pub fn children(self) -> Scopes {
        match self {
            Change::Write(k) | Change::Remove(k) | Change::BearAndWrite(k) | Change::KillAndWrite(k) => {
                1 << k
            }
            Change::Bear | Change::Kill | Change::Rename => 0,
        }
    }

    /// What its row events say of the parent.
    pub fn parent(self) -> u8 {
        match self {
            Change::Write(_) | Change::Remove(_) => 0,
            Change::Bear | Change::BearAndWrite(_) => BORN,
            Change::Kill | Change::Rename | Change::KillAndWrite(_) => RENAMED_OR_GONE,
        }
    }

    fn carry_out(self, number: u8, rows: &mut Legacy) {
        match self {
            Change::Write(k) => rows.children[k] = number,
            Change::Remove(k) => rows.children[k] = 0,
            Change::Bear | Change::Rename => rows.parent = number,
            Change::Kill => rows.parent = 0,
            Change::BearAndWrite(k) => (rows.parent, rows.children[k]) = (number, number),
            Change::KillAndWrite(k) => (rows.parent, rows.children[k]) = (0, number),
        }
    }
}

/// The binlog, and how far its transactions can be seen: an event is there before its row is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Binlog {
    pub transactions: [Option<Change>; COMMITS],
    pub logged: u8,
    pub visible: u8,
}

impl Binlog {
    pub fn log(&mut self, change: Change) {
        self.transactions[usize::from(self.logged)] = Some(change);
        self.logged += 1;
    }

    /// The transactions from one position to another.
    pub fn between(&self, from: u8, to: u8) -> impl Iterator<Item = Change> {
        self.transactions[usize::from(from)..usize::from(to.max(from))].iter().flatten().copied()
    }

    /// What a snapshot sees in which this many transactions are visible.
    pub fn rows(&self, first: Legacy, visible: u8) -> Legacy {
        let mut rows = first;
        // The first rows are number 1.
        for (change, number) in self.between(0, visible).zip(2..) {
            change.carry_out(number, &mut rows);
        }
        rows
    }
}
