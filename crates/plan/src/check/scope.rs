//! The scope of a target: which legacy key its rows belong to, and how they are found on both sides.

use change::Fold;
use sqlparser::ast::Expr;

use super::{Desk, Report, Text};
use crate::catalog::{Column, Table};
use crate::checked::ScopeColumn;
use crate::kind::Kind;
use crate::parse::{self, Fault};
use crate::place::Place;
use crate::problem::did_you_mean;
use crate::raw::{self, Short};
use crate::resolve::{Resolver, as_column, column_reference};

/// Parallel columns: the scope is the row's own primary key.
pub(super) fn own_key(table: &Table) -> Vec<ScopeColumn> {
    let columns = table.primary_key.iter().filter_map(|name| table.column(name));
    columns
        .map(|column| ScopeColumn {
            source: column_reference(&table.name, &column.name),
            source_table: table.name.clone(),
            source_column: column.clone(),
            fold: fold(column),
            target_column: column.name.clone(),
            through: None,
        })
        .collect()
}

/// A shadow's scope, as the file says.
pub(super) fn written(
    written: &raw::Target,
    table: &Table,
    at: Place,
    resolver: &mut Resolver<'_>,
    desk: &Desk<'_>,
    report: &mut Report<'_>,
) -> Vec<ScopeColumn> {
    if written.scope.is_empty() {
        let help = "scope: { <column of the target>: <legacy table>.<column> }";
        report.problem(
            at,
            "a shadow needs a scope: the legacy key that its rows belong to",
            Some(help.into()),
        );
    }
    let mut scope = Vec::new();
    for (name, entry) in written.scope.iter() {
        let (text, id_of) = match &entry.value {
            Short::Text(sql) => (Text { sql: sql.clone(), at: entry.at }, None),
            Short::Full(full) => (Text::of(&full.value), full.id_of.as_ref()),
        };
        let Some(target_column) = table.column(&name.value) else {
            let help = did_you_mean(&name.value, table.columns.iter().map(|c| c.name.as_str()));
            report.problem(
                name.at,
                format!("unknown column `{}` in table `{}`", name.value, table.name),
                help,
            );
            continue;
        };
        let source = match source(&text, resolver) {
            Ok(source) => source,
            Err(faults) => {
                report.faults(&text, faults);
                continue;
            }
        };
        let Some((source_table, source_column)) = resolver.column_of(&source) else { continue };
        let through = id_of.map(|e| e.value.clone());
        if let Some(entity) = id_of {
            match desk.entity(&entity.value) {
                None => {
                    let help = did_you_mean(&entity.value, desk.entities.iter().map(|e| e.table.as_str()));
                    let message = format!("`{}` is not among the entities of plan.yaml", entity.value);
                    report.problem(entity.at, message, help);
                }
                Some(_) if !is_uuid(target_column) => {
                    let message = format!(
                        "`{}` carries a UUID and must be BINARY(16), not {}",
                        name.value, target_column.column_type
                    );
                    report.problem(name.at, message, None);
                }
                Some(entity) => {
                    if let Some(why) = crate::kind::hides_index(&entity.key, &Kind::of_column(source_column))
                    {
                        report.problem(name.at, why, None);
                    }
                }
            }
        } else if let Some(why) = differs(source_column, target_column) {
            report.problem(
                name.at,
                why,
                Some("a scope is found on both sides by the same value; a UUID needs `id_of`".into()),
            );
        }
        scope.push(ScopeColumn {
            source,
            source_table: source_table.name.clone(),
            source_column: source_column.clone(),
            fold: fold(source_column),
            target_column: target_column.name.clone(),
            through,
        });
    }
    scope
}

