//! A mark says that a scope may have changed. It carries no value.

use crate::{Key, Position};

/// Where a mark comes from: for the lag figure only, never for a decision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cause {
    pub position: Option<Position>,
    /// Commit time of the source transaction by the source's clock, in milliseconds since 1970.
    pub time_ms: u64,
}

/// "The rows of this scope may differ from what the plan says."
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    pub scope: Key,
}

/// Marks of one target and one lane: the unit in which `mapped.<target>` and `writes.<target>` records are written.
#[derive(Clone, Debug, PartialEq)]
pub struct MarkBatch {
    pub target: String,
    /// The oldest cause among the marks.
    pub cause: Cause,
    pub marks: Vec<Mark>,
}
