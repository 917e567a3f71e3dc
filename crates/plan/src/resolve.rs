//! Resolves a parsed tree against the catalog: every column is found and qualified by its relation's alias, parameters
//! and fragments are put in, and only what is allowed comes through.
//!
//! The tree is rebuilt from allowed pieces, so that nothing unknown can pass. A relation gets an alias that no other
//! relation of the target has, so that a fragment can't capture a name of its surroundings, however it nests.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{Expr, Ident, ObjectName, Value};

use crate::catalog::{Catalog, Column, Table};
use crate::parse::{self, Fault};
use crate::place::Place;
use crate::problem::did_you_mean;

mod expr;
mod function;
mod select;

/// Columns that are read, by table.
pub type Reads = BTreeMap<String, BTreeSet<String>>;

/// What expressions may name besides columns.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    pub parameters: BTreeMap<String, Expr>,
    pub fragments: BTreeMap<String, Fragment>,
}

#[derive(Clone, Debug)]
pub struct Fragment {
    pub arguments: Vec<String>,
    pub body: Expr,
}

/// The most nodes that a tree may have after fragments were put in.
const MAX_NODES: usize = 20_000;
/// How deep fragments may call one another.
const MAX_FRAGMENTS: usize = 16;

#[derive(Debug)]
pub struct Resolver<'a> {
    catalog: &'a Catalog,
    vocabulary: &'a Vocabulary,
    /// Relations by their unique aliases: names of tables.
    pub relations: BTreeMap<String, String>,
    pub reads: Reads,
    pub faults: Vec<Fault>,
    scopes: Vec<Scope>,
    /// Relations that are there without being read.
    given: BTreeSet<String>,
    nodes: usize,
    /// Fragments that are being put in, outermost first, and the place of the outermost call.
    calls: Vec<String>,
    call_at: Place,
}

/// Names that are visible at one level.
#[derive(Debug, Default)]
struct Scope {
    /// As written, and the unique alias.
    relations: Vec<(String, String)>,
    /// A fragment's arguments.
    arguments: BTreeMap<String, Expr>,
    /// A fragment's body sees nothing outside.
    closed: bool,
}

/// The relation of a route's look-up that stands for the changed row.
pub const CHANGED: &str = "changed";

impl<'a> Resolver<'a> {
    pub fn new(catalog: &'a Catalog, vocabulary: &'a Vocabulary) -> Self {
        Resolver {
            catalog,
            vocabulary,
            relations: BTreeMap::new(),
            reads: Reads::new(),
            faults: Vec::new(),
            scopes: vec![Scope::default()],
            given: BTreeSet::new(),
            nodes: 0,
            calls: Vec::new(),
            call_at: Place { line: 1, column: 1 },
        }
    }

    /// Makes a table visible at the outermost level without reading it: the changed row of a route.
    pub fn declare(&mut self, alias: &str, table: &str) {
        self.relations.insert(alias.into(), table.into());
        self.given.insert(alias.into());
        self.scopes[0].relations.push((alias.into(), alias.into()));
    }

    /// Gives a parameter its type: a table's columns under a name that no query can reach but by the parameter.
    pub fn bind(&mut self, parameter: &str, table: &str) {
        self.relations.insert(parameter.into(), table.into());
        self.given.insert(parameter.into());
    }

