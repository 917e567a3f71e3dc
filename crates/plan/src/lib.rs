//! The plan: YAML files in, checked targets and SQL texts out. Pure: it never opens a connection; the live schema comes
//! in as a [`catalog::Catalog`].

pub mod catalog;
pub mod checked;
pub mod quote;
pub mod sql;

mod access;
mod allowed;
mod check;
mod digest;
mod explain;
pub mod init;
mod kind;
mod load;
mod parse;
mod place;
mod problem;
mod raw;
mod resolve;
mod reverse;
mod watched;

pub use check::{Parameters, check};
pub use explain::{Explained, explain};
pub use load::{RawPlan, load, parse as parse_files};
pub use problem::{Problem, Problems};
pub use raw::json_schema;
pub use reverse::{BackLine, LeftOut, Reverse, reverse};
