//! What a plan does, for people: per target the SQL, the routes with the indexes behind them, and what leaves the
//! database.

use std::fmt;

use serde::Serialize;

use crate::catalog::Catalog;
use crate::checked::{Checked, Policy, Read, Route, RouteBy};
use crate::reverse::{Back, BackLine, backs};
use crate::sql::{Range, Scopes, TargetSql};

#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    pub schema_version: u32,
    pub targets: Vec<ExplainedTarget>,
    /// Per source table: the columns whose cells travel on the bus. Without `publish: rows` no other cell leaves the
    /// database.
    pub published: Vec<Published>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ExplainedTarget {
    pub target: String,
    pub file: String,
    pub kind: String,
    pub risk: String,
    pub deferred: Option<String>,
    pub scope: Vec<String>,
    pub columns: Vec<String>,
    pub routes: Vec<String>,
    /// What a plan for the way back makes of it.
    pub back: Vec<BackLine>,
    /// Queries of the application that the verifier runs in both forms.
    pub reads: Vec<ExplainedRead>,
    /// The rows that the target should hold, for one chunk.
    pub wanted: String,
    /// Writes only what differs. A plain copy has only `insert`, which does both.
    pub update: Option<String>,
    pub insert: Option<String>,
    /// Legacy ids without a map entry.
    pub unmapped: Option<String>,
    /// Count and checksums, as the plan says and as the target holds.
    pub digests: [String; 2],
}

#[derive(Clone, Debug, Serialize)]
pub struct ExplainedRead {
    pub name: String,
    pub legacy: String,
    pub new: String,
    /// Rows are compared in their order.
    pub ordered: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct Published {
    pub table: String,
    pub columns: Vec<String>,
    /// A change of any of these is published; of any other it is dropped at the reader.
    pub read: Vec<String>,
    /// Columns of the whole images that others get; none without `publish: rows`.
    pub rows: Vec<String>,
    /// Generated columns, which whole images leave out.
    pub left_out: Vec<String>,
}

/// Explains all targets, or one.
pub fn explain(plan: &Checked, catalog: &Catalog, control: &str, only: Option<&str>) -> Explained {
    let asked = |b: &&Back<'_>| only.is_none_or(|name| name == b.target.table);
    Explained {
        schema_version: 1,
        targets: backs(plan, catalog).iter().filter(asked).map(|back| target(plan, back, control)).collect(),
        published: plan
            .watched
            .iter()
            .map(|(table, w)| Published {
                table: table.clone(),
                columns: w.published.iter().map(|c| c.name.clone()).collect(),
                read: w.read.clone(),
                rows: w.image.iter().flat_map(|i| &i.columns).map(|c| c.name.clone()).collect(),
                left_out: w.image.iter().flat_map(|i| i.left_out.clone()).collect(),
            })
            .collect(),
    }
}

fn target(plan: &Checked, back: &Back<'_>, control: &str) -> ExplainedTarget {
    let target = back.target;
    let sql = TargetSql::new(plan, target, control);
    let all = Range::default();
    let scopes = Scopes::Range(&all);
    let scope = target.scope.iter().map(|s| match &s.through {
        Some(entity) => format!("{} -> {} (through the map of {entity})", s.source, s.target_column),
        None => format!("{} -> {}", s.source, s.target_column),
    });
    let columns = target.columns.iter().map(|c| {
        let mut text = format!("{} = {}", c.column.name, c.value);
        if let Some(r) = &c.reference {
            let how = if r.map.is_some() { "id of" } else { "must exist in" };
            text += &format!(" [{how} {}]", r.parent);
        }
        if c.policy == Policy::Fill {
            text += " [only where NULL]";
        }
        if let Some(fits) = &c.fits_if {
            text += &format!(" [fits if {fits}]");
        }
        text
    });
    let (update, insert) = match sql.plain_copy(scopes) {
        Some(copy) => (None, Some(copy.upsert)),
        None => (sql.apply().update(), sql.apply().insert()),
    };
    ExplainedTarget {
        target: target.table.clone(),
        file: target.file.clone(),
        kind: format!("{:?}", target.kind).to_lowercase(),
        risk: format!("{:?}", target.risk).to_lowercase(),
        deferred: target.defer.as_ref().map(|d| format!("{} (review by {})", d.reason, d.review_by)),
        scope: scope.collect(),
        columns: columns.collect(),
        routes: target.routes.iter().map(route).collect(),
        back: back.lines(),
        reads: target.reads.iter().map(read).collect(),
        wanted: sql.wanted(scopes).sql,
        update,
        insert,
        unmapped: sql.unmapped(scopes).map(|u| u.sql),
        digests: [sql.digest_wanted(scopes).sum, sql.digest_present(scopes).sum],
    }
}

fn read(read: &Read) -> ExplainedRead {
    let form = |query| crate::sql::bound(query, |parameter| Some(parameter.into()));
    ExplainedRead {
        name: read.name.clone(),
        legacy: form(&read.legacy),
        new: form(&read.new),
        ordered: read.ordered,
    }
}

fn route(route: &Route) -> String {
    let conditions = route.when.iter().map(|w| {
        let values: Vec<String> = w.equals.iter().map(|e| format!("'{e}'")).collect();
        format!("{} is {}", w.column.name, values.join(" or "))
    });
    let when = match conditions.collect::<Vec<_>>().join(" and ") {
        all if all.is_empty() => all,
        all => format!(" when {all}"),
    };
    let by = match &route.by {
        RouteBy::Columns(columns) => {
            columns.iter().map(|c| c.column.name.as_str()).collect::<Vec<_>>().join(", ")
        }
        RouteBy::Lookup { query, .. } => format!("look-up: {query}"),
        RouteBy::ByVerifier => "found by the verifier's next pass (no index leads there)".into(),
    };
    format!("{}{when}: {by}", route.from)
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for t in &self.targets {
            writeln!(f, "{} ({}, {} risk, {})", t.target, t.kind, t.risk, t.file)?;
            if let Some(deferred) = &t.deferred {
                writeln!(f, "  deferred: {deferred}")?;
            }
            let back: Vec<String> = t.back.iter().map(BackLine::text).collect();
            let lists =
                [("scope", &t.scope), ("columns", &t.columns), ("routes", &t.routes), ("back", &back)];
            for (title, lines) in lists {
                writeln!(f, "  {title}:")?;
                lines.iter().try_for_each(|l| writeln!(f, "    {l}"))?;
            }
            writeln!(f, "  wanted rows:\n    {}", t.wanted)?;
            for (title, sql) in [("update", &t.update), ("insert", &t.insert), ("ids to mint", &t.unmapped)] {
                if let Some(sql) = sql {
                    writeln!(f, "  {title}:\n    {sql}")?;
                }
            }
            for read in &t.reads {
                let how = if read.ordered { " (in order)" } else { "" };
                writeln!(f, "  read {}{how}:\n    {}\n    {}", read.name, read.legacy, read.new)?;
            }
            writeln!(f, "  checksums:\n    {}\n    {}\n", t.digests[0], t.digests[1])?;
        }
        writeln!(f, "What leaves the database (all else stays):")?;
        for p in &self.published {
            writeln!(f, "  {}: {}", p.table, p.columns.join(", "))?;
            if !p.rows.is_empty() {
                writeln!(f, "    whole rows for others: {}", p.rows.join(", "))?;
            }
            if !p.left_out.is_empty() {
                writeln!(f, "    but not, as the server generates them: {}", p.left_out.join(", "))?;
            }
        }
        Ok(())
    }
}
