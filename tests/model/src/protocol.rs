//! The model: what may happen, and what follows.

use stateright::{Model, Property};

use crate::backfill::Chunk;
use crate::bus::{LANES, Scopes, each};
use crate::incarnation::Survivor;
use crate::legacy::{Binlog, Change, KEYS, Legacy};
use crate::properties;
use crate::reader::Reader;
use crate::state::{Broken, NEVER, State, Wanted, wanted};
use crate::verifier::{Fence, Pass};
use crate::writer::{Who, Worker};

/// One step of one service, or of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The application commits: first the binlog has it, then it can be seen.
    Log(Change),
    BecomeVisible,
    Receive,
    Beat,
    Append,
    Acknowledge(usize),
    /// All at once, where the reader's steps are not interleaved.
    Read,
    Save,
    DeposedAppends,
    Route,
    PublishMarks,
    Redrive,
    ForeignRedrive,
    OldMapperPublishes,
    Need,
    MintAndForward,
    OldIdMapperForwards,
    Stage(usize, Who),
    /// A batch of one record, though more wait.
    StageFirst(usize, Who),
    CommitReports(usize, Who),
    Commit(usize, Who),
    IdPass,
    ChunkStages,
    ChunkReports,
    ChunkSettles,
    OldChunkStages,
    OldChunkSettles,
    Compare,
    Settle,
    Judge,
    ReaderDies([bool; 2]),
    ReaderDeposed,
    LateBeat,
    MapperDies(usize),
    MapperSleeps,
    RedriveDies,
    IdMapperDies(usize),
    IdMapperSleeps,
    WriterDies(usize),
    WriterSleeps(usize),
    AnswerLost(usize),
    ChunkDies,
    WalkerSleeps,
    NewIncarnation(Survivor),
}

/// What may go wrong. One that dies is followed by another at once; one that sleeps wakes at any later time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    ReaderDies,
    ReaderDeposed,
    /// A beat that was taken for lost is carried out after a later one.
    LateBeat,
    MapperDies,
    MapperSleeps,
    IdMapperDies,
    IdMapperSleeps,
    WriterDies,
    WriterSleeps,
    AnswerLost,
    ChunkDies,
    WalkerSleeps,
    NewIncarnation,
}

impl Fault {
    pub const OF_THE_STREAM: &[Fault] = &[
        Fault::ReaderDies,
        Fault::ReaderDeposed,
        Fault::LateBeat,
        Fault::MapperDies,
        Fault::MapperSleeps,
        Fault::IdMapperDies,
        Fault::IdMapperSleeps,
        Fault::WriterDies,
        Fault::WriterSleeps,
        Fault::AnswerLost,
    ];
    pub const ALL: &[Fault] = &[
        Fault::ReaderDies,
        Fault::ReaderDeposed,
        Fault::LateBeat,
        Fault::MapperDies,
        Fault::MapperSleeps,
        Fault::IdMapperDies,
        Fault::IdMapperSleeps,
        Fault::WriterDies,
        Fault::WriterSleeps,
        Fault::AnswerLost,
        Fault::ChunkDies,
        Fault::WalkerSleeps,
        Fault::NewIncarnation,
    ];
}

/// A service whose steps are interleaved one by one; of the others only what a fault leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Application,
    Reader,
    Mapper,
    IdMapper,
}

/// The protocol with one of its rules left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    NoBarrier,
    PositionBeforeAcks,
    OffsetBeforeMarks,
    SnapshotBeforeLane,
    OffsetWithoutRows,
    NoCompareAndSet,
    OldTopic,
    NullBeforeReport,
    /// The missing parents are asked for in a statement after the one that computes the values.
    ReportsReadLater,
    NoRedrive,
    NobodyAsksAgain,
    RedriveOfAnyIncarnation,
    MissingIdAsNull,
    MapOverwritten,
    ChunkWithoutLanes,
    NoWalker,
    EndsTakenEarly,
    AppliedFollows,
    ParkedCountedEarly,
}

/// The bounds of one check.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// How many scopes there are, and the lane of each.
    pub keys: usize,
    pub lanes: [usize; KEYS],
    pub first: Legacy,
    /// What the application may commit, and how often.
    pub menu: &'static [Change],
    pub commits: u8,
    pub fine: &'static [Service],
    /// The target is empty at first, and a chunk fills it beside the stream.
    pub backfill: bool,
    /// A verifier runs.
    pub verify: bool,
    /// Proofs that the verifier waits for at its end. The second one begins when the first is there.
    pub proofs: u8,
    /// READY is to be exact.
    pub exact: bool,
    pub faults: &'static [Fault],
    /// How many of them, in all.
    pub budget: u8,
    pub mutant: Option<Mutant>,
    /// Moments that the check must come to.
    pub reaches: &'static [&'static str],
}

