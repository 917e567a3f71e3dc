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
    /// Rows that the target holds.
    pub present: String,
    /// Inserts and updates. Matched rows: 1 for a new or an equal one, 2 for a changed one.
    pub upsert: String,
    /// Rows that the target should hold.
    pub wanted: String,
    /// Primary keys of rows that the plan does not want.
    pub extras: String,
}

impl TargetSql<'_> {
    /// `None`: there is something to be said about single values (a reference, a guard), or an upsert could meet another
    /// unique key than the primary one and change a row of another scope.
    pub fn plain_copy(&self, scopes: Scopes<'_>) -> Option<PlainCopy> {
        let target = self.target;
        let plain = target.kind == TargetKind::Shadow
            && target.only_primary_key_is_unique
            && target.expect.is_none()
            && target.lists.is_empty()
            && target.scope.iter().all(|s| s.through.is_none())
            && target.columns.iter().all(|c| c.policy == Policy::Sync && c.fallback.is_none())
            && self.flagged().is_empty();
        if !plain {
            return None;
        }
        let table = self.table();
        let names: Vec<String> = target.columns.iter().map(|c| quote::ident(&c.column.name)).collect();
        let values = |prefix: &str| {
            let columns = target.columns.iter().enumerate();
            self.select(
                columns.map(|(j, c)| aliased(c.value.clone(), format!("{prefix}{j}"))).collect(),
                scopes,
            )
        };
        let mut set: Vec<String> = names.iter().map(|n| format!("{n} = VALUES({n})")).collect();
        set.extend(target.keep.iter().map(|c| format!("{0} = {table}.{0}", quote::ident(c))));
        let (own, from) = self.present();
        let condition = scopes.condition(&own);
        let keys = target.primary_key.iter().map(|k| quote::ident(&k.name));
        let join: Vec<String> =
            keys.clone().zip(self.staged_key()).map(|(k, w)| format!("t.{k} = s.{w}")).collect();
        let keys: Vec<String> = keys.map(|k| format!("t.{k}")).collect();
        let first = self.staged_key().into_iter().next()?;
        // `c<j>` names the wanted columns, as in the staging table.
        if self.staged_key().iter().any(|k| !k.starts_with('c')) {
            return None;
        }
        Some(PlainCopy {
            present: format!("SELECT COUNT(*) FROM {from} WHERE {condition}"),
            upsert: format!(
                "INSERT INTO {table} ({}) {} ON DUPLICATE KEY UPDATE {}",
                names.join(", "),
                values("c"),
                set.join(", ")
            ),
            wanted: format!("SELECT COUNT(*) FROM ({}) AS s", values("c")),
            extras: format!(
                "SELECT {} FROM {from} LEFT JOIN ({}) AS s ON {} WHERE {condition} AND s.{first} IS NULL",
                keys.join(", "),
                values("c"),
                join.join(" AND ")
            ),
        })
    }
}
