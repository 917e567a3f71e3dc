//! `services/mapper`: route changes to scopes, publish marks, commit (C2); and the one door for all that comes back.

use crate::bus::{LANES, Scopes};
use crate::legacy::{BORN, KEYS, RENAMED_OR_GONE};
use crate::protocol::{Action, Fault, Mutant, Protocol, Service};
use crate::state::State;
use crate::verifier::Fence;

/// Changes that were routed and are not published yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Routed {
    /// Records taken, of each topic.
    taken: [u8; 2],
    marks: Scopes,
    map_mark: bool,
}

impl Protocol {
    pub(crate) fn mapper_actions(&self, s: &State, out: &mut Vec<Action>) {
        let waits = s.changes.iter().any(|p| !p.is_empty());
        match &s.mapper {
            None if waits && self.is_fine(Service::Mapper) => out.push(Action::Route),
            None if waits && self.has_room(s, self.route(s).marks) => out.push(Action::PublishMarks),
            Some(routed) if self.has_room(s, routed.marks) => out.push(Action::PublishMarks),
            _ => {}
        }
        if s.redrive != 0 && self.has_room(s, s.redrive) {
            out.push(Action::Redrive);
        }
        if s.old_mapper.is_some_and(|routed| self.has_room(s, routed.marks)) {
            out.push(Action::OldMapperPublishes);
        }
    }

    pub(crate) fn mapper_step(&self, s: &mut State, action: Action) {
        match action {
            Action::Route => s.mapper = Some(self.route(s)),
            Action::PublishMarks => {
                let routed = s.mapper.take().unwrap_or_else(|| self.route(s));
                self.publish_marks(s, &routed, LANES + 1);
                self.commit_changes(s, routed.taken);
            }
            Action::Redrive => {
                self.mark(s, s.redrive);
                s.redrive = 0;
            }
            // Its commit is refused: the group has gone on without it.
            Action::OldMapperPublishes => {
                if let Some(routed) = s.old_mapper.take() {
                    self.publish_marks(s, &routed, LANES + 1);
                }
            }
            _ => unreachable!("no step of the mapper"),
        }
    }

    /// Takes what waits. A child's row is its scope. The parent's arrival is looked up in the open reports, and nowhere
    /// else: its route is for what happens to it later, and leads to the children that can be seen now.
    fn route(&self, s: &State) -> Routed {
        let [children, parents] = s.changes.map(|p| p.all());
        let mut marks = children;
        if parents & BORN != 0 {
            marks |= s.reports;
        }
        if parents & RENAMED_OR_GONE != 0 {
            let rows = s.rows(self);
            marks |= (0..KEYS).filter(|k| rows.children[*k] > 0).fold(0, |all, k| all | 1 << k);
        }
        Routed { taken: s.changes.map(|p| p.end()), marks, map_mark: parents & BORN != 0 }
    }

    /// Appends the first `some` of its records: one for each lane, then the map's.
    fn publish_marks(&self, s: &mut State, routed: &Routed, some: usize) {
        let lanes = (0..LANES).map(|lane| routed.marks & self.scopes_of(lane));
        let records = lanes.enumerate().filter(|(_, record)| *record != 0);
        let mut sent = 0;
        for (lane, record) in records.take(some) {
            s.mapped[lane].append(record);
            sent += 1;
        }
        s.map_mark |= routed.map_mark && sent < some;
    }

    fn commit_changes(&self, s: &mut State, taken: [u8; 2]) {
        for (topic, records) in taken.into_iter().enumerate() {
            s.changes[topic].consume(records);
            Fence::passed(&mut s.fence.changes[topic], records);
        }
    }

    /// Marks scopes once more, on the first topic of their target.
    fn mark(&self, s: &mut State, scopes: Scopes) {
        for lane in 0..LANES {
            s.mapped[lane].append(scopes & self.scopes_of(lane));
        }
    }

    fn has_room(&self, s: &State, marks: Scopes) -> bool {
        (0..LANES).all(|lane| marks & self.scopes_of(lane) == 0 || s.mapped[lane].has_room(1))
    }

    pub(crate) fn mapper_faults(&self, s: &State, out: &mut Vec<Action>) {
        let waits = s.changes.iter().any(|p| !p.is_empty());
        if waits || s.mapper.is_some() {
            let routed = s.mapper.unwrap_or_else(|| self.route(s));
            if self.may(Fault::MapperDies) && self.has_room(s, routed.marks) {
                let lanes = (0..LANES).filter(|lane| routed.marks & self.scopes_of(*lane) != 0).count();
                out.extend((1..=lanes + usize::from(routed.map_mark)).map(Action::MapperDies));
            }
            if self.may(Fault::MapperSleeps) && s.old_mapper.is_none() {
                out.push(Action::MapperSleeps);
            }
        }
        if self.may(Fault::MapperDies) && s.redrive != 0 && self.has_room(s, s.redrive) {
            out.push(Action::RedriveDies);
        }
    }

    /// It has published some of its records, and committed no offset.
    pub(crate) fn mapper_dies(&self, s: &mut State, published: usize) {
        let routed = s.mapper.take().unwrap_or_else(|| self.route(s));
        self.publish_marks(s, &routed, published);
        if self.is(Mutant::OffsetBeforeMarks) {
            self.commit_changes(s, routed.taken);
        }
    }

    /// It has looked up, and sleeps; another one goes on from the committed offsets.
    pub(crate) fn mapper_sleeps(&self, s: &mut State) {
        s.old_mapper = s.mapper.take().or_else(|| Some(self.route(s)));
    }

    /// It has published what was due, and deleted nothing.
    pub(crate) fn redrive_dies(&self, s: &mut State) {
        self.mark(s, s.redrive);
    }
}
