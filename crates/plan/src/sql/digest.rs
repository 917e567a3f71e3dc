//! Verification: sums of folded MD5 digests, wanted against present.
//!
//! A row's digest binds its scope, its primary key and every compared value, each with its length, so that neither a
//! swap of two values, nor a shift between columns, nor a constant delta over many rows cancels out. `fill` columns
//! count as "is there a value". Sums are over the digests' halves: not linear in the values, and they can be taken over
//! any split of a range.

use super::{ScopeTable, Scopes, TargetSql};
use crate::catalog::{Column, Flavour};
use crate::checked::{Policy, TargetColumn, TargetKind};
use crate::quote;

/// The two sides of a comparison.
#[derive(Clone, Debug)]
pub struct Digest {
    /// One row: count, sum of the first halves, sum of the second halves.
    pub sum: String,
    /// One row per target row: scope key columns, then the digest as hex.
    pub rows: String,
}

impl TargetSql<'_> {
    /// What the plan says.
    pub fn digest_wanted(&self, scopes: Scopes<'_>) -> Digest {
        let wanted = self.wanted(scopes).sql;
        let keys: Vec<String> = (0..self.target.scope.len()).map(|i| format!("w.k{i}")).collect();
        let from = format!("({wanted}) AS w WHERE w.ok");
        self.digest(&keys, &from, |j| typed(format!("w.c{j}"), &self.target.columns[j]))
    }

    /// What the target holds.
    pub fn digest_present(&self, scopes: Scopes<'_>) -> Digest {
        let (columns, from) = self.present();
        let from = format!("{from} WHERE {}", scopes.condition(&columns));
        let names: Vec<String> = self.target.columns.iter().map(|c| quote::ident(&c.column.name)).collect();
        self.digest(&columns, &from, |j| format!("t.{}", names[j]))
    }

    fn digest(&self, keys: &[String], from: &str, value: impl Fn(usize) -> String) -> Digest {
        // A shadow row carries its scope in its own columns; a parallel row is bound by its primary key.
        let own = if self.target.kind == TargetKind::Parallel { keys } else { &[] };
        let scopes = self.target.scope.iter().zip(own).map(|(s, k)| self.field(&s.source_column, k));
        let values = self.target.columns.iter().enumerate().map(|(j, c)| match c.policy {
            Policy::Sync => self.field(&c.column, &value(j)),
            Policy::Fill => format!("{} IS NULL", value(j)),
        });
        let fields: Vec<String> = scopes.chain(values).collect();
        let md5 = match self.plan.flavour {
            Flavour::MariaDb => format!("MD5(CONCAT_WS('#', {}))", fields.join(", ")),
            Flavour::MySql => format!("LEFT(SHA2(CONCAT_WS('#', {}), 256), 32)", fields.join(", ")),
        };
        let half = |from: u8| format!("SUM(CAST(CONV(SUBSTRING(d.h, {from}, 16), 16, 10) AS UNSIGNED))");
        let listed: Vec<String> = keys.iter().enumerate().map(|(i, k)| format!("{k} AS k{i}")).collect();
        Digest {
            sum: format!(
                "SELECT COUNT(*), {}, {} FROM (SELECT {md5} AS h FROM {from}) AS d",
                half(1),
                half(17)
            ),
            rows: format!("SELECT {}, {md5} AS h FROM {from}", listed.join(", ")),
        }
    }

    /// One value as bytes that say exactly what it is.
    fn field(&self, column: &Column, value: &str) -> String {
        let bytes = if column.json {
            match self.plan.flavour {
                Flavour::MariaDb => format!("CAST(JSON_NORMALIZE({value}) AS BINARY)"),
                Flavour::MySql => format!("CAST(CAST({value} AS JSON) AS BINARY)"),
            }
        } else if column.is_text() {
            format!("CAST(CONVERT({value} USING utf8mb4) AS BINARY)")
        } else {
            format!("CAST({value} AS BINARY)")
        };
        format!("COALESCE(CONCAT(LENGTH({bytes}), ':', {bytes}), 'NULL')")
    }

    /// How the target's own rows are walked: by the first columns of its primary key, as far as their order can be relied on. `None`:
    /// they are read in one go.
    pub fn row_table(&self) -> Option<ScopeTable> {
        let ordered = |c: &&Column| {
            c.is_integer() || matches!(c.data_type.as_str(), "binary" | "varbinary" | "char" | "varchar")
        };
        let columns: Vec<Column> = self.target.primary_key.iter().take_while(ordered).cloned().collect();
        (!columns.is_empty()).then(|| ScopeTable { table: self.target.table.clone(), columns })
    }

    /// Per reference a query for the primary keys of rows in which it leads to no parent: of a range of [`row_table`](Self::row_table), or among
    /// such keys.
    pub fn dangling(&self, rows: Scopes<'_>) -> Vec<String> {
        let columns = self.target.columns.iter().filter_map(|c| Some((c, c.reference.as_ref()?)));
        // A value that only stands beside a reference is none itself.
        let columns = columns.filter(|(_, r)| r.id.is_none());
        let names = |columns: &[Column]| -> Vec<String> {
            columns.iter().map(|k| format!("t.{}", quote::ident(&k.name))).collect()
        };
        let keys = names(&self.target.primary_key);
        let condition = match rows {
            Scopes::Keys(_) => rows.condition(&keys),
            Scopes::Range(_) => {
                rows.condition(&names(&self.row_table().map(|t| t.columns).unwrap_or_default()))
            }
        };
        columns
            .map(|(c, r)| {
                let own = format!("t.{}", quote::ident(&c.column.name));
                let parent = format!("p.{}", quote::ident(&r.parent_key.name));
                let (map, id) = match &r.map {
                    Some(map) => (
                        format!(" LEFT JOIN {} AS m ON m.uuid_binary = {own}", super::qualified(self.plan, map)),
                        "m.legacy_id".to_string(),
                    ),
                    None => (String::new(), own.clone()),
                };
                format!(
                    "SELECT {} FROM {} AS t{map} LEFT JOIN {} AS p ON {parent} = {id} WHERE {own} IS NOT NULL AND {parent} IS NULL AND {}",
                    keys.join(", "),
                    self.table(),
                    super::qualified(self.plan, &r.parent),
                    condition,
                )
            })
            .collect()
    }

    /// Target rows that no scope leads to, because their UUID stands in no map. `None`: the target carries legacy keys.
    pub fn strangers(&self) -> Option<String> {
        if self.target.kind == TargetKind::Parallel {
            return None;
        }
        let mut from = format!("{} AS t", self.table());
        let mut lost = Vec::new();
        for (i, s) in self.target.scope.iter().enumerate() {
            let entity = s.through.as_ref()?;
            let map = self.plan.entity(entity).map(|e| e.map.as_str()).unwrap_or_default();
            from += &format!(
                " LEFT JOIN {} AS o{i} ON o{i}.uuid_binary = t.{}",
                super::qualified(self.plan, map),
                quote::ident(&s.target_column)
            );
            lost.push(format!("o{i}.legacy_id IS NULL"));
        }
        let keys: Vec<String> =
            self.target.primary_key.iter().map(|k| format!("HEX(t.{})", quote::ident(&k.name))).collect();
        Some(format!("SELECT CONCAT_WS('/', {}) FROM {from} WHERE {}", keys.join(", "), lost.join(" OR ")))
    }
}

/// A value as its column would hold it: `60 / 60` is 1.0000, and an INT has 1 of it. Whether it fits was asked before.
fn typed(value: String, target: &TargetColumn) -> String {
    let column = &target.column;
    let wanted = match column.data_type.as_str() {
        _ if target.same_type => return value,
        _ if column.is_integer() && column.is_unsigned() => "UNSIGNED".into(),
        _ if column.is_integer() => "SIGNED".into(),
        "decimal" => match (column.numeric_precision, column.numeric_scale) {
            (Some(precision), Some(scale)) => format!("DECIMAL({precision},{scale})"),
            _ => return value,
        },
        "datetime" | "timestamp" => format!("DATETIME({})", column.second_digits()),
        "time" => format!("TIME({})", column.second_digits()),
        "date" => "DATE".into(),
        _ => return value,
    };
    // What is a number only by its digits is read as the server reads it when it stores it.
    let zero = if column.is_integer() { " + 0" } else { "" };
    format!("CAST({value}{zero} AS {wanted})")
}
