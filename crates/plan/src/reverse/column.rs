//! One parallel column, undone.

use std::collections::BTreeMap;

use sqlparser::ast::{BinaryOperator, Expr, Value};

use super::Way;
use crate::catalog::{Column, Table};
use crate::check::is_same_type;
use crate::checked::{Checked, Policy, Reference, Target, TargetColumn};
use crate::init::{ident, reference};
use crate::resolve::as_column;
use crate::sql::fits_into;

/// A legacy column, computed from a column of the target.
#[derive(Clone, Debug)]
pub(crate) struct Inverse {
    pub legacy: Column,
    pub value: String,
    pub keep_if: Option<String>,
    pub fits_if: Option<String>,
    /// A value can be refused: then the row is parked.
    pub required: bool,
    /// Tables that are read beside the target's, and the column of the target by which a change of them finds its rows.
    pub routes: BTreeMap<String, Option<String>>,
}

/// What an expression does with its only column.
enum Form {
    Plain,
    Times(u64),
    Convert(String),
}

pub(super) fn all(plan: &Checked, target: &Target, table: &Table) -> Vec<(String, Way)> {
    let mut ways: Vec<(String, Way)> = Vec::new();
    for column in &target.columns {
        let way = match inverse(plan, target, column, table) {
            Ok(inverse) => {
                let same = |w: &Way| matches!(w, Way::Back(i) if i.legacy.name == inverse.legacy.name);
                match ways.iter().find(|(_, way)| same(way)) {
                    Some((first, _)) => Way::Also { legacy: inverse.legacy.name, from: first.clone() },
                    None => Way::Back(Box::new(inverse)),
                }
            }
            Err(reason) => Way::Not(reason),
        };
        ways.push((column.column.name.clone(), way));
    }
    ways
}

/// The column's way back, or why there is none.
fn inverse(plan: &Checked, target: &Target, column: &TargetColumn, table: &Table) -> Result<Inverse, String> {
    if column.policy == Policy::Fill {
        return Err("a `fill` column belongs to the application once it has a value".into());
    }
    if column.fallback.is_some() {
        return Err("where its fallback stands, the legacy column had nothing".into());
    }
    if column.reference.as_ref().is_some_and(|r| r.id.is_some()) {
        return Err("it is not the reference itself that is written".into());
    }
    if column.fits_if.is_some() {
        return Err("it has a condition of its own (`fits_if`)".into());
    }
    let (name, form) = form(&column.value, &target.table)?;
    let own = table.column(name).ok_or_else(|| format!("`{name}` is no column of `{}`", table.name))?;
    if own.generated {
        return Err(format!("`{name}` is a generated column: the server computes it"));
    }
    if table.primary_key.contains(&own.name) {
        return Err(format!("`{name}` is the key of its row"));
    }
    let draft = Draft { table, own, new: &column.column, same_type: column.same_type };
    match (&column.reference, form) {
        (None, form) => draft.plain(&form, None),
        (Some(Reference { map: None, parent, parent_key, .. }), Form::Plain) => {
            draft.plain(&Form::Plain, Some((parent, parent_key)))
        }
        (Some(Reference { map: Some(map), parent, parent_key, .. }), Form::Plain) => {
            let kept = plan.entity(parent).map_or(map, |e| &e.map);
            draft.through(kept, parent, parent_key)
        }
        (Some(_), _) => Err("what refers to a row is not a bare column".into()),
    }
}

/// Why an expression that is not one of ours has no inverse.
fn form<'e>(e: &'e Expr, row: &str) -> Result<(&'e str, Form), String> {
    if let Some((alias, column)) = as_column(e) {
        return match alias == row {
            true => Ok((column, Form::Plain)),
            false => Err(format!("`{alias}.{column}` stands in another table")),
        };
    }
    let why = match e {
        Expr::Nested(inner) => return form(inner, row),
        Expr::BinaryOp { left, op: BinaryOperator::Multiply, right } => {
            return match (as_column(left).zip(factor(right))).or(as_column(right).zip(factor(left))) {
                Some(((alias, column), factor)) if alias == row => Ok((column, Form::Times(factor))),
                _ => Err(format!("`{e}` is no product of one column and a whole number above 0")),
            };
        }
        Expr::Convert { expr, charset: Some(charset), .. } => {
            return match as_column(expr) {
                Some((alias, column)) if alias == row => {
                    Ok((column, Form::Convert(charset.to_string().to_lowercase())))
                }
                _ => Err("only a bare column is converted back".into()),
            };
        }
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
            "it is computed from other rows (a sub-query)".into()
        }
        Expr::Value(_) => "a constant says nothing about the legacy side".into(),
        Expr::Case { .. } => "a CASE does not say which of its branches it took".into(),
        Expr::Function(f) => match f.name.to_string().to_lowercase().as_str() {
            name @ ("coalesce" | "ifnull" | "nvl" | "if") => {
                format!("{} does not say which of its values it took", name.to_uppercase())
            }
            name if name.starts_with("json_") => {
                format!("{} takes one value out of many", name.to_uppercase())
            }
            name => format!("{} is not known to have an inverse", name.to_uppercase()),
        },
        Expr::BinaryOp { op, .. } => format!("what `{op}` was given can't be told from what it gave"),
        _ => "it is not known to have an inverse".into(),
    };
    Err(why)
}

