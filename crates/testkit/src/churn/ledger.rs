//! What the fill columns may hold, from what the application wrote to them (PHASE2, ruling 6).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// State of the fill columns: what was found at the start, and over it what was committed since.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    found: Arc<Found>,
    users: BTreeMap<u64, Option<Active>>,
    assignments: BTreeMap<u64, Option<Note>>,
}

#[derive(Debug, Default)]
pub struct Found {
    pub users: BTreeMap<u64, Active>,
    pub assignments: BTreeMap<u64, Note>,
}

/// `None`: NULL or filled, so it has to be TRUE in the end.
pub type Active = Option<i64>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub remarks: Option<String>,
    /// What `notes` may hold.
    pub may_be: BTreeSet<String>,
    /// The application wrote the note itself, so that `remarks` no longer matter.
    written: bool,
}

impl Note {
    pub fn new(remarks: Option<String>, notes: Option<String>) -> Note {
        let written = notes.is_some();
        let may_be = BTreeSet::from([notes.unwrap_or_else(|| remarks.clone().unwrap_or_default())]);
        Note { remarks, may_be, written }
    }

    fn remark(&mut self, remarks: Option<String>) {
        if !self.written {
            self.may_be.insert(remarks.clone().unwrap_or_default());
        }
        self.remarks = remarks;
    }
}

/// What a committed statement did to a fill column or to what it is filled from.
#[derive(Clone, Debug)]
pub enum Effect {
    UserInserted { id: u64, active: Active },
    UserActive { id: u64, active: Active },
    UserMoved { from: u64, to: u64 },
    UserDeleted { id: u64 },
    AssignmentInserted { id: u64, remarks: Option<String>, notes: Option<String> },
    Remarks { id: u64, remarks: Option<String> },
    Notes { id: u64, notes: Option<String> },
    AssignmentMoved { from: u64, to: u64 },
    AssignmentDeleted { id: u64 },
}

impl Ledger {
    pub fn new(found: Arc<Found>) -> Ledger {
        Ledger { found, ..Ledger::default() }
    }

    pub fn user(&self, id: u64) -> Option<&Active> {
        match self.users.get(&id) {
            Some(known) => known.as_ref(),
            None => self.found.users.get(&id),
        }
    }

    pub fn assignment(&self, id: u64) -> Option<&Note> {
        match self.assignments.get(&id) {
            Some(known) => known.as_ref(),
            None => self.found.assignments.get(&id),
        }
    }

    pub fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::UserInserted { id, active } => {
                self.users.insert(id, Some(active));
            }
            Effect::UserActive { id, active } => {
                if self.user(id).is_some() {
                    self.users.insert(id, Some(active));
                }
            }
            Effect::UserMoved { from, to } => {
                let moved = self.user(from).copied();
                self.users.insert(from, None);
                if moved.is_some() {
                    self.users.insert(to, moved);
                }
            }
            Effect::UserDeleted { id } => {
                self.users.insert(id, None);
            }
            Effect::AssignmentInserted { id, remarks, notes } => {
                self.assignments.insert(id, Some(Note::new(remarks, notes)));
            }
            Effect::Remarks { id, remarks } => {
                if let Some(mut note) = self.assignment(id).cloned() {
                    note.remark(remarks);
                    self.assignments.insert(id, Some(note));
                }
            }
            Effect::Notes { id, notes } => {
                if let Some(note) = self.assignment(id).cloned() {
                    self.assignments.insert(id, Some(Note::new(note.remarks, notes)));
                }
            }
            Effect::AssignmentMoved { from, to } => {
                let moved = self.assignment(from).cloned();
                self.assignments.insert(from, None);
                if moved.is_some() {
                    self.assignments.insert(to, moved);
                }
            }
            Effect::AssignmentDeleted { id } => {
                self.assignments.insert(id, None);
            }
        }
    }

    /// Nobody knows whether this happened: the rows it concerns are not judged.
    pub fn doubt(&mut self, effect: &Effect) {
        match *effect {
            Effect::UserInserted { id, .. } | Effect::UserActive { id, .. } | Effect::UserDeleted { id } => {
                self.users.insert(id, None);
            }
            Effect::UserMoved { from, to } => {
                self.users.insert(from, None);
                self.users.insert(to, None);
            }
            Effect::AssignmentInserted { id, .. }
            | Effect::Remarks { id, .. }
            | Effect::Notes { id, .. }
            | Effect::AssignmentDeleted { id } => {
                self.assignments.insert(id, None);
            }
            Effect::AssignmentMoved { from, to } => {
                self.assignments.insert(from, None);
                self.assignments.insert(to, None);
            }
        }
    }

    /// One ledger from those of all sessions, which own different rows.
    pub fn merge(ledgers: impl IntoIterator<Item = Ledger>) -> Ledger {
        let mut merged = Ledger::default();
        for ledger in ledgers {
            merged.found = ledger.found;
            merged.users.extend(ledger.users);
            merged.assignments.extend(ledger.assignments);
        }
        merged
    }
}
