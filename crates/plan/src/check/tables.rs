//! Is a table fit to be read or written by a plan?

use std::collections::BTreeSet;

use super::Report;
use crate::catalog::{Column, Table};
use crate::checked::{Target, TargetKind};
use crate::place::Place;
use crate::problem::Problem;
use crate::resolve::{self, Reads};

/// Checks a table that a target reads or writes.
pub(super) fn check(table: &Table, at: Place, report: &mut Report<'_>) {
    let name = &table.name;
    engine(table, at, report);
    if table.primary_key.is_empty() {
        let message = format!("`{name}` has no primary key: its rows can't be told apart");
        report.problem(at, message, Some("add one; an invisible AUTO_INCREMENT column is enough".into()));
    }
    for key in table.primary_key.iter().filter_map(|k| table.column(k)) {
        if key.is_text() && !transcodable(key) {
            let charset = key.charset.as_deref().unwrap_or("?");
            let message =
                format!("`{name}.{}`: keys in character set {charset} can't be transcoded exactly", key.name);
            report.problem(at, message, Some("ascii, latin1, utf8mb3, utf8mb4 and binary can".into()));
        }
    }
    for fk in cascades(table) {
        let message = format!(
            "constraint `{}` of `{name}` changes its rows when `{}` changes ({}): the binary log does not show that",
            fk.name,
            fk.references,
            action(&fk.on_delete, &fk.on_update)
        );
        let help =
            "drop the constraint, or make it RESTRICT and let the application delete or change the rows";
        report.problem(at, message, Some(help.into()));
    }
    for column in table.columns.iter().filter(|c| !resolve::is_printable_name(&c.name)) {
        report.problem(
            at,
            format!("`{name}` has a column whose name can't be printed safely: {:?}", column.name),
            None,
        );
    }
    if !resolve::is_printable_name(name) {
        report.problem(at, format!("the table's name can't be printed safely: {name:?}"), None);
    }
}

/// A table that is read in a snapshot.
pub(super) fn engine(table: &Table, at: Place, report: &mut Report<'_>) {
    let name = &table.name;
    if !table.engine.eq_ignore_ascii_case("InnoDB") {
        let help = Some(format!("ALTER TABLE {} ENGINE=InnoDB", crate::quote::ident(name)));
        let message = format!(
            "`{name}` is stored by {}: only InnoDB has the snapshots that a plan reads",
            table.engine
        );
        report.problem(at, message, help);
    }
}

fn cascades(table: &Table) -> impl Iterator<Item = &crate::catalog::ForeignKey> {
    let moves = |rule: &str| matches!(rule.to_uppercase().as_str(), "CASCADE" | "SET NULL" | "SET DEFAULT");
    table.foreign_keys.iter().filter(move |fk| moves(&fk.on_delete) || moves(&fk.on_update))
}

fn action(on_delete: &str, on_update: &str) -> String {
    format!("ON DELETE {on_delete}, ON UPDATE {on_update}")
}

fn transcodable(column: &Column) -> bool {
    column.charset.as_deref().is_some_and(crate::allowed::charset)
}

/// What only shows when all targets are known: two that write one table, and values read from what the plan writes.
pub(super) fn between(targets: &[(Target, Reads)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut say = |file: &str, message: String, help: Option<String>| {
        problems.push(Problem { file: file.into(), line: 1, column: 1, message, help });
    };
    let mut seen = BTreeSet::new();
    for (target, _) in targets {
        if !seen.insert(&target.table) {
            say(
                &target.file,
                format!("`{}` is a target of another file too", target.table),
                Some("one file per target table".into()),
            );
        }
    }
    for (target, reads) in targets {
        for (written, _) in targets {
            let Some(columns) = reads.get(&written.table) else { continue };
            let message = match written.kind {
                TargetKind::Shadow => {
                    Some(format!("`{}` is a shadow table that {} writes", written.table, written.file))
                }
                TargetKind::Parallel => {
                    written.columns.iter().find(|c| columns.contains(&c.column.name)).map(|c| {
                        format!(
                            "`{}.{}` is a column that {} writes",
                            written.table, c.column.name, written.file
                        )
                    })
                }
            };
            if let Some(message) = message {
                let help = "values come from legacy columns only; share the expression as a fragment";
                say(
                    &target.file,
                    format!("an expression reads what the plan writes: {message}"),
                    Some(help.into()),
                );
            }
        }
    }
    problems
}
