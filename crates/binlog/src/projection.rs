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
    /// Generated columns among them: a server may leave them out of its images. One that is left out counts as changed.
    pub generated: &'a [String],
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
    generated: bool,
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
        for name in wanted.generated {
            if let Ok(i) = find(name) {
                roles[i].generated = true;
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
            *role = Role { published: true, read: true, ..Role::default() };
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
        let (before, after) = (self.shape(rows.present[0])?, self.shape(rows.present[1])?);
        if (before.count == 0 || after.count == 0) && !rows.images.is_empty() {
            return Err(BinlogError::Malformed("images without columns"));
        }
        let mut counts = Counts::default();
        let mut rest: &[u8] = &rows.images;
        let (mut first, mut second) = (Vec::new(), Vec::new());
        while !rest.is_empty() {
            counts.rows += 1;
            rest = self.walk(rest, &before, &mut first)?;
            let (op, before, after) = match rows.kind {
                RowsKind::Insert => (Op::Insert, None, Some(&first)),
                RowsKind::Delete => (Op::Delete, Some(&first), None),
                RowsKind::Update => {
                    rest = self.walk(rest, &after, &mut second)?;
                    if self.is_echo(&first, &second) {
                        counts.echoes += 1;
                        continue;
                    }
                    (Op::Update, Some(&first), Some(&second))
                }
            };
            let cells = |image: Option<&Vec<_>>| image.map(|i| self.cells(i)).transpose();
            out.push(RowChange { op, before: cells(before)?, after: cells(after)? });
        }
        Ok(counts)
    }

    /// Checks that images of this shape hold what we need.
    fn shape<'a>(&self, present: &'a [u8]) -> Result<Shape<'a>> {
        let mut count = 0;
        for (i, role) in self.roles.iter().enumerate() {
            if bit(present, i) {
                count += 1;
            } else if role.published || role.fill || role.read && !role.generated {
                let column = self.map.columns[i].name.clone();
                return Err(BinlogError::PartialImage { table: self.map.name.to_string(), column });
            }
        }
        Ok(Shape { present, count })
    }

    /// Measures one image; keeps where the columns with a role are, in column order.
    fn walk<'a>(
        &self,
        bytes: &'a [u8],
        shape: &Shape,
        slots: &mut Vec<(usize, Slot<'a>)>,
    ) -> Result<&'a [u8]> {
        slots.clear();
        let cut = BinlogError::Truncated("a row");
        let (nulls, mut rest) = bytes.split_at_checked(shape.count.div_ceil(8)).ok_or(cut)?;
        let mut at = 0;
        for (i, (column, role)) in self.map.columns.iter().zip(&self.roles).enumerate() {
            let slot = if !bit(shape.present, i) {
                Slot::Absent
            } else {
                at += 1;
                if bit(nulls, at - 1) {
                    Slot::Null
                } else {
                    let span = column.kind.span(rest)?;
                    let (value, tail) = rest.split_at_checked(span).ok_or(BinlogError::Truncated("a row"))?;
                    rest = tail;
                    Slot::Value(value)
                }
            };
            if role.read || role.fill || role.published {
                slots.push((i, slot));
            }
        }
        Ok(rest)
    }

    /// No column that the plan reads has changed. Bytes decide: a rounding, a collation or a time zone cannot hide
    /// a change from them.
    fn is_echo(&self, before: &[(usize, Slot)], after: &[(usize, Slot)]) -> bool {
        before.iter().zip(after).all(|((i, old), (_, new))| {
            let role = self.roles[*i];
            let known = *old != Slot::Absent && *new != Slot::Absent;
            let changed =
                role.read && !(known && old == new) || role.fill && *new == Slot::Null && *old != Slot::Null;
            !changed
        })
    }

    fn cells(&self, image: &[(usize, Slot)]) -> Result<Vec<Cell>> {
        self.published.iter().map(|i| self.cell(*i, image)).collect()
    }

    fn cell(&self, i: usize, image: &[(usize, Slot)]) -> Result<Cell> {
        let column: &Column = &self.map.columns[i];
        match image.binary_search_by_key(&i, |(at, _)| *at).map(|at| image[at].1) {
            Ok(Slot::Value(raw)) => column.decode(raw),
            Ok(Slot::Null) => Ok(Cell::Null),
            // `shape` has seen to it that published columns are there.
            Ok(Slot::Absent) | Err(_) => Err(BinlogError::Malformed("a column that was seen is gone")),
        }
    }
}

/// Which columns the images of an event hold, and how many.
struct Shape<'a> {
    present: &'a [u8],
    count: usize,
}

/// A column in one image.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot<'a> {
    Absent,
    Null,
    Value(&'a [u8]),
}
