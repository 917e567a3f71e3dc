//! What must hold in every state, and what must be reached so that this means something.

use stateright::{Model, Property};

use crate::backfill::Chunk;
use crate::bus::{Scopes, each, has};
use crate::protocol::Protocol;
use crate::state::{Row, State, Wanted, wanted};
use crate::verifier::Pass;
use crate::writer::{Doing, Worker};

pub const NEVER_OLDER: &str = "no scope goes back to an older snapshot";
pub const READY_IS_TRUE: &str =
    "READY up to a position: no scope is older, but for a later change on its way";
pub const READY_IS_EXACT: &str = "READY up to a position: no scope is older";
pub const REPORT_FIRST: &str = "a NULL for a missing parent is reported before it is written";
pub const REPORTED: &str = "a NULL for a missing parent has an open exception";
pub const MAP_STAYS: &str = "a mapping never changes";
pub const NO_MARK_LOST: &str = "what differs has a mark on its way";
pub const OFFSETS: &str = "a lane's offset goes forward, and never beyond its topic";
pub const NOT_INVENTED: &str = "no value that the plan never says";
pub const POSITION: &str = "the position is never ahead of what is published";
pub const APPLIED_GROWS: &str = "what is proved to be applied stays so";
pub const QUIET_IS_EQUAL: &str = "quiet means equal";
pub const ENDS_QUIET: &str = "nothing ends before it is quiet";

/// Moments without which a check says little: each names those that it must come to.
pub const READY: &str = "reached: READY, with everything applied";
pub const ALL_FAULTS: &str = "reached: every fault of the budget, and quiet after it";
pub const ZOMBIE_AWAKE: &str = "reached: a zombie woke, and holds the lane";
pub const ZOMBIE_LATE: &str = "reached: a zombie wakes when its lane has moved on";
pub const KILLED_UNDER_MARK: &str = "reached: the parent went while a mark of its child waited";
pub const BORN_AFTER_REPORT: &str = "reached: the parent came after it was reported missing";
pub const SHARED_BATCH: &str = "reached: one batch of one lane, several scopes";
pub const PARKED: &str = "reached: a scope is parked, since its parent has no id yet";
pub const CHUNK_BESIDE_MARKS: &str = "reached: a chunk holds the lanes while marks wait";
pub const OLD_INCARNATION: &str = "reached: a writer of the old incarnation is still there";

pub fn of(protocol: &Protocol) -> Vec<Property<Protocol>> {
    let mut all = vec![
        always(NEVER_OLDER, |_, s| !s.broken.older),
        always(REPORT_FIRST, |_, s| !s.broken.unreported),
        always(REPORTED, |_, s| nulls_are_explained(s)),
        always(MAP_STAYS, |_, s| !s.broken.map_changed),
        always(OFFSETS, |_, s| !s.broken.offset),
        always(NOT_INVENTED, |_, s| !s.broken.invented),
        always(APPLIED_GROWS, |_, s| !s.broken.applied_back),
        always(POSITION, |_, s| s.position <= s.reader.published),
        always(NO_MARK_LOST, |m, s| each(s.different(m)).all(|k| s.is_on_its_way(m, k))),
        always(READY_IS_TRUE, ready_is_true),
        always(QUIET_IS_EQUAL, |m, s| !s.is_quiet(m) || s.is_equal(m)),
        always(ENDS_QUIET, |m, s| s.is_quiet(m) || goes_on(m, s)),
    ];
    if protocol.exact {
        all.push(always(READY_IS_EXACT, |m, s| older_than_ready(m, s).1 == 0));
    }
    let moments = moments().into_iter().filter(|p| protocol.reaches.contains(&p.name));
    all.extend(moments);
    all
}

fn moments() -> Vec<Property<Protocol>> {
    vec![
        sometimes(READY, |m, s| s.pass == Pass::Ready(m.commits)),
        sometimes(ALL_FAULTS, |m, s| s.faults == 0 && s.is_quiet(m)),
        sometimes(ZOMBIE_AWAKE, |_, s| old_workers(s).any(|w| matches!(w.doing, Doing::Staged(..)))),
        sometimes(ZOMBIE_LATE, |_, s| old_workers(s).any(|w| w.next_offset < 0)),
        sometimes(KILLED_UNDER_MARK, killed_under_mark),
        sometimes(BORN_AFTER_REPORT, |m, s| s.reports != 0 && s.rows(m).parent > 0),
        sometimes(SHARED_BATCH, |_, s| s.writer.iter().any(|w| shares(w.doing))),
        sometimes(PARKED, |_, s| s.parked != 0),
        sometimes(CHUNK_BESIDE_MARKS, |_, s| {
            matches!(s.chunk, Chunk::Staged(_)) && s.writes.iter().any(|p| !p.is_empty())
        }),
        sometimes(OLD_INCARNATION, |_, s| old_workers(s).any(|w| w.topic != s.topic)),
    ]
}

type Condition = fn(&Protocol, &State) -> bool;

fn always(name: &'static str, condition: Condition) -> Property<Protocol> {
    Property::always(name, condition)
}

fn sometimes(name: &'static str, condition: Condition) -> Property<Protocol> {
    Property::sometimes(name, condition)
}

fn old_workers(s: &State) -> impl Iterator<Item = &Worker> {
    s.old_writer.iter().flatten()
}

fn nulls_are_explained(s: &State) -> bool {
    let null = |row: &Option<Row>| row.is_some_and(|r| r.parent == 0);
    s.target.iter().enumerate().filter(|(_, row)| null(row)).all(|(k, _)| has(s.reports | s.parked, k))
}

/// Scopes that are not what the plan says at the verdict's position, nor at any moment since.
fn older_than_ready(m: &Protocol, s: &State) -> (u8, Scopes) {
    let Pass::Ready(position) = s.pass else { return (0, 0) };
    let is_of = |key: usize, visible| {
        wanted(key, &s.binlog.rows(m.first, visible), s.map) == Wanted::Row(s.target[key])
    };
    let older = |key: &usize| !(position..=s.binlog.visible).any(|visible| is_of(*key, visible));
    (position, each(m.scopes()).filter(older).fold(0, |all, k| all | 1 << k))
}

/// A look-up follows the rows of now. If a later change has broken the path that an earlier one takes, only the later one
/// leads to the scope: until it does, the scope may be older than the position.
fn ready_is_true(m: &Protocol, s: &State) -> bool {
    let (position, older) = older_than_ready(m, s);
    let concerns = |key: usize| s.binlog.between(position, s.binlog.visible).any(|c| has(c.children(), key));
    each(older).all(|k| concerns(k) && s.is_on_its_way(m, k))
}

fn goes_on(m: &Protocol, s: &State) -> bool {
    let mut steps = Vec::new();
    m.actions(s, &mut steps);
    !steps.is_empty()
}

fn killed_under_mark(m: &Protocol, s: &State) -> bool {
    let has_id = |key: usize| s.target[key].is_some_and(|r| r.id > 0);
    s.rows(m).parent == 0 && each(s.writes.iter().fold(0, |all, p| all | p.all())).any(has_id)
}

fn shares(doing: Doing) -> bool {
    matches!(doing, Doing::Staged(batch, _) if batch.scopes.count_ones() > 1)
}
