//! The fault menu: what dies, hangs, repeats or lies under load, and what must hold afterwards. `make test-faults` runs all of it
//! and writes docs/faults.md; what is not marked as long is part of every run of the tests.
//!
//! Each judges by the same rules ([`rig::Rig::pass`]): every acknowledged change is on the new side, nothing else is; no id
//! changed its UUID; no row went back to an older version; no verdict was `ready` before all that was true; nobody helped.

#[path = "faults/broker.rs"]
mod broker;
#[path = "faults/database.rs"]
mod database;
#[path = "faults/flags.rs"]
mod flags;
#[path = "support/http.rs"]
mod http;
#[path = "faults/kills.rs"]
mod kills;
#[path = "faults/network.rs"]
mod network;
#[path = "faults/rig.rs"]
mod rig;
mod support;
#[path = "faults/zombies.rs"]
mod zombies;
