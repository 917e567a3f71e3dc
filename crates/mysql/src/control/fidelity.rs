//! What the reader found when it compared samples: tables, columns and numbers, never values.

use change::Position;
use plan::quote;

use crate::{Database, DbError, Row, Session};

/// One column of a watched table, in the newest sample that was compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    pub table: String,
    pub column: String,
    /// The end of the sample's transaction.
    pub position: String,
    pub rows: u64,
    /// Of these, rows in which the binlog says something else than a SELECT.
    pub differ: u64,
}

/// The statement that writes down what was found in one sample. An older sample changes nothing.
pub fn record(db: &Database, sample: u64, found: &[Compared]) -> String {
    let rows: Vec<String> = found
        .iter()
        .map(|f| {
            format!(
                "({}, {}, {sample}, {}, {}, {}, NOW(6))",
                quote::text(&f.table),
                quote::text(&f.column),
                quote::text(&f.position),
                f.rows,
                f.differ
            )
        })
        .collect();
    // `sample` is set last: the others ask for the one that was.
    let newer = ["position", "compared", "differ", "compared_at", "sample"]
        .map(|c| format!("{c} = IF(VALUES(sample) >= sample, VALUES({c}), {c})"));
    format!(
        "INSERT INTO {} (table_name, column_name, sample, position, compared, differ, compared_at) VALUES {} ON DUPLICATE KEY UPDATE {}",
        db.control_table("fidelity"),
        rows.join(", "),
        newer.join(", ")
    )
}

/// What was compared, for the columns as they are now.
pub async fn all(session: &mut Session, db: &Database) -> Result<Vec<Compared>, DbError> {
    read(session, db, "TRUE").await
}

/// The columns that disagree.
pub async fn disagreeing(session: &mut Session, db: &Database) -> Result<Vec<Compared>, DbError> {
    read(session, db, "f.differ > 0").await
}

async fn read(session: &mut Session, db: &Database, condition: &str) -> Result<Vec<Compared>, DbError> {
    let sql = format!(
        "SELECT f.table_name, f.column_name, f.position, f.compared, f.differ FROM {} AS f WHERE {condition} AND {} ORDER BY f.table_name, f.column_name",
        db.control_table("fidelity"),
        counts(db)
    );
    session.rows(&sql).await?.iter().map(of_row).collect()
}

/// The condition that a row `f` of `fidelity` is about the columns as they are now.
fn counts(db: &Database) -> String {
    format!(
        "EXISTS (SELECT 1 FROM {} AS s WHERE s.table_name = f.table_name AND f.sample > s.since)",
        db.control_table("sample")
    )
}

/// A subquery: the columns that disagree, by name, or NULL.
pub fn names_of_disagreeing(db: &Database) -> String {
    format!(
        "(SELECT GROUP_CONCAT(f.table_name, '.', f.column_name ORDER BY f.table_name, f.column_name SEPARATOR ', ') FROM {} AS f WHERE f.differ > 0 AND {})",
        db.control_table("fidelity"),
        counts(db)
    )
}

fn of_row(row: &Row) -> Result<Compared, DbError> {
    let text = |i: usize| row.text(i).map(|t| t.unwrap_or_default().to_owned());
    Ok(Compared {
        table: text(0)?,
        column: text(1)?,
        position: text(2)?,
        rows: row.u64(3)?.unwrap_or_default(),
        differ: row.u64(4)?.unwrap_or_default(),
    })
}

/// Rows in the newest sample of each table; none: it was never taken.
pub async fn samples(session: &mut Session, db: &Database) -> Result<Vec<(String, Option<u64>)>, DbError> {
    let rows =
        session.rows(&format!("SELECT table_name, row_count FROM {}", db.control_table("sample"))).await?;
    rows.iter().map(|r| Ok((r.text(0)?.unwrap_or_default().to_owned(), r.u64(1)?))).collect()
}

impl Compared {
    /// The end of the sample's transaction, if it can be read.
    pub fn end(&self) -> Option<Position> {
        self.position.parse().ok()
    }
}
