//! `crossfade verify --deferred`: the report that is asked for before anybody lifts a deferral.
//!
//! It computes what the deferred targets would hold and what they would leave out, and writes nothing.

use std::collections::BTreeMap;

use change::Key;
use plan::sql::{Range, Scopes, TargetSql};
use serde::Serialize;
use service::Settings;
use writer::apply;

use crate::deployment::checked_plan;
use crate::output::{self, Exit, Format};

/// Scopes in one look.
const SIZE: u64 = 2000;

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    targets: Vec<Deferred>,
}

#[derive(Serialize)]
struct Deferred {
    target: String,
    reason: String,
    review_by: String,
    /// Rows that the plan computes, those with an exception included.
    rows: u64,
    exceptions: Vec<Exception>,
}

#[derive(Serialize)]
struct Exception {
    scope_key: String,
    column: Option<String>,
    reason: String,
    missing_entity: Option<String>,
    missing_id: Option<String>,
    detail: Option<String>,
}

pub async fn run(settings: &Settings, only: &[String], format: Format) -> anyhow::Result<Exit> {
    let db = settings.database();
    let mut session = db.session().await?;
    let (plan, _) = checked_plan(settings, &mut session, &db).await?;
    let mut targets = Vec::new();
    for target in plan.targets.iter().filter(|t| only.is_empty() || only.contains(&t.table)) {
        let Some(defer) = &target.defer else { continue };
        let sql = TargetSql::new(&plan, target, db.control());
        session.execute(&sql.staging().create()).await?;
        let (mut rows, mut exceptions) = (0, Vec::new());
        let mut low: Option<Key> = None;
        loop {
            let high =
                mysql::scan::boundary(&mut session, &plan.schema, &sql.scope_table(), low.as_ref(), SIZE)
                    .await?;
            let range = Range { low: low.take(), high: high.clone() };
            let (staged, found) = apply::survey(&mut session, &sql, Scopes::Range(&range)).await?;
            rows += staged;
            exceptions.extend(found.exceptions.into_iter().map(|e| Exception {
                scope_key: e.scope.text(),
                column: e.column,
                reason: e.reason,
                missing_entity: e.missing.as_ref().map(|m| m.entity.clone()),
                missing_id: e.missing.map(|m| m.id),
                detail: e.detail,
            }));
            if high.is_none() {
                break;
            }
            low = high;
        }
        targets.push(Deferred {
            target: target.table.clone(),
            reason: defer.reason.clone(),
            review_by: defer.review_by.clone(),
            rows,
            exceptions,
        });
    }
    let report = Report { schema_version: 1, targets };
    output::print(format, &report, text)?;
    Ok(Exit::Yes)
}

fn text(report: &Report) -> String {
    if report.targets.is_empty() {
        return "the plan defers no target".into();
    }
    let mut out = String::new();
    for t in &report.targets {
        out += &format!("{}: deferred until {}: {}\n", t.target, t.review_by, t.reason);
        let mut by_reason: BTreeMap<&str, u64> = BTreeMap::new();
        for e in &t.exceptions {
            *by_reason.entry(&e.reason).or_default() += 1;
        }
        let counts: Vec<String> = by_reason.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
        let counts = if counts.is_empty() { "no exceptions".into() } else { counts.join(", ") };
        out += &format!("  {} rows computed; {counts}\n", t.rows);
        for e in t.exceptions.iter().take(20) {
            out += &format!("  {}: {} {}\n", e.scope_key, e.reason, e.detail.as_deref().unwrap_or_default());
        }
        if t.exceptions.len() > 20 {
            out += &format!("  … and {} more (--output json shows all)\n", t.exceptions.len() - 20);
        }
    }
    out
}
