//! Does every read of another table have an index to go by?
//!
//! A table of a SELECT is *reached* if equalities bind the first columns of one of its indexes, at least one of them to
//! a value of the surrounding query or of a table reached earlier; constants alone will do only if they name one row.
//! What is not reached would be scanned once per scope.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, JoinConstraint, JoinOperator, Query, Select, SetExpr, Spanned, TableFactor, Visit,
    Visitor,
};

use crate::kind::{Kind, hides_index};
use crate::parse::{self, Fault};
use crate::place::Place;
use crate::resolve::{Resolver, as_column};

/// Checks all SELECTs inside an expression.
pub fn check_expr(e: &Expr, resolver: &Resolver<'_>) -> Vec<Fault> {
    let mut finder = Finder { resolver, faults: Vec::new() };
    let _ = e.visit(&mut finder);
    finder.faults
}

/// Checks a look-up and the SELECTs inside it.
pub fn check_query(query: &Query, resolver: &Resolver<'_>) -> Vec<Fault> {
    let mut finder = Finder { resolver, faults: Vec::new() };
    let _ = query.visit(&mut finder);
    finder.faults
}

/// Checks the rows of a target: the relations in `known` are read by the scope.
pub fn check_rows(select: &Select, known: &BTreeSet<String>, resolver: &Resolver<'_>) -> Vec<Fault> {
    let mut faults = check_select(select, known, resolver);
    let mut finder = Finder { resolver, faults: Vec::new() };
    let _ = select.visit(&mut finder);
    faults.append(&mut finder.faults);
    faults
}

struct Finder<'a, 'b> {
    resolver: &'a Resolver<'b>,
    faults: Vec<Fault>,
}

impl Visitor for Finder<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if let SetExpr::Select(select) = query.body.as_ref() {
            self.faults.extend(check_select(select, &BTreeSet::new(), self.resolver));
        }
        ControlFlow::Continue(())
    }
}

fn check_select(select: &Select, known: &BTreeSet<String>, resolver: &Resolver<'_>) -> Vec<Fault> {
    let mut waiting = aliases(select);
    waiting.retain(|alias| !known.contains(alias));
    let conditions = conditions(select);
    // Rounds until nothing more is reached: a join may lead from any table to any other.
    while let Some(at) = waiting.iter().position(|alias| is_reached(alias, &conditions, &waiting, resolver)) {
        waiting.remove(at);
    }
    waiting.iter().map(|alias| unreached(alias, &conditions, &waiting, resolver)).collect()
}

fn aliases(select: &Select) -> Vec<String> {
    let factors = select
        .from
        .iter()
        .flat_map(|t| std::iter::once(&t.relation).chain(t.joins.iter().map(|j| &j.relation)));
    factors
        .filter_map(|factor| match factor {
            TableFactor::Table { alias: Some(alias), .. } => Some(alias.name.value.clone()),
            _ => None,
        })
        .collect()
}

/// The conditions that must all hold: of WHERE and of every ON.
fn conditions(select: &Select) -> Vec<&Expr> {
    let mut all = Vec::new();
    for join in select.from.iter().flat_map(|t| &t.joins) {
        if let JoinOperator::Join(JoinConstraint::On(e))
        | JoinOperator::Inner(JoinConstraint::On(e))
        | JoinOperator::Left(JoinConstraint::On(e))
        | JoinOperator::LeftOuter(JoinConstraint::On(e))
        | JoinOperator::StraightJoin(JoinConstraint::On(e)) = &join.join_operator
        {
            conjuncts(e, &mut all);
        }
    }
    if let Some(e) = &select.selection {
        conjuncts(e, &mut all);
    }
    all
}

/// The parts of a chain of ANDs.
pub fn conjuncts<'e>(e: &'e Expr, out: &mut Vec<&'e Expr>) {
    match e {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            conjuncts(left, out);
            conjuncts(right, out);
        }
        Expr::Nested(inner) => conjuncts(inner, out),
        other => out.push(other),
    }
}

