//! A model of the protocol: marks, lanes, fresh snapshots. Every step that can be seen from outside is an action, and a
//! checker tries all their interleavings within small bounds. README.md says what is in it.

mod backfill;
mod bus;
pub mod check;
mod id_mapper;
mod incarnation;
mod legacy;
mod mapper;
pub mod properties;
mod protocol;
mod reader;
mod state;
mod verifier;
mod writer;

pub use incarnation::Survivor;
pub use legacy::{Change, KEYS, Legacy};
pub use protocol::{Action, Fault, Mutant, Protocol, Service};
