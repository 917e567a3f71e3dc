//! A column as the binlog describes it, and the value of one cell.

use change::Cell;

use crate::charset::Charset;
use crate::error::{BinlogError, Result};
use crate::scan::uint_le;
use crate::{decimal, temporal};

/// A column of a table map. `name` is empty if the server does not send names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
}

/// How a cell is stored. Lengths are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Int {
        size: u8,
        unsigned: bool,
    },
    Decimal {
        precision: u8,
        scale: u8,
    },
    Float,
    Double,
    Year,
    Date,
    Time {
        fsp: u8,
    },
    DateTime {
        fsp: u8,
    },
    Timestamp {
        fsp: u8,
    },
    Bit {
        size: u8,
    },
    /// `labels` is `None` if the binlog does not carry them in a character set that we decode.
    Enum {
        size: u8,
        labels: Option<Vec<String>>,
    },
    Set {
        size: u8,
        labels: Option<Vec<String>>,
    },
    /// CHAR and BINARY, also MariaDB's UUID and INET6. The server cuts BINARY's trailing zeros off.
    Char {
        length: u16,
        charset: Option<Charset>,
    },
    VarChar {
        length: u16,
        charset: Option<Charset>,
    },
    /// TEXT, BLOB and MariaDB's JSON; `prefix` is the size of the length.
    Blob {
        prefix: u8,
        charset: Option<Charset>,
    },
    Geometry {
        prefix: u8,
    },
    /// MySQL's JSON, MariaDB's compressed columns: stepped over and compared, never decoded.
    Opaque {
        prefix: u8,
        what: &'static str,
    },
}

impl Kind {
    /// The kind of a type code with its metadata; also how many bytes of metadata the code has.
    pub(crate) fn parse(code: u8, meta: &[u8]) -> Option<(Kind, usize)> {
        let byte = |i: usize| meta.get(i).copied();
        let int = |size| (Kind::Int { size, unsigned: false }, 0);
        let fsp = |i: usize| byte(i).filter(|f| *f <= 6);
        let prefix = || byte(0).filter(|p| (1..=4).contains(p));
        Some(match code {
            1 => int(1),
            2 => int(2),
            9 => int(3),
            3 => int(4),
            8 => int(8),
            4 => (Kind::Float, 1),
            5 => (Kind::Double, 1),
            13 => (Kind::Year, 0),
            10 | 14 => (Kind::Date, 0),
            17 => (Kind::Timestamp { fsp: fsp(0)? }, 1),
            18 => (Kind::DateTime { fsp: fsp(0)? }, 1),
            19 => (Kind::Time { fsp: fsp(0)? }, 1),
            246 => {
                let (precision, scale) = (byte(0)?, byte(1)?);
                decimal::size(precision, scale)?;
                (Kind::Decimal { precision, scale }, 2)
            }
            16 => {
                let size = byte(1)?.checked_add(u8::from(byte(0)? > 0)).filter(|s| *s <= 8)?;
                (Kind::Bit { size }, 2)
            }
            15 => {
                let length = u16::from_le_bytes([byte(0)?, byte(1)?]);
                (Kind::VarChar { length, charset: None }, 2)
            }
            252 => (Kind::Blob { prefix: prefix()?, charset: None }, 1),
            255 => (Kind::Geometry { prefix: prefix()? }, 1),
            245 => (Kind::Opaque { prefix: prefix()?, what: "MySQL's JSON" }, 1),
            140 => (Kind::Opaque { prefix: prefix()?, what: "a compressed column" }, 1),
            141 => {
                let length = u16::from_le_bytes([byte(0)?, byte(1)?]);
                (Kind::Opaque { prefix: length_prefix(length), what: "a compressed column" }, 2)
            }
            254 => (Kind::of_string(byte(0)?, byte(1)?)?, 2),
            _ => return None,
        })
    }

    /// Type 254 hides ENUM, SET and two bits of the length of a long CHAR in its metadata.
    fn of_string(first: u8, second: u8) -> Option<Kind> {
        let (real, length) = if first & 0x30 == 0x30 {
            (first, u16::from(second))
        } else {
            (first | 0x30, u16::from(second) | (u16::from(first & 0x30) ^ 0x30) << 4)
        };
        match real {
            247 if matches!(second, 1 | 2) => Some(Kind::Enum { size: second, labels: None }),
            248 if matches!(second, 1..=8) => Some(Kind::Set { size: second, labels: None }),
            254 => Some(Kind::Char { length, charset: None }),
            _ => None,
        }
    }

    /// Bytes of the length in front of the value, 0 for a value of fixed size.
    fn prefix(&self) -> usize {
        usize::from(match self {
            Kind::Char { length, .. } | Kind::VarChar { length, .. } => length_prefix(*length),
            Kind::Blob { prefix, .. } | Kind::Geometry { prefix } | Kind::Opaque { prefix, .. } => *prefix,
            _ => 0,
        })
    }

