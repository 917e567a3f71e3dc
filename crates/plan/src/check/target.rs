//! One file of the plan to one target.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{Expr, Query, Select, SelectItem, SetExpr};

use super::columns::{Board, Value, Written, of_scope};
use super::{Desk, Report, Text, reads, routes, scope, tables};
use crate::access;
use crate::catalog::Table;
use crate::checked::{
    self, Defer, Expect, ListReference, Matches, Risk, ScopeColumn, Sync, Target, TargetColumn, TargetKind,
};
use crate::parse::{self, Fault};
use crate::place::{Located, Place};
use crate::problem::did_you_mean;
use crate::raw::{self, Short};
use crate::resolve::{Reads, Resolver, as_column};

/// The target, and what its expressions and look-ups read.
pub(super) fn check(
    written: &raw::Target,
    file: &str,
    desk: &Desk<'_>,
    report: &mut Report<'_>,
) -> Option<(Target, Reads)> {
    let (kind, name) = kind(written, report)?;
    let Some(table) = desk.catalog.tables.get(&name.value) else {
        let help = did_you_mean(&name.value, desk.catalog.tables.keys().map(String::as_str));
        report.problem(name.at, format!("unknown table `{}`", name.value), help);
        return None;
    };
    tables::check(table, name.at, report);
    triggers(table, written, name.at, report);

    let mut resolver = Resolver::new(desk.catalog, &desk.vocabulary);
    let (rows, projection) = rows(written, kind, name, &mut resolver, report)?;
    let scope = match kind {
        TargetKind::Parallel => scope::own_key(table),
        TargetKind::Shadow => scope::written(written, table, name.at, &mut resolver, desk, report),
    };
    scope::indexed(&scope, table, name.at, desk, report);
    read_by_index(written, &rows, &scope, &resolver, report);

    let mut board = Board { table, kind, resolver: &mut resolver, desk };
    let columns = columns(written, projection, &scope, &mut board, report);
    complete(table, kind, &columns, name.at, report);
    let mut reads = resolver.reads.clone();
    let lists = lists(written, table, &scope, desk, &mut reads, report);
    let routes = routes::check(written, &scope, &columns, &lists, &mut reads, desk, report);
    let both_forms = reads::check(written, &scope, &reads, desk, report);
    for table in reads.keys().filter(|t| **t != name.value).filter_map(|t| desk.catalog.tables.get(t)) {
        tables::check(table, name.at, report);
    }
    let keep =
        table.columns.iter().filter(|c| c.on_update && columns.iter().all(|t| t.column.name != c.name));
    let keep = keep.map(|c| c.name.clone()).collect();
    let expect = expect(written, &columns, report);
    let target = Target {
        table: name.value.clone(),
        kind,
        file: file.into(),
        risk: match written.risk {
            Some(raw::Risk::High) => Risk::High,
            Some(raw::Risk::Medium) => Risk::Medium,
            Some(raw::Risk::Low) | None => Risk::Low,
        },
        defer: defer(written, report),
        sync: sync(written, name.at, report),
        only_primary_key_is_unique: table.triggers.is_empty()
            && table.indexes.iter().all(|i| !i.unique || i.name.eq_ignore_ascii_case("PRIMARY")),
        primary_key: table.primary_key.iter().filter_map(|k| table.column(k)).cloned().collect(),
        scope,
        rows: Box::new(rows),
        columns,
        expect,
        lists,
        routes,
        reads: both_forms,
        keep,
    };
    Some((target, reads))
}

fn kind<'w>(written: &'w raw::Target, report: &mut Report<'_>) -> Option<(TargetKind, &'w Located<String>)> {
    match (&written.table, &written.shadow) {
        (Some(table), None) => {
            let misplaced = [
                ("rows", written.rows.as_ref().map(|r| r.at)),
                ("from", written.from.as_ref().map(|f| f.at)),
                ("scope", written.scope.iter().next().map(|(name, _)| name.at)),
            ];
            for (key, at) in misplaced {
                let Some(at) = at else { continue };
                let message = format!("`{key}` belongs to a shadow; parallel columns stand in their own row");
                report.problem(at, message, None);
            }
            Some((TargetKind::Parallel, table))
        }
        (None, Some(shadow)) => Some((TargetKind::Shadow, shadow)),
        (Some(_), Some(shadow)) => {
            report.problem(
                shadow.at,
                "a target is either a `table` with parallel columns or a `shadow`",
                None,
            );
            None
        }
        (None, None) => {
            let help = "`table: <legacy table>` for parallel columns, `shadow: <new table>` for a shadow";
            report.problem(
                Place { line: 1, column: 1 },
                "the file does not say which table it writes",
                Some(help.into()),
            );
            None
        }
    }
}

