//! Rows 2 to 24 but the fill columns and row 21: one comparison per column, byte by byte.

use anyhow::Result;

use super::spec::{Column, Kind, TABLES, Table};
use super::{Bench, Difference};

pub async fn judge(bench: &mut Bench<'_>) -> Result<Vec<Difference>> {
    let mut found = Vec::new();
    for table in TABLES.iter().filter(|t| t.shadow.is_none()) {
        for column in table.columns {
            found.extend(compare(bench, table, column).await?);
        }
    }
    Ok(found)
}

/// The rows in which the column is not what it should be.
pub async fn compare(bench: &mut Bench<'_>, table: &Table, column: &Column) -> Result<Vec<Difference>> {
    let (expected, actual) = (column.expected(), format!("t.{}", column.name));
    let equal = match column.kind {
        Kind::Json => json_equal(bench.mariadb, &expected, &actual),
        _ => format!("CAST({expected} AS BINARY) <=> CAST({actual} AS BINARY)"),
    };
    let show = |value: &str| match column.kind {
        Kind::Uuid(_) | Kind::Found(_) => format!("HEX({value})"),
        _ => format!("CAST({value} AS CHAR)"),
    };
    let sql = format!(
        "SELECT CAST(x.id AS CHAR), {}, {} FROM {}{} WHERE {} AND NOT ({equal})",
        show(&expected),
        show(&actual),
        table.joined(),
        column.joins(),
        table.present(),
    );
    bench.differences(column.row, table.name, Some(column.name), &sql).await
}

/// NULL-safe equality as JSON: numbers by value, objects without regard to order.
fn json_equal(mariadb: bool, one: &str, other: &str) -> String {
    if mariadb {
        format!("COALESCE(JSON_EQUALS({one}, {other}), 0) = 1 OR ({one} IS NULL AND {other} IS NULL)")
    } else {
        format!("CAST({one} AS JSON) <=> CAST({other} AS JSON)")
    }
}