fn is_reached(alias: &str, conditions: &[&Expr], waiting: &[String], resolver: &Resolver<'_>) -> bool {
    let Some(table) = resolver.table_of(alias) else { return true };
    let (bound, _) = bound_columns(alias, conditions, waiting, resolver);
    table.indexes.iter().any(|index| {
        let lead: Vec<bool> =
            index.columns.iter().map_while(|c| bound.get(&c.to_lowercase())).copied().collect();
        lead.contains(&true) || (index.unique && lead.len() == index.columns.len())
    })
}

/// Columns of a relation that an equality binds to what is known (true: to more than constants), and what stands in the
/// way of others.
fn bound_columns(
    alias: &str,
    conditions: &[&Expr],
    waiting: &[String],
    resolver: &Resolver<'_>,
) -> (BTreeMap<String, bool>, Vec<String>) {
    let (mut bound, mut hidden) = (BTreeMap::new(), Vec::new());
    let mut bind = |column: &Expr, values: &[&Expr]| {
        let Some((of, name)) = as_column(column) else { return };
        let known = values.iter().all(|v| relations_in(v).iter().all(|r| !waiting.contains(r)));
        let Some((_, live)) = resolver.column_of(column).filter(|_| of == alias && known) else { return };
        match values.iter().find_map(|v| hides_index(live, &Kind::of(v, resolver))) {
            Some(reason) => hidden.push(reason),
            None => {
                let varies = values.iter().any(|v| !relations_in(v).is_empty());
                *bound.entry(name.to_lowercase()).or_insert(false) |= varies;
            }
        }
    };
    for condition in conditions {
        match condition {
            Expr::BinaryOp { left, op: BinaryOperator::Eq | BinaryOperator::Spaceship, right } => {
                bind(left, &[right]);
                bind(right, &[left]);
            }
            Expr::InList { expr, list, negated: false } => bind(expr, &list.iter().collect::<Vec<_>>()),
            _ => {}
        }
    }
    (bound, hidden)
}

fn unreached(alias: &str, conditions: &[&Expr], waiting: &[String], resolver: &Resolver<'_>) -> Fault {
    let table = resolver.table_of(alias).map_or(alias, |t| t.name.as_str());
    let (bound, hidden) = bound_columns(alias, conditions, waiting, resolver);
    let at = conditions
        .iter()
        .find(|c| relations_in(c).contains(alias))
        .map_or(Place { line: 1, column: 1 }, |c| parse::place(c.span().start));
    let fault = Fault::new(
        at,
        format!("`{table}` (as `{alias}`) is read without an index: it would be scanned for every scope"),
    );
    let columns: Vec<&str> = bound.iter().filter(|(_, varies)| **varies).map(|(c, _)| c.as_str()).collect();
    match (columns.as_slice(), hidden.as_slice()) {
        (_, [reason, ..]) => fault.help(reason.clone()),
        ([], []) => fault.help("compare an indexed column of it, by =, with a column that is known before"),
        (columns, []) => {
            fault.help(format!("add an index to `{table}` that starts with `{}`", columns.join("` or `")))
        }
    }
}

/// The relations that an expression names, those of its subqueries aside or not: they can't be waiting.
fn relations_in(e: &Expr) -> BTreeSet<String> {
    struct Names(BTreeSet<String>);
    impl Visitor for Names {
        type Break = ();

        fn pre_visit_expr(&mut self, e: &Expr) -> ControlFlow<()> {
            if let Some((alias, _)) = as_column(e) {
                self.0.insert(alias.to_string());
            }
            ControlFlow::Continue(())
        }
    }
    let mut names = Names(BTreeSet::new());
    let _ = e.visit(&mut names);
    names.0
}

/// The columns of one relation that a query names.
pub fn columns_of(query: &Query, relation: &str) -> BTreeSet<String> {
    struct Columns<'a>(&'a str, BTreeSet<String>);
    impl Visitor for Columns<'_> {
        type Break = ();

        fn pre_visit_expr(&mut self, e: &Expr) -> ControlFlow<()> {
            if let Some((_, column)) = as_column(e).filter(|(alias, _)| *alias == self.0) {
                self.1.insert(column.to_string());
            }
            ControlFlow::Continue(())
        }
    }
    let mut columns = Columns(relation, BTreeSet::new());
    let _ = query.visit(&mut columns);
    columns.1
}
