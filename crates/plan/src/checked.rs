//! A plan that was checked against a live schema. Only this type can be rendered to SQL and run.
//!
//! Expressions are `sqlparser` trees in which parameters and fragments are already expanded and every column reference
//! is qualified by the table's alias.

use std::collections::BTreeMap;

use change::Fold;
use sqlparser::ast::{Expr, Query, Select};

use crate::catalog::{Column, Flavour};
pub use crate::raw::ReverseOf;

#[derive(Clone, Debug)]
pub struct Checked {
    pub schema: String,
    pub flavour: Flavour,
    /// Changes whenever the plan's meaning does: a hash over the normalised files, parameters included.
    pub digest: String,
    pub entities: Vec<Entity>,
    /// In dependency order of the files' names; deferred ones included.
    pub targets: Vec<Target>,
    /// What the reader needs to know of each source table that the plan reads. Keyed by table name.
    pub watched: BTreeMap<String, Watched>,
    /// Rows that parameters name and that must exist: the preflight looks for them.
    pub required_rows: Vec<RequiredRow>,
    /// The deployment whose way back this plan is.
    pub reverse_of: Option<ReverseOf>,
}

/// The row that a parameter names, such as the system administrator: the preflight refuses if it does not exist.
#[derive(Clone, Debug)]
pub struct RequiredRow {
    pub parameter: String,
    pub table: String,
    pub key: Column,
    /// A literal.
    pub value: Expr,
}

