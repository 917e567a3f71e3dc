//! `services/writer`: one lane, one transaction (C4): compare and set the lane's offset, read afresh, write what the
//! snapshot says.
//!
//! To take the lane and to open the snapshot is one step: between them only others could wait. A worker that is `Staged`
//! holds its lane until it commits.

use crate::bus::{LANES, Scopes, each, has};
use crate::protocol::{Action, Fault, Mutant, Protocol};
use crate::state::{NEVER, Row, State, Wanted, wanted};
use crate::verifier::Fence;

/// A lane's worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Worker {
    pub topic: u8,
    /// Where it believes the lane to stand, counted from `lane.next_offset`: 0 if it is right.
    pub next_offset: i8,
    pub doing: Doing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Doing {
    #[default]
    Nothing,
    Took(Batch),
    /// Rolled back: these scopes miss a parent of which no report speaks yet.
    Unheard(Batch, Scopes),
    Staged(Batch, Snapshot),
    /// A mutant's: the offset is committed, the rows are not.
    Owes(Batch, Snapshot),
}

/// Scopes of some records, and how many records they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Batch {
    pub scopes: Scopes,
    pub new: u8,
}

/// What one SELECT has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Snapshot {
    visible: u8,
    map: u8,
    /// Of the scopes without a parent, those whose report was open already.
    heard: Scopes,
    /// The lane is held.
    locked: bool,
}

/// Which of two writers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Owner,
    Old,
}

impl Snapshot {
    pub(crate) fn is_locked(self) -> bool {
        self.locked
    }

    pub(crate) fn locked(self, locked: bool) -> Self {
        Self { locked, ..self }
    }
}

impl Doing {
    fn holds_lane(self) -> bool {
        matches!(self, Doing::Staged(_, snapshot) if snapshot.locked)
    }
}

impl State {
    fn worker(&mut self, lane: usize, who: Who) -> &mut Worker {
        match who {
            Who::Owner => &mut self.writer[lane],
            Who::Old => self.old_writer[lane].as_mut().expect("only a worker that is there takes a step"),
        }
    }

    /// Does no writer hold the lane? Chunks are asked for apart.
    pub(crate) fn is_lane_free(&self, lane: usize) -> bool {
        let old = self.old_writer[lane].is_some_and(|w| w.doing.holds_lane());
        !old && !self.writer[lane].doing.holds_lane()
    }
}

impl Protocol {
    pub(crate) fn writer_actions(&self, s: &State, out: &mut Vec<Action>) {
        for lane in 0..LANES {
            let free = s.is_lane_free(lane) && !s.has_chunk_in_lanes();
            let steps = |worker: &Worker, who, out: &mut Vec<Action>| match worker.doing {
                Doing::Nothing | Doing::Took(_) => {
                    if free || self.is(Mutant::SnapshotBeforeLane) {
                        let took = matches!(worker.doing, Doing::Took(_));
                        if took || !s.writes[lane].is_empty() {
                            out.push(Action::Stage(lane, who));
                        }
                        if !took && s.writes[lane].end() > 1 {
                            out.push(Action::StageFirst(lane, who));
                        }
                    }
                }
                Doing::Unheard(..) if free => out.push(Action::CommitReports(lane, who)),
                Doing::Staged(_, snapshot) if snapshot.locked || free => out.push(Action::Commit(lane, who)),
                Doing::Owes(..) => out.push(Action::Commit(lane, who)),
                Doing::Unheard(..) | Doing::Staged(..) => {}
            };
            steps(&s.writer[lane], Who::Owner, out);
            if let Some(old) = &s.old_writer[lane] {
                steps(old, Who::Old, out);
            }
        }
    }

    pub(crate) fn writer_step(&self, s: &mut State, action: Action) {
        match action {
            Action::Stage(lane, who) => self.stage(s, lane, who, u8::MAX),
            Action::StageFirst(lane, who) => self.stage(s, lane, who, 1),
            Action::CommitReports(lane, who) => self.commit_reports(s, lane, who),
            Action::Commit(lane, who) => self.commit(s, lane, who),
            _ => unreachable!("no step of the writer"),
        }
    }

