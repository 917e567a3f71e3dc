//! Reads: a query of the application in both forms, to be run on sampled scopes and compared.
//!
//! Neither form marks anything or is written anywhere, so each may read both sides and the id maps. A parameter is a column
//! of the scope: it is known before, so an index must lead from it to every table.

use sqlparser::ast::{Expr, Query, SelectItem, SetExpr};

use super::{Desk, Report, Text, tables};
use crate::access;
use crate::catalog::{Catalog, Column, Index, Table};
use crate::checked::{Entity, Read, ScopeColumn};
use crate::kind::Kind;
use crate::parse::{self, Fault};
use crate::place::{Located, Place};
use crate::raw::{self, Sql};
use crate::resolve::{Reads, Resolver, Vocabulary, column_reference};

/// A name stands in the control schema and in reasons.
const MAX_NAME: usize = 64;

/// `checked`: tables that the target reads, which were looked at already.
pub(super) fn check(
    written: &raw::Target,
    scope: &[ScopeColumn],
    checked: &Reads,
    desk: &Desk<'_>,
    report: &mut Report<'_>,
) -> Vec<Read> {
    let Some((first, _)) = written.reads.iter().next().filter(|_| !scope.is_empty()) else { return vec![] };
    let catalog = with_maps(desk);
    let mut vocabulary = desk.vocabulary.clone();
    for s in scope {
        let parameter = column_reference(&name_of(s), &s.source_column.name);
        if vocabulary.parameters.insert(s.target_column.clone(), parameter).is_some() {
            let message = format!(
                "`:{}` would be a parameter of plan.yaml and a column of the scope: give the former another name",
                s.target_column
            );
            report.problem(first.at, message, None);
        }
    }
    let mut reads = Vec::new();
    for (name, read) in written.reads.iter() {
        if name.value.chars().count() > MAX_NAME {
            report.problem(name.at, format!("the name of a read has at most {MAX_NAME} characters"), None);
        }
        let mut form =
            |sql| Form { scope, checked, catalog: &catalog, vocabulary: &vocabulary }.check(sql, report);
        let (legacy, new) = (form(&read.value.legacy), form(&read.value.new));
        let (Some((legacy, old_kinds)), Some((new, new_kinds))) = (legacy, new) else { continue };
        alike(&old_kinds, &new_kinds, read.value.new.at, report);
        let ordered = legacy.order_by.is_some() && new.order_by.is_some();
        reads.push(Read { name: name.value.clone(), legacy: Box::new(legacy), new: Box::new(new), ordered });
    }
    reads
}

/// The relation that stands for a parameter.
fn name_of(scope: &ScopeColumn) -> String {
    format!(":{}", scope.target_column)
}

struct Form<'a> {
    scope: &'a [ScopeColumn],
    checked: &'a Reads,
    catalog: &'a Catalog,
    vocabulary: &'a Vocabulary,
}

impl Form<'_> {
    /// The query, and the kinds of its columns.
    fn check(&self, sql: &Located<Sql>, report: &mut Report<'_>) -> Option<(Query, Vec<Kind>)> {
        let text = Text::of(sql);
        let parsed = parse::select(&text.sql).map_err(|f| report.faults(&text, vec![f])).ok()?;
        let mut resolver = Resolver::new(self.catalog, self.vocabulary);
        for s in self.scope {
            resolver.bind(&name_of(s), &s.source_table);
        }
        let query = resolver.query(&parsed);
        let mut faults = resolver.take_faults();
        if faults.is_empty() {
            faults = access::check_query(&query, &resolver);
        }
        if faults.is_empty() && !parse::is_printable(&Expr::Subquery(Box::new(query.clone()))) {
            faults.push(Fault::new(START, "the query does not read the same when it is printed"));
        }
        if faults.is_empty() && self.scope.iter().all(|s| access::columns_of(&query, &name_of(s)).is_empty())
        {
            let names: Vec<String> = self.scope.iter().map(|s| format!("`{}`", name_of(s))).collect();
            let fault = Fault::new(START, "the query has no parameter: it would be the same for every scope");
            faults.push(fault.help(format!("the parameters are {}", names.join(", "))));
        }
        let sound = faults.is_empty();
        report.faults(&text, faults);
        for table in resolver.reads.keys().filter(|t| !self.checked.contains_key(*t)) {
            if let Some(table) = self.catalog.tables.get(table) {
                tables::engine(table, text.at, report);
            }
        }
        let SetExpr::Select(select) = query.body.as_ref() else { return None };
        let kinds = select.projection.iter().filter_map(|item| match item {
            SelectItem::UnnamedExpr(e) | SelectItem::ExprWithAlias { expr: e, .. } => {
                Some(Kind::of(e, &resolver))
            }
            _ => None,
        });
        let kinds = kinds.collect();
        sound.then_some((query, kinds))
    }
}

/// Results are compared as the server prints them: what never prints alike is a mistake.
fn alike(legacy: &[Kind], new: &[Kind], at: Place, report: &mut Report<'_>) {
    if legacy.len() != new.len() {
        let message = format!(
            "the legacy form gives {} columns, the new form {}: they can't be compared",
            legacy.len(),
            new.len()
        );
        report.problem(at, message, None);
        return;
    }
    for (i, (old, new)) in legacy.iter().zip(new).enumerate() {
        if never_alike(old, new) || never_alike(new, old) {
            let message = format!(
                "column {} is {old} in the legacy form and {new} in the new form: they never print alike",
                i + 1
            );
            report.problem(
                at,
                message,
                Some("results are compared as the server prints them; join the id map, or CAST".into()),
            );
        }
    }
}

fn never_alike(a: &Kind, b: &Kind) -> bool {
    matches!(
        (a, b),
        (Kind::Bytes, Kind::Integer | Kind::Number | Kind::Date) | (Kind::Date, Kind::Integer | Kind::Number)
    )
}

/// The catalog with the id maps as they will be, whether or not they stand.
fn with_maps(desk: &Desk<'_>) -> Catalog {
    let mut catalog = desk.catalog.clone();
    for entity in &desk.entities {
        catalog.tables.insert(entity.map.clone(), map(entity));
    }
    catalog
}

fn map(entity: &Entity) -> Table {
    let id = Column {
        name: "legacy_id".into(),
        nullable: false,
        on_update: false,
        generated: false,
        auto_increment: false,
        ..entity.key.clone()
    };
    let uuid = Column {
        name: "uuid_binary".into(),
        data_type: "binary".into(),
        column_type: "binary(16)".into(),
        charset: None,
        collation: None,
        json: false,
        max_length: Some(16),
        numeric_precision: None,
        numeric_scale: None,
        ..id.clone()
    };
    let index = |name: &str, column: &Column| Index {
        name: name.into(),
        unique: true,
        columns: vec![column.name.clone()],
    };
    Table {
        name: entity.map.clone(),
        engine: "InnoDB".into(),
        primary_key: vec![id.name.clone()],
        indexes: vec![index("PRIMARY", &id), index("uq_uuid", &uuid)],
        columns: vec![id, uuid],
        foreign_keys: vec![],
        triggers: vec![],
    }
}

const START: Place = Place { line: 1, column: 1 };
