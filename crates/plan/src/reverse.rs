//! The way back: a plan whose targets are the legacy columns, computed from what the forward plan fills.
//!
//! A column comes back only if that is certain: for every value that the legacy column may have, going forward and back
//! gives the same. Where the forward plan writes NULL instead of a value (a row that is missing, a value that does not
//! fit) the legacy column keeps what it has for as long as the forward plan would write the same again (`keep_if`). What
//! the application writes on the new side and the legacy column cannot say is never bent: the row is parked.

mod column;
mod emit;
mod shadow;

use crate::catalog::Catalog;
use crate::checked::{Checked, Target, TargetKind};
use crate::init::Files;
use column::Inverse;

/// What comes back of one target.
#[derive(Clone, Debug)]
pub(crate) struct Back<'a> {
    pub target: &'a Target,
    /// The legacy table that is written on the way back.
    pub table: String,
    /// Why the target as a whole does not come back.
    pub not: Option<String>,
    pub columns: Vec<(String, Way)>,
}

/// How one column of a target comes back.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    Back(Box<Inverse>),
    /// Another column, which stands before it, gives the same legacy column.
    Also {
        legacy: String,
        from: String,
    },
    Not(String),
}

/// One line about the way back, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BackLine {
    /// The column of the target; nothing for the target as a whole.
    pub column: Option<String>,
    /// The legacy column that it gives.
    pub legacy: Option<String>,
    pub expression: Option<String>,
    /// Why it does not come back.
    pub reason: Option<String>,
}

/// A plan for the way back.
#[derive(Clone, Debug)]
pub struct Reverse {
    pub files: Files,
    /// Tables that it writes.
    pub targets: Vec<String>,
}

/// What stays behind.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LeftOut {
    pub target: String,
    /// Nothing for the whole target.
    pub column: Option<String>,
    pub reason: String,
}

impl Back<'_> {
    fn inverses(&self) -> impl Iterator<Item = &Inverse> {
        let ways = self.columns.iter().filter(|_| self.not.is_none());
        ways.filter_map(|(_, way)| match way {
            Way::Back(inverse) => Some(inverse.as_ref()),
            _ => None,
        })
    }

    pub fn lines(&self) -> Vec<BackLine> {
        if let Some(reason) = &self.not {
            let reason = Some(reason.clone());
            return vec![BackLine { column: None, legacy: None, expression: None, reason }];
        }
        let line = |(name, way): &(String, Way)| {
            let column = Some(name.clone());
            match way {
                Way::Back(i) => BackLine {
                    column,
                    legacy: Some(i.legacy.name.clone()),
                    expression: Some(i.value.clone()),
                    reason: None,
                },
                Way::Also { legacy, .. } => {
                    BackLine { column, legacy: Some(legacy.clone()), expression: None, reason: way.reason() }
                }
                Way::Not(_) => BackLine { column, legacy: None, expression: None, reason: way.reason() },
            }
        };
        self.columns.iter().map(line).collect()
    }
}

impl Way {
    fn reason(&self) -> Option<String> {
        match self {
            Way::Back(_) => None,
            Way::Also { legacy, from } => {
                Some(format!("also says `{legacy}`, which comes back from `{from}`"))
            }
            Way::Not(reason) => Some(reason.clone()),
        }
    }
}

impl BackLine {
    pub(crate) fn text(&self) -> String {
        let of = self.column.as_ref().map_or(String::new(), |c| format!("{c}: "));
        match (&self.legacy, &self.expression, &self.reason) {
            (Some(legacy), Some(expression), _) => format!("{of}{legacy} = {expression}"),
            (Some(_), None, Some(also)) => format!("{of}{also}"),
            (_, _, reason) => {
                format!("{of}cannot be inverted: {}", reason.as_deref().unwrap_or_default())
            }
        }
    }
}

/// The way back of every target.
pub(crate) fn backs<'a>(plan: &'a Checked, catalog: &Catalog) -> Vec<Back<'a>> {
    let mut backs: Vec<Back<'a>> = plan.targets.iter().map(|target| back(plan, target, catalog)).collect();
    // A legacy table that comes back as a whole has one writer, and nobody else reads it.
    let mut whole: Vec<(String, String)> = Vec::new();
    for back in backs.iter_mut().filter(|b| b.target.kind == TargetKind::Shadow && b.not.is_none()) {
        match whole.iter().find(|(table, _)| *table == back.table) {
            Some((table, from)) => {
                back.not = Some(format!("`{table}` comes back as a whole from `{from}`"));
            }
            None => whole.push((back.table.clone(), back.target.table.clone())),
        }
    }
    for back in backs.iter_mut().filter(|b| b.target.kind == TargetKind::Parallel) {
        if let Some((table, from)) = whole.iter().find(|(table, _)| *table == back.table) {
            back.not = Some(format!("`{table}` comes back as a whole from `{from}`"));
        }
        for (_, way) in &mut back.columns {
            let Way::Back(inverse) = way else { continue };
            let read = whole.iter().find(|(table, _)| inverse.routes.contains_key(table));
            if let Some((table, from)) = read {
                *way =
                    Way::Not(format!("it would read `{table}`, which comes back as a whole from `{from}`"));
            }
        }
    }
    backs
}

fn back<'a>(plan: &'a Checked, target: &'a Target, catalog: &Catalog) -> Back<'a> {
    let source = target.scope.first().map(|s| s.source_table.as_str()).unwrap_or_default();
    let (table, columns) = match (target.kind, catalog.tables.get(source)) {
        (_, None) => (source, Err(format!("`{source}` is no table"))),
        (TargetKind::Parallel, Some(table)) => (source, Ok(column::all(plan, target, table))),
        (TargetKind::Shadow, Some(table)) => (source, shadow::all(plan, target, table)),
    };
    let deferred = target.defer.is_some().then(|| "it is deferred: nobody fills it".to_string());
    let (not, columns) = match columns {
        Ok(columns) => (deferred, columns),
        Err(reason) => (deferred.or(Some(reason)), vec![]),
    };
    Back { target, table: table.into(), not, columns }
}

/// The plan for the way back, for a forward deployment with this control schema; and what stays behind. No plan: nothing
/// of it comes back.
pub fn reverse(plan: &Checked, catalog: &Catalog, control: &str) -> (Option<Reverse>, Vec<LeftOut>) {
    let backs = backs(plan, catalog);
    let mut left_out = Vec::new();
    for back in &backs {
        let lines = back.lines().into_iter().filter(|line| line.expression.is_none());
        left_out.extend(lines.map(|line| LeftOut {
            target: back.target.table.clone(),
            column: line.column,
            reason: line.reason.unwrap_or_default(),
        }));
    }
    let some: Vec<&Back<'_>> = backs.iter().filter(|b| b.inverses().next().is_some()).collect();
    if some.is_empty() {
        return (None, left_out);
    }
    let targets = some.iter().map(|b| b.table.clone()).collect();
    (Some(Reverse { files: emit::files(&some, catalog, control), targets }), left_out)
}
