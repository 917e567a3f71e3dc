//! Which columns of a table matter, and the walk over its row images that touches no other.

use change::{Cell, Op, RowChange};

use crate::column::Column;
use crate::error::{BinlogError, Result};
use crate::rows::{Rows, RowsKind};
use crate::scan::bit;
use crate::table::TableMap;

/// Column names that a plan wants of one table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Decoded, in this order.
    pub published: &'a [String],
    /// An update that changes none of these is an echo, unless a `fill` column says otherwise.
    pub read: &'a [String],
    /// Count as changed when the after image is NULL and the before image is not. A column that is not there yet is
    /// none that anybody could have emptied.
    pub fill: &'a [String],
}

/// How the rows of one table map are read. Made once per table map.
#[derive(Clone, Debug)]
pub struct Projection {
    map: TableMap,
    published: Vec<usize>,
    /// What is done with each column.
    roles: Vec<Role>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Role {
    read: bool,
    fill: bool,
    published: bool,
}

/// What an event held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub rows: u64,
    /// Updates among them in which nothing that the plan reads has changed.
    pub echoes: u64,
}

impl Projection {
    pub fn new(map: TableMap, wanted: Wanted) -> Result<Projection> {
        if !map.has_names() {
            return Err(BinlogError::NoNames { table: map.name.to_string() });
        }
        let find = |name: &String| {
            let place = map.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name));
            place.ok_or_else(|| BinlogError::NoColumn { table: map.name.to_string(), column: name.clone() })
        };
        let published = wanted.published.iter().map(find).collect::<Result<Vec<_>>>()?;
        let mut roles = vec![Role::default(); map.columns.len()];
        for i in &published {
            roles[*i].published = true;
        }
        for name in wanted.read {
            roles[find(name)?].read = true;
        }
        for name in wanted.fill {
            if let Ok(i) = find(name) {
                roles[i].fill = true;
            }
        }
        Ok(Projection { map, published, roles })
    }

    /// Publishes columns by their ordinal (from 0) and drops no update: for tables whose shape we know by heart.
    pub fn by_ordinal(map: TableMap, published: Vec<usize>) -> Result<Projection> {
        let mut roles = vec![Role::default(); map.columns.len()];
        for i in &published {
            let role = roles.get_mut(*i).ok_or_else(|| BinlogError::NoColumn {
                table: map.name.to_string(),
                column: format!("number {}", i + 1),
            })?;
            *role = Role { published: true, read: true, fill: false };
        }
        Ok(Projection { map, published, roles })
    }

    pub fn map(&self) -> &TableMap {
        &self.map
    }

    /// Appends the changes of an event to `out`.
    pub fn changes(&self, rows: &Rows, out: &mut Vec<RowChange>) -> Result<Counts> {
        let table = || self.map.name.to_string();
        if rows.columns != self.map.columns.len() {
            let (found, mapped) = (rows.columns, self.map.columns.len());
            return Err(BinlogError::ColumnCount { table: table(), found, mapped });
        }
        if !rows.full {
            return Err(BinlogError::PartialImage { table: table() });
        }
        if rows.columns == 0 && !rows.images.is_empty() {
            return Err(BinlogError::Malformed("images of a table without columns"));
        }
        let mut counts = Counts::default();
        let mut rest: &[u8] = &rows.images;
        let (mut first, mut second) = (Slots::default(), Slots::default());
        while !rest.is_empty() {
            counts.rows += 1;
            rest = self.walk(rest, &mut first)?;
            let (op, before, after) = match rows.kind {
                RowsKind::Insert => (Op::Insert, None, Some(&first)),
                RowsKind::Delete => (Op::Delete, Some(&first), None),
                RowsKind::Update => {
                    rest = self.walk(rest, &mut second)?;
                    if self.is_echo(&first, &second) {
                        counts.echoes += 1;
                        continue;
                    }
                    (Op::Update, Some(&first), Some(&second))
                }
            };
            let cells = |image: Option<&Slots>| image.map(|i| self.cells(i)).transpose();
            out.push(RowChange { op, before: cells(before)?, after: cells(after)? });
        }
        Ok(counts)
    }

    /// Measures one image; keeps where the columns with a role are, in column order.
    fn walk<'a>(&self, bytes: &'a [u8], slots: &mut Slots<'a>) -> Result<&'a [u8]> {
        slots.0.clear();
        let cut = BinlogError::Truncated("a row");
        let (nulls, mut rest) = bytes.split_at_checked(self.roles.len().div_ceil(8)).ok_or(cut)?;
        for (i, (column, role)) in self.map.columns.iter().zip(&self.roles).enumerate() {
            let value = if bit(nulls, i) {
                None
            } else {
                let span = column.kind.span(rest)?;
                let (value, tail) = rest.split_at_checked(span).ok_or(BinlogError::Truncated("a row"))?;
                rest = tail;
                Some(value)
            };
            if role.read || role.fill || role.published {
                slots.0.push((i, value));
            }
        }
        Ok(rest)
    }

    /// No column that the plan reads has changed. Bytes decide: a rounding, a collation or a time zone cannot hide
    /// a change from them.
    fn is_echo(&self, before: &Slots, after: &Slots) -> bool {
        before.0.iter().zip(&after.0).all(|((i, old), (_, new))| {
            let role = self.roles[*i];
            let changed = role.read && old != new || role.fill && new.is_none() && old.is_some();
            !changed
        })
    }

    fn cells(&self, image: &Slots) -> Result<Vec<Cell>> {
        self.published.iter().map(|i| self.cell(*i, image)).collect()
    }

    fn cell(&self, i: usize, image: &Slots) -> Result<Cell> {
        // Every published column has a slot: `walk` keeps it.
        let slot = image.0.binary_search_by_key(&i, |(at, _)| *at);
        let column: &Column = &self.map.columns[i];
        match slot.ok().and_then(|s| image.0[s].1) {
            None => Ok(Cell::Null),
            Some(raw) => column.decode(raw),
        }
    }
}

/// The cells of one image that matter: (column, bytes), `None` for NULL.
#[derive(Default)]
struct Slots<'a>(Vec<(usize, Option<&'a [u8]>)>);
