//! The statements that make the target equal to its staging table, writing only what differs.
//!
//! No statement here names a legacy table other than the one that is written: a joined legacy row would be locked.

use super::{Scopes, TargetSql, qualified};
use crate::catalog::Flavour;
use crate::checked::{ListReference, Policy, TargetColumn, TargetKind};
use crate::quote;

/// Statements after the staging table was filled.
#[derive(Clone, Debug)]
pub struct Apply<'a> {
    sql: TargetSql<'a>,
    staging: String,
}

impl<'a> TargetSql<'a> {
    pub fn apply(self) -> Apply<'a> {
        Apply { staging: self.staging().name().to_string(), sql: self }
    }

    /// The target's own expressions for the scope columns, and the joins they need: `(columns, from)`.
    pub(super) fn present(&self) -> (Vec<String>, String) {
        let mut from = format!("{} AS t", self.table());
        let mut columns = Vec::new();
        for (i, s) in self.target.scope.iter().enumerate() {
            let own = format!("t.{}", quote::ident(&s.target_column));
            match &s.through {
                None => columns.push(own),
                Some(entity) => {
                    let map = self.plan.entity(entity).map(|e| e.map.as_str()).unwrap_or_default();
                    from +=
                        &format!(" JOIN {} AS o{i} ON o{i}.uuid_binary = {own}", qualified(self.plan, map));
                    columns.push(format!("o{i}.legacy_id"));
                }
            }
        }
        (columns, from)
    }
}

