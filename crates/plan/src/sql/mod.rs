//! SQL texts, all rendered from one checked tree with a hole for the scopes.
//!
//! The hole takes a key list (stream, repair, redrive) or a key range (backfill, verification, batch). Whatever is
//! computed, compared or reported comes from the same `wanted` SELECT, so the backfill, the stream and the verifier
//! cannot disagree about what a value means.

mod apply;
mod copy;
mod digest;
mod identity;
mod read;
mod route;
mod scopes;
mod staging;
mod wanted;

pub use apply::Apply;
pub use copy::PlainCopy;
pub use digest::Digest;
pub use identity::IdentitySql;
pub use read::bound;
pub use route::{changed_relation, lookup};
pub use scopes::{Range, ScopeTable, Scopes};
pub use staging::Staging;
pub(crate) use wanted::fits_into;
pub use wanted::{Flag, Unmapped, Wanted};

use crate::checked::{Checked, Target};

/// Renders the texts of one target.
#[derive(Clone, Copy, Debug)]
pub struct TargetSql<'a> {
    pub plan: &'a Checked,
    pub target: &'a Target,
    /// The control schema, where staging tables and exceptions stand.
    pub control: &'a str,
}

impl<'a> TargetSql<'a> {
    pub fn new(plan: &'a Checked, target: &'a Target, control: &'a str) -> Self {
        Self { plan, target, control }
    }

    /// The target table, qualified.
    pub fn table(&self) -> String {
        qualified(self.plan, &self.target.table)
    }
}

/// A table of the legacy schema, qualified and quoted.
pub(crate) fn qualified(plan: &Checked, table: &str) -> String {
    format!("{}.{}", crate::quote::ident(&plan.schema), crate::quote::ident(table))
}
