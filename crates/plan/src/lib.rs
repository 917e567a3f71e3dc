//! The plan: YAML files in, checked targets and SQL texts out. Pure: it never opens a connection; the live schema comes
//! in as a [`catalog::Catalog`].

pub mod catalog;
pub mod checked;
pub mod quote;
pub mod sql;
