//! From the bytes of a row-format binlog to the changes that a plan wants to hear of. Pure: no clock, disk or network.
//!
//! Framing (packets, event headers, checksums) is the caller's; what comes in here is an event's type, flags and body.
//! Decoding is lazy: a table's [`Projection`] says which columns become cells and which are only compared between the
//! two images of an update; everything else is stepped over by its length. Bytes that are cut short or that we do not
//! understand are an error and never a guess: nothing in this crate panics on any input.

mod charset;
mod column;
mod decimal;
mod error;
mod event;
mod inflate;
mod projection;
mod rows;
mod scan;
mod statement;
mod table;
mod temporal;

pub use charset::Charset;
pub use column::{Column, Kind};
pub use error::BinlogError;
pub use event::{Event, Flavour, Gtid, Header, Query};
pub use projection::{Counts, Projection, Wanted};
pub use rows::{Rows, RowsKind};
pub use statement::{Statement, created_table, first_words, mentions};
pub use table::TableMap;
