//! SELECTs: one table after another by JOIN, WHERE, GROUP BY, HAVING, ORDER BY and LIMIT. No more.

use std::sync::LazyLock;

use sqlparser::ast::{
    GroupByExpr, Join, JoinConstraint, JoinOperator, LimitClause, OrderBy, OrderByKind, Query, Select,
    SelectItem, SetExpr, TableAlias, TableFactor, TableWithJoins,
};

use super::{Resolver, Scope, one_word, quoted, table_name};
use crate::parse::{self, Fault};
use crate::place::Place;
use crate::problem::did_you_mean;

/// `SELECT` with nothing in it: what is not copied from a plan's SELECT must be as it is here.
static BARE: LazyLock<Select> = LazyLock::new(|| {
    let query = parse::select("SELECT 1").expect("the simplest SELECT is understood");
    match *query.body {
        SetExpr::Select(select) => Select { projection: vec![], ..*select },
        _ => unreachable!("`select` gives SELECTs only"),
    }
});

impl Resolver<'_> {
    /// Resolves a subquery or a look-up, whose relations are gone behind it.
    pub fn query(&mut self, query: &Query) -> Query {
        let plain = Query {
            with: None,
            body: query.body.clone(),
            order_by: query.order_by.clone(),
            limit_clause: query.limit_clause.clone(),
            fetch: None,
            locks: vec![],
            for_clause: None,
            settings: None,
            format_clause: None,
            pipe_operators: vec![],
        };
        if plain != *query {
            let fault = Fault::new(
                self.call_at,
                "WITH, locking clauses and output clauses are not allowed in a SELECT",
            );
            self.fault(fault);
            return plain;
        }
        let SetExpr::Select(select) = query.body.as_ref() else {
            self.fault(Fault::new(self.call_at, "a single SELECT stands here: no UNION, VALUES or TABLE"));
            return plain;
        };
        self.scopes.push(Scope::default());
        let body = Box::new(SetExpr::Select(Box::new(self.select(select, true))));
        let order_by = query.order_by.as_ref().and_then(|order| self.order_by(order));
        if query.limit_clause.is_some() && order_by.is_none() {
            let fault = Fault::new(self.call_at, "LIMIT without ORDER BY takes any row");
            self.fault(
                fault.help("add ORDER BY with keys that leave no ties, or an aggregate such as MIN()"),
            );
        }
        let limit_clause = query.limit_clause.as_ref().and_then(|limit| self.limit(limit));
        self.scopes.pop();
        Query { body, order_by, limit_clause, ..plain }
    }

    /// Resolves a SELECT. Its relations stay in sight: the caller ends their scope.
    pub fn select(&mut self, select: &Select, with_projection: bool) -> Select {
        let plain = Select {
            distinct: select.distinct.clone(),
            projection: select.projection.clone(),
            from: select.from.clone(),
            selection: select.selection.clone(),
            group_by: select.group_by.clone(),
            having: select.having.clone(),
            ..BARE.clone()
        };
        if plain != *select {
            let fault = Fault::new(self.call_at, "this SELECT has a clause that is not allowed");
            self.fault(
                fault.help(
                    "SELECT … FROM … JOIN … WHERE … GROUP BY … HAVING … ORDER BY … LIMIT is all there is",
                ),
            );
        }
        let from = select.from.iter().map(|t| self.table_with_joins(t)).collect();
        let projection = match with_projection {
            true => select.projection.iter().filter_map(|item| self.item(item)).collect(),
            false => vec![],
        };
        let selection = select.selection.as_ref().map(|e| self.expr(e));
        let group_by = match &select.group_by {
            GroupByExpr::Expressions(keys, modifiers) if modifiers.is_empty() => {
                GroupByExpr::Expressions(self.all(keys), vec![])
            }
            other => {
                self.fault(Fault::new(self.call_at, format!("`{other}` is not allowed")));
                GroupByExpr::Expressions(vec![], vec![])
            }
        };
        let having = select.having.as_ref().map(|e| self.expr(e));
        let distinct = select.distinct.clone().filter(|_| with_projection);
        Select { distinct, projection, from, selection, group_by, having, ..BARE.clone() }
    }

    /// Resolves a SELECT at the outermost level, where the values of a target's columns will be resolved too.
    pub fn rows(&mut self, query: &Query) -> Select {
        let plain = query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none();
        let others = query.fetch.is_some() || !query.locks.is_empty() || query.for_clause.is_some();
        if !plain || others || !query.pipe_operators.is_empty() {
            let fault = Fault::new(
                START,
                "the rows of a target are a set: no WITH, ORDER BY, LIMIT or locking clause here",
            );
            self.fault(fault);
        }
        match query.body.as_ref() {
            SetExpr::Select(select) => {
                if select.distinct.is_some() {
                    let fault = Fault::new(START, "DISTINCT is not allowed in the rows of a target");
                    self.fault(fault.help("use GROUP BY, or NOT EXISTS for the row that comes first"));
                }
                self.select(select, false)
            }
            _ => BARE.clone(),
        }
    }

    /// `FROM table`, for parallel columns and copies.
    pub fn rows_of(&mut self, table: &str) -> Select {
        let alias = self.enter(table, table);
        Select {
            from: vec![TableWithJoins { relation: self.factor(table, &alias), joins: vec![] }],
            ..BARE.clone()
        }
    }

    fn item(&mut self, item: &SelectItem) -> Option<SelectItem> {
        match item {
            SelectItem::UnnamedExpr(e) => Some(SelectItem::UnnamedExpr(self.expr(e))),
            SelectItem::ExprWithAlias { expr, alias } => {
                let alias = quoted(&alias.value);
                Some(SelectItem::ExprWithAlias { expr: self.expr(expr), alias })
            }
            _ => {
                self.fault(Fault::new(self.call_at, format!("`{item}`: columns are named one by one")));
                None
            }
        }
    }

    fn table_with_joins(&mut self, t: &TableWithJoins) -> TableWithJoins {
        // All relations come into sight before the conditions: the server looks left only, and says so if a plan doesn't.
        let relation = self.relation(&t.relation);
        let joins = t.joins.iter().filter_map(|join| self.join(join)).collect();
        TableWithJoins { relation, joins }
    }

    fn join(&mut self, join: &Join) -> Option<Join> {
        let relation = self.relation(&join.relation);
        let mut on = |constraint: &JoinConstraint| match constraint {
            JoinConstraint::On(e) => JoinConstraint::On(self.expr(e)),
            other => {
                if !matches!(other, JoinConstraint::None) {
                    self.fault(Fault::new(
                        self.call_at,
                        "a JOIN has its condition in ON: no USING, no NATURAL",
                    ));
                }
                JoinConstraint::None
            }
        };
        let join_operator = match &join.join_operator {
            JoinOperator::Join(c) => JoinOperator::Join(on(c)),
            JoinOperator::Inner(c) => JoinOperator::Inner(on(c)),
            JoinOperator::Left(c) => JoinOperator::Left(on(c)),
            JoinOperator::LeftOuter(c) => JoinOperator::LeftOuter(on(c)),
            JoinOperator::StraightJoin(c) => JoinOperator::StraightJoin(on(c)),
            _ => {
                self.fault(Fault::new(self.call_at, "only JOIN and LEFT JOIN are allowed"));
                return None;
            }
        };
        Some(Join { relation, global: false, join_operator })
    }

    fn relation(&mut self, factor: &TableFactor) -> TableFactor {
        let TableFactor::Table { name, alias, .. } = factor else {
            let fault = Fault::new(
                self.call_at,
                "a table stands here: SELECTs in FROM hide what they read from the indexes",
            );
            self.fault(fault.help("join the tables themselves, or use a subquery in WHERE"));
            return factor.clone();
        };
        let Some(word) = one_word(name) else {
            self.fault(Fault::new(
                self.call_at,
                format!("`{name}`: tables stand in the plan's schema and are named without it"),
            ));
            return factor.clone();
        };
        let at = parse::place(word.span.start);
        let written = alias.as_ref().map_or(&word.value, |a| &a.name.value);
        if !self.catalog.tables.contains_key(&word.value) {
            let fault = Fault::new(at, format!("unknown table `{}`", word.value));
            let help = did_you_mean(&word.value, self.catalog.tables.keys().map(String::as_str));
            let help = help.or(Some("if it exists, the account has no privilege on it".into()));
            self.fault(Fault { help, ..fault });
            return factor.clone();
        }
        let bare = TableFactor::Table {
            name: name.clone(),
            alias: alias.clone(),
            args: None,
            with_hints: vec![],
            version: None,
            with_ordinality: false,
            partitions: vec![],
            json_path: None,
            sample: None,
            index_hints: vec![],
        };
        if bare != *factor || alias.as_ref().is_some_and(|a| !a.columns.is_empty() || a.at.is_some()) {
            self.fault(Fault::new(
                at,
                format!("`{factor}`: a table and its alias, without hints or partitions"),
            ));
        }
        let unique = self.enter(written, &word.value);
        self.factor(&word.value, &unique)
    }

    fn factor(&mut self, table: &str, alias: &str) -> TableFactor {
        let alias = TableAlias { explicit: true, name: quoted(alias), columns: vec![], at: None };
        TableFactor::Table {
            name: table_name(&self.catalog.schema, table),
            alias: Some(alias),
            args: None,
            with_hints: vec![],
            version: None,
            with_ordinality: false,
            partitions: vec![],
            json_path: None,
            sample: None,
            index_hints: vec![],
        }
    }

    fn order_by(&mut self, order: &OrderBy) -> Option<OrderBy> {
        match (&order.kind, &order.interpolate) {
            (OrderByKind::Expressions(keys), None) => {
                Some(OrderBy { kind: OrderByKind::Expressions(self.order(keys)), interpolate: None })
            }
            _ => {
                self.fault(Fault::new(
                    self.call_at,
                    format!("`{order}` is not an order that the server knows"),
                ));
                None
            }
        }
    }

    fn limit(&mut self, limit: &LimitClause) -> Option<LimitClause> {
        match limit {
            LimitClause::LimitOffset { limit: Some(n), offset: None, limit_by } if limit_by.is_empty() => {
                Some(LimitClause::LimitOffset { limit: Some(self.expr(n)), offset: None, limit_by: vec![] })
            }
            _ => {
                self.fault(Fault::new(self.call_at, "LIMIT takes one number"));
                None
            }
        }
    }
}

const START: Place = Place { line: 1, column: 1 };
