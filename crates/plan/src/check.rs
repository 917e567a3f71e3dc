//! Checks a plan against a live schema. All mistakes are found in one go; without any, a [`Checked`] plan comes out.

use std::collections::BTreeMap;

use crate::catalog::Catalog;
use crate::checked::{Checked, Entity, Target};
use crate::load::RawPlan;
use crate::parse::Fault;
use crate::place::{Located, Place, inside};
use crate::problem::{Problem, Problems};
use crate::raw::{Publish, Sql};
use crate::resolve::{Reads, Vocabulary};
use crate::{digest, watched};

pub(crate) use columns::is_same_type;
pub(crate) use scope::is_uuid;

mod columns;
mod images;
mod reads;
mod routes;
mod scope;
mod settings;
mod tables;
mod target;

/// Values for the plan's parameters, by name; what is left out has its default.
pub type Parameters = BTreeMap<String, String>;

pub fn check(raw: &RawPlan, catalog: &Catalog, parameters: &Parameters) -> Result<Checked, Problems> {
    let mut problems = Vec::new();
    let mut desk = Desk { raw, catalog, entities: Vec::new(), vocabulary: Vocabulary::default() };
    let mut report = Report::new("plan.yaml", raw);
    let required_rows = settings::read(&mut desk, parameters, &mut report);
    problems.append(&mut report.problems);

    let mut targets: Vec<(Target, Reads)> = Vec::new();
    for (file, written) in &raw.targets {
        let mut report = Report::new(file, raw);
        targets.extend(target::check(written, file, &desk, &mut report));
        problems.append(&mut report.problems);
    }
    problems.extend(tables::between(&targets));
    let mut watched = watched::watched(&targets, &desk.entities, catalog);
    if let Some(rows) = raw.settings.publish.as_ref().filter(|p| p.value == Publish::Rows) {
        let mut report = Report::new("plan.yaml", raw);
        images::add(&mut watched, catalog, rows.at, &mut report);
        problems.append(&mut report.problems);
    }
    if !problems.is_empty() {
        return Err(Problems::new(problems, raw.sources.clone()));
    }
    let mut checked = Checked {
        schema: catalog.schema.clone(),
        flavour: catalog.flavour,
        digest: String::new(),
        entities: desk.entities,
        targets: targets.into_iter().map(|(target, _)| target).collect(),
        watched,
        required_rows,
        reverse_of: raw.settings.reverse_of.clone(),
    };
    checked.digest = digest::digest(&checked);
    Ok(checked)
}

/// What all checks have at hand.
struct Desk<'a> {
    raw: &'a RawPlan,
    catalog: &'a Catalog,
    entities: Vec<Entity>,
    vocabulary: Vocabulary,
}

impl Desk<'_> {
    fn entity(&self, name: &str) -> Option<&Entity> {
        self.entities.iter().find(|e| e.table == name)
    }
}

/// Collects the problems of one file.
struct Report<'a> {
    file: &'a str,
    source: &'a str,
    problems: Vec<Problem>,
}

impl<'a> Report<'a> {
    fn new(file: &'a str, raw: &'a RawPlan) -> Self {
        Report { file, source: raw.sources.get(file).map_or("", String::as_str), problems: Vec::new() }
    }

    fn problem(&mut self, at: Place, message: impl Into<String>, help: Option<String>) {
        let Place { line, column } = at;
        self.problems.push(Problem { file: self.file.into(), line, column, message: message.into(), help });
    }

    /// Problems inside an SQL text of the file.
    fn faults(&mut self, text: &Text, faults: Vec<Fault>) {
        for fault in faults {
            let at = inside(self.source, text.at, &text.sql, fault.at);
            self.problem(at, fault.message, fault.help);
        }
    }
}

/// An SQL text and its place.
#[derive(Clone, Debug)]
struct Text {
    sql: String,
    at: Place,
}

impl Text {
    fn of(sql: &Located<Sql>) -> Text {
        Text { sql: sql.value.0.clone(), at: sql.at }
    }
}
