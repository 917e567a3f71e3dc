//! Does the binlog say of a row what a SELECT says? Samples of the watched tables stand in the control schema, with the
//! same columns. Their row events are decoded as those of the legacy tables are; behind the barrier the same rows are
//! selected, and compared cell by cell.
//!
//! A column on which the two disagree is refused: nothing of its batch is published, and the position stays before the
//! sample. So the next start reads the sample again, and compares it again, as its rows stay until they agree or until
//! the columns are others. A position that has come past one that disagrees all the same is found out at the start.

use std::collections::BTreeMap;

use binlog::{BinlogError, Projection, Rows, RowsKind, TableMap, Wanted};
use change::{Cell, Position, RowChange, TableName};
use mysql::control::fidelity::{self, Compared};
use mysql::control::sample;
use mysql::{Class, Database, DbError, Row};
use plan::catalog::Column;
use plan::checked::Checked;
use plan::quote::ident;

use crate::error::ReaderError;
use crate::seat::Seat;
use crate::tables::{Problem, places, project, spell};

/// Rows of one sample in one transaction that are looked at. Crossfade's own samples are smaller.
const MOST: usize = 200;

/// A watched table whose samples are compared.
#[derive(Clone, Debug)]
pub(crate) struct Sampled {
    /// In the legacy schema.
    name: TableName,
    /// In the control schema.
    pub table: String,
    /// Number of the sample, number of the row.
    own: [String; 2],
    columns: Vec<Column>,
    uuids: Vec<usize>,
}

/// How the rows of a sample are read.
pub(crate) struct Eye {
    table: usize,
    own: Projection,
    /// Or the column that does not look as the plan knows it.
    rows: Result<Projection, (String, String)>,
}

/// What one transaction put into one sample.
#[derive(Debug)]
pub(crate) struct Sample {
    table: usize,
    number: u64,
    rows: BTreeMap<u64, Vec<Cell>>,
    /// A column that could not be decoded, and why.
    problem: Option<(String, String)>,
}

impl Sampled {
    pub fn of_plan(plan: &Checked) -> Vec<Sampled> {
        let sampled = plan.watched.iter().map(|(table, watched)| {
            let columns = sample::columns(watched);
            let own = sample::own_columns(&columns);
            let columns: Vec<Column> = columns.into_iter().cloned().collect();
            Sampled {
                name: TableName::new(&plan.schema, table),
                table: sample::table(table),
                own,
                uuids: places(&columns, "uuid"),
                columns,
            }
        });
        sampled.collect()
    }

    /// `None`: it was made for another plan, and says nothing about this one.
    pub fn eye(&self, table: usize, map: TableMap) -> Option<Eye> {
        let names: Vec<String> = self.columns.iter().map(|c| c.name.clone()).collect();
        let has = |name: &String| map.columns.iter().any(|c| c.name.eq_ignore_ascii_case(name));
        if !names.iter().chain(&self.own).all(has) {
            return None;
        }
        let own = Wanted { published: &self.own, read: &self.own, ..Wanted::default() };
        let own = Projection::new(map.clone(), own).ok()?;
        let wanted = Wanted { published: &names, read: &names, ..Wanted::default() };
        let rows = project(&self.name, map, wanted, &self.columns).map_err(|problem| match problem {
            Problem::Changed { column, was, now, .. } => {
                (column, format!("the plan knows {was}, it is {now}"))
            }
            Problem::Binlog(e) => undecoded(&e),
        });
        Some(Eye { table, own, rows })
    }

    /// The rows of a sample as a session reads them.
    fn select(&self, database: &Database, number: u64) -> String {
        let cells = self.columns.iter().map(|c| match c.data_type.as_str() {
            // Six digits are not all of it.
            "float" => format!("CAST({} AS DOUBLE)", ident(&c.name)),
            // Zeros in front are only shown.
            "decimal" if c.column_type.contains("zerofill") => format!("{} + 0", ident(&c.name)),
            _ => ident(&c.name),
        });
        format!(
            "SELECT {}, {} FROM {} WHERE {} = {number}",
            ident(&self.own[1]),
            cells.collect::<Vec<_>>().join(", "),
            database.control_table(&self.table),
            ident(&self.own[0]),
        )
    }
}

impl Eye {
    /// Adds what came into a sample.
    pub fn note(&self, sampled: &[Sampled], rows: &Rows, noted: &mut Vec<Sample>) -> Result<(), BinlogError> {
        if rows.kind != RowsKind::Insert {
            return Ok(());
        }
        let mut own: Vec<RowChange> = Vec::new();
        self.own.changes(rows, &mut own)?;
        let mut told: Vec<RowChange> = Vec::new();
        let read = match &self.rows {
            Ok(projection) => projection.changes(rows, &mut told).map(drop).map_err(|e| undecoded(&e)),
            Err(problem) => Err(problem.clone()),
        };
        let mut told = told.into_iter();
        for own in own {
            let cells = told.next().and_then(|mut change| {
                spell(&mut change, &sampled[self.table].uuids);
                change.after
            });
            let Some([Cell::UInt(number), Cell::UInt(row)]) = own.after.as_deref() else { continue };
            let i = match noted.iter().position(|s| s.table == self.table && s.number == *number) {
                Some(i) => i,
                None => {
                    noted.push(Sample {
                        table: self.table,
                        number: *number,
                        rows: BTreeMap::new(),
                        problem: None,
                    });
                    noted.len() - 1
                }
            };
            let sample = &mut noted[i];
            if let Err(problem) = &read {
                sample.problem = Some(problem.clone());
            }
            if let Some(cells) = cells.filter(|_| sample.rows.len() < MOST) {
                sample.rows.insert(*row, cells);
            }
        }
        Ok(())
    }
}

