//! What stops the verifier, or makes its answer "unknown".

use bus::BusError;
use mysql::DbError;

#[derive(Debug, thiserror::Error)]
pub enum VerifierError {
    #[error("fence: {0}")]
    Bus(#[source] BusError),
    #[error("read or write the control schema: {0}")]
    Control(#[source] DbError),
    #[error("compare `{target}`: {source}")]
    Compare { target: String, source: DbError },
    #[error("{wanted} was not applied within {seconds} s; the pipeline waits for {at}")]
    NotApplied { wanted: String, seconds: u64, at: String, now: Option<String> },
}

impl VerifierError {
    pub fn is_transient(&self) -> bool {
        match self {
            VerifierError::Control(e) | VerifierError::Compare { source: e, .. } => e.is_transient(),
            VerifierError::Bus(BusError::Broker { transient, .. }) => *transient,
            VerifierError::NotApplied { .. } => true,
            VerifierError::Bus(_) => false,
        }
    }
}