    pub fn table_of(&self, alias: &str) -> Option<&'a Table> {
        self.catalog.tables.get(self.relations.get(alias)?)
    }

    /// The column that a resolved reference means.
    pub fn column_of(&self, reference: &Expr) -> Option<(&'a Table, &'a Column)> {
        let (alias, column) = as_column(reference)?;
        let table = self.table_of(alias)?;
        Some((table, table.column(column)?))
    }

    pub fn has_table(&self, name: &str) -> bool {
        self.catalog.tables.contains_key(name)
    }

    /// Forgets the relations of subqueries: the next expression may use their aliases again.
    pub fn close(&mut self) {
        let outer: BTreeSet<&String> =
            self.scopes.iter().flat_map(|s| &s.relations).map(|(_, alias)| alias).collect();
        self.relations.retain(|alias, _| outer.contains(alias));
        self.nodes = 0;
    }

    pub fn take_faults(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.faults)
    }

    fn fault(&mut self, fault: Fault) {
        // Inside a fragment's body places are those of another text: the call is what the reader can see.
        let fault = match self.calls.first() {
            Some(_) => Fault {
                at: self.call_at,
                message: format!("in fragment {}: {}", self.calls.join(" → "), fault.message),
                ..fault
            },
            None => fault,
        };
        self.faults.push(fault);
    }

    /// Counts a node; false if the tree has grown too large.
    fn spend(&mut self) -> bool {
        self.nodes += 1;
        if self.nodes == MAX_NODES {
            self.fault(Fault::new(
                self.call_at,
                format!("with its fragments put in, this has more than {MAX_NODES} nodes"),
            ));
        }
        self.nodes < MAX_NODES
    }

    /// A relation that comes into sight; gives its unique alias.
    fn enter(&mut self, written: &str, table: &str) -> String {
        let taken = |name: &str, relations: &BTreeMap<String, String>| {
            relations.keys().any(|k| k.eq_ignore_ascii_case(name))
        };
        let mut alias = written.to_string();
        let mut n = 2;
        while taken(&alias, &self.relations) {
            alias = format!("{written}_{n}");
            n += 1;
        }
        self.relations.insert(alias.clone(), table.into());
        self.reads.entry(table.into()).or_default();
        if let Some(scope) = self.scopes.last_mut() {
            scope.relations.push((written.into(), alias.clone()));
        }
        alias
    }

    /// `column` or `relation.column` to the qualified form.
    fn column(&mut self, parts: &[Ident]) -> Expr {
        let at = parts.first().map_or(self.call_at, |p| parse::place(p.span.start));
        match parts {
            [name] => self.bare(name, at),
            [relation, name] => self.qualified(relation, name, at),
            _ => {
                self.fault(Fault::new(
                    at,
                    "a column is written `column` or `relation.column`; schemas are not named",
                ));
                null()
            }
        }
    }

    fn bare(&mut self, name: &Ident, at: Place) -> Expr {
        if name.quote_style.is_none() && name.value.starts_with('@') {
            self.fault(Fault::new(at, format!("`{}`: variables are not allowed", name.value)));
            return null();
        }
        // In a fragment its arguments come first, whatever columns its own tables have.
        if let Some(fragment) = self.scopes.iter().rev().find(|s| s.closed)
            && let Some(argument) = fragment.arguments.get(&name.value.to_lowercase())
        {
            return argument.clone();
        }
        let mut known: Vec<String> = Vec::new();
        for level in (0..self.scopes.len()).rev() {
            let scope = &self.scopes[level];
            let mut found = Vec::new();
            for (written, alias) in &scope.relations {
                let Some(table) = self.table_of(alias) else { continue };
                match table.column(&name.value) {
                    Some(column) => found.push((written.clone(), alias.clone(), column.name.clone())),
                    None => known.extend(table.columns.iter().map(|c| c.name.clone())),
                }
            }
            match found.as_slice() {
                [] if scope.closed => break,
                [] => continue,
                [(_, alias, column)] => return self.reference(alias, column, name),
                several => {
                    let choices: Vec<String> =
                        several.iter().map(|(w, _, _)| format!("`{w}.{}`", name.value)).collect();
                    self.fault(Fault::new(
                        at,
                        format!("column `{}` could be {}", name.value, choices.join(" or ")),
                    ));
                    return null();
                }
            }
        }
        let fault = Fault::new(at, format!("unknown column `{}`", name.value));
        let help = did_you_mean(&name.value, known.iter().map(String::as_str));
        self.fault(Fault { help, ..fault });
        null()
    }

    fn qualified(&mut self, relation: &Ident, name: &Ident, at: Place) -> Expr {
        let mut known = Vec::new();
        for scope in self.scopes.iter().rev() {
            let found =
                scope.relations.iter().find(|(written, _)| written.eq_ignore_ascii_case(&relation.value));
            if let Some((_, alias)) = found {
                let alias = alias.clone();
                let Some(table) = self.table_of(&alias) else { return null() };
                if let Some(column) = table.column(&name.value) {
                    return self.reference(&alias, &column.name, name);
                }
                let fault =
                    Fault::new(at, format!("unknown column `{}` in table `{}`", name.value, table.name));
                let help = did_you_mean(&name.value, table.columns.iter().map(|c| c.name.as_str()));
                self.fault(Fault { help, ..fault });
                return null();
            }
            known.extend(scope.relations.iter().map(|(written, _)| written.clone()));
            if scope.closed {
                break;
            }
        }
        let fault = Fault::new(at, format!("`{}` is no table or alias in sight here", relation.value));
        let help = did_you_mean(&relation.value, known.iter().map(String::as_str));
        self.fault(Fault { help, ..fault });
        null()
    }

    fn reference(&mut self, alias: &str, column: &str, written: &Ident) -> Expr {
        if let Some(table) = self.relations.get(alias).filter(|_| !self.given.contains(alias)) {
            self.reads.entry(table.clone()).or_default().insert(column.into());
        }
        let mut name = quoted(column);
        name.span = written.span;
        Expr::CompoundIdentifier(vec![quoted(alias), name])
    }
}

/// A reference to a column of a relation.
pub fn column_reference(alias: &str, column: &str) -> Expr {
    Expr::CompoundIdentifier(vec![quoted(alias), quoted(column)])
}

/// Alias and column of a resolved reference, parentheses aside.
pub fn as_column(e: &Expr) -> Option<(&str, &str)> {
    match e {
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [alias, column] => Some((&alias.value, &column.value)),
            _ => None,
        },
        Expr::Nested(inner) => as_column(inner),
        _ => None,
    }
}

/// An identifier as we always print it. The printer doubles a back-tick in the name.
pub fn quoted(name: &str) -> Ident {
    Ident::with_quote('`', name)
}

pub fn table_name(schema: &str, table: &str) -> ObjectName {
    ObjectName::from(vec![quoted(schema), quoted(table)])
}

fn null() -> Expr {
    Expr::value(Value::Null)
}

fn one_word(name: &ObjectName) -> Option<&Ident> {
    match name.0.as_slice() {
        [part] => part.as_ident(),
        _ => None,
    }
}

/// Names with two back-ticks in a row, or one after a backslash, are beyond the printer.
pub fn is_printable_name(name: &str) -> bool {
    expr::printable(name, '`')
}