/// A whole number above 0.
fn factor(e: &Expr) -> Option<u64> {
    match e {
        Expr::Nested(inner) => factor(inner),
        Expr::Value(v) => match &v.value {
            Value::Number(digits, _) => digits.parse().ok().filter(|n| *n > 0),
            _ => None,
        },
        _ => None,
    }
}

/// A row's legacy column and its column of the target.
struct Draft<'a> {
    table: &'a Table,
    own: &'a Column,
    new: &'a Column,
    same_type: bool,
}

impl Draft<'_> {
    fn of(&self, column: &Column) -> String {
        reference(&self.table.name, &column.name)
    }

    /// A value of the same row, perhaps one that must name a row of `parent`.
    fn plain(&self, form: &Form, parent: Option<(&String, &Column)>) -> Result<Inverse, String> {
        let (own, new) = (self.of(self.own), self.of(self.new));
        let text = self.own.is_text();
        let mut fits_if = None;
        let (forward, value) = match form {
            Form::Times(factor) => {
                if !self.own.is_integer() || !self.new.is_integer() {
                    return Err(format!(
                        "a product of {} and {}: only whole numbers are divided exactly",
                        self.own.column_type, self.new.column_type
                    ));
                }
                fits_if = Some(format!("{new} IS NULL OR {new} % {factor} = 0"));
                (format!("{own} * {factor}"), format!("{new} DIV {factor}"))
            }
            Form::Plain | Form::Convert(_) => {
                exact(self.own, self.new)?;
                if let Form::Convert(by) = form
                    && charset(self.own) != Some(modern(by))
                {
                    return Err(format!(
                        "{} as text in {by} is not known to come back",
                        self.own.column_type
                    ));
                }
                (own.clone(), new.clone())
            }
        };
        let mut routes = BTreeMap::new();
        let mut conditions = Vec::new();
        if let Some((parent, key)) = parent {
            let alias = self.alias("parent");
            conditions.push(format!(
                "EXISTS (SELECT 1 FROM {} {alias} WHERE {} = {own})",
                ident(parent),
                reference(&alias, &key.name)
            ));
            routes.insert(parent.clone(), None);
        }
        if !self.same_type {
            conditions.extend(fits_into(&forward, self.new));
        }
        let keep_if = (!conditions.is_empty()).then(|| {
            let again = format!("CASE WHEN {} THEN {forward} END", conditions.join(" AND "));
            match text {
                true => format!("CAST({new} AS BINARY) <=> CAST({again} AS BINARY)"),
                false => format!("{new} <=> {again}"),
            }
        });
        let required = fits_if.is_some() || !is_same_type(self.own, self.new);
        Ok(Inverse { legacy: self.own.clone(), value, keep_if, fits_if, required, routes })
    }

    /// A UUID from an id map.
    fn through(&self, map: &str, parent: &str, key: &Column) -> Result<Inverse, String> {
        exact(self.own, key)?;
        let (own, new) = (self.of(self.own), self.of(self.new));
        let (m, p) = (self.alias("entry"), self.alias("parent"));
        let entry = format!("FROM {} {m} WHERE {m}.uuid_binary = {new}", ident(map));
        let again = format!(
            "(SELECT {m}.uuid_binary FROM {} {m} JOIN {} {p} ON {} = {m}.legacy_id WHERE {m}.legacy_id = {own})",
            ident(map),
            ident(parent),
            reference(&p, &key.name),
        );
        let routes = [(map.to_string(), Some(self.new.name.clone())), (parent.to_string(), None)];
        Ok(Inverse {
            legacy: self.own.clone(),
            value: format!("(SELECT {m}.legacy_id {entry})"),
            keep_if: Some(format!("{new} <=> {again}")),
            fits_if: Some(format!("{new} IS NULL OR EXISTS (SELECT 1 {entry})")),
            required: true,
            routes: routes.into(),
        })
    }

    /// An alias that is not the name of the row's table.
    fn alias(&self, name: &str) -> String {
        if self.table.name.eq_ignore_ascii_case(name) { format!("{name}_row") } else { name.into() }
    }
}

/// Each value of `from` is another one in `to`, if it fits, and the same again on its way back.
fn exact(from: &Column, to: &Column) -> Result<(), String> {
    let blank_padded = |c: &Column| matches!(c.data_type.as_str(), "char" | "binary");
    let bytes = |c: &Column| {
        matches!(c.data_type.as_str(), "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob")
    };
    // What one of them can't spell the server refuses in the middle of a statement.
    if let (Some(from), Some(to)) = (charset(from), charset(to))
        && from != to
    {
        return Err(format!("texts in {from} and in {to} are not the same texts"));
    }
    let same = is_same_type(from, to)
        || (from.is_integer() && to.is_integer())
        || (from.is_text()
            && to.is_text()
            && from.json == to.json
            && !blank_padded(from)
            && !blank_padded(to))
        || (bytes(from) && bytes(to))
        || (from.data_type == "decimal"
            && to.data_type == "decimal"
            && from.numeric_scale == to.numeric_scale);
    if same {
        return Ok(());
    }
    Err(format!("{} to {} and back is not known to be exact", from.column_type, to.column_type))
}

fn charset(column: &Column) -> Option<&str> {
    column.charset.as_deref().filter(|_| column.is_text()).map(modern)
}

fn modern(charset: &str) -> &str {
    if charset == "utf8" { "utf8mb3" } else { charset }
}
