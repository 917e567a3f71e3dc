//! The protocol with one rule left out: the checker must find what the rule is for, and says which property falls.

use model::properties::*;
use model::{Change, Fault, Legacy, Mutant, Protocol, Service, check};

use Change::{Remove, Rename};
use Service::{Application, Reader};

const BASE: Protocol = Protocol::SMALL;

const CHUNK: Protocol = Protocol { backfill: true, ..BASE };
const VERIFIED: Protocol = Protocol { verify: true, ..BASE };

fn with(fault: &'static [Fault], protocol: Protocol) -> Protocol {
    Protocol { faults: fault, budget: 1, ..protocol }
}

/// The same bounds hold without the mutant, so that it is the mutant which falls.
fn falls(mutant: Mutant, protocol: Protocol, properties: &[&'static str]) {
    let name = format!("{mutant:?}");
    check::holds(&format!("{name}, left alone"), protocol, 1);
    for property in properties {
        check::falls(&name, Protocol { mutant: Some(mutant), ..protocol }, property);
    }
}

#[test]
fn no_barrier() {
    let slow = Protocol { fine: &[Application, Reader], ..VERIFIED };
    falls(Mutant::NoBarrier, slow, &[NO_MARK_LOST, QUIET_IS_EQUAL, READY_IS_TRUE]);
}

#[test]
fn the_position_before_the_acknowledgement() {
    let slow = Protocol { fine: &[Reader], ..with(&[Fault::ReaderDies], BASE) };
    falls(Mutant::PositionBeforeAcks, slow, &[POSITION, QUIET_IS_EQUAL]);
}

#[test]
fn the_mappers_offset_before_its_marks() {
    let slow = Protocol { keys: 3, ..with(&[Fault::MapperDies], BASE) };
    falls(Mutant::OffsetBeforeMarks, slow, &[NO_MARK_LOST, QUIET_IS_EQUAL]);
}

#[test]
fn a_snapshot_before_the_lanes_lock() {
    falls(Mutant::SnapshotBeforeLane, CHUNK, &[NEVER_OLDER, NO_MARK_LOST, QUIET_IS_EQUAL]);
}

#[test]
fn the_offset_committed_without_the_rows() {
    let dies = with(&[Fault::WriterDies], VERIFIED);
    falls(Mutant::OffsetWithoutRows, dies, &[NO_MARK_LOST, QUIET_IS_EQUAL, READY_IS_TRUE]);
}

#[test]
fn no_compare_and_set() {
    falls(Mutant::NoCompareAndSet, with(&[Fault::WriterSleeps], BASE), &[OFFSETS]);
}

#[test]
fn a_writer_of_the_old_topic_after_a_new_incarnation() {
    let survives = with(&[Fault::NewIncarnation], BASE);
    falls(Mutant::OldTopic, survives, &[NO_MARK_LOST, QUIET_IS_EQUAL, OFFSETS]);
}

#[test]
fn null_before_its_report() {
    falls(Mutant::NullBeforeReport, BASE, &[REPORT_FIRST, NO_MARK_LOST, QUIET_IS_EQUAL]);
}

#[test]
fn reports_of_a_later_snapshot_than_the_values() {
    falls(Mutant::ReportsReadLater, BASE, &[REPORTED, NO_MARK_LOST, QUIET_IS_EQUAL]);
}

#[test]
fn nobody_redrives_what_has_no_id() {
    falls(Mutant::NoRedrive, BASE, &[NO_MARK_LOST, QUIET_IS_EQUAL]);
}

#[test]
fn nobody_asks_again_after_a_new_incarnation() {
    falls(Mutant::NobodyAsksAgain, with(&[Fault::NewIncarnation], BASE), &[NO_MARK_LOST, QUIET_IS_EQUAL]);
}

#[test]
fn a_mapper_of_the_old_incarnation_takes_redrives() {
    let survives = with(&[Fault::NewIncarnation], BASE);
    falls(Mutant::RedriveOfAnyIncarnation, survives, &[NO_MARK_LOST, QUIET_IS_EQUAL]);
}

#[test]
fn the_fence_follows_a_position_that_went_back() {
    falls(Mutant::AppliedFollows, with(&[Fault::LateBeat], VERIFIED), &[APPLIED_GROWS]);
}

#[test]
fn a_missing_id_written_as_null() {
    falls(Mutant::MissingIdAsNull, BASE, &[NOT_INVENTED]);
}

#[test]
fn a_map_that_is_overwritten() {
    falls(Mutant::MapOverwritten, with(&[Fault::IdMapperSleeps], BASE), &[MAP_STAYS]);
}

#[test]
fn a_chunk_without_lanes() {
    falls(Mutant::ChunkWithoutLanes, CHUNK, &[NEVER_OLDER, NO_MARK_LOST, QUIET_IS_EQUAL]);
}

#[test]
fn a_chunk_of_another_walker() {
    falls(Mutant::NoWalker, with(&[Fault::WalkerSleeps], CHUNK), &[NEVER_OLDER, QUIET_IS_EQUAL]);
}

#[test]
fn the_fence_takes_all_ends_at_once() {
    falls(Mutant::EndsTakenEarly, VERIFIED, &[READY_IS_TRUE]);
}

#[test]
fn parked_scopes_counted_before_the_last_proof() {
    falls(Mutant::ParkedCountedEarly, VERIFIED, &[READY_IS_TRUE]);
}

/// A look-up of an earlier change follows the rows that a later change has left. One proof says nothing of the later one.
#[test]
fn one_proof_is_not_exact() {
    let menu = &[Remove(0), Rename];
    let protocol =
        Protocol { first: Legacy { parent: 1, children: [1, 0, 0] }, menu, exact: true, ..VERIFIED };
    check::falls("one proof", protocol, READY_IS_EXACT);
}
