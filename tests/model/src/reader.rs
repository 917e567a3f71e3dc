//! `services/cdc-reader`: receive, beat, append (C1). The beat is barrier, record of the position and fence in one.

use crate::legacy::Binlog;
use crate::protocol::{Action, Fault, Mutant, Protocol, Service};
use crate::state::State;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reader {
    /// `safe`: everything up to here is acknowledged by the bus.
    pub published: u8,
    /// Everything up to here has come out of the feed.
    received: u8,
    pub batch: Batch,
    /// Appends in binlog order. They are acknowledged in any order.
    under_way: [Option<Append>; 2],
}

/// A batch that has no append yet, by its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Batch {
    #[default]
    None,
    Received(u8),
    /// Its barrier is committed.
    Beaten(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Append {
    from: u8,
    to: u8,
    acknowledged: bool,
}

impl Reader {
    /// Begins where the saved position is.
    pub(crate) fn at(position: u8) -> Self {
        Self { published: position, received: position, ..Self::default() }
    }

    fn settle(&mut self) {
        while let [Some(Append { to, acknowledged: true, .. }), next] = self.under_way {
            self.published = to;
            self.under_way = [next, None];
        }
    }
}

impl Protocol {
    pub(crate) fn reader_actions(&self, s: &State, out: &mut Vec<Action>) {
        let (reader, binlog) = (&s.reader, &s.binlog);
        let room = s.changes.iter().all(|p| p.has_room(1));
        match reader.batch {
            Batch::None if self.is_fine(Service::Reader) => {
                if reader.received < binlog.logged {
                    out.push(Action::Receive);
                }
            }
            Batch::None => {
                if reader.received < binlog.visible && room {
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
                if reader.under_way[1].is_none() {
                    out.push(Action::Append);
                }
            }
        }
        for (number, append) in reader.under_way.iter().enumerate() {
            if room && append.is_some_and(|a| !a.acknowledged) {
                out.push(Action::Acknowledge(number));
            }
        }
        if self.saves() && reader.batch == Batch::None && s.position < reader.published {
            out.push(Action::Save);
        }
        if s.deposed.is_some() && room {
            out.push(Action::DeposedAppends);
        }
    }

    pub(crate) fn reader_step(&self, s: &mut State, action: Action) {
        let reader = &mut s.reader;
        match (action, reader.batch) {
            (Action::Receive, _) => reader.batch = Batch::Received(s.binlog.logged),
            (Action::Beat, Batch::Received(to)) => {
                reader.batch = Batch::Beaten(to);
                self.save(s);
            }
            (Action::Append, Batch::Beaten(to)) => {
                let append = Append { from: reader.received, to, acknowledged: false };
                let free = usize::from(reader.under_way[0].is_some());
                reader.under_way[free] = Some(append);
                (reader.received, reader.batch) = (to, Batch::None);
            }
            (Action::Acknowledge(number), _) => self.acknowledge(s, number),
            (Action::Read, _) => {
                let (from, to) = (reader.received, s.binlog.visible);
                *reader = Reader::at(to);
                append(s, from, to, [true; 2]);
                self.publish(s);
            }
            (Action::Save, _) => self.save(s),
            (Action::DeposedAppends, _) => {
                if let Some((from, to)) = s.deposed.take() {
                    append(s, from, to, [true; 2]);
                }
            }
            _ => unreachable!("no step of the reader"),
        }
    }

    fn acknowledge(&self, s: &mut State, number: usize) {
        if let Some(mut sent) = s.reader.under_way[number] {
            append(s, sent.from, sent.to, [true; 2]);
            sent.acknowledged = true;
            s.reader.under_way[number] = Some(sent);
            s.reader.settle();
            self.publish(s);
        }
    }

    fn publish(&self, s: &mut State) {
        if !self.saves() {
            s.position = s.reader.published;
        }
    }

    fn save(&self, s: &mut State) {
        s.position = match s.reader.batch {
            Batch::Beaten(to) if self.is(Mutant::PositionBeforeAcks) => to,
            _ => s.reader.published,
        };
    }

    /// What a reader that falls now may have sent, or in part: its oldest batch behind a barrier.
    fn in_hand(&self, s: &State) -> Option<(u8, u8)> {
        let reader = &s.reader;
        let sent = reader.under_way.iter().flatten().find(|a| !a.acknowledged);
        match reader.batch {
            _ if sent.is_some() => sent.map(|a| (a.from, a.to)),
            Batch::Beaten(to) => Some((reader.received, to)),
            Batch::None if !self.is_fine(Service::Reader) && reader.received < s.binlog.visible => {
                Some((reader.received, s.binlog.visible))
            }
            _ => None,
        }
    }

    pub(crate) fn reader_faults(&self, s: &State, out: &mut Vec<Action>) {
        let (room, in_hand) = (s.changes.iter().all(|p| p.has_room(1)), self.in_hand(s).is_some());
        if self.may(Fault::ReaderDies) {
            if s.reader != Reader::at(s.position) {
                out.push(Action::ReaderDies([false; 2]));
            }
            if room && in_hand {
                out.extend([[true, false], [false, true], [true; 2]].map(Action::ReaderDies));
            }
        }
        if self.may(Fault::ReaderDeposed) && in_hand && s.deposed.is_none() {
            out.push(Action::ReaderDeposed);
        }
        if self.may(Fault::LateBeat) && s.position > 0 {
            out.push(Action::LateBeat);
        }
    }

    /// It may have appended to some topics; whoever follows begins at the saved position.
    pub(crate) fn reader_dies(&self, s: &mut State, appended: [bool; 2]) {
        if let Some((from, to)) = self.in_hand(s) {
            append(s, from, to, appended);
        }
        s.reader = Reader::at(s.position);
    }

    /// A second reader takes the seat while the first one has a batch behind its barrier.
    pub(crate) fn reader_deposed(&self, s: &mut State) {
        s.deposed = self.in_hand(s);
        s.reader = Reader::at(s.position);
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