impl Protocol {
    /// Two scopes in one lane, and no parent at first. A third scope has a lane of its own.
    pub const SMALL: Protocol = Protocol {
        keys: 2,
        lanes: [0, 0, 1],
        first: Legacy { parent: 0, children: [1, 0, 1] },
        menu: &[Change::Write(0), Change::Write(1), Change::Bear, Change::Kill],
        commits: 2,
        fine: &[],
        backfill: false,
        verify: false,
        proofs: 1,
        exact: false,
        faults: &[],
        budget: 0,
        mutant: None,
        reaches: &[],
    };

    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    pub(crate) fn may(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    pub(crate) fn is_fine(&self, service: Service) -> bool {
        self.fine.contains(&service)
    }

    /// Does the saved position matter? Otherwise it is saved at once.
    pub(crate) fn saves(&self) -> bool {
        self.verify
            || [Fault::ReaderDies, Fault::ReaderDeposed, Fault::LateBeat, Fault::NewIncarnation]
                .iter()
                .any(|f| self.may(*f))
    }

    pub(crate) fn proves(&self) -> bool {
        self.verify || self.may(Fault::NewIncarnation)
    }

    pub(crate) fn lane(&self, key: usize) -> usize {
        self.lanes[key]
    }

    pub(crate) fn scopes(&self) -> Scopes {
        (1 << self.keys) - 1
    }

    pub(crate) fn scopes_of(&self, lane: usize) -> Scopes {
        (0..self.keys).filter(|k| self.lanes[*k] == lane).fold(0, |all, k| all | 1 << k)
    }

    fn first_state(&self) -> State {
        let mut state = State {
            binlog: Binlog::default(),
            position: 0,
            reader: Reader::default(),
            deposed: None,
            changes: Default::default(),
            mapper: None,
            old_mapper: None,
            redrive: 0,
            mapped: Default::default(),
            map_mark: false,
            id_mapper: None,
            old_id_mapper: None,
            map: 0,
            writes: Default::default(),
            topic: 0,
            writer: [Worker::default(); LANES],
            old_writer: [None; LANES],
            foreign_mapper: false,
            chunk: Chunk::Ids,
            old_chunk: None,
            target: [None; KEYS],
            reports: 0,
            parked: 0,
            fence: Fence::default(),
            applied: 0,
            pass: if self.verify { Pass::Begun } else { Pass::Off },
            faults: self.budget,
            seen: [NEVER; KEYS],
            broken: Broken::default(),
        };
        if !self.backfill {
            // It is done before anything else happens.
            state.chunk = Chunk::Done;
            state.map = u8::from(self.first.parent > 0);
            for key in each(self.scopes()) {
                if let Wanted::Row(row) = wanted(key, &self.first, state.map) {
                    state.target[key] = row;
                    state.reports |= u8::from(row.is_some_and(|r| r.parent == 0)) << key;
                }
                state.seen[key] = 0;
            }
        }
        state
    }

    /// Everything that may happen now.
    pub(crate) fn steps(&self, s: &State, out: &mut Vec<Action>) {
        if s.binlog.logged < self.commits {
            let now = s.binlog.rows(self.first, s.binlog.logged);
            out.extend(self.menu.iter().filter(|c| c.is_possible(&now)).map(|c| Action::Log(*c)));
        }
        if s.binlog.visible < s.binlog.logged {
            out.push(Action::BecomeVisible);
        }
        self.reader_actions(s, out);
        self.mapper_actions(s, out);
        self.id_mapper_actions(s, out);
        self.foreign_actions(s, out);
        self.writer_actions(s, out);
        self.chunk_actions(s, out);
        self.verifier_actions(s, out);
        if s.faults > 0 {
            self.reader_faults(s, out);
            self.mapper_faults(s, out);
            self.id_mapper_faults(s, out);
            self.writer_faults(s, out);
            self.chunk_faults(s, out);
            self.incarnation_faults(s, out);
        }
    }

    fn fault(&self, s: &mut State, action: Action) {
        s.faults -= 1;
        match action {
            Action::ReaderDies(appended) => self.reader_dies(s, appended),
            Action::ReaderDeposed => self.reader_deposed(s),
            Action::LateBeat => s.position -= 1,
            Action::MapperDies(published) => self.mapper_dies(s, published),
            Action::MapperSleeps => self.mapper_sleeps(s),
            Action::RedriveDies => self.redrive_dies(s),
            Action::IdMapperDies(lanes) => self.id_mapper_dies(s, lanes),
            Action::IdMapperSleeps => self.id_mapper_sleeps(s),
            Action::WriterDies(lane) => self.writer_dies(s, lane),
            Action::WriterSleeps(lane) => self.writer_sleeps(s, lane),
            Action::AnswerLost(lane) => self.answer_lost(s, lane),
            Action::WalkerSleeps => self.walker_sleeps(s),
            Action::ChunkDies => s.chunk = Chunk::Ordered,
            Action::NewIncarnation(survivor) => self.new_incarnation(s, survivor),
            _ => unreachable!("no fault"),
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.first_state()]
    }

    fn actions(&self, s: &State, out: &mut Vec<Action>) {
        self.steps(s, out);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = *last;
        let s = &mut next;
        match action {
            Action::Log(change) => {
                s.binlog.log(change);
                if !self.is_fine(Service::Application) {
                    s.binlog.visible = s.binlog.logged;
                }
            }
            Action::BecomeVisible => s.binlog.visible += 1,
            Action::Receive
            | Action::Beat
            | Action::Append
            | Action::Acknowledge(_)
            | Action::Read
            | Action::Save
            | Action::DeposedAppends => {
                self.reader_step(s, action);
            }
            Action::Route | Action::PublishMarks | Action::Redrive | Action::OldMapperPublishes => {
                self.mapper_step(s, action);
            }
            Action::Need | Action::MintAndForward | Action::OldIdMapperForwards => {
                self.id_mapper_step(s, action)
            }
            Action::Stage(..) | Action::StageFirst(..) | Action::CommitReports(..) | Action::Commit(..) => {
                self.writer_step(s, action)
            }
            Action::IdPass
            | Action::ChunkStages
            | Action::ChunkReports
            | Action::ChunkSettles
            | Action::OldChunkStages
            | Action::OldChunkSettles => {
                self.chunk_step(s, action);
            }
            Action::ForeignRedrive => self.foreign_redrive(s),
            Action::Compare | Action::Settle | Action::Judge => self.verifier_step(s, action),
            _ => self.fault(s, action),
        }
        if self.proves() {
            self.fence(s);
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::of(self)
    }
}
