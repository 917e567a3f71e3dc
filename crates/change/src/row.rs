//! A changed row of the source, as the reader publishes it.

use crate::{Cause, Cell, TableName};

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Op {
    Insert,
    Update,
    Delete,
    /// The whole table was emptied (TRUNCATE): there is no image.
    Truncate,
}

/// One row change; the images hold the cells of `ChangeBatch::columns`, in that order.
#[derive(Clone, Debug, PartialEq)]
pub struct RowChange {
    pub op: Op,
    pub before: Option<Vec<Cell>>,
    pub after: Option<Vec<Cell>>,
}

/// Changes of one table, in binlog order: the unit in which `changes.<table>` records are written.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeBatch {
    pub table: TableName,
    /// Names of the published columns: the key and what routes need.
    pub columns: Vec<String>,
    /// The last transaction that contributed.
    pub cause: Cause,
    pub rows: Vec<RowChange>,
}

impl ChangeBatch {
    /// Puts batches of one table and of the same columns together, in the order in which they came; the cause is the
    /// oldest.
    pub fn merge(batches: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut merged: Vec<Self> = Vec::new();
        for batch in batches {
            match merged.iter_mut().find(|m| m.table == batch.table && m.columns == batch.columns) {
                Some(one) => {
                    if batch.cause.time_ms < one.cause.time_ms {
                        one.cause = batch.cause;
                    }
                    one.rows.extend(batch.rows);
                }
                None => merged.push(batch),
            }
        }
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_of_one_table_and_layout_are_put_together() {
        let batch = |table: &str, columns: &[&str], time_ms, id| ChangeBatch {
            table: TableName { schema: "app".into(), table: table.into() },
            columns: columns.iter().map(ToString::to_string).collect(),
            cause: Cause { position: None, time_ms },
            rows: vec![RowChange { op: Op::Insert, before: None, after: Some(vec![Cell::UInt(id)]) }],
        };
        let ids = |b: &ChangeBatch| b.rows.iter().flat_map(|r| r.after.clone().unwrap_or_default()).collect();
        let merged = ChangeBatch::merge([
            batch("t", &["id"], 7, 1),
            batch("u", &["id"], 5, 2),
            batch("t", &["id"], 3, 3),
            batch("t", &["id", "a"], 1, 4), // the plan's columns changed in between
        ]);
        let seen: Vec<(u64, Vec<Cell>)> = merged.iter().map(|b| (b.cause.time_ms, ids(b))).collect();
        let cells = |of: &[u64]| of.iter().map(|n| Cell::UInt(*n)).collect::<Vec<_>>();
        assert_eq!(seen, [(3, cells(&[1, 3])), (5, cells(&[2])), (1, cells(&[4]))]);
    }
}
