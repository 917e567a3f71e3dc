//! TABLE_MAP: what a table looks like at this place of the binlog.

use change::TableName;

use crate::charset::Charset;
use crate::column::{Column, Kind};
use crate::error::{BinlogError, Result};
use crate::scan::Scan;

/// A table at this place of the binlog. Ids are only valid until the file rotates or the table map is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableMap {
    pub id: u64,
    pub name: TableName,
    pub columns: Vec<Column>,
}

/// Optional metadata that we read (its tag in the event).
mod tag {
    pub const SIGNEDNESS: u8 = 1;
    pub const DEFAULT_CHARSET: u8 = 2;
    pub const COLUMN_CHARSET: u8 = 3;
    pub const COLUMN_NAME: u8 = 4;
    pub const SET_LABELS: u8 = 5;
    pub const ENUM_LABELS: u8 = 6;
    pub const LABEL_DEFAULT_CHARSET: u8 = 10;
    pub const LABEL_COLUMN_CHARSET: u8 = 11;
}

impl TableMap {
    /// Id and name only: enough to pass over a table that nobody watches.
    pub fn peek(body: &[u8]) -> Result<(u64, TableName)> {
        let mut scan = Scan::new(body, "a table map");
        head(&mut scan)
    }

    pub fn parse(body: &[u8]) -> Result<TableMap> {
        let mut scan = Scan::new(body, "a table map");
        let (id, name) = head(&mut scan)?;
        let count = scan.packed()?;
        let codes = scan.take(usize::try_from(count).map_err(|_| BinlogError::Truncated("a table map"))?)?;
        let mut meta = scan.packed_bytes()?;
        scan.take(codes.len().div_ceil(8))?; // which columns may be NULL: the rows say it again

        let mut columns = Vec::with_capacity(codes.len());
        for (i, code) in codes.iter().enumerate() {
            let unknown =
                || BinlogError::UnknownType { table: name.to_string(), ordinal: i + 1, code: *code };
            let (kind, used) = Kind::parse(*code, meta).ok_or_else(unknown)?;
            meta = meta.get(used..).ok_or_else(unknown)?;
            columns.push(Column { name: String::new(), kind });
        }
        let mut map = TableMap { id, name, columns };
        map.metadata(scan, codes)?;
        Ok(map)
    }

    pub fn has_names(&self) -> bool {
        self.columns.iter().all(|c| !c.name.is_empty())
    }

    fn metadata(&mut self, mut scan: Scan, codes: &[u8]) -> Result<()> {
        let mut label_charsets = Vec::new();
        let (mut sets, mut enums) = (None, None);
        while !scan.is_empty() {
            let tag = scan.u8()?;
            let value = Scan::new(scan.packed_bytes()?, "a table map's metadata");
            match tag {
                tag::SIGNEDNESS => self.signedness(value.rest(), codes),
                tag::DEFAULT_CHARSET => {
                    let count = self.texts().count();
                    let charsets = with_default(value, count)?;
                    self.texts().zip(charsets).for_each(|(c, id)| c.kind.set_charset(id));
                }
                tag::COLUMN_CHARSET => {
                    let charsets = listed(value)?;
                    self.texts().zip(charsets).for_each(|(c, id)| c.kind.set_charset(id));
                }
                tag::COLUMN_NAME => self.names(value)?,
                tag::SET_LABELS => sets = Some(value),
                tag::ENUM_LABELS => enums = Some(value),
                tag::LABEL_DEFAULT_CHARSET => {
                    label_charsets = with_default(value, self.labelled().count())?;
                }
                tag::LABEL_COLUMN_CHARSET => label_charsets = listed(value)?,
                // Geometry types, primary keys, visibility: nothing that decoding needs.
                _ => {}
            }
        }
        self.labels(sets, enums, &label_charsets)
    }

    /// Columns whose value is text or bytes, in the order in which the metadata counts them.
    fn texts(&mut self) -> impl Iterator<Item = &mut Column> {
        self.columns
            .iter_mut()
            .filter(|c| matches!(c.kind, Kind::Char { .. } | Kind::VarChar { .. } | Kind::Blob { .. }))
    }

    fn labelled(&mut self) -> impl Iterator<Item = &mut Column> {
        self.columns.iter_mut().filter(|c| matches!(c.kind, Kind::Enum { .. } | Kind::Set { .. }))
    }

    /// One bit per number column, the highest first. YEAR counts as a number.
    fn signedness(&mut self, bits: &[u8], codes: &[u8]) {
        let numeric = |code: u8| matches!(code, 0 | 1 | 2 | 3 | 4 | 5 | 8 | 9 | 13 | 246);
        let numbers = self.columns.iter_mut().zip(codes).filter(|(_, code)| numeric(**code));
        for (i, (column, _)) in numbers.enumerate() {
            if let Kind::Int { unsigned, .. } = &mut column.kind {
                *unsigned = bits.get(i / 8).is_some_and(|b| b << (i % 8) & 0x80 != 0);
            }
        }
    }

    fn names(&mut self, mut value: Scan) -> Result<()> {
        for column in &mut self.columns {
            let name = std::str::from_utf8(value.packed_bytes()?);
            column.name = name.map_err(|_| BinlogError::Malformed("a column's name is not UTF-8"))?.into();
        }
        Ok(())
    }

    fn labels<'a>(
        &mut self,
        mut sets: Option<Scan<'a>>,
        mut enums: Option<Scan<'a>>,
        charsets: &[u16],
    ) -> Result<()> {
        for (i, column) in self.labelled().enumerate() {
            let charset = charsets.get(i).map(|id| Charset::of_collation(*id));
            let (source, labels) = match &mut column.kind {
                Kind::Enum { labels, .. } => (&mut enums, labels),
                Kind::Set { labels, .. } => (&mut sets, labels),
                _ => continue,
            };
            let Some(scan) = source else { continue };
            let mut texts = Vec::new();
            for _ in 0..scan.packed()? {
                let bytes = scan.packed_bytes()?;
                texts.push(match charset {
                    Some(Charset::Binary) => std::str::from_utf8(bytes).ok().map(String::from),
                    charset => charset.and_then(|c| c.text(bytes)),
                });
            }
            *labels = texts.into_iter().collect();
        }
        Ok(())
    }
}

fn head(scan: &mut Scan) -> Result<(u64, TableName)> {
    let id = scan.uint(6)?;
    scan.u16()?;
    let mut name = || -> Result<String> {
        let n = usize::from(scan.u8()?);
        let text = std::str::from_utf8(scan.take(n)?);
        let text = text.map_err(|_| BinlogError::Malformed("a table's name is not UTF-8"))?;
        scan.u8()?;
        Ok(text.into())
    };
    Ok((id, TableName { schema: name()?, table: name()? }))
}

/// A default and the exceptions from it: pairs of (index, collation).
fn with_default(mut value: Scan, count: usize) -> Result<Vec<u16>> {
    let mut out = vec![value.packed()? as u16; count];
    while !value.is_empty() {
        let (i, id) = (value.packed()?, value.packed()? as u16);
        let place = usize::try_from(i).ok().and_then(|i| out.get_mut(i));
        *place.ok_or(BinlogError::Malformed("a character set for a column that is not there"))? = id;
    }
    Ok(out)
}

fn listed(mut value: Scan) -> Result<Vec<u16>> {
    let mut out = Vec::new();
    while !value.is_empty() {
        out.push(value.packed()? as u16);
    }
    Ok(out)
}
