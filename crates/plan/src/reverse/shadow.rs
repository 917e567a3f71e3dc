//! A shadow table, undone: the legacy table becomes the shadow. Its rows are written and deleted, so it comes back as a
//! whole or not at all.

use std::collections::BTreeMap;

use sqlparser::ast::{GroupByExpr, Select};

use super::Way;
use super::column::Inverse;
use crate::catalog::Table;
use crate::checked::{Checked, Policy, Target, TargetColumn};
use crate::init::reference;
use crate::resolve::as_column;

pub(super) fn all(plan: &Checked, target: &Target, table: &Table) -> Result<Vec<(String, Way)>, String> {
    if !is_one_row_per_row(&target.rows) {
        return Err("its rows are not one for each row of one table".into());
    }
    if target.expect.is_some() || !target.lists.is_empty() {
        return Err("it has conditions on its rows (`expect`, `lists`)".into());
    }
    if let Some(entity) = target.scope.iter().find_map(|s| s.through.as_ref()) {
        return Err(format!(
            "its rows go by UUIDs of `{entity}`: a row that is added there has no legacy key"
        ));
    }
    if !table.triggers.is_empty() {
        return Err(format!(
            "`{}` has triggers, which would fire: {}",
            table.name,
            table.triggers.join(", ")
        ));
    }
    let alias = target.scope.first().and_then(|s| as_column(&s.source)).map_or("", |(alias, _)| alias);
    let mut ways: Vec<(String, Way)> = Vec::new();
    for column in &target.columns {
        let name = &column.column.name;
        let legacy = copied(column, alias).ok_or_else(|| {
            format!("`{name}` is not the plain copy of a column of the same type, and rows without it would be lost")
        })?;
        let legacy = table.column(legacy).filter(|c| !c.generated).cloned();
        let legacy =
            legacy.ok_or_else(|| format!("`{name}` comes from a column that the server computes"))?;
        let same = |w: &Way| matches!(w, Way::Back(i) if i.legacy.name == legacy.name);
        let way = match ways.iter().find(|(_, way)| same(way)) {
            Some((first, _)) => Way::Also { legacy: legacy.name, from: first.clone() },
            None => Way::Back(Box::new(Inverse {
                legacy,
                value: reference(&target.table, name),
                keep_if: None,
                fits_if: None,
                required: false,
                routes: BTreeMap::new(),
            })),
        };
        ways.push((name.clone(), way));
    }
    let back = |name: &str| {
        ways.iter().find_map(|(new, way)| match way {
            Way::Back(i) if i.legacy.name == *name => Some(new.clone()),
            _ => None,
        })
    };
    keys(target, table, &back)?;
    let filled = |name: &str| {
        let parallel = plan.target(&table.name).map_or(&[][..], |t| &t.columns);
        parallel.iter().any(|c| c.column.name == name)
    };
    match table.columns.iter().find(|c| !c.generated && back(&c.name).is_none() && !filled(&c.name)) {
        Some(column) => {
            Err(format!("`{}.{}` is not copied: rows that are added would lack it", table.name, column.name))
        }
        None => Ok(ways),
    }
}

/// The same columns tell rows apart on both sides, in the same way.
fn keys(target: &Target, table: &Table, back: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
    let differ =
        || format!("rows of `{}` and `{}` are not told apart by the same key", table.name, target.table);
    if table.primary_key.len() != target.primary_key.len() {
        return Err(differ());
    }
    for key in table.primary_key.iter().filter_map(|k| table.column(k)) {
        let new = back(&key.name).ok_or_else(differ)?;
        let same = |c: &&crate::catalog::Column| c.name == new && c.collation == key.collation;
        target.primary_key.iter().find(same).ok_or_else(differ)?;
    }
    Ok(())
}

/// The legacy column that is copied as it is.
fn copied<'c>(column: &'c TargetColumn, alias: &str) -> Option<&'c str> {
    let plain = column.same_type
        && column.policy == Policy::Sync
        && column.fallback.is_none()
        && column.reference.is_none()
        && column.fits_if.is_none()
        && !column.expect_one;
    let (of, name) = as_column(&column.value)?;
    (plain && of == alias).then_some(name)
}

fn is_one_row_per_row(rows: &Select) -> bool {
    let one = matches!(rows.from.as_slice(), [table] if table.joins.is_empty());
    let ungrouped = matches!(&rows.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    one && ungrouped && rows.selection.is_none() && rows.having.is_none()
}
