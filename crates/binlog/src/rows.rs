//! A rows event: which table, what happened, and the images.

use std::borrow::Cow;

use crate::error::{BinlogError, Result};
use crate::inflate::inflate;
use crate::scan::Scan;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsKind {
    Insert,
    Update,
    Delete,
}

/// A rows event whose images are not decoded yet.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    pub table_id: u64,
    pub kind: RowsKind,
    pub(crate) columns: usize,
    /// Which columns the images hold: the first (or only) one, and the after image of an update.
    pub(crate) present: [&'a [u8]; 2],
    pub(crate) images: Cow<'a, [u8]>,
}

/// The table id of the event that only ends a statement.
const DUMMY_TABLE: u64 = 0x00ff_ffff;

impl<'a> Rows<'a> {
    /// `code`: 23-25 and 30-32, and MariaDB's compressed 166-171.
    pub(crate) fn parse(code: u8, body: &'a [u8]) -> Result<Rows<'a>> {
        let (plain, compressed) = match code {
            23..=25 | 30..=32 => (code, false),
            166..=168 => (code - 143, true),
            169..=171 => (code - 139, true),
            _ => return Err(BinlogError::UnknownEvent(code)),
        };
        let mut scan = Scan::new(body, "a rows event");
        let table_id = scan.uint(6)?;
        scan.u16()?;
        if plain >= 30 {
            let extra = usize::from(scan.u16()?);
            scan.take(extra.checked_sub(2).ok_or(BinlogError::Malformed("the extra part of a rows event"))?)?;
        }
        let kind = match plain {
            23 | 30 => RowsKind::Insert,
            24 | 31 => RowsKind::Update,
            _ => RowsKind::Delete,
        };
        let columns = scan.packed()?;
        let columns = usize::try_from(columns).map_err(|_| BinlogError::Truncated("a rows event"))?;
        let first = scan.take(columns.div_ceil(8))?;
        let second = if kind == RowsKind::Update { scan.take(columns.div_ceil(8))? } else { first };
        let images = if compressed { Cow::Owned(inflate(scan.rest())?) } else { Cow::Borrowed(scan.rest()) };
        Ok(Rows { table_id, kind, columns, present: [first, second], images })
    }

    /// An event that ends a statement and belongs to no table.
    pub fn is_dummy(&self) -> bool {
        self.table_id == DUMMY_TABLE
    }
}
