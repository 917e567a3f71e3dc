//! Which scopes a change marks: the part that needs no database. Pure.
//!
//! # Why this is right
//!
//! Both images of a change are routed. If a path from a scope to an input was broken by the change, the before image still
//! leads to the scope; if a path arose, the after image does, or the last edge of it to be committed does. Marking too
//! much is harmless, marking too little loses an update; so whatever cannot be decided exactly counts as "may concern".

use std::collections::HashMap;

use change::{Cell, ChangeBatch, Fold, Key, Op};
use plan::checked::{Checked, Route, RouteBy, RouteColumn, Target, When};

use crate::error::MapperError;

/// What a batch of changes of one table leads to.
#[derive(Debug, Default)]
pub struct Routed {
    /// (target or id map, scope)
    pub marks: Vec<(String, Key)>,
    /// Look-ups still to be asked: (target, index of its route, images in the order of `uses`).
    pub lookups: Vec<(String, usize, Vec<Vec<Cell>>)>,
    /// Keys that came into being: somebody may have been waiting for them.
    pub arrived: Vec<Cell>,
    /// The table was emptied.
    pub truncated: bool,
}

/// Positions of the published columns in a batch.
struct Layout<'a> {
    table: &'a str,
    at: HashMap<&'a str, usize>,
}

impl<'a> Layout<'a> {
    fn of(batch: &'a ChangeBatch) -> Self {
        let at = batch.columns.iter().enumerate().map(|(i, c)| (c.as_str(), i)).collect();
        Self { table: &batch.table.table, at }
    }

    fn cell<'c>(&self, image: &'c [Cell], column: &str) -> Result<&'c Cell, MapperError> {
        let found = self.at.get(column).and_then(|i| image.get(*i));
        found.ok_or_else(|| MapperError::Column { table: self.table.into(), column: column.into() })
    }
}

/// Routes a batch to the running targets and to the id maps.
pub fn route<'p>(
    plan: &'p Checked,
    targets: impl Iterator<Item = &'p Target>,
    batch: &ChangeBatch,
) -> Result<Routed, MapperError> {
    let layout = Layout::of(batch);
    let mut routed =
        Routed { truncated: batch.rows.iter().any(|r| r.op == Op::Truncate), ..Routed::default() };
    for target in targets {
        for (index, route) in target.routes.iter().enumerate().filter(|(_, r)| r.from == batch.table.table) {
            one_route(&layout, target, index, route, batch, &mut routed)?;
        }
    }
    let key = plan.watched.get(&batch.table.table).map(|w| w.key.as_slice()).unwrap_or_default();
    if let [key] = key {
        for row in &batch.rows {
            let Some(after) = &row.after else { continue };
            let new = layout.cell(after, &key.name)?;
            let was = row.before.as_ref().map(|b| layout.cell(b, &key.name)).transpose()?;
            if was != Some(new) {
                routed.arrived.push(new.clone());
            }
        }
        change::distinct(&mut routed.arrived);
    }
    if let Some(entity) = plan.entity(&batch.table.table) {
        routed.marks.extend(routed.arrived.iter().map(|id| (entity.map.clone(), Key(vec![id.clone()]))));
    }
    Ok(routed)
}

fn one_route(
    layout: &Layout<'_>,
    target: &Target,
    index: usize,
    route: &Route,
    batch: &ChangeBatch,
    routed: &mut Routed,
) -> Result<(), MapperError> {
    let mut images = Vec::new();
    for row in &batch.rows {
        for image in [&row.before, &row.after].into_iter().flatten() {
            if !all_met(layout, image, &route.when)? {
                continue;
            }
            match &route.by {
                RouteBy::ByVerifier => {}
                RouteBy::Columns(columns) => {
                    if let Some(key) = scope(layout, image, columns)? {
                        routed.marks.push((target.table.clone(), key));
                    }
                }
                RouteBy::Lookup { uses, .. } => {
                    let cells = uses.iter().map(|c| layout.cell(image, &c.name).cloned());
                    images.push(cells.collect::<Result<Vec<_>, _>>()?);
                }
            }
        }
    }
    change::distinct(&mut images);
    if !images.is_empty() {
        routed.lookups.push((target.table.clone(), index, images));
    }
    Ok(())
}

/// The scope that these columns name, if they name one.
fn scope(layout: &Layout<'_>, image: &[Cell], columns: &[RouteColumn]) -> Result<Option<Key>, MapperError> {
    let mut cells = Vec::with_capacity(columns.len());
    for column in columns {
        let cell = layout.cell(image, &column.column.name)?;
        match (cell, column.digits) {
            (Cell::Null, _) => return Ok(None),
            (Cell::Text(text), true) => match digits(text) {
                Some(number) => cells.push(number),
                None => return Ok(None),
            },
            (other, _) => cells.push(other.clone()),
        }
    }
    Ok(Some(Key(cells)))
}

/// An integer in exactly the form in which the database prints it. Trailing spaces do not count: `'12 ' = '12'`.
fn digits(text: &str) -> Option<Cell> {
    let text = text.trim_end_matches(' ');
    if let Ok(n) = text.parse::<u64>()
        && n.to_string() == text
    {
        return Some(Cell::UInt(n));
    }
    let n = text.parse::<i64>().ok()?;
    (n.to_string() == text).then_some(Cell::Int(n))
}

fn all_met(layout: &Layout<'_>, image: &[Cell], conditions: &[When]) -> Result<bool, MapperError> {
    for when in conditions {
        if !met(when, layout.cell(image, &when.column.name)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Is the condition met, as far as can be told here? What cannot be told counts as met.
fn met(when: &When, cell: &Cell) -> bool {
    if cell.is_null() {
        return false; // NULL equals nothing
    }
    if when.fold == Fold::Unspread {
        return true;
    }
    let fold = |cell: &Cell| {
        let mut out = Vec::new();
        when.fold.append(cell, &mut out);
        out
    };
    let mine = fold(cell);
    when.equals.iter().any(|text| fold(&Cell::Text(text.clone())) == mine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_decimal_digits_name_a_number() {
        assert_eq!(digits("12"), Some(Cell::UInt(12)));
        assert_eq!(digits("12  "), Some(Cell::UInt(12)));
        assert_eq!(digits("18446744073709551615"), Some(Cell::UInt(u64::MAX)));
        assert_eq!(digits("-3"), Some(Cell::Int(-3)));
        for nobody in ["012", "12abc", "+12", " 12", "", "-0", "18446744073709551616", "1e3"] {
            assert_eq!(digits(nobody), None, "{nobody:?}");
        }
    }
}
