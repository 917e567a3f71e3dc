//! The protocol as it is: nothing may fall, and each check must come to the moments that it is there for.

use model::properties::*;
use model::{Change, Fault, Legacy, Protocol, Service, check};

use Change::{Bear, BearAndWrite, Kill, KillAndWrite, Remove, Rename, Write};
use Service::{Application, IdMapper, Mapper, Reader};

const THREADS: usize = 2;

const ONE_LANE: Protocol = Protocol::SMALL;

/// A third scope, in a lane of its own.
const TWO_LANES: Protocol = Protocol { keys: 3, ..ONE_LANE };
const EVERY_STEP: &[Service] = &[Application, Reader, Mapper, IdMapper];
const TWO_FAULTS: Protocol = Protocol { faults: Fault::OF_THE_STREAM, budget: 2, ..ONE_LANE };

#[test]
fn every_step_of_every_service() {
    let reaches = &[SHARED_BATCH, KILLED_UNDER_MARK, PARKED, BORN_AFTER_REPORT];
    check::holds("every step", Protocol { commits: 3, fine: EVERY_STEP, reaches, ..TWO_LANES }, THREADS);
}

#[test]
fn every_kind_of_transaction() {
    let menu = &[Write(0), Remove(0), BearAndWrite(1), KillAndWrite(1), Bear, Kill, Rename];
    let reaches = &[SHARED_BATCH, KILLED_UNDER_MARK, PARKED, BORN_AFTER_REPORT];
    check::holds("every transaction", Protocol { menu, commits: 3, reaches, ..ONE_LANE }, THREADS);
}

#[test]
fn quiet_can_always_be_reached() {
    let protocol = Protocol { faults: Fault::ALL, budget: 1, ..ONE_LANE };
    check::settles("a fault of any kind", protocol);
}

#[test]
fn two_faults_at_once() {
    let reaches = &[ALL_FAULTS, ZOMBIE_AWAKE, ZOMBIE_LATE, SHARED_BATCH, KILLED_UNDER_MARK, PARKED];
    check::holds("two faults", Protocol { reaches, ..TWO_FAULTS }, THREADS);
}

#[test]
fn two_faults_at_once_among_the_steps_of_one_transaction() {
    let reaches = &[ALL_FAULTS, ZOMBIE_AWAKE];
    check::holds(
        "two faults, every step",
        Protocol { commits: 1, fine: EVERY_STEP, reaches, ..TWO_FAULTS },
        THREADS,
    );
}

#[test]
fn two_faults_at_once_in_two_lanes() {
    let reaches = &[ALL_FAULTS, ZOMBIE_AWAKE, ZOMBIE_LATE];
    let protocol = Protocol {
        faults: Fault::OF_THE_STREAM,
        budget: 2,
        menu: &[Write(0), Bear, Kill],
        reaches,
        ..TWO_LANES
    };
    check::holds("two faults, two lanes", protocol, THREADS);
}

#[test]
fn a_chunk_beside_the_stream() {
    let faults = &[
        Fault::ChunkDies,
        Fault::WalkerSleeps,
        Fault::WriterSleeps,
        Fault::IdMapperSleeps,
        Fault::MapperDies,
    ];
    let reaches = &[ALL_FAULTS, CHUNK_BESIDE_MARKS, ZOMBIE_AWAKE, PARKED];
    let protocol =
        Protocol { menu: &[Write(0), Bear, Kill], backfill: true, faults, budget: 2, reaches, ..ONE_LANE };
    check::holds("chunk", protocol, THREADS);
}

#[test]
fn a_new_incarnation() {
    let faults = &[
        Fault::NewIncarnation,
        Fault::ReaderDies,
        Fault::WriterSleeps,
        Fault::MapperDies,
        Fault::AnswerLost,
    ];
    let reaches = &[ALL_FAULTS, OLD_INCARNATION, PARKED];
    check::holds("new incarnation", Protocol { faults, budget: 2, reaches, ..ONE_LANE }, THREADS);
}

#[test]
fn ready_is_true() {
    let menu = &[Write(0), Remove(0), Bear, Kill, Rename];
    let reaches = &[READY, SHARED_BATCH, PARKED];
    let first = Legacy { parent: 0, children: [1, 1, 0] };
    check::holds("ready", Protocol { first, menu, commits: 3, verify: true, reaches, ..ONE_LANE }, THREADS);
}

#[test]
fn ready_is_true_whatever_fails() {
    let reaches = &[READY, ALL_FAULTS, ZOMBIE_AWAKE];
    let protocol = Protocol {
        budget: 1,
        backfill: true,
        verify: true,
        menu: &[Write(0), Bear, Kill],
        reaches,
        ..TWO_FAULTS
    };
    check::holds("ready, a fault", protocol, THREADS);
}

#[test]
fn ready_is_exact_after_two_proofs() {
    let menu = &[Write(0), Remove(0), Rename];
    let first = Legacy { parent: 1, children: [1, 1, 0] };
    let protocol = Protocol {
        first,
        menu,
        commits: 3,
        verify: true,
        proofs: 2,
        exact: true,
        reaches: &[READY],
        ..ONE_LANE
    };
    check::holds("ready, exactly", protocol, THREADS);
}
