//! The staging table: a session's own temporary table that holds the wanted rows of one batch.
//!
//! It freezes one snapshot of the plan's values inside the server, so that what is compared, reported and written is the
//! same, and no value ever travels through a client. It is temporary: never in the binlog, never seen by another session.

use super::{Flag, Scopes, TargetSql};
use crate::catalog::{Column, Flavour};
use crate::quote;

/// Statements around a session's staging table.
#[derive(Clone, Debug)]
pub struct Staging<'a> {
    sql: TargetSql<'a>,
    name: String,
}

impl<'a> TargetSql<'a> {
    pub fn staging(self) -> Staging<'a> {
        let name = format!("{}.{}", quote::ident(self.control), quote::ident(&self.staging_table()));
        Staging { sql: self, name }
    }

    /// Unqualified name of the staging table. A name has at most 64 characters.
    fn staging_table(&self) -> String {
        let mut name = format!("w_{}", self.target.table);
        if name.chars().count() > 64 {
            name = format!("w_{:016x}", xxhash_rust::xxh3::xxh3_64(self.target.table.as_bytes()));
        }
        name
    }
}

/// A column's type as DDL, without NOT NULL or defaults.
pub(super) fn type_of(column: &Column) -> String {
    let mut sql = column.column_type.clone();
    if let Some(charset) = &column.charset {
        sql += &format!(" CHARACTER SET {charset}");
    }
    if let Some(collation) = &column.collation {
        sql += &format!(" COLLATE {collation}");
    }
    sql + " NULL"
}

impl Staging<'_> {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Creates the table; once per session.
    pub fn create(&self) -> String {
        let target = self.sql.target;
        let mut columns = Vec::new();
        for (i, s) in target.scope.iter().enumerate() {
            columns.push(format!("k{i} {}", type_of(&s.source_column)));
        }
        for (j, c) in target.columns.iter().enumerate() {
            columns.push(format!("c{j} {}", type_of(&c.column)));
        }
        for (j, _) in self.sql.references() {
            columns.push(format!("r{j} VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL"));
        }
        columns.extend(Flag::ALL.map(|f| format!("{} BIGINT UNSIGNED NOT NULL", f.column())));
        columns.push("matches BIGINT UNSIGNED NOT NULL".into());
        columns.push("named VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL".into());
        columns.push("ok BOOLEAN NOT NULL".into());
        columns.push(format!("KEY ({})", self.sql.staged_key().join(", ")));
        // An engine without transactions forgets its rows at once: InnoDB would keep them, marked as deleted, until they
        // are purged, and every batch would scan those of the batches before. A roll-back leaves rows behind, which is
        // why each batch begins by clearing.
        let engine = match self.sql.plan.flavour {
            Flavour::MariaDb => "Aria TRANSACTIONAL=0",
            Flavour::MySql => "MyISAM",
        };
        format!("CREATE TEMPORARY TABLE {} ({}) ENGINE={engine}", self.name, columns.join(", "))
    }

    /// Ends the session's transaction; a tenth of the time of `empty`.
    pub fn clear(&self) -> String {
        format!("TRUNCATE TABLE {}", self.name)
    }

    /// Inside a transaction.
    pub fn empty(&self) -> String {
        format!("DELETE FROM {}", self.name)
    }

    /// Computes the wanted rows of these scopes in one snapshot.
    pub fn fill(&self, scopes: Scopes<'_>) -> String {
        format!(
            "INSERT INTO {} ({}) {}",
            self.name,
            self.sql.wanted_columns().join(", "),
            self.sql.wanted(scopes).sql
        )
    }

    /// The scope keys that have a row.
    pub fn keys(&self) -> String {
        let keys: Vec<String> = (0..self.sql.target.scope.len()).map(|i| format!("k{i}")).collect();
        format!("SELECT DISTINCT {} FROM {}", keys.join(", "), self.name)
    }

    /// Takes scopes out again: they stay as they are.
    pub fn forget(&self, scopes: Scopes<'_>) -> String {
        let keys: Vec<String> = (0..self.sql.target.scope.len()).map(|i| format!("k{i}")).collect();
        format!("DELETE FROM {} WHERE {}", self.name, scopes.condition(&keys))
    }

    /// Rows with something to say: scope key, the five masks, `matches`, `named`, `ok`, then the reference texts.
    pub fn problems(&self) -> String {
        let mut list: Vec<String> = (0..self.sql.target.scope.len()).map(|i| format!("k{i}")).collect();
        list.extend(Flag::ALL.map(|f| f.column().to_string()));
        list.extend(["matches", "named", "ok"].map(String::from));
        list.extend(self.sql.references().map(|(j, _)| format!("r{j}")));
        let flags = Flag::ALL.map(|f| f.column()).join(" | ");
        format!("SELECT {} FROM {} WHERE ({flags}) <> 0 OR NOT ok", list.join(", "), self.name)
    }
}

impl TargetSql<'_> {
    /// The staging columns that hold the target's primary key.
    pub(super) fn staged_key(&self) -> Vec<String> {
        self.target
            .primary_key
            .iter()
            .map(|key| {
                let scope =
                    self.target.scope.iter().position(|s| s.through.is_none() && s.target_column == key.name);
                let column = self.target.columns.iter().position(|c| c.column.name == key.name);
                match (column, scope) {
                    (Some(j), _) => format!("c{j}"),
                    (None, Some(i)) => format!("k{i}"),
                    (None, None) => {
                        unreachable!("the checks demand that the plan gives every primary key column")
                    }
                }
            })
            .collect()
    }
}