/// A table whose rows get UUIDs.
#[derive(Clone, Debug)]
pub struct Entity {
    /// The entity's name is its table's name.
    pub table: String,
    /// Its single-column primary key.
    pub key: Column,
    pub kind: IdKind,
    /// Name of the id map, `<entity>_id_map` unless the plan says otherwise.
    pub map: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdKind {
    Integer,
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    Low,
    Medium,
    High,
}

#[derive(Clone, Debug)]
pub struct Target {
    /// The table that is written; also the target's name.
    pub table: String,
    pub kind: TargetKind,
    /// File it came from, relative to the plan's folder.
    pub file: String,
    pub risk: Risk,
    pub defer: Option<Defer>,
    pub sync: Sync,
    pub scope: Vec<ScopeColumn>,
    /// FROM, WHERE, GROUP BY … of the rows. The projection is empty; values are in `columns`.
    /// Parallel columns: `FROM <table>`.
    pub rows: Box<Select>,
    pub columns: Vec<TargetColumn>,
    /// At the level of rows: how many rows with a non-NULL value in this column a scope may have.
    pub expect: Option<Expect>,
    pub lists: Vec<ListReference>,
    pub routes: Vec<Route>,
    pub reads: Vec<Read>,
    /// Catalog columns of the target table with ON UPDATE CURRENT_TIMESTAMP that the plan does not write.
    pub keep: Vec<String>,
    /// Primary key of the target table.
    pub primary_key: Vec<Column>,
    /// The target table has no other unique index, and no trigger.
    pub only_primary_key_is_unique: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    Parallel,
    Shadow,
}

#[derive(Clone, Debug, serde::Serialize)]
pub struct Defer {
    pub reason: String,
    pub review_by: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sync {
    Stream,
    /// A cron expression: the lane's consumer opens on schedule.
    Batch {
        cron: String,
    },
}

/// One column of the scope: a legacy key column, and how the target's rows of a scope are found.
#[derive(Clone, Debug)]
pub struct ScopeColumn {
    /// The legacy side inside `rows`, such as `rp.role_id`. An index leads from it.
    pub source: Expr,
    /// Table and column that `source` names.
    pub source_table: String,
    pub source_column: Column,
    pub fold: Fold,
    /// Column of the target table that carries the scope.
    pub target_column: String,
    /// The target carries the scope's UUID: through this entity's map. `None`: the same value.
    pub through: Option<String>,
}

#[derive(Clone, Debug)]
pub struct TargetColumn {
    pub column: Column,
    /// The raw value over the legacy schema; for a reference the legacy id.
    pub value: Expr,
    /// Taken when `value` is NULL. It comes from a parameter whose row must exist: if the parent of a *fallback* is
    /// missing the scope is parked instead of reported.
    pub fallback: Option<Expr>,
    pub reference: Option<Reference>,
    pub policy: Policy,
    /// NULL in `value` is reported (`no_match`).
    pub expect_one: bool,
    /// A value that is missing, unmapped or does not fit means: no row, and an exception. NOT NULL columns are required.
    pub required: bool,
    /// Where this is not true the value does not fit.
    pub fits_if: Option<Expr>,
    /// `value` is a bare column of the same type: no guard for length and range is needed.
    pub same_type: bool,
    pub in_primary_key: bool,
}

#[derive(Clone, Debug)]
pub struct Reference {
    /// The parent table and its single-column primary key.
    pub parent: String,
    pub parent_key: Column,
    /// Write the parent's UUID from this map instead of its legacy id.
    pub map: Option<String>,
    /// The id to look for, if it is not `value` itself (`value` then is written as it stands when the parent exists).
    pub id: Option<Expr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    Sync,
    Fill,
}

#[derive(Clone, Debug)]
pub struct Expect {
    pub column: String,
    pub matches: Matches,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matches {
    One,
    AtMostOne,
}

/// References inside an aggregate: each row of `from` whose parent is gone is reported.
#[derive(Clone, Debug)]
pub struct ListReference {
    /// Reported as this column; `None` for the whole row.
    pub column: Option<String>,
    pub from: String,
    /// Columns of `from` that carry the scope, in scope order.
    pub scope: Vec<String>,
    pub id: String,
    pub parent: String,
    pub parent_key: Column,
}

/// A query of the application in both forms. A parameter is a column of a relation that has the parameter's name (with
/// its colon), and that is in no FROM.
#[derive(Clone, Debug)]
pub struct Read {
    pub name: String,
    pub legacy: Box<Query>,
    pub new: Box<Query>,
    /// Both forms say in which order: rows are compared one after another. Otherwise as a bag.
    pub ordered: bool,
}

/// Which scopes of the target a changed row marks. Both images are routed.
#[derive(Clone, Debug)]
pub struct Route {
    /// The changed table.
    pub from: String,
    /// Conditions that all hold in an image that leads anywhere.
    pub when: Vec<When>,
    pub by: RouteBy,
}

#[derive(Clone, Debug)]
pub enum RouteBy {
    /// These columns of the changed row are the scope, in scope order.
    Columns(Vec<RouteColumn>),
    /// A SELECT of the scope columns; `changed` is a relation with the changed row's columns `uses`.
    Lookup { query: Box<Query>, uses: Vec<Column> },
    /// No index leads there: the verifier's next pass finds it.
    ByVerifier,
}

#[derive(Clone, Debug)]
pub struct RouteColumn {
    pub column: Column,
    /// The scope is an integer and this column is text: only exact decimal digits (trailing spaces aside) name a scope.
    pub digits: bool,
}

/// A condition that is evaluated outside the database: equality under the column's collation. If the collation cannot be
/// folded exactly the condition counts as met.
#[derive(Clone, Debug)]
pub struct When {
    pub column: Column,
    pub fold: Fold,
    pub equals: Vec<String>,
}

/// A source table as the reader sees it.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    pub key: Vec<Column>,
    /// What `changes.<table>` carries: key columns first, then what routes need.
    pub published: Vec<Column>,
    /// Every column that an expression, route or map reads, the key included. An UPDATE that changes none is an echo.
    pub read: Vec<String>,
    /// `fill` columns: they count as changed when the after image is NULL and the before image was not.
    pub fill: Vec<String>,
    /// With `publish: rows`: what `rows.<table>` carries, for others.
    pub image: Option<Image>,
}

/// A whole row, as far as the binlog always holds it.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Key columns first, then the others in the table's order.
    pub columns: Vec<Column>,
    /// Generated columns: servers leave them out of some images.
    pub left_out: Vec<String>,
}

impl Checked {
    pub fn target(&self, table: &str) -> Option<&Target> {
        self.targets.iter().find(|t| t.table == table)
    }

    /// `publish: rows`: others get whole images.
    pub fn publishes_rows(&self) -> bool {
        self.watched.values().any(|w| w.image.is_some())
    }

    pub fn entity(&self, table: &str) -> Option<&Entity> {
        self.entities.iter().find(|e| e.table == table)
    }
}

impl Target {
    pub fn folds(&self) -> Vec<Fold> {
        self.scope.iter().map(|s| s.fold).collect()
    }

    /// Needs the id-mapper in front of the writer: it writes UUIDs, or finds its rows by them.
    pub fn needs_ids(&self) -> bool {
        self.scope.iter().any(|s| s.through.is_some())
            || self.columns.iter().any(|c| c.reference.as_ref().is_some_and(|r| r.map.is_some()))
    }
}