    /// `UPDATE lane SET next_offset = :new WHERE … topic = :t AND next_offset = :old`: does it match a row?
    fn matches(&self, s: &State, worker: &Worker) -> bool {
        (worker.next_offset == 0 || self.is(Mutant::NoCompareAndSet))
            && (worker.topic == s.topic || self.is(Mutant::OldTopic))
    }

    /// As many records as fit, if none were taken before.
    fn stage(&self, s: &mut State, lane: usize, who: Who, most: u8) {
        let worker = *s.worker(lane, who);
        let locked = !self.is(Mutant::SnapshotBeforeLane);
        if locked && !self.matches(s, &worker) {
            return fenced(s, lane, who);
        }
        let batch = match worker.doing {
            Doing::Took(batch) => batch,
            _ => Batch { scopes: s.writes[lane].first(most), new: s.writes[lane].end().min(most) },
        };
        let doing = match self.look(s, batch.scopes) {
            Ok(snapshot) => Doing::Staged(batch, snapshot.locked(locked)),
            Err(unheard) => Doing::Unheard(batch, unheard),
        };
        s.worker(lane, who).doing = doing;
    }

    /// The plan's SELECT. `Err`: these have to be reported first, by a transaction that commits nothing else.
    pub(crate) fn look(&self, s: &State, scopes: Scopes) -> Result<Snapshot, Scopes> {
        let rows = s.rows(self);
        let missing =
            each(scopes).filter(|k| rows.children[*k] > 0 && rows.parent == 0).fold(0, |all, k| all | 1 << k);
        let unheard = missing & !s.reports;
        if unheard != 0 && !self.is(Mutant::NullBeforeReport) && !self.is(Mutant::ReportsReadLater) {
            return Err(unheard);
        }
        Ok(Snapshot { visible: s.binlog.visible, map: s.map, heard: missing & s.reports, locked: true })
    }

    /// Scopes whose parent is not there now.
    fn missing(&self, s: &State, scopes: Scopes) -> Scopes {
        let rows = s.rows(self);
        each(scopes).filter(|k| rows.children[*k] > 0 && rows.parent == 0).fold(0, |all, k| all | 1 << k)
    }

    fn commit_reports(&self, s: &mut State, lane: usize, who: Who) {
        let worker = *s.worker(lane, who);
        let Doing::Unheard(batch, unheard) = worker.doing else { return };
        if !self.matches(s, &worker) {
            return fenced(s, lane, who);
        }
        s.reports |= unheard;
        s.worker(lane, who).doing = Doing::Took(batch);
    }

    fn commit(&self, s: &mut State, lane: usize, who: Who) {
        let worker = *s.worker(lane, who);
        match worker.doing {
            Doing::Staged(batch, snapshot) => {
                if !snapshot.locked && !self.matches(s, &worker) {
                    return fenced(s, lane, who);
                }
                let unheard = self.missing(s, batch.scopes) & !s.reports;
                if unheard != 0 && self.is(Mutant::ReportsReadLater) {
                    s.worker(lane, who).doing = Doing::Unheard(batch, unheard);
                    return;
                }
                advance(s, lane, worker.next_offset + batch.new.cast_signed());
                s.worker(lane, who).next_offset = 0;
                if self.is(Mutant::OffsetWithoutRows) {
                    s.worker(lane, who).doing = Doing::Owes(batch, snapshot);
                    return;
                }
                self.apply(s, batch.scopes, snapshot);
            }
            Doing::Owes(batch, snapshot) => self.apply(s, batch.scopes, snapshot),
            _ => return,
        }
        s.worker(lane, who).doing = Doing::Nothing;
    }

