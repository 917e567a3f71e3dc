//! A new incarnation of the bus (C7): what was on it is gone, the lanes begin anew, the reader goes back to what is proved.

use crate::backfill::Chunk;
use crate::bus::{LANES, Partition};
use crate::protocol::{Action, Fault, Mutant, Protocol};
use crate::reader::Reader;
use crate::state::State;
use crate::verifier::Fence;
use crate::writer::{Doing, Worker};

/// A process that knows nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survivor {
    Nobody,
    /// It has records of the old topic in hand.
    Writer(usize),
    /// It still looks into the table `redrive`.
    Mapper,
}

impl Protocol {
    pub(crate) fn foreign_actions(&self, s: &State, out: &mut Vec<Action>) {
        if s.foreign_mapper && s.redrive != 0 {
            out.push(Action::ForeignRedrive);
        }
    }

    /// It finds that it was replaced, and ends. The mutant takes what is due to topics that nobody reads any more.
    pub(crate) fn foreign_redrive(&self, s: &mut State) {
        if self.is(Mutant::RedriveOfAnyIncarnation) {
            s.redrive = 0;
        }
        s.foreign_mapper = false;
    }

    pub(crate) fn incarnation_faults(&self, s: &State, out: &mut Vec<Action>) {
        if !self.may(Fault::NewIncarnation) {
            return;
        }
        out.push(Action::NewIncarnation(Survivor::Nobody));
        out.push(Action::NewIncarnation(Survivor::Mapper));
        for lane in 0..LANES {
            // It locks all lanes, so it waits for whoever holds one.
            let survives = match s.writer[lane].doing {
                Doing::Nothing => !s.writes[lane].is_empty(),
                Doing::Took(_) => true,
                _ => false,
            };
            if survives && s.is_lane_free(lane) && s.old_writer[lane].is_none() {
                out.push(Action::NewIncarnation(Survivor::Writer(lane)));
            }
        }
    }

    pub(crate) fn new_incarnation(&self, s: &mut State, survivor: Survivor) {
        let old = match survivor {
            Survivor::Writer(lane) => Some((lane, self.with_its_records(s, lane))),
            Survivor::Nobody | Survivor::Mapper => None,
        };
        s.foreign_mapper = survivor == Survivor::Mapper;
        s.topic += 1;
        s.position = s.applied;
        s.reader = Reader::at(s.position);
        s.changes = [Partition::default(); 2];
        (s.mapped, s.writes) = ([Partition::default(); LANES], [Partition::default(); LANES]);
        s.map_mark = false;
        // Whatever they would still append goes to topics that nobody reads.
        (s.deposed, s.mapper, s.old_mapper) = (None, None, None);
        (s.id_mapper, s.old_id_mapper) = (None, None);
        s.writer = [Worker { topic: s.topic, ..Worker::default() }; LANES];
        s.old_writer = [None; LANES];
        if let Some((lane, worker)) = old {
            s.old_writer[lane] = Some(worker);
        }
        if matches!(s.chunk, Chunk::Unheard(_) | Chunk::Staged(_)) {
            s.chunk = Chunk::Ordered;
        }
        // Its walker is not in the lanes' new rows.
        s.old_chunk = None;
        s.fence = Fence::default();
        if !self.is(Mutant::NobodyAsksAgain) {
            s.redrive |= s.parked;
        }
    }
}
