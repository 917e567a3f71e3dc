//! `services/id-mapper`: mint what the scopes need, forward the marks unchanged, commit (C3).

use crate::bus::{LANES, Scopes, each};
use crate::protocol::{Action, Fault, Mutant, Protocol, Service};
use crate::state::State;
use crate::verifier::Fence;

/// What two minters derive for one id: they may differ, so only the table decides.
const OURS: u8 = 1;
const OLD: u8 = 2;

/// Marks of which it is known what they need, and which are not forwarded yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Minting {
    taken: [u8; LANES],
    marks: Scopes,
    map_mark: bool,
    /// The parent exists and has no entry.
    needs: bool,
}

impl Protocol {
    pub(crate) fn id_mapper_actions(&self, s: &State, out: &mut Vec<Action>) {
        match s.id_mapper {
            None if self.marks_wait(s) && self.is_fine(Service::IdMapper) => out.push(Action::Need),
            None if self.marks_wait(s) && self.can_forward(s, s.mapped.map(|p| p.end())) => {
                out.push(Action::MintAndForward)
            }
            Some(minting) if self.can_forward(s, minting.taken) => out.push(Action::MintAndForward),
            _ => {}
        }
        if let Some(old) = s.old_id_mapper {
            let lane_has_room =
                |lane: usize| old.marks & self.scopes_of(lane) == 0 || s.writes[lane].has_room(1);
            if (0..LANES).all(lane_has_room) {
                out.push(Action::OldIdMapperForwards);
            }
        }
    }

    pub(crate) fn id_mapper_step(&self, s: &mut State, action: Action) {
        match action {
            Action::Need => s.id_mapper = Some(self.need(s)),
            Action::MintAndForward => {
                let minting = s.id_mapper.take().unwrap_or_else(|| self.need(s));
                self.mint(s, minting.needs, OURS);
                forward(s, &minting, LANES);
                self.commit_marks(s, &minting);
            }
            Action::OldIdMapperForwards => {
                if let Some(old) = s.old_id_mapper.take() {
                    self.mint(s, old.needs, OLD);
                    for lane in 0..LANES {
                        s.writes[lane].append(old.marks & self.scopes_of(lane));
                    }
                }
            }
            _ => unreachable!("no step of the id-mapper"),
        }
    }

    fn marks_wait(&self, s: &State) -> bool {
        s.map_mark || s.mapped.iter().any(|p| !p.is_empty())
    }

    fn can_forward(&self, s: &State, taken: [u8; LANES]) -> bool {
        (0..LANES).all(|lane| s.writes[lane].has_room(taken[lane]))
    }

    /// One query: references of these scopes whose parent exists and has no entry.
    fn need(&self, s: &State) -> Minting {
        let marks = s.mapped.iter().fold(0, |all, p| all | p.all());
        let rows = s.rows(self);
        let referred = s.map_mark || each(marks).any(|k| rows.children[k] > 0);
        Minting {
            taken: s.mapped.map(|p| p.end()),
            marks,
            map_mark: s.map_mark,
            needs: referred && rows.parent > 0 && s.map == 0,
        }
    }

    /// What stands in the map wins.
    pub(crate) fn mint(&self, s: &mut State, needs: bool, candidate: u8) {
        if needs && s.map == 0 {
            s.map = candidate;
        } else if needs && self.is(Mutant::MapOverwritten) && s.map != candidate {
            s.map = candidate;
            s.broken.map_changed = true;
        }
    }

    fn commit_marks(&self, s: &mut State, minting: &Minting) {
        for lane in 0..LANES {
            s.mapped[lane].consume(minting.taken[lane]);
            Fence::passed(&mut s.fence.mapped[lane], minting.taken[lane]);
        }
        if minting.map_mark {
            s.map_mark = false;
            s.fence.map_mark = false;
        }
    }

    pub(crate) fn id_mapper_faults(&self, s: &State, out: &mut Vec<Action>) {
        if !self.marks_wait(s) && s.id_mapper.is_none() {
            return;
        }
        let minting = s.id_mapper.unwrap_or_else(|| self.need(s));
        if self.may(Fault::IdMapperDies) {
            if minting.needs {
                out.push(Action::IdMapperDies(0));
            }
            if self.can_forward(s, minting.taken) {
                let lanes = minting.taken.iter().filter(|records| **records > 0).count();
                out.extend((1..=lanes).map(Action::IdMapperDies));
            }
        }
        if self.may(Fault::IdMapperSleeps) && s.old_id_mapper.is_none() {
            out.push(Action::IdMapperSleeps);
        }
    }

    /// It has minted, and forwarded the records of some lanes.
    pub(crate) fn id_mapper_dies(&self, s: &mut State, lanes: usize) {
        let minting = s.id_mapper.take().unwrap_or_else(|| self.need(s));
        self.mint(s, minting.needs, OURS);
        forward(s, &minting, lanes);
    }

    pub(crate) fn id_mapper_sleeps(&self, s: &mut State) {
        s.old_id_mapper = s.id_mapper.take().or_else(|| Some(self.need(s)));
    }

    /// The pass of ids: every row of the entity gets its entry before rows are written.
    pub(crate) fn id_pass(&self, s: &mut State) {
        let needs = s.rows(self).parent > 0 && s.map == 0;
        self.mint(s, needs, OURS);
    }
}

fn forward(s: &mut State, minting: &Minting, lanes: usize) {
    let taken = (0..LANES).filter(|lane| minting.taken[*lane] > 0);
    for lane in taken.take(lanes) {
        let waiting = s.mapped[lane];
        let records = waiting.records().iter().take(minting.taken[lane].into());
        records.for_each(|record| s.writes[lane].append(*record));
    }
}
