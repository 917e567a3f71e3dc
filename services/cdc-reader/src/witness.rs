//! Who else writes what the plan writes? A transaction of ours touches a lane or a pass; one that changes a target without
//! that is somebody's direct write. It is written down before the position moves past it.

use binlog::{Projection, Rows, RowsKind, TableMap, Wanted};
use change::{Key, RowChange, TableName};
use plan::checked::{Checked, Policy, TargetKind};

/// A target, as far as its rows show who wrote them.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub name: TableName,
    shadow: bool,
    key: Vec<String>,
    /// Columns that follow the legacy side. What is only filled may be written by anybody.
    columns: Vec<String>,
}

/// The first row that a transaction wrote into a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Direct {
    pub target: String,
    pub key: String,
}

/// How a target's rows are looked at.
pub(crate) struct Look {
    target: String,
    shadow: bool,
    rows: Projection,
}

impl Written {
    /// The targets that run. One that is deferred is nobody's yet.
    pub fn of_plan(plan: &Checked, include_deferred: bool) -> Vec<Written> {
        let runs = plan.targets.iter().filter(|t| include_deferred || t.defer.is_none());
        let written = runs.map(|t| {
            let synced = t.columns.iter().filter(|c| c.policy == Policy::Sync);
            Written {
                name: TableName::new(&plan.schema, &t.table),
                shadow: t.kind == TargetKind::Shadow,
                key: t.primary_key.iter().map(|c| c.name.clone()).collect(),
                columns: synced.map(|c| c.column.name.clone()).collect(),
            }
        });
        written.filter(|w| w.shadow || !w.columns.is_empty()).collect()
    }

    /// `None`: the table is not as the plan knows it, which others find out.
    pub fn look(&self, map: TableMap) -> Option<Look> {
        let wanted = Wanted { published: &self.key, read: &self.columns, ..Wanted::default() };
        let rows = Projection::new(map, wanted).ok()?;
        Some(Look { target: self.name.table.clone(), shadow: self.shadow, rows })
    }
}

impl Look {
    /// Notes the first row of a transaction that changes what the plan writes. In a legacy table only updates can: a row that
    /// comes or goes has a mark.
    pub fn note(&self, rows: &Rows, noted: &mut Vec<Direct>) {
        let known = noted.iter().any(|d| d.target == self.target);
        if !known && (self.shadow || rows.kind == RowsKind::Update) {
            noted.extend(self.first(rows));
        }
    }

    fn first(&self, rows: &Rows) -> Option<Direct> {
        let mut changes: Vec<RowChange> = Vec::new();
        let key = match self.rows.changes(rows, &mut changes) {
            Ok(_) => {
                let row = changes.into_iter().next()?;
                Key(row.after.or(row.before)?).text()
            }
            // Something was written, though we cannot say where.
            Err(_) => "?".into(),
        };
        Some(Direct { target: self.target.clone(), key })
    }
}
