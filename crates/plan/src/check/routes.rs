//! Routes: which scopes a changed row marks. Every table that a target reads has one.

use std::collections::BTreeSet;

use change::Fold;
use sqlparser::ast::{BinaryOperator, Expr, SelectItem, SetExpr, UnaryOperator, Value};

use super::{Desk, Report, Text};
use crate::access::{self, conjuncts};
use crate::catalog::{Column, Table};
use crate::checked::{ListReference, Route, RouteBy, RouteColumn, ScopeColumn, TargetColumn, When};
use crate::kind::{Kind, hides_index};
use crate::parse::{self, Fault};
use crate::place::Place;
use crate::problem::did_you_mean;
use crate::raw::{self, Short};
use crate::resolve::{CHANGED, Reads, Resolver, as_column};

/// Adds what the look-ups read to `reads`.
pub(super) fn check(
    written: &raw::Target,
    scope: &[ScopeColumn],
    columns: &[TargetColumn],
    lists: &[ListReference],
    reads: &mut Reads,
    desk: &Desk<'_>,
    report: &mut Report<'_>,
) -> Vec<Route> {
    let mut routes: Vec<Route> = own(scope).into_iter().collect();
    let of_columns = written.columns.iter().filter_map(|(_, c)| match &c.value {
        Short::Full(column) => Some(&column.refresh),
        Short::Text(_) => None,
    });
    let parents = parents(scope, columns, desk);
    let mut looked_up = Reads::new();
    let mut mentioned = Vec::new();
    for (from, list) in std::iter::once(&written.refresh).chain(of_columns).flat_map(|r| r.iter()) {
        let Some(changed) = desk.catalog.tables.get(&from.value) else {
            let help = did_you_mean(&from.value, desk.catalog.tables.keys().map(String::as_str));
            report.problem(from.at, format!("unknown table `{}`", from.value), help);
            continue;
        };
        let sound = report.problems.is_empty();
        if sound && !reads.contains_key(&from.value) && !parents.contains(&from.value) {
            let message =
                format!("no value of this target reads `{}`: its changes need no route", from.value);
            report.problem(from.at, message, None);
        }
        mentioned.push(&from.value);
        for entry in &list.value.0 {
            let at = if entry.at.line == 0 { list.at } else { entry.at };
            let mut desk = Draft { changed, scope, desk, looked_up: &mut looked_up };
            if let Some(route) = desk.route(&entry.value, at, report)
                && !routes.iter().any(|r| same(r, &route))
            {
                routes.push(route);
            }
        }
    }
    for parent in &parents {
        let key = desk.catalog.tables.get(parent).map(|t| t.primary_key.clone()).unwrap_or_default();
        reads.entry(parent.clone()).or_default().extend(key);
    }
    let at = written.table.as_ref().or(written.shadow.as_ref()).map_or_else(Place::default, |n| n.at);
    let from_lists = lists.iter().flat_map(|l| [&l.from, &l.parent]);
    let needed: BTreeSet<&String> = reads.keys().chain(from_lists).chain(looked_up.keys()).collect();
    let routed: BTreeSet<&String> = routes.iter().map(|r| &r.from).chain(mentioned).collect();
    for needs in needed.into_iter().filter(|t| !routed.contains(t) && !scope.is_empty()) {
        let message = format!("`{needs}` is read, but no route says which scopes its changes mark");
        let help = match parents.contains(needs) {
            true => format!(
                "refresh: {{ {needs}: … }}: the deletion of a parent; `by_verifier` where no index leads"
            ),
            false => format!("refresh: {{ {needs}: <column> }}, or a look-up"),
        };
        report.problem(at, message, Some(help));
    }
    for (name, read) in looked_up {
        reads.entry(name).or_default().extend(read);
    }
    routes
}

/// The route that needs no saying: a row of the scope's source is a scope.
fn own(scope: &[ScopeColumn]) -> Option<Route> {
    let from = &scope.first()?.source_table;
    let one_source = scope.iter().all(|s| s.source_table == *from);
    let columns =
        scope.iter().map(|s| RouteColumn { column: s.source_column.clone(), digits: false }).collect();
    one_source.then(|| Route { from: from.clone(), when: vec![], by: RouteBy::Columns(columns) })
}

fn parents(scope: &[ScopeColumn], columns: &[TargetColumn], desk: &Desk<'_>) -> BTreeSet<String> {
    let of_columns = columns.iter().filter_map(|c| c.reference.as_ref()).map(|r| r.parent.clone());
    let of_scope = scope
        .iter()
        .filter_map(|s| s.through.as_ref())
        .filter_map(|e| desk.entity(e))
        .map(|e| e.table.clone());
    of_columns.chain(of_scope).collect()
}

