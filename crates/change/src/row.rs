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
