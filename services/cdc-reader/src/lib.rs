//! The reader: from the source's binlog to `changes.<table>`, and to `rows.<table>` if the plan wants it, publishing only
//! what is visible already.
//!
//! ```text
//! feed: binlog stream → events → transactions → batches ──channel──► publish: barrier → append → acks → position
//! ```
//!
//! `publish.rs` holds the protocol and the argument for it; `feed.rs` decides nothing about visibility, it only reads.

mod append;
mod batch;
mod beat;
mod context;
mod error;
mod feed;
mod fidelity;
mod image;
mod judge;
mod publish;
mod schema;
mod seat;
mod source;
mod status;
mod tables;
mod witness;

pub use context::{Context, Settings};
pub use error::ReaderError;
pub use publish::Reader;
pub use status::Status;