/// Values that `rows` projects, by column of the target.
type Projection = BTreeMap<String, (Expr, Text)>;

fn rows(
    written: &raw::Target,
    kind: TargetKind,
    name: &Located<String>,
    resolver: &mut Resolver<'_>,
    report: &mut Report<'_>,
) -> Option<(Select, Projection)> {
    if kind == TargetKind::Parallel {
        return Some((resolver.rows_of(&name.value), Projection::new()));
    }
    match (&written.rows, &written.from) {
        (Some(sql), None) => {
            let text = Text::of(sql);
            let query = parse::select(&text.sql).map_err(|f| report.faults(&text, vec![f])).ok()?;
            let rows = resolver.rows(&query);
            report.faults(&text, resolver.take_faults());
            let projection = projection(&query, &text, report);
            Some((rows, projection))
        }
        (None, Some(from)) => match resolver.has_table(&from.value) {
            true => Some((resolver.rows_of(&from.value), Projection::new())),
            false => {
                report.problem(from.at, format!("unknown table `{}`", from.value), None);
                None
            }
        },
        (Some(_), Some(from)) => {
            report.problem(from.at, "a shadow has either `rows` or `from`", None);
            None
        }
        (None, None) => {
            report.problem(
                name.at,
                "a shadow needs `rows: SELECT …`, or `from: <table>` for one row per row",
                None,
            );
            None
        }
    }
}

fn projection(query: &Query, text: &Text, report: &mut Report<'_>) -> Projection {
    let mut projection = Projection::new();
    let SetExpr::Select(select) = query.body.as_ref() else { return projection };
    for item in &select.projection {
        let (name, e) = match item {
            SelectItem::ExprWithAlias { expr, alias } => (alias.value.clone(), expr.clone()),
            SelectItem::UnnamedExpr(e @ Expr::Identifier(name)) => (name.value.clone(), e.clone()),
            SelectItem::UnnamedExpr(e @ Expr::CompoundIdentifier(parts)) => match parts.last() {
                Some(name) => (name.value.clone(), e.clone()),
                None => continue,
            },
            other => {
                let fault = Fault::new(
                    Place { line: 1, column: 1 },
                    format!("`{other}` needs an alias: the column of the target"),
                );
                report.faults(text, vec![fault]);
                continue;
            }
        };
        if projection.insert(name.clone(), (e, text.clone())).is_some() {
            report.problem(text.at, format!("`rows` gives column `{name}` twice"), None);
        }
    }
    projection
}

/// The scope leads into `rows`; from there an index leads to every other table.
fn read_by_index(
    written: &raw::Target,
    rows: &Select,
    scope: &[ScopeColumn],
    resolver: &Resolver<'_>,
    report: &mut Report<'_>,
) {
    let Some(sql) = &written.rows else { return };
    if scope.is_empty() || !report.problems.is_empty() {
        return;
    }
    let known: BTreeSet<String> =
        scope.iter().filter_map(|s| as_column(&s.source)).map(|(alias, _)| alias.to_string()).collect();
    let mut faults = access::check_rows(rows, &known, resolver);
    if faults.is_empty() && !parse::is_printable_select(rows) {
        faults.push(Fault::new(
            START,
            "the rows do not read the same when they are printed with their fragments put in",
        ));
    }
    report.faults(&Text::of(sql), faults);
}

