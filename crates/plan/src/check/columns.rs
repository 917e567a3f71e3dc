//! The columns of a target: what is written into them, and when.

use std::ops::ControlFlow;

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{BinaryOperator, CaseWhen, Expr, visit_expressions};

use super::scope::is_uuid;
use super::{Desk, Report, Text};
use crate::access;
use crate::catalog::{Column, Table};
use crate::checked::{self, Policy, Reference, TargetColumn, TargetKind};
use crate::kind::{Kind, hides_index};
use crate::parse::{self, Fault};
use crate::place::{Located, Place};
use crate::problem::did_you_mean;
use crate::raw::{self, Sql};
use crate::resolve::{Reads, Resolver, as_column, column_reference};

/// A column of the target as it is written: its value has been found, its settings too.
pub(super) struct Written<'a> {
    pub name: &'a str,
    pub at: Place,
    pub value: Value,
    pub settings: Option<&'a raw::Column>,
}

pub(super) enum Value {
    Sql(Text),
    /// From the projection of `rows`, whose text this is.
    Projected(Box<Expr>, Text),
    /// `"*": copy` of this column of this relation.
    Copy(String, String),
}

/// What the columns of one target share.
pub(super) struct Board<'r, 'a, 'd> {
    pub table: &'a Table,
    pub kind: TargetKind,
    pub resolver: &'r mut Resolver<'a>,
    pub desk: &'d Desk<'a>,
}

