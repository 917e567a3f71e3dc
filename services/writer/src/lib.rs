//! The writer: applies marks to targets, one lane and one transaction at a time, and runs the passes of the backfill.

pub mod app;
pub mod apply;
pub mod batch;
pub mod chunk;
pub mod error;
pub mod lane;
pub mod metrics;
pub mod passes;
pub mod problems;
pub mod schedule;
pub mod sessions;
pub mod throttle;
pub mod walk;

pub use app::run;
pub use error::WriterError;
