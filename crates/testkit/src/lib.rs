//! What tests need and production never sees: real servers, bounded waits, broken networks, samples of rows, load.

pub mod churn;
pub mod connect;
pub mod oracle;
pub mod ports;
pub mod proxy;
pub mod sample;
pub mod servers;
pub mod skip;
pub mod types;
pub mod wait;