impl Board<'_, '_, '_> {
    pub fn column(&mut self, written: &Written<'_>, report: &mut Report<'_>) -> Option<TargetColumn> {
        let Some(column) = self.table.column(written.name) else {
            let help = did_you_mean(written.name, self.table.columns.iter().map(|c| c.name.as_str()));
            let message = format!("unknown column `{}` in table `{}`", written.name, self.table.name);
            report.problem(written.at, message, help);
            return None;
        };
        let in_primary_key = self.table.primary_key.contains(&column.name);
        if column.generated {
            report.problem(
                written.at,
                format!("`{}` is a generated column: the server computes it", column.name),
                None,
            );
        }
        if in_primary_key && self.kind == TargetKind::Parallel {
            report.problem(
                written.at,
                format!("`{}` is the key of its row: it can't be a target", column.name),
                None,
            );
        }
        let settings = written.settings;
        let (value, kind) = self.value(written, report)?;
        let reference = settings.and_then(|s| self.reference(s, column, &kind, written, report));
        let (value, fits_if) = match settings {
            Some(settings) => self.conditions(value, settings, column, report),
            None => (value, None),
        };
        let carries_uuid = reference.as_ref().is_some_and(|r| r.map.is_some());
        if let Some(why) =
            kind.unfit(column).filter(|_| !carries_uuid && settings.is_none_or(|s| s.id_of.is_none()))
        {
            report.problem(
                written.at,
                why,
                Some("convert it with CAST or CONVERT, or correct the column".into()),
            );
        }
        let fallback =
            settings.and_then(|s| s.fallback.as_ref()).and_then(|f| self.expr(&Text::of(f), report));
        let policy = match settings.and_then(|s| s.policy) {
            Some(raw::Policy::Fill) if self.kind == TargetKind::Shadow => {
                report.problem(
                    written.at,
                    "`policy: fill` is for parallel columns: nobody else writes a shadow",
                    None,
                );
                Policy::Fill
            }
            Some(raw::Policy::Fill) => Policy::Fill,
            _ => Policy::Sync,
        };
        let required = settings.and_then(|s| s.required.as_ref()).is_some_and(|r| r.value);
        let same_type =
            self.resolver.column_of(&value).is_some_and(|(_, source)| is_same_type(source, column));
        Some(TargetColumn {
            column: column.clone(),
            same_type: same_type && fallback.is_none(),
            value,
            fallback,
            reference,
            policy,
            expect_one: settings.is_some_and(|s| s.expect.is_some()),
            fits_if,
            required: required || !column.nullable || in_primary_key,
            in_primary_key,
        })
    }

    /// The value with `keep_if` put in front of it, and the condition under which it fits.
    fn conditions(
        &mut self,
        value: Expr,
        settings: &raw::Column,
        column: &Column,
        report: &mut Report<'_>,
    ) -> (Expr, Option<Expr>) {
        let others = [
            ("references", settings.references.is_some()),
            ("id_of", settings.id_of.is_some()),
            ("fallback", settings.fallback.is_some()),
            ("policy: fill", settings.policy == Some(raw::Policy::Fill)),
        ];
        for (name, condition) in [("keep_if", &settings.keep_if), ("fits_if", &settings.fits_if)] {
            let Some(at) = condition.as_ref().map(|c| c.at) else { continue };
            if let Some((other, _)) = others.iter().find(|(_, there)| *there) {
                let help = format!("write the look-up into `value`, or leave `{other}` out");
                report.problem(at, format!("`{name}` can't stand beside `{other}`"), Some(help));
            }
            if name == "keep_if" && self.kind == TargetKind::Shadow {
                report.problem(
                    at,
                    "`keep_if` is for parallel columns: a shadow has only what the plan says",
                    None,
                );
            }
        }
        let fits = settings.fits_if.as_ref().and_then(|sql| self.expr(&Text::of(sql), report));
        let Some(keep) = settings.keep_if.as_ref().and_then(|sql| self.keep(&Text::of(sql), column, report))
        else {
            return (value, fits);
        };
        let own = column_reference(&self.table.name, &column.name);
        let fits = fits.map(|fits| either(keep.clone(), fits));
        (choice(keep, own, value), fits)
    }

    /// A condition that may read the column itself, of its own row: what it reads there is not an input of the plan.
    fn keep(&mut self, text: &Text, column: &Column, report: &mut Report<'_>) -> Option<Expr> {
        let own = |reads: &Reads| reads.get(&self.table.name).is_some_and(|c| c.contains(&column.name));
        let before = own(&self.resolver.reads);
        let keep = self.expr(text, report)?;
        if !before
            && !reads_of_others(&keep, &self.table.name, &column.name)
            && let Some(read) = self.resolver.reads.get_mut(&self.table.name)
        {
            read.remove(&column.name);
        }
        Some(keep)
    }

    fn value(&mut self, written: &Written<'_>, report: &mut Report<'_>) -> Option<(Expr, Kind)> {
        let (value, text) = match &written.value {
            Value::Sql(text) => {
                (parse::expression(&text.sql).map_err(|f| report.faults(text, vec![f])).ok()?, text.clone())
            }
            Value::Projected(e, text) => ((**e).clone(), text.clone()),
            Value::Copy(alias, column) => {
                let text = Text { sql: format!("{alias}.{column}"), at: written.at };
                (column_reference(alias, column), text)
            }
        };
        self.resolve(&value, &text, report)
    }

    fn expr(&mut self, text: &Text, report: &mut Report<'_>) -> Option<Expr> {
        let parsed = parse::expression(&text.sql).map_err(|f| report.faults(text, vec![f])).ok()?;
        self.resolve(&parsed, text, report).map(|(e, _)| e)
    }

    /// Resolves an expression, checks its reads, and tells its kind.
    fn resolve(&mut self, e: &Expr, text: &Text, report: &mut Report<'_>) -> Option<(Expr, Kind)> {
        let resolved = self.resolver.expr(e);
        let mut faults = self.resolver.take_faults();
        if faults.is_empty() {
            faults = access::check_expr(&resolved, self.resolver);
        }
        if faults.is_empty() && !parse::is_printable(&resolved) {
            let fault = Fault::new(
                START,
                "the expression does not read the same when it is printed with its fragments put in",
            );
            faults.push(fault.help("write it another way, such as = and OR instead of IN ((SELECT …), …)"));
        }
        let kind = Kind::of(&resolved, self.resolver);
        self.resolver.close();
        let sound = faults.is_empty();
        report.faults(text, faults);
        sound.then_some((resolved, kind))
    }

    fn reference(
        &mut self,
        settings: &raw::Column,
        column: &Column,
        value: &Kind,
        written: &Written<'_>,
        report: &mut Report<'_>,
    ) -> Option<Reference> {
        let (parent, map) = match (&settings.references, &settings.id_of) {
            (None, None) => {
                if let Some(Located { at, .. }) = &settings.id {
                    report.problem(
                        *at,
                        "`id` says which row must exist: `references` must say of which table",
                        None,
                    );
                }
                return None;
            }
            (Some(_), Some(id_of)) => {
                report.problem(
                    id_of.at,
                    "`id_of` checks the reference already: leave out `references`",
                    None,
                );
                return None;
            }
            (Some(references), None) => (references, None),
            (None, Some(id_of)) => (id_of, Some(self.map(id_of, column, report)?)),
        };
        let parent_key = self.parent_key(parent, report)?;
        let id = match &settings.id {
            Some(id) if map.is_some() => {
                report.problem(id.at, "with `id_of` the value itself is the key: leave out `id`", None);
                None
            }
            Some(id) => self.id(id, &parent_key, report),
            None => {
                if let Some(why) = hides_index(&parent_key, value) {
                    report.problem(
                        written.at,
                        format!("the value is looked up in `{}`: {why}", parent.value),
                        None,
                    );
                }
                None
            }
        };
        Some(Reference { parent: parent.value.clone(), parent_key, map, id })
    }

    fn id(&mut self, id: &Located<Sql>, parent_key: &Column, report: &mut Report<'_>) -> Option<Expr> {
        let text = Text::of(id);
        let parsed = parse::expression(&text.sql).map_err(|f| report.faults(&text, vec![f])).ok()?;
        let (resolved, kind) = self.resolve(&parsed, &text, report)?;
        if let Some(why) = hides_index(parent_key, &kind) {
            report.problem(id.at, why, None);
        }
        Some(resolved)
    }

    fn map(&self, id_of: &Located<String>, column: &Column, report: &mut Report<'_>) -> Option<String> {
        let Some(entity) = self.desk.entity(&id_of.value) else {
            let help = did_you_mean(&id_of.value, self.desk.entities.iter().map(|e| e.table.as_str()));
            let message = format!("`{}` is not among the entities of plan.yaml", id_of.value);
            report.problem(id_of.at, message, help);
            return None;
        };
        if !is_uuid(column) {
            let message =
                format!("`{}` takes a UUID and must be BINARY(16), not {}", column.name, column.column_type);
            report.problem(id_of.at, message, None);
        }
        Some(entity.map.clone())
    }

    fn parent_key(&self, parent: &Located<String>, report: &mut Report<'_>) -> Option<Column> {
        let Some(table) = self.desk.catalog.tables.get(&parent.value) else {
            let help = did_you_mean(&parent.value, self.desk.catalog.tables.keys().map(String::as_str));
            report.problem(parent.at, format!("unknown table `{}`", parent.value), help);
            return None;
        };
        match table.primary_key.as_slice() {
            [key] => table.column(key).cloned(),
            _ => {
                let message = format!(
                    "`{}` can't be referenced: its primary key has not exactly one column",
                    parent.value
                );
                report.problem(parent.at, message, None);
                None
            }
        }
    }
}

