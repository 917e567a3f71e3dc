//! Larger bounds, for a change of the protocol: `cargo test --release -p model --test larger -- --ignored --nocapture`.

use model::properties::*;
use model::{Change, Fault, Protocol, Service, check};

use Change::{Bear, BearAndWrite, Kill, KillAndWrite, Remove, Rename, Write};
use Service::{Application, IdMapper, Mapper, Reader};

const THREADS: usize = 2;

const ONE_LANE: Protocol = Protocol::SMALL;
const TWO_LANES: Protocol = Protocol { keys: 3, ..ONE_LANE };
const EVERY_STEP: &[Service] = &[Application, Reader, Mapper, IdMapper];

#[test]
#[ignore = "minutes"]
fn two_faults_over_three_transactions() {
    let protocol = Protocol {
        menu: &[Write(0), Bear, Kill],
        commits: 3,
        faults: Fault::OF_THE_STREAM,
        budget: 2,
        reaches: &[ALL_FAULTS, ZOMBIE_AWAKE, ZOMBIE_LATE],
        ..ONE_LANE
    };
    check::holds("two faults, three transactions", protocol, THREADS);
}

#[test]
#[ignore = "minutes"]
fn three_faults() {
    let protocol =
        Protocol { faults: Fault::OF_THE_STREAM, budget: 3, reaches: &[ALL_FAULTS, ZOMBIE_LATE], ..ONE_LANE };
    check::holds("three faults", protocol, THREADS);
}

#[test]
#[ignore = "minutes"]
fn two_faults_in_two_lanes() {
    let protocol = Protocol {
        faults: Fault::OF_THE_STREAM,
        budget: 2,
        reaches: &[ALL_FAULTS, ZOMBIE_LATE],
        ..TWO_LANES
    };
    check::holds("two faults, two lanes", protocol, THREADS);
}

#[test]
#[ignore = "minutes"]
fn a_fault_among_all_steps_in_two_lanes() {
    let protocol = Protocol {
        fine: EVERY_STEP,
        faults: Fault::OF_THE_STREAM,
        budget: 1,
        reaches: &[ALL_FAULTS, ZOMBIE_LATE],
        ..TWO_LANES
    };
    check::holds("a fault, every step, two lanes", protocol, THREADS);
}

#[test]
#[ignore = "minutes"]
fn two_faults_of_all_kinds_and_ready() {
    let protocol = Protocol {
        menu: &[Write(0), Bear, Kill],
        backfill: true,
        verify: true,
        faults: Fault::ALL,
        budget: 2,
        reaches: &[READY, ALL_FAULTS, OLD_INCARNATION, CHUNK_BESIDE_MARKS],
        ..ONE_LANE
    };
    check::holds("two faults of all kinds, ready", protocol, THREADS);
}

#[test]
#[ignore = "minutes"]
fn every_kind_of_transaction_four_times() {
    let menu = &[Write(0), Remove(0), BearAndWrite(1), KillAndWrite(1), Bear, Kill, Rename];
    check::holds("four transactions", Protocol { menu, commits: 4, reaches: &[PARKED], ..ONE_LANE }, THREADS);
}

#[test]
#[ignore = "minutes"]
fn a_chunk_and_two_faults() {
    let faults = &[
        Fault::ChunkDies,
        Fault::WalkerSleeps,
        Fault::WriterSleeps,
        Fault::IdMapperSleeps,
        Fault::MapperDies,
    ];
    let reaches = &[ALL_FAULTS, CHUNK_BESIDE_MARKS];
    check::holds(
        "chunk, two faults",
        Protocol { backfill: true, faults, budget: 2, reaches, ..ONE_LANE },
        THREADS,
    );
}

#[test]
#[ignore = "minutes"]
fn ready_over_four_transactions() {
    let menu = &[Write(0), Bear, Kill, Rename];
    check::holds(
        "ready, four transactions",
        Protocol { menu, commits: 4, verify: true, reaches: &[READY], ..ONE_LANE },
        THREADS,
    );
}
