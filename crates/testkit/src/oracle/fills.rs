//! Rows 1 and 10: never NULL, and with the churn's ledger what the application's writes allow (ruling 6).

use anyhow::Result;

use super::{Bench, Difference};
use crate::connect::said;

pub async fn judge(bench: &mut Bench<'_>) -> Result<Vec<Difference>> {
    let users = "SELECT CAST(id AS CHAR), 'not NULL', active FROM users WHERE active IS NULL";
    let mut found = bench.differences("1", "users", Some("active"), users).await?;
    let notes = "SELECT CAST(id AS CHAR), 'not NULL', notes FROM assignments WHERE notes IS NULL";
    found.extend(bench.differences("10", "assignments", Some("notes"), notes).await?);

    let Some(ledger) = &bench.options.ledger else { return Ok(found) };
    for row in bench.db.rows("SELECT id, active FROM users WHERE active IS NOT NULL").await.map_err(said)? {
        let id = row.u64(0)?.unwrap_or_default();
        let (actual, Some(written)) = (row.i64(1)?, ledger.user(id)) else { continue };
        let expected = written.unwrap_or(1);
        if actual != Some(expected) {
            found.push(difference(
                "1",
                "users",
                id,
                "active",
                expected.to_string(),
                actual.map(|a| a.to_string()),
            ));
        }
    }
    let notes = "SELECT id, notes FROM assignments WHERE notes IS NOT NULL";
    for row in bench.db.rows(notes).await.map_err(said)? {
        let id = row.u64(0)?.unwrap_or_default();
        let (Some(actual), Some(note)) = (row.text(1)?, ledger.assignment(id)) else { continue };
        if !note.may_be.contains(actual) {
            let expected = format!("one of {:?}", note.may_be);
            found.push(difference("10", "assignments", id, "notes", expected, Some(actual.to_string())));
        }
    }
    Ok(found)
}

fn difference(
    row: &'static str,
    table: &str,
    id: u64,
    column: &str,
    expected: String,
    actual: Option<String>,
) -> Difference {
    Difference {
        row,
        table: table.into(),
        key: id.to_string(),
        column: Some(column.into()),
        expected: Some(expected),
        actual,
    }
}