    /// Makes the rows of these scopes what the snapshot says, and says so of those that cannot be.
    pub(crate) fn apply(&self, s: &mut State, scopes: Scopes, snapshot: Snapshot) {
        let rows = s.binlog.rows(self.first, snapshot.visible);
        for key in each(scopes) {
            let bit = 1 << key;
            let row = match wanted(key, &rows, snapshot.map) {
                Wanted::Row(row) => row,
                Wanted::IdMissing if self.is(Mutant::MissingIdAsNull) => {
                    s.broken.invented = true;
                    Some(Row { value: rows.children[key], parent: rows.parent, id: 0 })
                }
                Wanted::IdMissing => {
                    s.reports &= !bit;
                    s.parked |= bit;
                    if !self.is(Mutant::NoRedrive) {
                        s.redrive |= bit;
                    }
                    continue;
                }
            };
            s.broken.older |= s.seen[key] != NEVER && snapshot.visible < s.seen[key];
            s.seen[key] = snapshot.visible;
            s.target[key] = row;
            s.parked &= !bit;
            let is_null = row.is_some_and(|r| r.parent == 0);
            s.broken.unreported |= is_null && !has(snapshot.heard, key);
            if is_null && !(self.is(Mutant::ReportsReadLater) && self.missing(s, bit) == 0) {
                s.reports |= bit;
            } else {
                s.reports &= !bit;
            }
        }
    }

    pub(crate) fn writer_faults(&self, s: &State, out: &mut Vec<Action>) {
        for lane in 0..LANES {
            let works = s.writer[lane].doing != Doing::Nothing;
            if self.may(Fault::WriterDies) && works {
                out.push(Action::WriterDies(lane));
            }
            if self.may(Fault::WriterSleeps)
                && s.old_writer[lane].is_none()
                && s.writer[lane].next_offset == 0
                && (works || !s.writes[lane].is_empty())
            {
                out.push(Action::WriterSleeps(lane));
            }
            if self.may(Fault::AnswerLost) && s.writer[lane].doing.holds_lane() {
                out.push(Action::AnswerLost(lane));
            }
        }
    }

    /// Its transaction is rolled back; whoever follows reads the lane.
    pub(crate) fn writer_dies(&self, s: &mut State, lane: usize) {
        s.writer[lane] = Worker { topic: s.topic, ..Worker::default() };
    }

    /// Another writer gets the lane. The first one knows nothing of it, and goes on whenever it wakes.
    pub(crate) fn writer_sleeps(&self, s: &mut State, lane: usize) {
        s.old_writer[lane] = Some(self.with_its_records(s, lane));
        self.writer_dies(s, lane);
    }

    pub(crate) fn with_its_records(&self, s: &State, lane: usize) -> Worker {
        let mut worker = s.writer[lane];
        if worker.doing == Doing::Nothing {
            worker.doing = Doing::Took(Batch { scopes: s.writes[lane].all(), new: s.writes[lane].end() });
        }
        worker
    }

    /// The batch is committed, and its worker is told that it failed: it tries the same again.
    pub(crate) fn answer_lost(&self, s: &mut State, lane: usize) {
        if let Doing::Staged(batch, _) = s.writer[lane].doing {
            self.commit(s, lane, Who::Owner);
            s.writer[lane].next_offset = -batch.new.cast_signed();
            s.writer[lane].doing = Doing::Took(batch);
        }
    }
}

/// Moves the lane to an offset, counted from where it stands.
fn advance(s: &mut State, lane: usize, to: i8) {
    let Ok(by) = u8::try_from(to) else {
        s.broken.offset = true;
        return;
    };
    s.broken.offset |= by > s.writes[lane].end();
    s.writes[lane].consume(by);
    Fence::passed(&mut s.fence.writes[lane], by);
    let workers = std::iter::once(&mut s.writer[lane]).chain(s.old_writer[lane].as_mut());
    for worker in workers {
        // How far a worker is behind does not matter beyond this.
        worker.next_offset = (worker.next_offset - to).max(-3);
    }
}

/// Nothing was done: somebody else has moved the lane. The worker reads it again, and goes on from there; one of another
/// incarnation ends.
fn fenced(s: &mut State, lane: usize, who: Who) {
    let topic = s.topic;
    let worker = s.worker(lane, who);
    if who == Who::Old && worker.topic != topic {
        s.old_writer[lane] = None;
    } else {
        *worker = Worker { topic, ..Worker::default() };
    }
}