fn columns(
    written: &raw::Target,
    mut projection: Projection,
    scope: &[ScopeColumn],
    board: &mut Board<'_, '_, '_>,
    report: &mut Report<'_>,
) -> Vec<TargetColumn> {
    let mut list: Vec<Written<'_>> = Vec::new();
    let mut copied = None;
    for (name, entry) in written.columns.iter() {
        if name.value == "*" {
            copied = Some(name.at);
            let is_copy = matches!(&entry.value, Short::Text(t) if t == "copy") && written.from.is_some();
            if !is_copy {
                report.problem(
                    name.at,
                    "`\"*\": copy` copies the columns of `from: <table>`; nothing else is meant by `*`",
                    None,
                );
            }
            continue;
        }
        let (sql, settings) = match &entry.value {
            Short::Text(sql) => (Some(Text { sql: sql.clone(), at: entry.at }), None),
            Short::Full(column) => (column.value.as_ref().map(Text::of), Some(column)),
        };
        let value = match (sql, projection.remove(&name.value)) {
            (Some(sql), None) => Value::Sql(sql),
            (None, Some((e, text))) => Value::Projected(Box::new(e), text),
            (Some(sql), Some(_)) => {
                report.problem(sql.at, format!("`{}` has a value here and in `rows`", name.value), None);
                continue;
            }
            (None, None) => match scope.iter().find(|s| s.target_column == name.value) {
                Some(s) => {
                    let (alias, column) = as_column(&s.source).unwrap_or_default();
                    Value::Copy(alias.into(), column.into())
                }
                None => {
                    report.problem(
                        name.at,
                        format!("`{}` has no value", name.value),
                        Some("value: <expression>".into()),
                    );
                    continue;
                }
            },
        };
        list.push(Written { name: &name.value, at: name.at, value, settings });
    }
    let projected: Vec<(String, (Expr, Text))> = projection.into_iter().collect();
    for (name, (e, text)) in &projected {
        let value = Value::Projected(Box::new(e.clone()), text.clone());
        list.push(Written { name, at: text.at, value, settings: None });
    }
    let from = copied.and(written.from.as_ref()).map_or("", |f| f.value.as_str());
    for column in board.desk.catalog.tables.get(from).map_or(&[][..], |t| &t.columns) {
        let mentioned = list.iter().any(|w| w.name == column.name);
        let carried = scope.iter().any(|s| s.target_column == column.name);
        let there = board.table.column(&column.name).is_some_and(|c| !c.generated);
        if !mentioned && !carried && there {
            let value = Value::Copy(from.into(), column.name.clone());
            list.push(Written { name: &column.name, at: copied.unwrap_or_default(), value, settings: None });
        }
    }
    let mut columns: Vec<TargetColumn> = list.iter().filter_map(|w| board.column(w, report)).collect();
    if board.kind == TargetKind::Shadow {
        for s in scope {
            match columns.iter_mut().find(|c| c.column.name == s.target_column) {
                // The scope's own UUID: what `scope` says need not be said again.
                Some(column) if s.through.is_some() && column.reference.is_none() => {
                    column.reference = of_scope(s, board.table, board.desk).and_then(|c| c.reference);
                }
                Some(_) => {}
                None => columns.extend(of_scope(s, board.table, board.desk)),
            }
        }
    }
    let position = |c: &TargetColumn| board.table.columns.iter().position(|t| t.name == c.column.name);
    columns.sort_by_key(position);
    columns
}

/// A new row needs a value for every column that can't be NULL.
fn complete(table: &Table, kind: TargetKind, columns: &[TargetColumn], at: Place, report: &mut Report<'_>) {
    if kind == TargetKind::Parallel {
        if columns.is_empty() && report.problems.is_empty() {
            report.problem(at, "the target has no columns", None);
        }
        return;
    }
    if !report.problems.is_empty() {
        return;
    }
    let given = |name: &str| columns.iter().any(|c| c.column.name == name);
    for column in &table.columns {
        let itself = column.nullable || column.generated || column.auto_increment || column.on_update;
        if !itself && !given(&column.name) {
            let message = format!("`{}.{}` can't be NULL and has no value", table.name, column.name);
            report.problem(at, message, Some("every row of a shadow comes from the plan".into()));
        }
    }
}

fn triggers(table: &Table, written: &raw::Target, at: Place, report: &mut Report<'_>) {
    if !table.triggers.is_empty() && written.triggers.is_none() {
        let message = format!(
            "`{}` has triggers that would fire when it is written: {}",
            table.name,
            table.triggers.join(", ")
        );
        let help = "drop them, or set `triggers: allowed` if they do no harm";
        report.problem(at, message, Some(help.into()));
    }
}

