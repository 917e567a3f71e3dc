//! Whole images for others: change events as Debezium writes them in JSON without a schema, with
//! `decimal.handling.mode=string`, `time.precision.mode=isostring` and `binary.handling.mode=base64`.
//!
//! Values are exact. So what an ISO date cannot hold (a zero date, a TIME beyond a day or below zero) keeps the digits
//! that the server prints, in the same places, rather than become NULL or another day.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use change::{Cell, Form};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// A column of a whole image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Create,
    Update,
    Delete,
    Truncate,
}

impl Op {
    fn letter(self) -> &'static str {
        match self {
            Op::Create => "c",
            Op::Update => "u",
            Op::Delete => "d",
            Op::Truncate => "t",
        }
    }
}

/// Where an event comes from.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Source<'a> {
    /// Of Crossfade.
    pub version: &'static str,
    pub connector: &'static str,
    /// The prefix of the topics.
    pub name: &'a str,
    /// Commit time by the source's clock, milliseconds since 1970.
    pub ts_ms: u64,
    pub snapshot: &'static str,
    pub db: &'a str,
    pub table: &'a str,
    pub server_id: u32,
    pub gtid: &'a str,
    /// Which change of its transaction, from 0: with `gtid` it names the change.
    pub row: u64,
    /// Of the reader that published this. A smaller one behind a larger one is a late repetition.
    pub epoch: u64,
}

/// The record's key: the first `cells`, as an object.
pub fn key(columns: &[Column], cells: &[Cell]) -> Vec<u8> {
    json(&Image { columns, cells })
}

/// The record's value.
pub fn event(
    columns: &[Column],
    op: Op,
    images: [Option<&[Cell]>; 2],
    source: &Source<'_>,
    now_ms: u64,
) -> Vec<u8> {
    let [before, after] = images.map(|cells| cells.map(|cells| Image { columns, cells }));
    json(&Envelope { before, after, source, op: op.letter(), ts_ms: now_ms })
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|e| unreachable!("maps with string keys are always JSON: {e}"))
}

#[derive(serde::Serialize)]
struct Envelope<'a> {
    before: Option<Image<'a>>,
    after: Option<Image<'a>>,
    source: &'a Source<'a>,
    op: &'static str,
    ts_ms: u64,
}

struct Image<'a> {
    columns: &'a [Column],
    cells: &'a [Cell],
}

impl Serialize for Image<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.cells.len()))?;
        for (column, cell) in self.columns.iter().zip(self.cells) {
            map.serialize_entry(&column.name, &Value { form: column.form, cell })?;
        }
        map.end()
    }
}

struct Value<'a> {
    form: Form,
    cell: &'a Cell,
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match (self.form, self.cell) {
            (_, Cell::Null) => s.serialize_unit(),
            (_, Cell::Int(v)) => s.serialize_i64(*v),
            (_, Cell::UInt(v)) => s.serialize_u64(*v),
            // It was four bytes before it was a cell, so nothing is cut off.
            (Form::Float, Cell::Double(v)) => s.serialize_f32(*v as f32),
            (_, Cell::Double(v)) => s.serialize_f64(*v),
            (Form::Bool, Cell::Bytes(b)) => s.serialize_bool(b.iter().any(|byte| *byte != 0)),
            // The binlog has the highest byte first, Debezium the lowest.
            (Form::Bits, Cell::Bytes(b)) => {
                s.serialize_str(&BASE64.encode(b.iter().rev().copied().collect::<Vec<_>>()))
            }
            (_, Cell::Bytes(b)) => s.serialize_str(&BASE64.encode(b)),
            (Form::Date | Form::Time, Cell::Text(t)) => s.collect_str(&format_args!("{t}Z")),
            (Form::DateTime, Cell::Text(t)) => s.collect_str(&format_args!("{}Z", t.replacen(' ', "T", 1))),
            (Form::Year, Cell::Text(t)) => match t.parse::<u16>() {
                Ok(year) => s.serialize_u16(year),
                Err(_) => s.serialize_str(t),
            },
            (_, Cell::Text(t)) => s.serialize_str(t),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(forms: &[(&str, Form)]) -> Vec<Column> {
        forms.iter().map(|(name, form)| Column { name: (*name).into(), form: *form }).collect()
    }

    #[test]
    fn an_event_reads_as_debezium_writes_it() {
        let columns = columns(&[("id", Form::Integer), ("when", Form::DateTime), ("left", Form::Decimal)]);
        let cells = |id| {
            vec![Cell::UInt(id), Cell::Text("2024-02-03 04:05:06.007".into()), Cell::Text("-1.50".into())]
        };
        let source = Source {
            version: "1",
            connector: "mariadb",
            name: "crossfade",
            ts_ms: 5,
            snapshot: "false",
            db: "app",
            table: "orders",
            server_id: 3,
            gtid: "0-3-9",
            row: 1,
            epoch: 2,
        };
        let (before, after) = (cells(1), cells(1));
        let event = event(&columns, Op::Update, [Some(&before), Some(&after)], &source, 7);
        let image = r#"{"id":1,"when":"2024-02-03T04:05:06.007Z","left":"-1.50"}"#;
        let source = r#"{"version":"1","connector":"mariadb","name":"crossfade","ts_ms":5,"snapshot":"false","db":"app","table":"orders","server_id":3,"gtid":"0-3-9","row":1,"epoch":2}"#;
        assert_eq!(
            String::from_utf8(event).unwrap(),
            format!(r#"{{"before":{image},"after":{image},"source":{source},"op":"u","ts_ms":7}}"#)
        );
        assert_eq!(key(&columns, &cells(u64::MAX)[..1]), br#"{"id":18446744073709551615}"#);
    }

    #[test]
    fn each_form_has_its_spelling() {
        let text = |t: &str| Cell::Text(t.into());
        let table = [
            (Form::Integer, Cell::Int(i64::MIN), "-9223372036854775808"),
            (Form::Float, Cell::Double(f64::from(0.1_f32)), "0.1"),
            (Form::Double, Cell::Double(0.1), "0.1"),
            (Form::Double, Cell::Double(5e-324), "5e-324"),
            (Form::Decimal, text("0.10"), r#""0.10""#),
            (Form::Text, text("a\"\n\u{0}ż😀"), "\"a\\\"\\n\\u0000ż😀\""),
            (Form::Bytes, Cell::Bytes(vec![0, 255]), r#""AP8=""#),
            (Form::Bool, Cell::Bytes(vec![1]), "true"),
            (Form::Bool, Cell::Bytes(vec![0]), "false"),
            (Form::Bits, Cell::Bytes(vec![1, 2]), r#""AgE=""#),
            (Form::Date, text("0000-00-00"), r#""0000-00-00Z""#),
            (Form::Time, text("-838:59:59.5"), r#""-838:59:59.5Z""#),
            (Form::DateTime, text("2024-02-00 23:59:59"), r#""2024-02-00T23:59:59Z""#),
            (Form::Year, text("0000"), "0"),
            (Form::Date, Cell::Null, "null"),
        ];
        for (form, cell, wanted) in table {
            let written = json(&Value { form, cell: &cell });
            assert_eq!(String::from_utf8(written).unwrap(), wanted, "{form:?} {cell:?}");
        }
    }
}
