//! Drafts of plans: from two schemas a first guess to be read and mended, and plain copies of tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use sqlparser::ast::Expr;

use crate::catalog::{Catalog, Column, Table};
use crate::check::is_uuid;
use crate::kind::Kind;
use crate::problem::nearest;

/// Name and text of each file.
pub type Files = Vec<(String, String)>;

pub(crate) const HEAD: &str = "# yaml-language-server: $schema=../plan.schema.json\n";

/// Drafts a plan that fills what `successor` has beyond `legacy`: new columns of old tables, and new tables.
///
/// Columns of the same name are copied; others get the nearest guess, marked as one, or NULL. The successors have to
/// stand in the legacy schema before the plan can be checked.
pub fn draft(legacy: &Catalog, successor: &Catalog) -> Files {
    let mut files = Vec::new();
    let mut entities = BTreeSet::new();
    for (name, table) in &successor.tables {
        let text = match legacy.tables.get(name) {
            Some(old) => parallel(old, table, legacy, &mut entities),
            None => shadow(table, legacy, &mut entities),
        };
        files.extend(text.map(|text| (format!("{name}.yaml"), text)));
    }
    files.push(("plan.yaml".into(), settings(&entities)));
    files.sort();
    files
}

/// A plan that copies tables as they are: `to` is the copy's name, with `{table}` for the table's.
pub fn identity(catalog: &Catalog, tables: &[String], to: &str) -> Result<Files, String> {
    if !to.contains("{table}") && tables.len() > 1 {
        return Err(format!("`{to}` would give {} copies one name: write {{table}} into it", tables.len()));
    }
    let mut files = vec![("plan.yaml".to_string(), settings(&BTreeSet::new()))];
    for name in tables {
        let table = catalog.tables.get(name).ok_or_else(|| format!("there is no table `{name}`"))?;
        if table.primary_key.is_empty() {
            return Err(format!("`{name}` has no primary key: its rows can't be told apart"));
        }
        let copy = to.replace("{table}", name);
        if copy == *name {
            return Err(format!("the copy of `{name}` would be the table itself"));
        }
        let mut text = format!("{HEAD}shadow: {}\nfrom: {}\nscope:\n", scalar(&copy), scalar(name));
        for key in &table.primary_key {
            let _ = writeln!(text, "  {}: {}", scalar(key), scalar(&reference(name, key)));
        }
        text += "columns:\n  \"*\": copy\n";
        files.push((format!("{}.yaml", file_name(&copy)), text));
    }
    files.sort();
    Ok(files)
}

fn settings(entities: &BTreeSet<String>) -> String {
    let mut text = format!("{HEAD}version: 1\n");
    if !entities.is_empty() {
        text += "\n# Tables whose rows get UUIDs.\nentities:\n";
        for entity in entities {
            let _ = writeln!(text, "  {}: {{}}", scalar(entity));
        }
    }
    text
}

/// New columns of a table that both schemas have; `None` if there are none.
fn parallel(old: &Table, new: &Table, legacy: &Catalog, entities: &mut BTreeSet<String>) -> Option<String> {
    let added: Vec<&Column> =
        new.columns.iter().filter(|c| old.column(&c.name).is_none() && !c.generated).collect();
    if added.is_empty() {
        return None;
    }
    let mut draft = Draft { from: old, legacy, entities, routes: BTreeMap::new() };
    let mut text =
        format!("{HEAD}# A draft: read every line.\ntable: {}\nrisk: medium\ncolumns:\n", scalar(&old.name));
    for column in added {
        text += &draft.column(column);
    }
    Some(text + &draft.refresh())
}

/// A table that only the successor has.
fn shadow(new: &Table, legacy: &Catalog, entities: &mut BTreeSet<String>) -> Option<String> {
    let common = |old: &Table| new.columns.iter().filter(|c| old.column(&c.name).is_some()).count();
    let akin = |old: &Table| {
        let stem = |name: &str| {
            name.trim_end_matches("_new").trim_end_matches('s').trim_end_matches("ie").to_string()
        };
        usize::from(new.name.starts_with(&stem(&old.name))) * 100 + common(old)
    };
    let old = legacy.tables.values().filter(|t| !t.primary_key.is_empty()).max_by_key(|old| akin(old))?;
    let mut text =
        format!("{HEAD}# A draft: read every line.\nshadow: {}\nrisk: medium\n", scalar(&new.name));
    let _ =
        writeln!(text, "from: {}  # a guess: the table with the most columns in common", scalar(&old.name));
    text += "scope:\n";
    for (key, target) in old.primary_key.iter().zip(&new.primary_key) {
        let value = scalar(&reference(&old.name, key));
        match new.column(target).is_some_and(is_uuid) && old.primary_key.len() == 1 {
            true => {
                entities.insert(old.name.clone());
                let _ = writeln!(
                    text,
                    "  {}: {{ value: {value}, id_of: {} }}",
                    scalar(target),
                    scalar(&old.name)
                );
            }
            false => {
                let _ = writeln!(text, "  {}: {value}", scalar(target));
            }
        }
    }
    text += "columns:\n  \"*\": copy\n";
    let mut draft = Draft { from: old, legacy, entities, routes: BTreeMap::new() };
    let carried: Vec<&String> = new.primary_key.iter().take(old.primary_key.len()).collect();
    let same = |c: &Column| old.column(&c.name).is_some_and(|o| Kind::of_column(o) == Kind::of_column(c));
    for column in new.columns.iter().filter(|c| !c.generated && !carried.contains(&&c.name) && !same(c)) {
        text += &draft.column(column);
    }
    Some(text + &draft.refresh())
}

