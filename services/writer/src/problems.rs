//! From flags to exceptions: what the staged rows say about themselves, as things to report or to park. Pure.

use change::{Fold, Key};
use mysql::control::exceptions::{Exception, Kind, Missing};
use plan::checked::{Matches, Target, TargetKind};

/// One staged row with something to say.
#[derive(Clone, Debug, Default)]
pub struct Flagged {
    pub scope: Option<Key>,
    pub missing: u64,
    pub unmapped: u64,
    pub unfit: u64,
    pub nomatch: u64,
    pub parked: u64,
    pub matches: u64,
    pub named: Option<String>,
    pub ok: bool,
    /// Reference texts, by index into `Target::columns`.
    pub references: Vec<(usize, Option<String>)>,
}

/// What has to be said about some scopes.
#[derive(Debug, Default)]
pub struct Problems {
    pub exceptions: Vec<Exception>,
}

pub const MISSING_PARENT: &str = "missing_parent";
pub const DOES_NOT_FIT: &str = "does_not_fit";
pub const NO_MATCH: &str = "no_match";
pub const SEVERAL: &str = "several";
pub const PARAMETER_MISSING: &str = "parameter_missing";
pub use mysql::control::exceptions::{BUSY, DUPLICATE, ID_MISSING};
pub const ROW_ERROR: &str = "row_error";

impl Problems {
    /// Reads the staged rows. `flagged` are the columns that have bits, in bit order.
    pub fn of(target: &Target, flagged: &[usize], rows: &[Flagged]) -> Problems {
        let mut problems = Problems::default();
        for row in rows {
            let Some(scope) = &row.scope else { continue };
            for (bit, j) in flagged.iter().enumerate() {
                problems.column(target, scope, row, 1 << bit, *j);
            }
        }
        problems.expectations(target, rows);
        problems
    }

    /// Rows of a list whose parent is gone.
    pub fn list(&mut self, scope: Key, column: Option<String>, missing: Missing) {
        let reason = MISSING_PARENT.into();
        self.add(Exception {
            scope,
            kind: Kind::Report,
            column,
            reason,
            missing: Some(missing),
            detail: None,
        });
    }

    fn column(&mut self, target: &Target, scope: &Key, row: &Flagged, bit: u64, j: usize) {
        let column = &target.columns[j];
        let text = row.references.iter().find(|(at, _)| *at == j).and_then(|(_, t)| t.clone());
        let missing = || {
            column.reference.as_ref().zip(text.clone()).map(|(r, id)| Missing {
                entity: r.parent.clone(),
                id,
                fold: Fold::of(&r.parent_key.data_type, r.parent_key.collation.as_deref()),
            })
        };
        // Without a required value there is no row. A parallel row is not ours to delete: it stays and is parked.
        let no_row = column.required;
        let held = no_row && target.kind == TargetKind::Parallel;
        let mut say = |kind: Kind, reason: &str, missing: Option<Missing>| {
            let whole = no_row || kind == Kind::Parked;
            self.add(Exception {
                scope: scope.clone(),
                kind,
                column: (!whole).then(|| column.column.name.clone()),
                reason: reason.into(),
                missing,
                detail: whole.then(|| format!("column {}", column.column.name)),
            });
        };
        let report = if held { Kind::Parked } else { Kind::Report };
        if row.missing & bit != 0 {
            say(report, MISSING_PARENT, missing());
        }
        if row.unfit & bit != 0 {
            say(report, DOES_NOT_FIT, None);
        }
        if row.nomatch & bit != 0 {
            say(report, NO_MATCH, None);
        }
        if row.parked & bit != 0 {
            say(Kind::Parked, PARAMETER_MISSING, missing());
        }
        if row.unmapped & bit != 0 {
            say(Kind::Parked, ID_MISSING, None);
        }
    }

    /// Scopes with none or several matches where the plan expects one.
    fn expectations(&mut self, target: &Target, rows: &[Flagged]) {
        let Some(expect) = &target.expect else { return };
        for row in rows {
            let Some(scope) = &row.scope else { continue };
            let reason = match (expect.matches, row.matches) {
                (_, 2..) => SEVERAL,
                (Matches::One, 0) => NO_MATCH,
                _ => continue,
            };
            let mut names: Vec<&str> = rows
                .iter()
                .filter(|other| other.scope.as_ref() == Some(scope))
                .filter_map(|other| other.named.as_deref())
                .collect();
            names.sort_unstable();
            names.dedup();
            let detail = if reason == SEVERAL {
                format!("{}: {}", expect.column, names.join(", "))
            } else {
                format!("nothing for {}", expect.column)
            };
            self.add(Exception {
                scope: scope.clone(),
                kind: Kind::Report,
                column: None,
                reason: reason.into(),
                missing: None,
                detail: Some(detail),
            });
        }
    }

    fn add(&mut self, new: Exception) {
        if !self.exceptions.contains(&new) {
            self.exceptions.push(new);
        }
    }

    /// Scopes that must stay as they are.
    pub fn parked(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = Vec::new();
        for e in self.exceptions.iter().filter(|e| e.kind == Kind::Parked) {
            if !keys.contains(&e.scope) {
                keys.push(e.scope.clone());
            }
        }
        keys
    }

    pub fn park(&mut self, scope: Key, reason: &str, detail: Option<String>) {
        self.add(Exception {
            scope,
            kind: Kind::Parked,
            column: None,
            reason: reason.into(),
            missing: None,
            detail,
        });
    }
}