    /// How many bytes the cell at the start of `bytes` takes, its length prefix included.
    pub(crate) fn span(&self, bytes: &[u8]) -> Result<usize> {
        let prefix = self.prefix();
        if prefix > 0 {
            let head = bytes.get(..prefix).ok_or(BinlogError::Truncated("a row"))?;
            return Ok(prefix + uint_le(head) as usize);
        }
        Ok(match *self {
            Kind::Int { size, .. } | Kind::Bit { size } => usize::from(size),
            Kind::Enum { size, .. } | Kind::Set { size, .. } => usize::from(size),
            // Types with another size do not come out of `parse`.
            Kind::Decimal { precision, scale } => decimal::size(precision, scale).unwrap_or(0),
            Kind::Float => 4,
            Kind::Double => 8,
            Kind::Year => 1,
            Kind::Date => 3,
            Kind::Time { fsp } => 3 + temporal::fraction_size(fsp),
            Kind::DateTime { fsp } => 5 + temporal::fraction_size(fsp),
            Kind::Timestamp { fsp } => 4 + temporal::fraction_size(fsp),
            Kind::Char { .. }
            | Kind::VarChar { .. }
            | Kind::Blob { .. }
            | Kind::Geometry { .. }
            | Kind::Opaque { .. } => 0,
        })
    }

    pub(crate) fn set_charset(&mut self, collation: u16) {
        if let Kind::Char { charset, .. } | Kind::VarChar { charset, .. } | Kind::Blob { charset, .. } = self
        {
            *charset = Some(Charset::of_collation(collation));
        }
    }
}

impl Column {
    /// The value of a cell whose bytes `span` has measured.
    pub(crate) fn decode(&self, raw: &[u8]) -> Result<Cell> {
        let value = raw.get(self.kind.prefix()..).ok_or(BinlogError::Truncated("a row"))?;
        let wrong = |reason| BinlogError::Value { column: self.name.clone(), reason };
        let text = |t: Option<String>, reason| t.map(Cell::Text).ok_or_else(|| wrong(reason));
        Ok(match &self.kind {
            Kind::Int { unsigned: true, .. } => Cell::UInt(uint_le(value)),
            Kind::Int { unsigned: false, size } => {
                let unused = 64 - 8 * u32::from(*size);
                Cell::Int((uint_le(value) << unused) as i64 >> unused)
            }
            Kind::Float => Cell::Double(f32::from_bits(uint_le(value) as u32).into()),
            Kind::Double => Cell::Double(f64::from_bits(uint_le(value))),
            Kind::Year => Cell::Text(format!("{:04}", temporal::year(uint_le(value) as u8))),
            Kind::Bit { .. } => Cell::Bytes(value.to_vec()),
            Kind::Decimal { precision, scale } => {
                text(decimal::text(value, *precision, *scale), "not a DECIMAL")?
            }
            Kind::Date => Cell::Text(temporal::date(value)),
            Kind::Time { fsp } => text(temporal::time(value, *fsp), "not a TIME")?,
            Kind::DateTime { fsp } => text(temporal::datetime(value, *fsp), "not a DATETIME")?,
            Kind::Timestamp { fsp } => text(temporal::timestamp(value, *fsp), "not a TIMESTAMP")?,
            Kind::Enum { labels, .. } => Cell::Text(self.enum_label(labels.as_deref(), uint_le(value))?),
            Kind::Set { labels, .. } => Cell::Text(self.set_labels(labels.as_deref(), uint_le(value))?),
            Kind::Char { length, charset: Some(Charset::Binary) } => {
                let mut bytes = value.to_vec();
                bytes.resize(usize::from(*length).max(value.len()), 0);
                Cell::Bytes(bytes)
            }
            Kind::Char { charset, .. } | Kind::VarChar { charset, .. } | Kind::Blob { charset, .. } => {
                self.text(*charset, value)?
            }
            Kind::Geometry { .. } => Cell::Bytes(value.to_vec()),
            Kind::Opaque { what, .. } => return Err(wrong(what)),
        })
    }

    fn text(&self, charset: Option<Charset>, value: &[u8]) -> Result<Cell> {
        let column = || self.name.clone();
        match charset {
            None => Err(BinlogError::NoCharset { column: column() }),
            Some(Charset::Binary) => Ok(Cell::Bytes(value.to_vec())),
            Some(Charset::Other(collation)) => Err(BinlogError::Charset { column: column(), collation }),
            Some(charset) => charset
                .text(value)
                .map(Cell::Text)
                .ok_or_else(|| BinlogError::Text { column: column(), charset }),
        }
    }

    fn labels<'a>(&self, labels: Option<&'a [String]>) -> Result<&'a [String]> {
        labels.ok_or_else(|| BinlogError::Value {
            column: self.name.clone(),
            reason: "its labels are not in the binlog in a character set that we decode",
        })
    }

    /// Index 0 is what an invalid value became; it reads as the empty string.
    fn enum_label(&self, labels: Option<&[String]>, index: u64) -> Result<String> {
        let labels = self.labels(labels)?;
        let Some(i) = index.checked_sub(1) else { return Ok(String::new()) };
        let label = usize::try_from(i).ok().and_then(|i| labels.get(i));
        label.cloned().ok_or_else(|| BinlogError::Value {
            column: self.name.clone(),
            reason: "an ENUM index beyond its labels",
        })
    }

    fn set_labels(&self, labels: Option<&[String]>, bits: u64) -> Result<String> {
        let labels = self.labels(labels)?;
        if labels.len() < 64 && bits >> labels.len() != 0 {
            let reason = "a SET bit beyond its labels";
            return Err(BinlogError::Value { column: self.name.clone(), reason });
        }
        let chosen = labels
            .iter()
            .enumerate()
            .filter(|(i, _)| bits.checked_shr(*i as u32).is_some_and(|b| b & 1 == 1));
        Ok(chosen.map(|(_, l)| l.as_str()).collect::<Vec<_>>().join(","))
    }
}

fn length_prefix(length: u16) -> u8 {
    if length > 255 { 2 } else { 1 }
}