/// Compares samples whose rows can be seen, and writes down what was found. `before` and `end`: the positions around them.
pub(crate) async fn compare(
    seat: &mut Seat,
    database: &Database,
    sampled: &[Sampled],
    samples: &[(Sample, Position)],
    before: &Position,
) -> Result<(), ReaderError> {
    let mut refused = None;
    for (sample, end) in samples {
        let table = &sampled[sample.table];
        let rows = match seat.rows(&table.select(database, sample.number)).await {
            Ok(rows) => rows,
            Err(ReaderError::Database(e)) if matches!(e.class, Class::Missing | Class::Privilege) => {
                tracing::warn!(table = %table.name, error = %e, "a sample cannot be compared with what the binlog says");
                continue;
            }
            Err(e) => return Err(e),
        };
        if rows.is_empty() {
            // It was replaced by a newer one, which follows.
            continue;
        }
        let found = table.found(sample, &rows, end);
        if found.is_empty() {
            continue;
        }
        seat.record(&fidelity::record(database, sample.number, &found)).await?;
        refused = refused.or_else(|| refusal(&found, sample.problem.as_ref(), before));
    }
    refused.map_or(Ok(()), Err)
}

/// A saved position that has passed a sample which disagrees.
pub(crate) async fn check_start(
    database: &Database,
    sampled: &[Sampled],
    saved: &Position,
) -> Result<(), ReaderError> {
    let mut session = database.session().await?;
    let found = match fidelity::disagreeing(&mut session, database).await {
        Err(e) if matches!(e.class, Class::Missing | Class::Privilege) => Vec::new(),
        found => found?,
    };
    session.close().await;
    let known = |f: &Compared| sampled.iter().any(|s| s.name.table == f.table);
    let passed = |f: &Compared| f.end().is_none_or(|end| saved.reaches(&end));
    let found: Vec<Compared> = found.into_iter().filter(|f| known(f) && passed(f)).collect();
    refusal(&found, None, saved).map_or(Ok(()), Err)
}

/// Names the columns of the first table that disagrees, if one does.
fn refusal(found: &[Compared], problem: Option<&(String, String)>, before: &Position) -> Option<ReaderError> {
    let first = found.iter().find(|f| f.differ > 0)?;
    let columns = found.iter().filter(|f| f.table == first.table && f.differ > 0);
    Some(ReaderError::Fidelity {
        table: first.table.clone(),
        columns: columns.map(|f| format!("`{}`", f.column)).collect::<Vec<_>>().join(", "),
        differ: first.differ,
        rows: first.rows,
        said: problem.map(|(_, why)| format!(" ({why})")).unwrap_or_default(),
        position: before.clone(),
    })
}

impl Sampled {
    fn found(&self, sample: &Sample, rows: &[Row], end: &Position) -> Vec<Compared> {
        let compared = |column: &str, rows: u64, differ: u64| Compared {
            table: self.name.table.clone(),
            column: column.to_owned(),
            position: end.to_string(),
            rows,
            differ,
        };
        if let Some((column, _)) = &sample.problem {
            let all = rows.len() as u64;
            return vec![compared(column, all, all)];
        }
        let pairs: Vec<(&Row, &Vec<Cell>)> =
            rows.iter().filter_map(|r| Some((r, sample.rows.get(&r.u64(0).ok()??)?))).collect();
        if pairs.is_empty() {
            return Vec::new();
        }
        let columns = self.columns.iter().enumerate().map(|(i, column)| {
            let differs = |(row, told): &&(&Row, &Vec<Cell>)| {
                let shown: Result<Cell, DbError> = row.cell(i + 1, column);
                !shown.is_ok_and(|shown| told.get(i) == Some(&shown))
            };
            compared(&column.name, pairs.len() as u64, pairs.iter().filter(differs).count() as u64)
        });
        columns.collect()
    }
}

/// The column that an error names, and the error.
fn undecoded(error: &BinlogError) -> (String, String) {
    let column = match error {
        BinlogError::NoColumn { column, .. }
        | BinlogError::PartialImage { column, .. }
        | BinlogError::Charset { column, .. }
        | BinlogError::NoCharset { column }
        | BinlogError::Text { column, .. }
        | BinlogError::Value { column, .. } => column.as_str(),
        _ => "?",
    };
    (column.to_owned(), error.to_string())
}
