//! One row of a result, as the text protocol carries it.

use change::Cell;
use plan::catalog::Column;
use sqlx::{Row as _, ValueRef as _};

use crate::error::{Class, DbError};

/// Columns are addressed by their place in the SELECT; a place that is not there is a defect of the caller and panics,
/// as an index into a slice does.
pub struct Row(sqlx::mysql::MySqlRow);

impl Row {
    pub(crate) fn new(row: sqlx::mysql::MySqlRow) -> Self {
        Self(row)
    }

    /// Number of columns.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The place of the first column of this name, whatever its case: for results whose shape is the server's.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.0.columns().iter().position(|c| sqlx::Column::name(c).eq_ignore_ascii_case(name))
    }

    /// The raw bytes; numbers and times as the text that the database prints. `None`: NULL.
    pub fn bytes(&self, i: usize) -> Option<&[u8]> {
        let raw = self.0.try_get_raw(i).expect("the place stands in the SELECT");
        (!raw.is_null()).then(|| self.0.try_get_unchecked::<&[u8], _>(i).expect("bytes are bytes"))
    }

    /// The text; an error if the bytes are not UTF-8 (a binary column read as text).
    pub fn text(&self, i: usize) -> Result<Option<&str>, DbError> {
        self.bytes(i)
            .map(|b| std::str::from_utf8(b).map_err(|_| self.unexpected(i, "UTF-8 text")))
            .transpose()
    }

    pub fn u64(&self, i: usize) -> Result<Option<u64>, DbError> {
        self.parse(i, "an unsigned integer")
    }

    pub fn i64(&self, i: usize) -> Result<Option<i64>, DbError> {
        self.parse(i, "an integer")
    }

    pub fn f64(&self, i: usize) -> Result<Option<f64>, DbError> {
        self.parse(i, "a number")
    }

    /// SQL's truth: 0 is false, other integers are true.
    pub fn bool(&self, i: usize) -> Result<Option<bool>, DbError> {
        Ok(self.i64(i)?.map(|n| n != 0))
    }

    /// The value in the form in which the binlog's rows are decoded, so that keys from both sides are equal.
    pub fn cell(&self, i: usize, column: &Column) -> Result<Cell, DbError> {
        let Some(bytes) = self.bytes(i) else { return Ok(Cell::Null) };
        let cell = match column.data_type.as_str() {
            _ if column.is_integer() && column.is_unsigned() => self.u64(i)?.map(Cell::UInt),
            _ if column.is_integer() => self.i64(i)?.map(Cell::Int),
            "double" => self.f64(i)?.map(Cell::Double),
            // Six digits are all that the text has of it.
            "float" => self.parse::<f32>(i, "a number")?.map(|n| Cell::Double(n.into())),
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "bit" | "geometry"
            | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
            | "geometrycollection" => Some(Cell::Bytes(bytes.to_vec())),
            _ => self.text(i)?.map(|t| Cell::Text(t.into())),
        };
        Ok(cell.unwrap_or(Cell::Null))
    }

    fn parse<T: std::str::FromStr>(&self, i: usize, kind: &'static str) -> Result<Option<T>, DbError> {
        self.text(i)?.map(|t| t.parse().map_err(|_| self.unexpected(i, kind))).transpose()
    }

    fn unexpected(&self, i: usize, kind: &'static str) -> DbError {
        let name = sqlx::Column::name(self.0.column(i));
        DbError::new("read a result", Class::Other, format!("column {} (`{name}`) is not {kind}", i + 1))
    }
}
