//! The hole: which scopes a statement is about, and how their source is walked in key order.

use change::{Cell, Key};

use super::TargetSql;
use crate::catalog::Column;
use crate::quote;

/// Scopes in key order: `low` is exclusive, `high` inclusive; `None` is open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Range {
    pub low: Option<Key>,
    pub high: Option<Key>,
}

#[derive(Clone, Copy, Debug)]
pub enum Scopes<'a> {
    Keys(&'a [Key]),
    Range(&'a Range),
}

impl Scopes<'_> {
    /// A condition over these SQL expressions, one per key column.
    pub fn condition(&self, columns: &[String]) -> String {
        match self {
            Scopes::Keys([]) => "FALSE".into(),
            Scopes::Keys(keys) if columns.len() == 1 => {
                // A literal beyond the signed integers would turn a whole list into decimals, and the server would read
                // (and lock) the whole table for it. In a list of their own they keep the index.
                let beyond = |key: &&Key| matches!(key.0[0], Cell::UInt(n) if i64::try_from(n).is_err());
                let (beyond, within): (Vec<&Key>, Vec<&Key>) = keys.iter().partition(beyond);
                let list = |keys: &[&Key]| {
                    let list: Vec<String> = keys.iter().map(|k| quote::cell(&k.0[0])).collect();
                    format!("{} IN ({})", columns[0], list.join(","))
                };
                match (within.as_slice(), beyond.as_slice()) {
                    (keys, []) | ([], keys) => list(keys),
                    (within, beyond) => format!("({} OR {})", list(within), list(beyond)),
                }
            }
            Scopes::Keys(keys) => {
                let each = keys.iter().map(|key| {
                    let parts = columns.iter().zip(&key.0).map(|(c, v)| format!("{c} = {}", quote::cell(v)));
                    format!("({})", parts.collect::<Vec<_>>().join(" AND "))
                });
                format!("({})", each.collect::<Vec<_>>().join(" OR "))
            }
            Scopes::Range(range) => {
                let mut parts = Vec::new();
                if let Some(low) = &range.low {
                    parts.push(beyond(columns, &low.0));
                }
                if let Some(high) = &range.high {
                    parts.push(up_to(columns, &high.0));
                }
                if parts.is_empty() { "TRUE".into() } else { parts.join(" AND ") }
            }
        }
    }
}

/// `(a, b) > (x, y)` in the form that an index range serves.
fn beyond(columns: &[String], key: &[Cell]) -> String {
    tuple(columns, key, ">", ">")
}

fn up_to(columns: &[String], key: &[Cell]) -> String {
    tuple(columns, key, "<", "<=")
}

fn tuple(columns: &[String], key: &[Cell], strict: &str, last: &str) -> String {
    let (column, value) = (&columns[0], quote::cell(&key[0]));
    if columns.len() == 1 {
        return format!("{column} {last} {value}");
    }
    let rest = tuple(&columns[1..], &key[1..], strict, last);
    format!("({column} {strict} {value} OR ({column} = {value} AND {rest}))")
}

/// The table whose key columns are the scopes.
#[derive(Clone, Debug)]
pub struct ScopeTable {
    pub table: String,
    pub columns: Vec<Column>,
}

impl ScopeTable {
    fn names(&self) -> Vec<String> {
        self.columns.iter().map(|c| quote::ident(&c.name)).collect()
    }

    /// The `size`-th scope after `low`: the end of a chunk. No row: the rest is smaller than a chunk.
    pub fn boundary(&self, schema: &str, low: Option<&Key>, size: u64) -> String {
        let names = self.names();
        let range = Range { low: low.cloned(), high: None };
        format!(
            "SELECT DISTINCT {list} FROM {}.{} WHERE {} ORDER BY {list} LIMIT {},1",
            quote::ident(schema),
            quote::ident(&self.table),
            Scopes::Range(&range).condition(&names),
            size.saturating_sub(1),
            list = names.join(", "),
        )
    }
}

impl TargetSql<'_> {
    pub fn scope_table(&self) -> ScopeTable {
        ScopeTable {
            table: self.target.scope.first().map(|s| s.source_table.clone()).unwrap_or_default(),
            columns: self.target.scope.iter().map(|s| s.source_column.clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(cells: &[i64]) -> Key {
        Key(cells.iter().map(|v| Cell::Int(*v)).collect())
    }

    #[test]
    fn a_key_list_and_a_range_of_one_column() {
        let c = ["k".to_string()];
        assert_eq!(Scopes::Keys(&[key(&[1]), key(&[2])]).condition(&c), "k IN (1,2)");
        assert_eq!(Scopes::Keys(&[]).condition(&c), "FALSE");
        let large = Key(vec![Cell::UInt(1 << 63)]);
        let keys = [large.clone(), key(&[7])];
        assert_eq!(Scopes::Keys(&keys).condition(&c), "(k IN (7) OR k IN (9223372036854775808))");
        assert_eq!(Scopes::Keys(&[large]).condition(&c), "k IN (9223372036854775808)");
        let range = Range { low: Some(key(&[1])), high: Some(key(&[9])) };
        assert_eq!(Scopes::Range(&range).condition(&c), "k > 1 AND k <= 9");
        assert_eq!(Scopes::Range(&Range::default()).condition(&c), "TRUE");
    }

    #[test]
    fn keys_of_several_columns_compare_column_by_column() {
        let c = ["a".to_string(), "b".to_string()];
        assert_eq!(Scopes::Keys(&[key(&[1, 2])]).condition(&c), "((a = 1 AND b = 2))");
        let range = Range { low: Some(key(&[1, 2])), high: Some(key(&[3, 4])) };
        assert_eq!(
            Scopes::Range(&range).condition(&c),
            "(a > 1 OR (a = 1 AND b > 2)) AND (a < 3 OR (a = 3 AND b <= 4))"
        );
    }
}
