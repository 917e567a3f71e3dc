//! `services/verifier`: the fence (C5) and a pass that ends in a verdict (C8).
//!
//! The fence takes no step of its own: it begins as soon as there is a new position, and takes each stage's ends in the
//! very moment in which the stage before is through. Ends that are taken later cover more, so this is its weakest proof.

use crate::backfill::Chunk;
use crate::bus::{LANES, Scopes};
use crate::protocol::{Action, Mutant, Protocol};
use crate::state::State;

/// Records that are still waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fence {
    /// The position that is to be proved.
    position: u8,
    stage: Stage,
    pub changes: [u8; 2],
    pub mapped: [u8; LANES],
    pub map_mark: bool,
    pub writes: [u8; LANES],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Stage {
    #[default]
    Idle,
    Mapper,
    IdMapper,
    Lanes,
}

/// A pass of the verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pass {
    /// None is run in this model.
    Off,
    Begun,
    /// These scopes differed; they are compared again behind a proof.
    Confirming {
        scopes: Scopes,
        barrier: u8,
        again: bool,
    },
    Equal,
    /// A proof of `barrier` is waited for, so that something can be said of `position`.
    Settling {
        position: u8,
        barrier: u8,
        proofs: u8,
        parked: bool,
    },
    /// READY, and the position up to which that is said.
    Ready(u8),
}

impl Fence {
    /// A stage has consumed this many records.
    pub(crate) fn passed(waits: &mut u8, records: u8) {
        *waits = waits.saturating_sub(records);
    }
}

impl Protocol {
    pub(crate) fn fence(&self, s: &mut State) {
        loop {
            let ends = *s;
            let fence = &mut s.fence;
            let early = self.is(Mutant::EndsTakenEarly);
            match fence.stage {
                Stage::Idle
                    if s.position > s.applied
                        || s.position < s.applied && self.is(Mutant::AppliedFollows) =>
                {
                    *fence = Fence { position: s.position, stage: Stage::Mapper, ..Fence::default() };
                    fence.changes = ends.changes.map(|p| p.end());
                    if early {
                        (fence.mapped, fence.map_mark) = (ends.mapped.map(|p| p.end()), ends.map_mark);
                        fence.writes = ends.writes.map(|p| p.end());
                    }
                }
                Stage::Mapper if fence.changes == [0; 2] => {
                    fence.stage = Stage::IdMapper;
                    if !early {
                        (fence.mapped, fence.map_mark) = (ends.mapped.map(|p| p.end()), ends.map_mark);
                    }
                }
                Stage::IdMapper if fence.mapped == [0; LANES] && !fence.map_mark => {
                    fence.stage = Stage::Lanes;
                    if !early {
                        fence.writes = ends.writes.map(|p| p.end());
                    }
                }
                Stage::Lanes if fence.writes == [0; LANES] => {
                    s.broken.applied_back |= fence.position < s.applied;
                    s.applied = fence.position;
                    *fence = Fence::default();
                }
                _ => return,
            }
        }
    }

    pub(crate) fn verifier_actions(&self, s: &State, out: &mut Vec<Action>) {
        match s.pass {
            // Only what is backfilled is ever ready.
            Pass::Begun if s.chunk == Chunk::Done => out.push(Action::Compare),
            Pass::Confirming { barrier, .. } if s.applied >= barrier => out.push(Action::Compare),
            Pass::Equal => out.push(Action::Settle),
            Pass::Settling { barrier, .. } if s.applied >= barrier => out.push(Action::Judge),
            _ => {}
        }
    }

    pub(crate) fn verifier_step(&self, s: &mut State, action: Action) {
        // All that was committed before the barrier lies before it.
        let barrier = s.binlog.logged;
        let different = s.different(self);
        s.pass = match (action, s.pass) {
            (Action::Compare, Pass::Begun) => compared(different, barrier, false),
            (Action::Compare, Pass::Confirming { scopes, again: false, .. }) => {
                compared(scopes & different, barrier, true)
            }
            // What differs still is not ready, whatever it is; the next pass begins.
            (Action::Compare, Pass::Confirming { scopes, .. }) if scopes & different != 0 => Pass::Begun,
            (Action::Compare, _) => Pass::Equal,
            (Action::Settle, _) => {
                let parked = self.is(Mutant::ParkedCountedEarly) && s.parked != 0;
                Pass::Settling { position: barrier, barrier, proofs: 1, parked }
            }
            (Action::Judge, Pass::Settling { position, proofs, parked, .. }) if proofs < self.proofs => {
                Pass::Settling { position, barrier, proofs: proofs + 1, parked }
            }
            (Action::Judge, Pass::Settling { position, parked, .. }) => {
                let parked = if self.is(Mutant::ParkedCountedEarly) { parked } else { s.parked != 0 };
                if parked { Pass::Begun } else { Pass::Ready(position) }
            }
            _ => unreachable!("no step of the verifier"),
        };
    }
}

fn compared(scopes: Scopes, barrier: u8, again: bool) -> Pass {
    if scopes == 0 { Pass::Equal } else { Pass::Confirming { scopes, barrier, again } }
}