fn lists(
    written: &raw::Target,
    table: &Table,
    scope: &[ScopeColumn],
    desk: &Desk<'_>,
    reads: &mut Reads,
    report: &mut Report<'_>,
) -> Vec<ListReference> {
    let mut lists = Vec::new();
    for list in &written.lists {
        if let Some(column) = list.column.as_ref().filter(|c| table.column(&c.value).is_none()) {
            report.problem(
                column.at,
                format!("unknown column `{}` in table `{}`", column.value, table.name),
                None,
            );
        }
        let (Some(from), Some(parent)) =
            (desk.catalog.tables.get(&list.from.value), desk.catalog.tables.get(&list.references.value))
        else {
            report.problem(
                list.from.at,
                format!("`{}` or `{}` is no table", list.from.value, list.references.value),
                None,
            );
            continue;
        };
        for name in list.scope.iter().chain([&list.id]).filter(|c| from.column(&c.value).is_none()) {
            let help = did_you_mean(&name.value, from.columns.iter().map(|c| c.name.as_str()));
            report.problem(
                name.at,
                format!("unknown column `{}` in table `{}`", name.value, from.name),
                help,
            );
        }
        let carried: Vec<&str> = list.scope.iter().map(|c| c.value.as_str()).collect();
        if carried.len() != scope.len() {
            report.problem(
                list.from.at,
                format!("`scope` needs {} columns of `{}`", scope.len(), from.name),
                None,
            );
        } else if !from.is_indexed_by(&carried) {
            report.problem(
                list.from.at,
                format!("`{}` has no index that starts with {}", from.name, carried.join(", ")),
                None,
            );
        }
        let [parent_key] = parent.primary_key.as_slice() else {
            report.problem(list.references.at, format!("`{}` has no key of one column", parent.name), None);
            continue;
        };
        let read = reads.entry(from.name.clone()).or_default();
        read.extend(list.scope.iter().chain([&list.id]).map(|c| c.value.clone()));
        reads.entry(parent.name.clone()).or_default().insert(parent_key.clone());
        lists.extend(parent.column(parent_key).map(|parent_key| ListReference {
            column: list.column.as_ref().map(|c| c.value.clone()),
            from: from.name.clone(),
            scope: list.scope.iter().map(|c| c.value.clone()).collect(),
            id: list.id.value.clone(),
            parent: parent.name.clone(),
            parent_key: parent_key.clone(),
        }));
    }
    lists
}

fn expect(written: &raw::Target, columns: &[TargetColumn], report: &mut Report<'_>) -> Option<Expect> {
    let expect = written.expect.as_ref()?;
    if !columns.iter().any(|c| c.column.name == expect.column.value) {
        let message =
            format!("`expect` counts rows by `{}`, which is no column of this target", expect.column.value);
        report.problem(expect.column.at, message, None);
    }
    let matches = match expect.matches {
        raw::Matches::One => Matches::One,
        raw::Matches::AtMostOne => Matches::AtMostOne,
    };
    Some(Expect { column: expect.column.value.clone(), matches })
}

fn defer(written: &raw::Target, report: &mut Report<'_>) -> Option<Defer> {
    let defer = written.defer.as_ref()?;
    let date = &defer.review_by.value;
    let parts: Vec<&str> = date.split('-').collect();
    let is_date =
        parts.iter().map(|p| p.len()).eq([4, 2, 2]) && parts.iter().all(|p| p.parse::<u16>().is_ok());
    if !is_date {
        report.problem(defer.review_by.at, format!("`{date}` is no date; write it as 2026-12-31"), None);
    }
    Some(Defer { reason: defer.reason.clone(), review_by: date.clone() })
}

fn sync(written: &raw::Target, at: Place, report: &mut Report<'_>) -> checked::Sync {
    match (&written.sync, &written.schedule) {
        (Some(raw::Sync::Batch), Some(schedule)) => {
            if let Err(error) = schedule.value.parse::<croner::Cron>() {
                report.problem(schedule.at, format!("the schedule is no cron expression: {error}"), None);
            }
            Sync::Batch { cron: schedule.value.clone() }
        }
        (Some(raw::Sync::Batch), None) => {
            report.problem(
                at,
                "`sync: batch` needs a `schedule`",
                Some("schedule: \"0 * * * *\" for hourly".into()),
            );
            Sync::Stream
        }
        (_, Some(schedule)) => {
            report.problem(schedule.at, "a `schedule` is for `sync: batch`", None);
            Sync::Stream
        }
        _ => Sync::Stream,
    }
}

const START: Place = Place { line: 1, column: 1 };