fn same(a: &Route, b: &Route) -> bool {
    let by = match (&a.by, &b.by) {
        (RouteBy::ByVerifier, RouteBy::ByVerifier) => true,
        (RouteBy::Columns(a), RouteBy::Columns(b)) => {
            a.iter().map(|c| &c.column.name).eq(b.iter().map(|c| &c.column.name))
        }
        (RouteBy::Lookup { query: a, .. }, RouteBy::Lookup { query: b, .. }) => a == b,
        _ => false,
    };
    let conditions = |r: &Route| -> Vec<(String, Vec<String>)> {
        r.when.iter().map(|w| (w.column.name.clone(), w.equals.clone())).collect()
    };
    by && a.from == b.from && conditions(a) == conditions(b)
}

struct Draft<'a, 'd> {
    changed: &'a Table,
    scope: &'d [ScopeColumn],
    desk: &'d Desk<'a>,
    looked_up: &'d mut Reads,
}

impl Draft<'_, '_> {
    fn route(&mut self, written: &Short<raw::Route>, at: Place, report: &mut Report<'_>) -> Option<Route> {
        let from = self.changed.name.clone();
        let plain = |by| Route { from: from.clone(), when: vec![], by };
        let full = match written {
            Short::Text(word) if word == "by_verifier" => return Some(plain(RouteBy::ByVerifier)),
            Short::Text(column) => return self.columns(&[(column.clone(), at)], at, report).map(plain),
            Short::Full(full) => full,
        };
        let by = match (&full.value, &full.columns, &full.lookup) {
            (Some(column), None, None) => self.columns(&[(column.value.clone(), column.at)], at, report)?,
            (None, Some(columns), None) => {
                let columns: Vec<(String, Place)> = columns.iter().map(|c| (c.value.clone(), c.at)).collect();
                self.columns(&columns, at, report)?
            }
            (None, None, Some(sql)) => self.lookup(&Text::of(sql), report)?,
            _ => {
                report.problem(at, "a route has exactly one of `value`, `columns` and `lookup`", None);
                return None;
            }
        };
        let when = match &full.when {
            Some(sql) => self.conditions(&Text::of(sql), report)?,
            None => vec![],
        };
        Some(Route { from, when, by })
    }

    fn columns(&self, names: &[(String, Place)], at: Place, report: &mut Report<'_>) -> Option<RouteBy> {
        if names.len() != self.scope.len() {
            let message = format!("the scope has {} columns, this route {}", self.scope.len(), names.len());
            report.problem(
                at,
                message,
                Some("name them all, in the scope's order: { columns: [a, b] }, or use a look-up".into()),
            );
            return None;
        }
        let mut columns = Vec::new();
        for ((name, at), scope) in names.iter().zip(self.scope) {
            let Some(column) = self.changed.column(name) else {
                let help = did_you_mean(name, self.changed.columns.iter().map(|c| c.name.as_str()));
                report.problem(
                    *at,
                    format!("unknown column `{name}` in table `{}`", self.changed.name),
                    help,
                );
                continue;
            };
            match digits(column, &scope.source_column) {
                Ok(digits) => columns.push(RouteColumn { column: column.clone(), digits }),
                Err(why) => report.problem(*at, why, Some("use a look-up".into())),
            }
        }
        (columns.len() == names.len()).then_some(RouteBy::Columns(columns))
    }

