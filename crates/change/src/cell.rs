//! One value of a row as it travels between services, and the key made of such values.

use std::cmp::Ordering;
use std::fmt;

/// A value as the binlog holds it or as a session returns it.
///
/// Text is always UTF-8 (the decoder transcodes from the column's character set). Temporal and decimal values are
/// `Text` in the form that the database itself prints and accepts as a literal.
#[derive(Clone, Debug, PartialEq, PartialOrd, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Cell {
    Null,
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(String),
    /// In JSON `{"hex":"00ff"}`: what SQL can read again.
    #[serde(with = "hex")]
    Bytes(Vec<u8>),
}

mod hex {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[derive(Serialize, Deserialize)]
    struct Hex {
        hex: String,
    }

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        Hex { hex: bytes.iter().map(|b| format!("{b:02x}")).collect() }.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let Hex { hex } = Hex::deserialize(deserializer)?;
        let digits: Option<Vec<u8>> = hex.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
        match digits {
            Some(digits) if digits.len() % 2 == 0 => Ok(digits.chunks(2).map(|d| d[0] << 4 | d[1]).collect()),
            _ => Err(D::Error::custom("not hexadecimal")),
        }
    }
}

impl Cell {
    pub fn is_null(&self) -> bool {
        matches!(self, Cell::Null)
    }
}

impl fmt::Display for Cell {
    /// The text that an operator reads in `scope_key`: digits, the text itself, bytes as `0x…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Null => f.write_str("NULL"),
            Cell::Int(v) => write!(f, "{v}"),
            Cell::UInt(v) => write!(f, "{v}"),
            Cell::Double(v) => write!(f, "{v}"),
            Cell::Text(v) => f.write_str(v),
            Cell::Bytes(v) => {
                f.write_str("0x")?;
                v.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }
    }
}

/// The legacy key of a scope: one cell per key column, in the plan's order.
#[derive(Clone, Debug, PartialEq, PartialOrd, serde::Serialize, serde::Deserialize)]
pub struct Key(pub Vec<Cell>);

impl Key {
    /// The key as text: the value itself, or a JSON array of strings if the key has several columns.
    pub fn text(&self) -> String {
        match self.0.as_slice() {
            [one] => one.to_string(),
            many => serde_json::to_string(&many.iter().map(Cell::to_string).collect::<Vec<_>>())
                .unwrap_or_else(|e| unreachable!("strings are always JSON: {e}")),
        }
    }
}

/// Sorts, and leaves one of each. A database holds no NaN, so cells, keys and images have an order.
pub fn distinct<T: PartialOrd>(values: &mut Vec<T>) {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
    values.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_values_stand_in_order() {
        let key = |n, text: &str| Key(vec![Cell::UInt(n), Cell::Text(text.into())]);
        let mut keys = vec![key(2, "a"), key(1, "b"), key(2, "a"), key(1, "a"), key(1, "b")];
        distinct(&mut keys);
        assert_eq!(keys, [key(1, "a"), key(1, "b"), key(2, "a")]);
    }

    #[test]
    fn every_cell_comes_back_from_json() {
        let key = Key(vec![
            Cell::Null,
            Cell::Int(-1),
            Cell::Text("{\"hex\":\"00\"}".into()),
            Cell::Bytes(vec![0, 0xaf, 255]),
            Cell::Bytes(vec![]),
        ]);
        let json = serde_json::to_string(&key).unwrap();
        assert_eq!(json, r#"[null,-1,"{\"hex\":\"00\"}",{"hex":"00afff"},{"hex":""}]"#);
        assert_eq!(serde_json::from_str::<Key>(&json).unwrap(), key);
        for bad in [r#"[{"hex":"0"}]"#, r#"[{"hex":"0g"}]"#, "[[0]]"] {
            assert!(serde_json::from_str::<Key>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_reads_as_its_value_or_as_a_json_array() {
        assert_eq!(Key(vec![Cell::UInt(u64::MAX)]).text(), "18446744073709551615");
        assert_eq!(Key(vec![Cell::Int(-1), Cell::Text("a\"b".into())]).text(), r#"["-1","a\"b"]"#);
        assert_eq!(Key(vec![Cell::Bytes(vec![0, 255])]).text(), "0x00ff");
    }
}
