//! `services/cdc-reader`: receive, beat, append (C1). The beat is barrier, record of the position and fence in one.

use crate::legacy::Binlog;
use crate::protocol::{Action, Fault, Mutant, Protocol, Service};
use crate::state::State;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reader {
    /// `safe`: everything up to here is acknowledged by the bus.
    pub published: u8,
    pub batch: Batch,
}

/// The batch under way, by its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Batch {
    #[default]
    None,
    Received(u8),
    /// Its barrier is committed.
    Beaten(u8),
}

impl Protocol {
    pub(crate) fn reader_actions(&self, s: &State, out: &mut Vec<Action>) {
        let (reader, binlog) = (&s.reader, &s.binlog);
        match reader.batch {
            Batch::None if self.is_fine(Service::Reader) => {
                if reader.published < binlog.logged {
                    out.push(Action::Receive);
                }
            }
            Batch::None => {
                if reader.published < binlog.visible && s.changes.iter().all(|p| p.has_room(1)) {
                    out.push(Action::Read);
                }
            }
            // The barrier stands behind the batch, and commits are seen in the order of the binlog.
            Batch::Received(to) => {
                if binlog.visible >= to || self.is(Mutant::NoBarrier) {
                    out.push(Action::Beat);
                }
            }
            Batch::Beaten(_) => {
                if s.changes.iter().all(|p| p.has_room(1)) {
                    out.push(Action::Append);
                }
            }
        }
        if self.saves() && reader.batch == Batch::None && s.position < reader.published {
            out.push(Action::Save);
        }
        if s.deposed.is_some() && s.changes.iter().all(|p| p.has_room(1)) {
            out.push(Action::DeposedAppends);
        }
    }

    pub(crate) fn reader_step(&self, s: &mut State, action: Action) {
        match (action, s.reader.batch) {
            (Action::Receive, _) => s.reader.batch = Batch::Received(s.binlog.logged),
            (Action::Beat, Batch::Received(to)) => {
                self.save(s);
                s.reader.batch = Batch::Beaten(to);
            }
            (Action::Append, Batch::Beaten(to)) => self.publish(s, to),
            (Action::Read, _) => self.publish(s, s.binlog.visible),
            (Action::Save, _) => self.save(s),
            (Action::DeposedAppends, _) => {
                if let Some((from, to)) = s.deposed.take() {
                    append(s, from, to, [true; 2]);
                }
            }
            _ => unreachable!("no step of the reader"),
        }
    }

    fn publish(&self, s: &mut State, to: u8) {
        append(s, s.reader.published, to, [true; 2]);
        s.reader = Reader { published: to, batch: Batch::None };
        if !self.saves() {
            s.position = to;
        }
    }

    fn save(&self, s: &mut State) {
        s.position = if self.is(Mutant::PositionBeforeAcks) {
            match s.reader.batch {
                Batch::Received(to) => to,
                _ => s.reader.published,
            }
        } else {
            s.reader.published
        };
    }

    /// The batch that a reader which falls now may have sent in part.
    fn in_hand(&self, s: &State) -> Option<u8> {
        match s.reader.batch {
            Batch::Beaten(to) => Some(to),
            Batch::None if !self.is_fine(Service::Reader) && s.reader.published < s.binlog.visible => {
                Some(s.binlog.visible)
            }
            _ => None,
        }
    }

    pub(crate) fn reader_faults(&self, s: &State, out: &mut Vec<Action>) {
        let room = s.changes.iter().all(|p| p.has_room(1));
        if self.may(Fault::ReaderDies) {
            if s.position < s.reader.published || s.reader.batch != Batch::None {
                out.push(Action::ReaderDies([false; 2]));
            }
            if room && self.in_hand(s).is_some() {
                out.extend([[true, false], [false, true], [true; 2]].map(Action::ReaderDies));
            }
        }
        if self.may(Fault::ReaderDeposed) && self.in_hand(s).is_some() && s.deposed.is_none() {
            out.push(Action::ReaderDeposed);
        }
    }

    /// It may have appended to some topics; whoever follows begins at the saved position.
    pub(crate) fn reader_dies(&self, s: &mut State, appended: [bool; 2]) {
        if let Some(to) = self.in_hand(s) {
            append(s, s.reader.published, to, appended);
        }
        s.reader = Reader { published: s.position, batch: Batch::None };
    }

    /// A second reader takes the seat while the first one has a batch behind its barrier.
    pub(crate) fn reader_deposed(&self, s: &mut State) {
        s.deposed = self.in_hand(s).map(|to| (s.reader.published, to));
        s.reader = Reader { published: s.position, batch: Batch::None };
    }
}

/// One record for each table in which something changed.
fn append(s: &mut State, from: u8, to: u8, topics: [bool; 2]) {
    let [children, parents] = records(&s.binlog, from, to);
    for (record, (partition, sent)) in [children, parents].into_iter().zip(s.changes.iter_mut().zip(topics)) {
        if sent {
            partition.append(record);
        }
    }
}

fn records(binlog: &Binlog, from: u8, to: u8) -> [u8; 2] {
    let changes = || binlog.between(from, to);
    [changes().fold(0, |all, c| all | c.children()), changes().fold(0, |all, c| all | c.parent())]
}
