//! A new incarnation of the bus (C7): what was on it is gone, the lanes begin anew, the reader goes back to what is proved.

use crate::backfill::Chunk;
use crate::bus::LANES;
use crate::bus::Partition;
use crate::protocol::{Action, Fault, Mutant, Protocol};
use crate::reader::Reader;
use crate::state::State;
use crate::verifier::Fence;
use crate::writer::{Doing, Worker};

impl Protocol {
    pub(crate) fn incarnation_faults(&self, s: &State, out: &mut Vec<Action>) {
        if !self.may(Fault::NewIncarnation) {
            return;
        }
        out.push(Action::NewIncarnation(None));
        for lane in 0..LANES {
            // It locks all lanes, so it waits for whoever holds one.
            let survives = match s.writer[lane].doing {
                Doing::Nothing => !s.writes[lane].is_empty(),
                Doing::Took(_) => true,
                _ => false,
            };
            if survives && s.is_lane_free(lane) && s.old_writer[lane].is_none() {
                out.push(Action::NewIncarnation(Some(lane)));
            }
        }
    }

    /// `survivor`: the lane whose writer knows nothing of it, and has records of the old topic in hand.
    pub(crate) fn new_incarnation(&self, s: &mut State, survivor: Option<usize>) {
        let old = survivor.map(|lane| (lane, self.with_its_records(s, lane)));
        s.topic += 1;
        s.position = s.applied;
        s.reader = Reader { published: s.position, ..Reader::default() };
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
        s.fence = Fence::default();
        if !self.is(Mutant::NobodyAsksAgain) {
            s.redrive |= s.parked;
        }
    }
}
