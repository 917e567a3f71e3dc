//! `plan.yaml`: parameters, fragments, entities.

use sqlparser::ast::{Expr, Value};

use super::{Desk, Parameters, Report, Text};
use crate::catalog::Column;
use crate::checked::{Entity, IdKind, RequiredRow};
use crate::parse;
use crate::place::Place;
use crate::problem::did_you_mean;
use crate::resolve::Fragment;

/// The longest text key that an id map can hold: `id_collision.legacy_id` bounds it.
const LONGEST_KEY: u64 = 190;

pub(super) fn read(
    desk: &mut Desk<'_>,
    parameters: &Parameters,
    report: &mut Report<'_>,
) -> Vec<RequiredRow> {
    let raw = desk.raw;
    if raw.settings.version.value != 1 {
        let message =
            format!("version {} of the grammar is not known; this build knows 1", raw.settings.version.value);
        report.problem(raw.settings.version.at, message, None);
    }
    entities(desk, report);
    fragments(desk, report);
    let required = self::parameters(desk, parameters, report);
    let known: Vec<&str> = raw.settings.parameters.iter().map(|(name, _)| name.value.as_str()).collect();
    for name in parameters.keys().filter(|name| !known.contains(&name.as_str())) {
        let message = format!("a value is given for parameter `{name}`, which the plan does not have");
        report.problem(Place { line: 1, column: 1 }, message, did_you_mean(name, known.iter().copied()));
    }
    required
}

fn entities(desk: &mut Desk<'_>, report: &mut Report<'_>) {
    for (name, entity) in desk.raw.settings.entities.iter() {
        let Some(table) = desk.catalog.tables.get(&name.value) else {
            let help = did_you_mean(&name.value, desk.catalog.tables.keys().map(String::as_str));
            report.problem(name.at, format!("entity `{}`: there is no such table", name.value), help);
            continue;
        };
        let [key] = table.primary_key.as_slice() else {
            let message = format!(
                "entity `{}`: its table has a primary key of {} columns; an id map needs exactly one",
                name.value,
                table.primary_key.len()
            );
            report.problem(name.at, message, None);
            continue;
        };
        let Some(key) = table.column(key) else { continue };
        let Some(kind) = id_kind(key) else {
            let message = format!("entity `{}`: a key of type {} has no UUID", name.value, key.column_type);
            report.problem(name.at, message, Some("integers, CHAR and VARCHAR have".into()));
            continue;
        };
        if kind == IdKind::Text && key.max_length.is_some_and(|n| n > LONGEST_KEY) {
            let message =
                format!("entity `{}`: its key may have more than {LONGEST_KEY} characters", name.value);
            report.problem(name.at, message, None);
        }
        let map =
            entity.value.map.as_ref().map_or_else(|| format!("{}_id_map", name.value), |m| m.value.clone());
        desk.entities.push(Entity { table: name.value.clone(), key: key.clone(), kind, map });
    }
}

fn id_kind(key: &Column) -> Option<IdKind> {
    match key.data_type.as_str() {
        _ if key.is_integer() => Some(IdKind::Integer),
        "char" | "varchar" => Some(IdKind::Text),
        _ => None,
    }
}

fn fragments(desk: &mut Desk<'_>, report: &mut Report<'_>) {
    for (name, fragment) in desk.raw.settings.fragments.iter() {
        let text = Text::of(&fragment.value.sql);
        let builtin = crate::allowed::function(&name.value.to_lowercase(), 1, desk.catalog.flavour, name.at);
        if builtin.is_ok() {
            report.problem(
                name.at,
                format!("`{}` is a function of the database: choose another name", name.value),
                None,
            );
        }
        match parse::expression(&text.sql) {
            Ok(body) => {
                let arguments = fragment.value.arguments.iter().map(|a| a.value.to_lowercase()).collect();
                desk.vocabulary.fragments.insert(name.value.to_lowercase(), Fragment { arguments, body });
            }
            Err(fault) => report.faults(&text, vec![fault]),
        }
    }
}

fn parameters(desk: &mut Desk<'_>, given: &Parameters, report: &mut Report<'_>) -> Vec<RequiredRow> {
    let mut required = Vec::new();
    for (name, parameter) in desk.raw.settings.parameters.iter() {
        let default = parameter.value.default.as_ref().map(|d| d.value.0.clone());
        let Some(text) = given.get(&name.value).cloned().or(default) else {
            let message = format!(
                "parameter `{}` has no value: give it a default here, or a value in the configuration",
                name.value
            );
            report.problem(name.at, message, None);
            continue;
        };
        let key = parameter.value.references.as_ref().map(|references| {
            let table = desk.catalog.tables.get(&references.value);
            let key = table.and_then(|t| match t.primary_key.as_slice() {
                [key] => t.column(key),
                _ => None,
            });
            if key.is_none() {
                let message = format!(
                    "parameter `{}`: `{}` is no table with a key of one column",
                    name.value, references.value
                );
                report.problem(references.at, message, None);
            }
            (references.value.clone(), key.cloned())
        });
        let is_number = match &key {
            Some((_, Some(key))) => key.is_integer(),
            _ => text.parse::<i128>().is_ok(),
        };
        if is_number && text.parse::<i128>().is_err() {
            report.problem(
                name.at,
                format!("parameter `{}`: its value is no integer, as the key of its table is", name.value),
                None,
            );
            continue;
        }
        let value = literal(&text, is_number);
        desk.vocabulary.parameters.insert(name.value.clone(), value.clone());
        if let Some((table, Some(key))) = key {
            required.push(RequiredRow { parameter: name.value.clone(), table, key, value });
        }
    }
    required
}

fn literal(text: &str, is_number: bool) -> Expr {
    match is_number {
        // Printed and parsed again, so that a sign becomes an operator as the parser makes it.
        true => parse::expression(text.trim()).unwrap_or_else(|_| Expr::value(Value::Null)),
        false => Expr::value(Value::SingleQuotedString(text.into())),
    }
}
