//! Look-ups: the changed rows become a relation named `changed`, so that one SELECT serves many of them.

use change::Cell;
use sqlparser::ast::{
    Ident, Join, JoinOperator, ObjectName, Query, SetExpr, TableAlias, TableFactor, TableWithJoins,
};

use crate::catalog::Column;
use crate::quote;

/// A SELECT that yields these images as rows, typed and collated as their columns are.
pub fn changed_relation(columns: &[Column], images: &[Vec<Cell>]) -> String {
    let row = |image: &Vec<Cell>| {
        let cells: Vec<String> = columns
            .iter()
            .zip(image)
            .map(|(c, v)| format!("{} AS {}", typed(c, v), quote::ident(&c.name)))
            .collect();
        format!("SELECT {}", cells.join(", "))
    };
    images.iter().map(row).collect::<Vec<_>>().join(" UNION ALL ")
}

fn typed(column: &Column, value: &Cell) -> String {
    let literal = quote::cell(value);
    if column.is_integer() {
        let sign = if column.is_unsigned() { "UNSIGNED" } else { "SIGNED" };
        return format!("CAST({literal} AS {sign})");
    }
    match (&column.charset, &column.collation) {
        (Some(charset), Some(collation)) => format!("CONVERT({literal} USING {charset}) COLLATE {collation}"),
        _ => literal,
    }
}

/// The plan's look-up with `changed` joined in front.
pub fn lookup(query: &Query, columns: &[Column], images: &[Vec<Cell>]) -> String {
    let mut query = query.clone();
    let relation = format!("({}) AS changed", changed_relation(columns, images));
    let SetExpr::Select(select) = query.body.as_mut() else {
        unreachable!("the checks accept a single SELECT only");
    };
    let mut own = std::mem::take(&mut select.from);
    let changed = raw_table(relation);
    let mut first = TableWithJoins { relation: changed, joins: Vec::new() };
    if !own.is_empty() {
        let head = own.remove(0);
        first.joins.push(Join {
            relation: head.relation,
            global: false,
            join_operator: JoinOperator::CrossJoin(sqlparser::ast::JoinConstraint::None),
        });
        first.joins.extend(head.joins);
    }
    select.from = std::iter::once(first).chain(own).collect();
    select.distinct = Some(sqlparser::ast::Distinct::Distinct);
    query.to_string()
}

/// A relation given as text; it is printed as it stands.
fn raw_table(sql: String) -> TableFactor {
    TableFactor::Table {
        name: ObjectName::from(vec![Ident::new(sql)]),
        alias: None::<TableAlias>,
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    }
}
