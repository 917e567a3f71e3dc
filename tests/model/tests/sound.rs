//! The protocol as it is: nothing may fall.

use model::properties::*;
use model::{Change, Fault, Legacy, Protocol, Service, check};

use Change::{Bear, BearAndWrite, Kill, KillAndWrite, Remove, Rename, Write};

const BASE: Protocol = Protocol {
    keys: 2,
    lanes: [0, 0, 1],
    first: Legacy { parent: 0, children: [1, 0, 1] },
    menu: &[Write(0), Write(1), Bear, Kill],
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

#[test]
fn probe() {
    let all = &[Service::Application, Service::Reader, Service::Mapper, Service::IdMapper];
    let f = Fault::OF_THE_STREAM;
    let menu = &[Write(0), Write(1), Remove(0), Bear, Kill, Rename];
    check::holds("3 verify menu", Protocol { menu, commits: 3, verify: true, ..BASE }, 2);
    check::holds("3 verify menu 2 proofs", Protocol { menu, commits: 3, proofs: 2, verify: true, ..BASE }, 2);
    check::holds("3 backfill menu", Protocol { menu, commits: 3, backfill: true, ..BASE }, 2);
    check::holds(
        "2 fine backfill 1 fault",
        Protocol {
            fine: all,
            faults: &[Fault::ChunkDies, Fault::WriterSleeps],
            budget: 1,
            backfill: true,
            ..BASE
        },
        2,
    );
    check::holds("2 new incarnation", Protocol { faults: &[Fault::NewIncarnation], budget: 1, ..BASE }, 2);
    check::holds(
        "2 new incarnation + writers",
        Protocol { faults: &[Fault::NewIncarnation, Fault::WriterSleeps], budget: 2, ..BASE },
        2,
    );
    check::holds(
        "3 2 faults",
        Protocol {
            commits: 3,
            faults: &[Fault::MapperSleeps, Fault::IdMapperSleeps, Fault::WriterSleeps, Fault::AnswerLost],
            budget: 2,
            ..BASE
        },
        2,
    );
    check::holds("2 commits, 2 faults, 2 lanes", Protocol { keys: 3, faults: f, budget: 2, ..BASE }, 2);
    let _ = (BearAndWrite(0), KillAndWrite(0), Remove(0), Rename, READY);
}