struct Draft<'a> {
    from: &'a Table,
    legacy: &'a Catalog,
    entities: &'a mut BTreeSet<String>,
    /// Parents that need a route, and the columns that refer to them.
    routes: BTreeMap<String, String>,
}

impl Draft<'_> {
    /// One line for a column, with the best guess of its value.
    fn column(&mut self, column: &Column) -> String {
        let name = scalar(&column.name);
        if is_uuid(column) {
            return match self.reference(column) {
                Some((source, parent)) => {
                    self.entities.insert(parent.clone());
                    self.routes.insert(parent.clone(), source.clone());
                    let value = scalar(&reference(&self.from.name, &source));
                    format!("  {name}: {{ value: {value}, id_of: {} }}  # a guess\n", scalar(&parent))
                }
                None => unknown(&name, column),
            };
        }
        let fitting = self.from.columns.iter().filter(|c| Kind::of_column(c).unfit(column).is_none());
        let guess = nearest(&column.name, fitting.map(|c| c.name.as_str()));
        let minutes = column.name.strip_suffix("_seconds").map(|stem| format!("{stem}_minutes"));
        let minutes = minutes.as_deref().and_then(|m| self.from.column(m));
        match (minutes, guess) {
            (Some(minutes), _) => {
                let value = format!("{} * 60", reference(&self.from.name, &minutes.name));
                format!("  {name}: {}  # a guess\n", scalar(&value))
            }
            (None, Some(source)) => {
                format!("  {name}: {}  # a guess\n", scalar(&reference(&self.from.name, source)))
            }
            (None, None) => unknown(&name, column),
        }
    }

    /// The legacy column that a UUID column most likely stands for, and the table that it names.
    fn reference(&self, column: &Column) -> Option<(String, String)> {
        let stem = column.name.trim_end_matches("_uuid").trim_end_matches("_id");
        let integers_and_texts = self.from.columns.iter().filter(|c| c.is_integer() || c.is_text());
        let source =
            integers_and_texts.filter(|c| c.name.ends_with("_id")).find(|c| c.name.starts_with(stem))?;
        let parents = self.legacy.tables.values().filter(|t| t.primary_key.len() == 1);
        let word = source.name.trim_end_matches("_id");
        let parent =
            parents.filter(|t| word.ends_with(t.name.trim_end_matches('s'))).max_by_key(|t| t.name.len())?;
        Some((source.name.clone(), parent.name.clone()))
    }

    fn refresh(&self) -> String {
        let mut text = String::new();
        for (parent, source) in self.routes.iter().filter(|(parent, _)| **parent != self.from.name) {
            if text.is_empty() {
                text += "refresh:\n";
            }
            let key = self
                .legacy
                .tables
                .get(parent)
                .and_then(|t| t.primary_key.first())
                .map_or("id", String::as_str);
            let own = self
                .from
                .primary_key
                .iter()
                .map(|k| format!("t.{}", ident(k)))
                .collect::<Vec<_>>()
                .join(", ");
            let _ = match self.from.is_indexed_by(&[source]) {
                true => {
                    let (source, key, from) = (ident(source), ident(key), ident(&self.from.name));
                    let lookup = format!("SELECT {own} FROM {from} t WHERE t.{source} = changed.{key}");
                    writeln!(text, "  {}: {{ lookup: {} }}", scalar(parent), quoted(&lookup))
                }
                false => writeln!(text, "  {}: by_verifier  # no index on {source}", scalar(parent)),
            };
        }
        text
    }
}

fn unknown(name: &str, column: &Column) -> String {
    format!("  {name}: \"NULL\"  # {}: no source was found; write an expression\n", column.column_type)
}

pub(crate) fn reference(table: &str, column: &str) -> String {
    format!("{}.{}", ident(table), ident(column))
}

/// An identifier of SQL, quoted only where the plan's parser would not take it for one.
pub(crate) fn ident(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match crate::parse::expression(name) {
        Ok(Expr::Identifier(word)) if plain && word.value == name => name.to_string(),
        _ => crate::quote::ident(name),
    }
}

/// A scalar of YAML, quoted only where it must be.
pub(crate) fn scalar(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ' ' | '*'));
    let starts = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let word = matches!(
        text.to_lowercase().as_str(),
        "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    if plain && starts && !word { text.to_string() } else { quoted(text) }
}

pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A file's name that no table's name can lead astray.
pub(crate) fn file_name(table: &str) -> String {
    table.chars().map(|c| if c.is_alphanumeric() || matches!(c, '_' | '-' | '$') { c } else { '_' }).collect()
}