    fn lookup(&mut self, text: &Text, report: &mut Report<'_>) -> Option<RouteBy> {
        let parsed = parse::select(&text.sql).map_err(|f| report.faults(text, vec![f])).ok()?;
        let mut resolver = Resolver::new(self.desk.catalog, &self.desk.vocabulary);
        resolver.declare(CHANGED, &self.changed.name);
        let query = resolver.query(&parsed);
        let mut faults = resolver.take_faults();
        if faults.is_empty() {
            faults = access::check_query(&query, &resolver);
        }
        let SetExpr::Select(select) = query.body.as_ref() else { return None };
        if faults.is_empty() && !parse::is_printable(&Expr::Subquery(Box::new(query.clone()))) {
            faults.push(Fault::new(START, "the look-up does not read the same when it is printed"));
        }
        let projected: Vec<&Expr> = select
            .projection
            .iter()
            .filter_map(|item| match item {
                SelectItem::UnnamedExpr(e) | SelectItem::ExprWithAlias { expr: e, .. } => Some(e),
                _ => None,
            })
            .collect();
        if faults.is_empty() && projected.len() != self.scope.len() {
            let message = format!("a look-up selects the scope, which has {} columns", self.scope.len());
            faults.push(Fault::new(START, message));
        }
        if query.limit_clause.is_some() || query.order_by.is_some() {
            faults.push(Fault::new(START, "a look-up gives all scopes: no ORDER BY, no LIMIT"));
        }
        for (e, scope) in projected.iter().zip(self.scope) {
            faults.extend(
                hides_index(&scope.source_column, &Kind::of(e, &resolver)).map(|why| Fault::new(START, why)),
            );
        }
        let sound = faults.is_empty();
        report.faults(text, faults);
        for (table, columns) in &resolver.reads {
            self.looked_up.entry(table.clone()).or_default().extend(columns.iter().cloned());
        }
        let uses = crate::access::columns_of(&query, CHANGED);
        let uses: Vec<Column> =
            self.changed.columns.iter().filter(|c| uses.contains(&c.name)).cloned().collect();
        if sound && uses.is_empty() {
            report.problem(
                text.at,
                "the look-up uses no column of `changed`: it would mark everything each time",
                None,
            );
        }
        sound.then_some(RouteBy::Lookup { query: Box::new(query), uses })
    }

    /// Equalities of the changed row's columns with constants, all of which must hold.
    fn conditions(&self, text: &Text, report: &mut Report<'_>) -> Option<Vec<When>> {
        let parsed = parse::expression(&text.sql).map_err(|f| report.faults(text, vec![f])).ok()?;
        let mut resolver = Resolver::new(self.desk.catalog, &self.desk.vocabulary);
        resolver.declare(CHANGED, &self.changed.name);
        let resolved = resolver.expr(&parsed);
        let mut faults = resolver.take_faults();
        let mut parts = Vec::new();
        conjuncts(&resolved, &mut parts);
        let mut conditions = Vec::new();
        for part in parts.into_iter().filter(|_| faults.is_empty()) {
            match self.condition(part) {
                Some(when) => conditions.push(when),
                None => {
                    let fault = Fault::new(
                        START,
                        format!("`{part}` is not `column = constant` or `column IN (constants)`"),
                    );
                    faults.push(
                        fault.help("a condition is decided outside the database; anything else is a look-up"),
                    );
                    break;
                }
            }
        }
        let sound = faults.is_empty();
        report.faults(text, faults);
        sound.then_some(conditions)
    }

    fn condition(&self, part: &Expr) -> Option<When> {
        let (column, values): (&Expr, Vec<&Expr>) = match part {
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => match as_column(left) {
                Some(_) => (left, vec![right]),
                None => (right, vec![left]),
            },
            Expr::InList { expr, list, negated: false } => (expr, list.iter().collect()),
            _ => return None,
        };
        let (_, name) = as_column(column)?;
        let column = self.changed.column(name)?;
        let equals = values.into_iter().map(|v| constant(v, column)).collect::<Option<Vec<String>>>()?;
        let fold = Fold::of(&column.data_type, column.collation.as_deref());
        Some(When { column: column.clone(), fold, equals })
    }
}

/// Does the column name a scope by itself, and must its digits be read for that?
fn digits(column: &Column, scope: &Column) -> Result<bool, String> {
    match (Kind::of_column(column), Kind::of_column(scope)) {
        (Kind::Integer, Kind::Integer) => Ok(false),
        (Kind::Text { .. }, Kind::Integer) => Ok(true),
        (Kind::Text { collation: a, .. }, Kind::Text { collation: b, .. }) if a == b => Ok(false),
        (Kind::Bytes, Kind::Bytes) if column.data_type == scope.data_type => Ok(false),
        (Kind::Date, Kind::Date) if column.column_type == scope.column_type => Ok(false),
        _ => Err(format!(
            "`{}` ({}) does not name a scope ({}) by itself",
            column.name, column.column_type, scope.column_type
        )),
    }
}

/// The text of a constant that is of the column's kind.
fn constant(e: &Expr, column: &Column) -> Option<String> {
    match e {
        Expr::Nested(inner) => constant(inner, column),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } if column.is_integer() => {
            constant(expr, column).map(|digits| format!("-{digits}"))
        }
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) if column.is_text() => Some(text.clone()),
            Value::Number(digits, _) if column.is_integer() => {
                digits.parse::<u64>().ok().map(|n| n.to_string())
            }
            Value::Boolean(b) if column.is_integer() => Some(u8::from(*b).to_string()),
            _ => None,
        },
        _ => None,
    }
}

const START: Place = Place { line: 1, column: 1 };
