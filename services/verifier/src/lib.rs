//! The verifier: proves how far the targets follow, compares them with the plan, and gives the verdict.

pub mod answer;
pub mod api;
pub mod app;
pub mod canary;
pub mod compare;
pub mod confirm;
pub mod criteria;
pub mod error;
pub mod fence;
pub mod fidelity;
mod findings;
pub mod flags;
pub mod identity;
mod lasting;
pub mod metrics;
pub mod modes;
pub mod pass;
mod references;
pub mod replay;
pub mod report;
mod sample;
pub mod shadow;
pub mod status;
pub mod sweep;
pub mod verdict;

pub use app::run;
pub use error::VerifierError;
pub use fence::Proof;
