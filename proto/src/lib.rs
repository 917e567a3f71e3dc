//! The wire form of changes and marks, with lossless conversion to the vocabulary of the `change` crate; and that of
//! whole images, for others.

use change::{Cause, Cell, ChangeBatch, Key, Mark, MarkBatch, Op, RowChange, TableName};
use prost::Message;

pub mod debezium;

mod wire {
    include!(concat!(env!("OUT_DIR"), "/crossfade.v1.rs"));
}

/// A record that this version cannot read. Nothing is guessed: the consumer stops with the offset before it.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("the record is not a valid {kind}: {source}")]
    Decode { kind: &'static str, source: prost::DecodeError },
    #[error("the record has no {0}")]
    Missing(&'static str),
    #[error("the record's operation {0} is not known to this version")]
    UnknownOp(i32),
    #[error(transparent)]
    Position(#[from] change::PositionError),
}

fn cell(c: &Cell) -> wire::Cell {
    use wire::cell::Value;
    wire::Cell {
        value: Some(match c {
            Cell::Null => Value::Null(true),
            Cell::Int(v) => Value::Int(*v),
            Cell::UInt(v) => Value::Uint(*v),
            Cell::Double(v) => Value::Double(*v),
            Cell::Text(v) => Value::Text(v.clone()),
            Cell::Bytes(v) => Value::Bytes(v.clone()),
        }),
    }
}

fn cells(row: wire::Row) -> Result<Vec<Cell>, RecordError> {
    use wire::cell::Value;
    row.cells
        .into_iter()
        .map(|c| {
            Ok(match c.value.ok_or(RecordError::Missing("value of a cell"))? {
                Value::Null(_) => Cell::Null,
                Value::Int(v) => Cell::Int(v),
                Value::Uint(v) => Cell::UInt(v),
                Value::Double(v) => Cell::Double(v),
                Value::Text(v) => Cell::Text(v),
                Value::Bytes(v) => Cell::Bytes(v),
            })
        })
        .collect()
}

fn row(cells: &[Cell]) -> wire::Row {
    wire::Row { cells: cells.iter().map(cell).collect() }
}

fn cause(c: &Cause) -> wire::Cause {
    wire::Cause {
        position: c.position.as_ref().map(ToString::to_string).unwrap_or_default(),
        time_ms: c.time_ms,
    }
}

fn cause_of(c: Option<wire::Cause>) -> Result<Cause, RecordError> {
    let c = c.ok_or(RecordError::Missing("cause"))?;
    let position = if c.position.is_empty() { None } else { Some(c.position.parse()?) };
    Ok(Cause { position, time_ms: c.time_ms })
}

pub fn encode_changes(batch: &ChangeBatch) -> Vec<u8> {
    wire::ChangeBatch {
        schema: batch.table.schema.clone(),
        table: batch.table.table.clone(),
        columns: batch.columns.clone(),
        cause: Some(cause(&batch.cause)),
        rows: batch
            .rows
            .iter()
            .map(|r| wire::RowChange {
                op: match r.op {
                    Op::Insert => wire::Op::Insert,
                    Op::Update => wire::Op::Update,
                    Op::Delete => wire::Op::Delete,
                    Op::Truncate => wire::Op::Truncate,
                } as i32,
                before: r.before.as_deref().map(row),
                after: r.after.as_deref().map(row),
            })
            .collect(),
    }
    .encode_to_vec()
}

pub fn decode_changes(bytes: &[u8]) -> Result<ChangeBatch, RecordError> {
    let batch = wire::ChangeBatch::decode(bytes)
        .map_err(|source| RecordError::Decode { kind: "batch of changes", source })?;
    let rows = batch
        .rows
        .into_iter()
        .map(|r| {
            Ok(RowChange {
                op: match wire::Op::try_from(r.op) {
                    Ok(wire::Op::Insert) => Op::Insert,
                    Ok(wire::Op::Update) => Op::Update,
                    Ok(wire::Op::Delete) => Op::Delete,
                    Ok(wire::Op::Truncate) => Op::Truncate,
                    Ok(wire::Op::Unspecified) | Err(_) => return Err(RecordError::UnknownOp(r.op)),
                },
                before: r.before.map(cells).transpose()?,
                after: r.after.map(cells).transpose()?,
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(ChangeBatch {
        table: TableName::new(batch.schema, batch.table),
        columns: batch.columns,
        cause: cause_of(batch.cause)?,
        rows,
    })
}

pub fn encode_marks(batch: &MarkBatch) -> Vec<u8> {
    wire::MarkBatch {
        target: batch.target.clone(),
        cause: Some(cause(&batch.cause)),
        scopes: batch.marks.iter().map(|m| row(&m.scope.0)).collect(),
    }
    .encode_to_vec()
}

pub fn decode_marks(bytes: &[u8]) -> Result<MarkBatch, RecordError> {
    let batch = wire::MarkBatch::decode(bytes)
        .map_err(|source| RecordError::Decode { kind: "batch of marks", source })?;
    Ok(MarkBatch {
        target: batch.target,
        cause: cause_of(batch.cause)?,
        marks: batch
            .scopes
            .into_iter()
            .map(|s| Ok(Mark { scope: Key(cells(s)?) }))
            .collect::<Result<_, RecordError>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_cells() -> Vec<Cell> {
        vec![
            Cell::Null,
            Cell::Int(i64::MIN),
            Cell::UInt(u64::MAX),
            Cell::Double(-0.5),
            Cell::Text("zażółć \u{0}".into()),
            Cell::Bytes(vec![0, 255, 0]),
        ]
    }

    #[test]
    fn changes_survive_the_wire() {
        let batch = ChangeBatch {
            table: TableName::new("app", "we`ird"),
            columns: ["a", "b", "c", "d", "e", "f"].map(String::from).to_vec(),
            cause: Cause { position: Some("0-1-77".parse().unwrap()), time_ms: 5 },
            rows: vec![
                RowChange { op: Op::Update, before: Some(all_cells()), after: Some(vec![Cell::Null; 6]) },
                RowChange { op: Op::Truncate, before: None, after: None },
            ],
        };
        assert_eq!(decode_changes(&encode_changes(&batch)).unwrap(), batch);
    }

    #[test]
    fn marks_survive_the_wire() {
        let batch = MarkBatch {
            target: "requests".into(),
            cause: Cause::default(),
            marks: vec![Mark { scope: Key(all_cells()) }, Mark { scope: Key(vec![]) }],
        };
        assert_eq!(decode_marks(&encode_marks(&batch)).unwrap(), batch);
    }

    #[test]
    fn a_record_of_another_kind_is_refused() {
        assert!(decode_changes(b"\xff\xff\xff").is_err());
        assert!(decode_marks(&[]).is_err(), "no cause");
    }
}
