//! The id-mapper: sees to it that every legacy id that a scope needs has its UUID before the writer gets the scope.

pub mod app;
pub mod error;
pub mod metrics;
pub mod mint;
pub mod needs;
pub mod passes;

pub use app::run;
pub use error::IdMapperError;
