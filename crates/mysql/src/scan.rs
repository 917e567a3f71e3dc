//! Walking over a table's scopes, range by range.

use change::Key;
use plan::quote;
use plan::sql::ScopeTable;

use crate::{DbError, Session};

/// The `size`-th scope behind `low`, the end of a range; `None`: there are fewer.
pub async fn boundary(
    session: &mut Session,
    schema: &str,
    table: &ScopeTable,
    low: Option<&Key>,
    size: u64,
) -> Result<Option<Key>, DbError> {
    let Some(row) = session.row(&table.boundary(schema, low, size)).await? else { return Ok(None) };
    let cells = table.columns.iter().enumerate().map(|(i, c)| row.cell(i, c));
    Ok(Some(Key(cells.collect::<Result<_, _>>()?)))
}

/// How many rows a table has, as the server guesses.
pub async fn about(session: &mut Session, schema: &str, table: &str) -> Result<u64, DbError> {
    let sql = format!(
        "SELECT table_rows FROM information_schema.tables WHERE table_schema = {} AND table_name = {}",
        quote::text(schema),
        quote::text(table)
    );
    session.count(&sql).await
}