impl Apply<'_> {
    fn key_join(&self) -> String {
        let pairs = self.sql.target.primary_key.iter().zip(self.sql.staged_key());
        pairs.map(|(k, w)| format!("t.{} = w.{w}", quote::ident(&k.name))).collect::<Vec<_>>().join(" AND ")
    }

    fn key_list(&self) -> String {
        let keys = self.sql.target.primary_key.iter();
        keys.map(|k| format!("t.{}", quote::ident(&k.name))).collect::<Vec<_>>().join(", ")
    }

    /// Locks the target rows that nobody else holds and returns their scope keys. Parallel columns only: there the row
    /// is the application's, so it is never waited for.
    pub fn lock(&self, scopes: Scopes<'_>) -> Option<String> {
        if self.sql.target.kind == TargetKind::Shadow {
            return None;
        }
        let (columns, from) = self.sql.present();
        Some(format!(
            "SELECT {} FROM {from} WHERE {} FOR UPDATE SKIP LOCKED",
            columns.join(", "),
            scopes.condition(&columns)
        ))
    }

    /// Rows whose columns differ, brought to the staged values. The join's order and index are ours to say: whatever the
    /// optimizer thinks of a small table, a scan of it would wait for rows that the application holds. The count of matched rows is the count of changed ones.
    pub fn update(&self) -> Option<String> {
        self.update_by(|c| c.policy)
    }

    /// The same for columns that are NULL; what stands in a column stays.
    pub fn fill(&self) -> Option<String> {
        self.update_by(|_| Policy::Fill)
    }

    /// Columns that may differ, as `(own, staged, column)`.
    fn compared(&self) -> impl Iterator<Item = (String, String, &TargetColumn)> {
        let columns = self.sql.target.columns.iter().enumerate();
        // Joined by the primary key, so it is equal; a text key may still be spelled otherwise.
        let columns = columns.filter(|(_, c)| !c.in_primary_key || c.column.charset.is_some());
        columns.map(|(j, c)| (format!("t.{}", quote::ident(&c.column.name)), format!("w.c{j}"), c))
    }

    fn update_by(&self, policy: impl Fn(&TargetColumn) -> Policy) -> Option<String> {
        let target = self.sql.target;
        let mut set = Vec::new();
        let mut differs = Vec::new();
        for (own, staged, c) in self.compared() {
            match policy(c) {
                Policy::Sync => {
                    set.push(format!("{own} = {staged}"));
                    differs.push(self.sql.differs(c, &own, &staged));
                }
                Policy::Fill => {
                    set.push(format!("{own} = COALESCE({own}, {staged})"));
                    differs.push(format!("({own} IS NULL AND {staged} IS NOT NULL)"));
                }
            }
        }
        if set.is_empty() {
            return None;
        }
        set.extend(target.keep.iter().map(|c| format!("t.{0} = t.{0}", quote::ident(c))));
        Some(format!(
            "UPDATE {} AS w STRAIGHT_JOIN {} AS t FORCE INDEX (PRIMARY) ON {} SET {} WHERE w.ok AND ({})",
            self.staging,
            self.sql.table(),
            self.key_join(),
            set.join(", "),
            differs.join(" OR ")
        ))
    }

    /// How many of the staged rows that the target has are equal, lack something, and differ, as `fill` leaves them.
    pub fn compare(&self) -> String {
        let (mut lacks, mut differs) = (vec!["FALSE".to_string()], vec!["FALSE".to_string()]);
        for (own, staged, c) in self.compared() {
            lacks.push(format!("({own} IS NULL AND {staged} IS NOT NULL)"));
            if c.policy == Policy::Sync {
                differs.push(format!("({own} IS NOT NULL AND {})", self.sql.differs(c, &own, &staged)));
            }
        }
        format!(
            "SELECT SUM(NOT d AND NOT l), SUM(l AND NOT d), SUM(d) FROM (SELECT ({}) AS l, ({}) AS d FROM {} AS w STRAIGHT_JOIN {} AS t FORCE INDEX (PRIMARY) ON {} WHERE w.ok) AS c",
            lacks.join(" OR "),
            differs.join(" OR "),
            self.staging,
            self.sql.table(),
            self.key_join(),
        )
    }

    /// Staged rows that the target has not got. Shadow tables only.
    pub fn insert(&self) -> Option<String> {
        let target = self.sql.target;
        if target.kind == TargetKind::Parallel {
            return None;
        }
        let names: Vec<String> = target.columns.iter().map(|c| quote::ident(&c.column.name)).collect();
        let staged: Vec<String> = (0..target.columns.len()).map(|j| format!("w.c{j}")).collect();
        let first = quote::ident(&target.primary_key[0].name);
        Some(format!(
            "INSERT INTO {table} ({}) SELECT {} FROM {} AS w LEFT JOIN {table} AS t ON {} WHERE w.ok AND t.{first} IS NULL",
            names.join(", "),
            staged.join(", "),
            self.staging,
            self.key_join(),
            table = self.sql.table(),
        ))
    }

    /// Rows of these scopes that the plan does not want: scope key, then primary key. Shadow tables only.
    pub fn extras(&self, scopes: Scopes<'_>) -> Option<String> {
        if self.sql.target.kind == TargetKind::Parallel {
            return None;
        }
        let (columns, from) = self.sql.present();
        Some(format!(
            "SELECT {}, {} FROM {from} LEFT JOIN {} AS w ON {} AND w.ok WHERE {} AND w.ok IS NULL",
            columns.join(", "),
            self.key_list(),
            self.staging,
            self.key_join(),
            scopes.condition(&columns)
        ))
    }

    /// Deletes target rows by primary key.
    pub fn delete(&self, keys: &[change::Key]) -> String {
        let columns: Vec<String> =
            self.sql.target.primary_key.iter().map(|k| quote::ident(&k.name)).collect();
        format!("DELETE FROM {} WHERE {}", self.sql.table(), Scopes::Keys(keys).condition(&columns))
    }

    /// For each list reference of the plan: rows of (scope key, missing id).
    pub fn missing_in_lists(&self, scopes: Scopes<'_>) -> Vec<String> {
        let plan = self.sql.plan;
        let lists = self.sql.target.lists.iter();
        lists
            .map(|list| {
                let scope: Vec<String> = list.scope.iter().map(|c| format!("f.{}", quote::ident(c))).collect();
                let (id, key) = (quote::ident(&list.id), quote::ident(&list.parent_key.name));
                format!(
                    "SELECT DISTINCT {}, f.{id} FROM {} AS f LEFT JOIN {} AS p ON p.{key} = f.{id} WHERE f.{id} IS NOT NULL AND p.{key} IS NULL AND {}{}",
                    scope.join(", "),
                    qualified(plan, &list.from),
                    qualified(plan, &list.parent),
                    scopes.condition(&scope),
                    self.scope_exists(list, &scope),
                )
            })
            .collect()
    }
}

impl Apply<'_> {
    /// Rows of a list may outlive the scope they belong to; then there is nothing to report.
    fn scope_exists(&self, list: &ListReference, scope: &[String]) -> String {
        let table = self.sql.scope_table();
        if table.table == list.from {
            return String::new();
        }
        let equal =
            table.columns.iter().zip(scope).map(|(c, s)| format!("o.{} = {s}", quote::ident(&c.name)));
        format!(
            " AND EXISTS (SELECT 1 FROM {} AS o WHERE {})",
            qualified(self.sql.plan, &table.table),
            equal.collect::<Vec<_>>().join(" AND ")
        )
    }
}

impl TargetSql<'_> {
    /// Are two values of this column different? Text compares byte by byte, JSON as JSON.
    pub(super) fn differs(&self, column: &TargetColumn, a: &str, b: &str) -> String {
        if column.column.json {
            let equal = match self.plan.flavour {
                Flavour::MariaDb => format!("JSON_EQUALS({a}, {b})"),
                Flavour::MySql => format!("CAST({a} AS JSON) = CAST({b} AS JSON)"),
            };
            return format!("NOT (({a} IS NULL AND {b} IS NULL) OR COALESCE({equal}, FALSE))");
        }
        if column.column.is_text() {
            return format!("NOT (CAST({a} AS BINARY) <=> CAST({b} AS BINARY))");
        }
        format!("NOT ({a} <=> {b})")
    }
}
