//! `services/writer/src/{walk,chunk}.rs`: a chunk beside the stream (C6), with all lanes and a key range for the list.

use crate::bus::{LANES, Scopes};
use crate::protocol::{Action, Fault, Mutant, Protocol};
use crate::state::State;
use crate::writer::Snapshot;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Chunk {
    /// The pass of ids comes first.
    Ids,
    Ordered,
    Unheard(Scopes),
    Staged(Snapshot),
    /// The pass's place has moved with the rows.
    Done,
}

impl Chunk {
    pub(crate) fn holds_lanes(self) -> bool {
        matches!(self, Chunk::Staged(snapshot) if snapshot.is_locked())
    }
}

impl Protocol {
    pub(crate) fn chunk_actions(&self, s: &State, out: &mut Vec<Action>) {
        let free = (0..LANES).all(|lane| s.is_lane_free(lane));
        match s.chunk {
            Chunk::Ids => out.push(Action::IdPass),
            Chunk::Ordered if free || self.is(Mutant::ChunkWithoutLanes) => out.push(Action::ChunkStages),
            Chunk::Unheard(_) if free => out.push(Action::ChunkReports),
            Chunk::Staged(_) => out.push(Action::ChunkSettles),
            _ => {}
        }
    }

    pub(crate) fn chunk_step(&self, s: &mut State, action: Action) {
        let all = self.scopes();
        match (action, s.chunk) {
            (Action::IdPass, _) => {
                self.id_pass(s);
                s.chunk = Chunk::Ordered;
            }
            (Action::ChunkStages, _) => {
                s.chunk = match self.look(s, all) {
                    Ok(snapshot) => Chunk::Staged(snapshot.locked(!self.is(Mutant::ChunkWithoutLanes))),
                    Err(unheard) => Chunk::Unheard(unheard),
                }
            }
            (Action::ChunkReports, Chunk::Unheard(unheard)) => {
                s.reports |= unheard;
                s.chunk = Chunk::Ordered;
            }
            (Action::ChunkSettles, Chunk::Staged(snapshot)) => {
                self.apply(s, all, snapshot);
                s.chunk = Chunk::Done;
            }
            _ => unreachable!("no step of a chunk"),
        }
    }

    pub(crate) fn chunk_faults(&self, s: &State, out: &mut Vec<Action>) {
        if self.may(Fault::ChunkDies) && matches!(s.chunk, Chunk::Unheard(_) | Chunk::Staged(_)) {
            out.push(Action::ChunkDies);
        }
    }
}
