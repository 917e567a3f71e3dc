//! Which columns a target's expressions read, found by walking its trees.
//!
//! An alias that stands for two tables in different subqueries counts for both: what comes out is never too little.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use plan::checked::{RouteBy, Target};
use sqlparser::ast::{Expr, TableFactor, Visit, Visitor};

/// Columns by table, names as the plan's trees spell them.
pub fn reads(target: &Target) -> BTreeMap<String, BTreeSet<String>> {
    let mut walk = Walk::default();
    // A walk only ends early if it is told to, and this one never is.
    let _: ControlFlow<()> = target.rows.visit(&mut walk);
    for scope in &target.scope {
        let _ = scope.source.visit(&mut walk);
    }
    for column in &target.columns {
        for expr in
            [Some(&column.value), column.fallback.as_ref(), column.fits_if.as_ref()].into_iter().flatten()
        {
            let _ = expr.visit(&mut walk);
        }
        if let Some(reference) = &column.reference {
            if let Some(id) = &reference.id {
                let _ = id.visit(&mut walk);
            }
            walk.read(&reference.parent, &reference.parent_key.name);
        }
    }
    for list in &target.lists {
        for column in list.scope.iter().chain([&list.id]) {
            walk.read(&list.from, column);
        }
        walk.read(&list.parent, &list.parent_key.name);
    }
    for scope in &target.scope {
        walk.read(&scope.source_table, &scope.source_column.name);
    }
    for route in &target.routes {
        if let RouteBy::Lookup { query, .. } = &route.by {
            let _ = query.visit(&mut walk);
        }
    }
    walk.resolve()
}

/// What the forms of a target's reads read, on both sides.
pub fn of_reads(target: &Target) -> BTreeMap<String, BTreeSet<String>> {
    let mut walk = Walk::default();
    for query in target.reads.iter().flat_map(|r| [&r.legacy, &r.new]) {
        let _ = query.visit(&mut walk);
    }
    walk.resolve()
}

#[derive(Default)]
struct Walk {
    /// Tables that an alias stands for.
    tables: BTreeMap<String, BTreeSet<String>>,
    /// (alias, column)
    columns: BTreeSet<(String, String)>,
    direct: BTreeMap<String, BTreeSet<String>>,
}

impl Walk {
    fn read(&mut self, table: &str, column: &str) {
        self.direct.entry(table.into()).or_default().insert(column.into());
    }

    fn resolve(self) -> BTreeMap<String, BTreeSet<String>> {
        let mut reads = self.direct;
        for (alias, column) in self.columns {
            for table in self.tables.get(&alias).into_iter().flatten() {
                reads.entry(table.clone()).or_default().insert(column.clone());
            }
        }
        reads
    }
}

impl Visitor for Walk {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias, .. } = factor
            && let Some(table) = name.0.last().and_then(|part| part.as_ident())
        {
            let alias = alias.as_ref().map_or(&table.value, |a| &a.name.value);
            self.tables.entry(alias.clone()).or_default().insert(table.value.clone());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [.., table, column] = parts.as_slice()
        {
            self.columns.insert((table.value.clone(), column.value.clone()));
        }
        ControlFlow::Continue(())
    }
}
