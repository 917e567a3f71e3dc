//! Plain copies: values that are written as they are, so that one statement can do it without a staging table.
//!
//! Under READ COMMITTED the SELECT of an `INSERT … SELECT` reads a snapshot and locks nothing, and the statement starts
//! after the lane was taken: its snapshot is younger than the lock, as the protocol asks. A row that is equal already is
//! not written, and leaves nothing in the binlog.

use super::wanted::aliased;
use super::{Scopes, TargetSql};
use crate::checked::{Policy, TargetKind};
use crate::quote;

/// The statements that make a plain copy equal to its source for some scopes.
#[derive(Clone, Debug)]
pub struct PlainCopy {
    /// Primary keys of the rows that the target holds, and 1 where the plan does not want the row.
    pub present: String,
    /// Inserts and updates. Matched rows: 1 for a new or an equal one, 2 for a changed one.
    pub upsert: String,
    /// How many rows the target holds.
    pub count: String,
}

impl TargetSql<'_> {
    /// Not if there is something to be said about single values (a reference, a guard), nor if an upsert could meet another
    /// unique key than the primary one and change a row of another scope.
    pub fn is_plain_copy(&self) -> bool {
        let target = self.target;
        target.kind == TargetKind::Shadow
            && target.only_primary_key_is_unique
            && target.expect.is_none()
            && target.lists.is_empty()
            && target.scope.iter().all(|s| s.through.is_none())
            && target.columns.iter().all(|c| c.policy == Policy::Sync && c.fallback.is_none())
            && self.flagged().is_empty()
    }

    /// `None`: it is none, see [`TargetSql::is_plain_copy`].
    pub fn plain_copy(&self, scopes: Scopes<'_>) -> Option<PlainCopy> {
        if !self.is_plain_copy() {
            return None;
        }
        let target = self.target;
        let table = self.table();
        let names: Vec<String> = target.columns.iter().map(|c| quote::ident(&c.column.name)).collect();
        let values = |only: &dyn Fn(&str) -> bool| {
            let columns = target.columns.iter().enumerate().map(|(j, c)| (format!("c{j}"), c));
            let columns = columns.filter(|(name, _)| only(name));
            self.select(columns.map(|(name, c)| aliased(c.value.clone(), name)).collect(), scopes)
        };
        let mut set: Vec<String> = names.iter().map(|n| format!("{n} = VALUES({n})")).collect();
        set.extend(target.keep.iter().map(|c| format!("{0} = {table}.{0}", quote::ident(c))));
        let (own, from) = self.present();
        let condition = scopes.condition(&own);
        // `c<j>` names the wanted columns, as in the staging table.
        let staged = self.staged_key();
        let first = staged.first()?;
        if staged.iter().any(|k| !k.starts_with('c')) {
            return None;
        }
        let keys: Vec<String> =
            target.primary_key.iter().map(|k| format!("t.{}", quote::ident(&k.name))).collect();
        let join: Vec<String> = keys.iter().zip(&staged).map(|(k, w)| format!("{k} = s.{w}")).collect();
        Some(PlainCopy {
            present: format!(
                "SELECT {}, s.{first} IS NULL FROM {from} LEFT JOIN ({}) AS s ON {} WHERE {condition}",
                keys.join(", "),
                values(&|name| staged.iter().any(|k| k == name)),
                join.join(" AND ")
            ),
            upsert: format!(
                "INSERT INTO {table} ({}) {} ON DUPLICATE KEY UPDATE {}",
                names.join(", "),
                values(&|_| true),
                set.join(", ")
            ),
            count: format!("SELECT COUNT(*) FROM {from} WHERE {condition}"),
        })
    }
}