/// The scope has an order that we know, stands in the target's primary key, and leads an index on either side.
pub(super) fn indexed(
    scope: &[ScopeColumn],
    target: &Table,
    at: Place,
    desk: &Desk<'_>,
    report: &mut Report<'_>,
) {
    for column in scope.iter().map(|s| &s.source_column).filter(|c| !is_ordered(c)) {
        report.problem(
            at,
            format!(
                "the scope `{}` is {}: keys of that type can't be walked in order",
                column.name, column.column_type
            ),
            Some("scopes are integers, text, bytes, DECIMAL, dates and times, UUID or INET addresses".into()),
        );
    }
    let carried: Vec<&str> = scope.iter().map(|s| s.target_column.as_str()).collect();
    let in_key = |c: &&str| target.primary_key.iter().any(|k| k.eq_ignore_ascii_case(c));
    if !target.primary_key.is_empty() && !carried.iter().all(in_key) {
        let message = format!(
            "the primary key of `{}` ({}) does not contain the scope ({}): one row could belong to two scopes",
            target.name,
            target.primary_key.join(", "),
            carried.join(", ")
        );
        report.problem(at, message, Some("add the scope to the primary key, or take another scope".into()));
    }
    if !carried.is_empty() && !target.is_indexed_by(&carried) {
        let message =
            format!("`{}` has no index that starts with the scope ({})", target.name, carried.join(", "));
        report.problem(
            at,
            message,
            Some("every chunk and every change looks the scope's rows up there: add one".into()),
        );
    }
    let Some(first) = scope.first() else { return };
    let of_first: Vec<&str> = scope
        .iter()
        .filter(|s| s.source_table == first.source_table)
        .map(|s| s.source_column.name.as_str())
        .collect();
    let source = desk.catalog.tables.get(&first.source_table);
    if source.is_some_and(|t| !t.is_indexed_by(&of_first)) {
        let message = format!(
            "`{}` has no index that starts with the scope ({})",
            first.source_table,
            of_first.join(", ")
        );
        report.problem(at, message, Some("add one".into()));
    }
}

/// `alias.column` of the rows, or `table.column` where the rows have that table.
fn source(text: &Text, resolver: &mut Resolver<'_>) -> Result<Expr, Vec<Fault>> {
    let mut parsed = parse::expression(&text.sql).map_err(|f| vec![f])?;
    if let Expr::CompoundIdentifier(parts) = &mut parsed {
        let [relation, _] = parts.as_mut_slice() else {
            return Err(vec![Fault::new(text.at, "a scope is `table.column`")]);
        };
        let is_alias = resolver.relations.contains_key(&relation.value);
        let alias = resolver
            .relations
            .iter()
            .find(|(_, table)| **table == relation.value)
            .map(|(alias, _)| alias.clone());
        if let (false, Some(alias)) = (is_alias, alias) {
            relation.value = alias;
        }
    }
    let resolved = resolver.expr(&parsed);
    let faults = resolver.take_faults();
    match as_column(&resolved) {
        _ if !faults.is_empty() => Err(faults),
        Some(_) => Ok(resolved),
        None => Err(vec![Fault::new(Place { line: 1, column: 1 }, "a scope is a column, not an expression")]),
    }
}

/// Do ranges of this column mean the same in every statement? An ENUM is sorted by its number and compared as text.
fn is_ordered(column: &Column) -> bool {
    const OTHERS: [&str; 11] = [
        "decimal",
        "date",
        "datetime",
        "timestamp",
        "time",
        "year",
        "binary",
        "varbinary",
        "uuid",
        "inet4",
        "inet6",
    ];
    column.is_integer() || column.is_text() || OTHERS.contains(&column.data_type.as_str())
}

pub(crate) fn is_uuid(column: &Column) -> bool {
    column.data_type == "binary" && column.max_length == Some(16)
}

fn differs(source: &Column, target: &Column) -> Option<String> {
    let same = Kind::of_column(source) == Kind::of_column(target);
    (!same).then(|| {
        let of = |c: &Column| match &c.collation {
            Some(collation) => format!("{} {collation}", c.column_type),
            None => c.column_type.clone(),
        };
        format!("the scope is {} in the legacy table and {} in the target", of(source), of(target))
    })
}

fn fold(column: &Column) -> Fold {
    Fold::of(&column.data_type, column.collation.as_deref())
}
