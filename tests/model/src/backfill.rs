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
    fn holds_lanes(self) -> bool {
        matches!(self, Chunk::Staged(snapshot) if snapshot.is_locked())
    }
}

impl State {
    /// Chunks share the lanes with each other, not with batches.
    pub(crate) fn has_chunk_in_lanes(&self) -> bool {
        self.chunk.holds_lanes() || self.old_chunk.is_some_and(Chunk::holds_lanes)
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
        match s.old_chunk {
            Some(Chunk::Staged(_)) => out.push(Action::OldChunkSettles),
            Some(_) if free => out.push(Action::OldChunkStages),
            _ => {}
        }
    }

    pub(crate) fn chunk_step(&self, s: &mut State, action: Action) {
        let all = self.scopes();
        match (action, s.chunk, s.old_chunk) {
            (Action::IdPass, ..) => {
                self.id_pass(s);
                s.chunk = Chunk::Ordered;
            }
            (Action::ChunkStages, ..) => {
                s.chunk = match self.look(s, all) {
                    Ok(snapshot) => Chunk::Staged(snapshot.locked(!self.is(Mutant::ChunkWithoutLanes))),
                    Err(unheard) => Chunk::Unheard(unheard),
                }
            }
            (Action::ChunkReports, Chunk::Unheard(unheard), _) => {
                s.reports |= unheard;
                s.chunk = Chunk::Ordered;
            }
            (Action::ChunkSettles, Chunk::Staged(snapshot), _) => {
                self.apply(s, all, snapshot);
                s.chunk = Chunk::Done;
            }
            // It finds another walker in the lanes' rows.
            (Action::OldChunkStages, ..) => {
                s.old_chunk =
                    if self.is(Mutant::NoWalker) { self.look(s, all).ok().map(Chunk::Staged) } else { None };
            }
            (Action::OldChunkSettles, _, Some(Chunk::Staged(snapshot))) => {
                self.apply(s, all, snapshot);
                s.old_chunk = None;
            }
            _ => unreachable!("no step of a chunk"),
        }
    }

    pub(crate) fn chunk_faults(&self, s: &State, out: &mut Vec<Action>) {
        let under_way = matches!(s.chunk, Chunk::Ordered | Chunk::Unheard(_) | Chunk::Staged(_));
        if self.may(Fault::ChunkDies) && under_way && s.chunk != Chunk::Ordered {
            out.push(Action::ChunkDies);
        }
        // To claim the target waits for the chunk that holds its lanes.
        let free = (0..LANES).all(|lane| s.is_lane_free(lane)) && !s.has_chunk_in_lanes();
        if self.may(Fault::WalkerSleeps) && under_way && free && s.old_chunk.is_none() {
            out.push(Action::WalkerSleeps);
        }
    }

    /// Another process walks over the target, for another pass; the first one still has a range in hand.
    pub(crate) fn walker_sleeps(&self, s: &mut State) {
        s.old_chunk = Some(Chunk::Ordered);
        s.chunk = Chunk::Ordered;
    }
}