/// `(a) OR (b)`
fn either(a: Expr, b: Expr) -> Expr {
    let nested = |e| Box::new(Expr::Nested(Box::new(e)));
    Expr::BinaryOp { left: nested(a), op: BinaryOperator::Or, right: nested(b) }
}

/// `CASE WHEN condition THEN a ELSE b END`
fn choice(condition: Expr, a: Expr, b: Expr) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result: a }],
        else_result: Some(Box::new(b)),
    }
}

/// Does a column of this name stand in the expression under another alias than the row's own? An alias may be that of any
/// table: what is refused is never too little.
fn reads_of_others(e: &Expr, row: &str, column: &str) -> bool {
    visit_expressions(e, |e| match as_column(e) {
        Some((alias, name)) if alias != row && name == column => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

pub(crate) fn is_same_type(source: &Column, target: &Column) -> bool {
    source.column_type == target.column_type && source.charset == target.charset && source.json == target.json
}

/// A column of the target that carries the scope and that the file does not mention.
pub(super) fn of_scope(scope: &checked::ScopeColumn, table: &Table, desk: &Desk<'_>) -> Option<TargetColumn> {
    let column = table.column(&scope.target_column)?;
    let reference = scope.through.as_ref().and_then(|e| desk.entity(e)).map(|entity| Reference {
        parent: entity.table.clone(),
        parent_key: entity.key.clone(),
        map: Some(entity.map.clone()),
        id: None,
    });
    Some(TargetColumn {
        column: column.clone(),
        same_type: is_same_type(&scope.source_column, column),
        value: scope.source.clone(),
        fallback: None,
        reference,
        policy: Policy::Sync,
        expect_one: false,
        fits_if: None,
        required: true,
        in_primary_key: table.primary_key.contains(&column.name),
    })
}

const START: Place = Place { line: 1, column: 1 };
