//! Where everything stands, from the control schema alone.

use mysql::control::{applied, hold, pass, redrive};
use mysql::{Database, DbError, Session};
use serde::Serialize;

use crate::verdict::Answer;

#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub schema_version: u32,
    /// Everything up to here is applied.
    pub applied: Option<String>,
    /// Seconds since that was proved, by the database's clock.
    pub lag_seconds: Option<f64>,
    pub waits_for: Option<String>,
    pub held: bool,
    pub backfill: Vec<Progress>,
    pub exceptions: Vec<Count>,
    pub redriven: u64,
    pub verdict: &'static str,
    pub services: Vec<Service>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Progress {
    pub target: String,
    pub kind: &'static str,
    pub reason: String,
    pub state: String,
    pub scanned: u64,
    pub estimate: u64,
    pub changed: u64,
    pub rows_per_second: f64,
    pub eta_seconds: Option<f64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Count {
    pub target: String,
    pub kind: String,
    pub reason: String,
    pub count: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Service {
    pub name: String,
    pub instance: String,
    pub state: String,
    pub seen_seconds_ago: f64,
}

/// `verdict`: what is said over everything at this moment.
pub async fn read(
    session: &mut Session,
    db: &Database,
    source: &str,
    verdict: Answer,
) -> Result<Status, DbError> {
    let now = applied::read(session, db, source).await?.unwrap_or_default();
    let backfill = pass::all(session, db, pass::ORDERED).await?.into_iter().map(progress).collect();
    let mut exceptions = Vec::new();
    let sql = format!(
        "SELECT target_table, kind, reason, COUNT(*) FROM {} WHERE closed_at IS NULL GROUP BY 1, 2, 3 ORDER BY 2 DESC, 1, 3",
        db.control_table("exceptions")
    );
    for r in session.rows(&sql).await? {
        exceptions.push(Count {
            target: r.text(0)?.unwrap_or_default().into(),
            kind: r.text(1)?.unwrap_or_default().into(),
            reason: r.text(2)?.unwrap_or_default().into(),
            count: r.u64(3)?.unwrap_or_default(),
        });
    }
    let mut services = Vec::new();
    // One that nobody has replaced is missed for ever.
    let table = db.control_table("service");
    let sql = format!(
        "SELECT name, instance, state, TIMESTAMPDIFF(MICROSECOND, seen_at, NOW(6)) / 1e6 FROM {table} AS s WHERE seen_at > NOW(6) - INTERVAL 1 HOUR OR seen_at = (SELECT MAX(l.seen_at) FROM {table} AS l WHERE l.name = s.name) ORDER BY name, instance"
    );
    for r in session.rows(&sql).await? {
        services.push(Service {
            name: r.text(0)?.unwrap_or_default().into(),
            instance: r.text(1)?.unwrap_or_default().into(),
            state: r.text(2)?.unwrap_or_default().into(),
            seen_seconds_ago: r.f64(3)?.unwrap_or_default(),
        });
    }
    Ok(Status {
        schema_version: 1,
        applied: now.position.map(|p| p.to_string()),
        lag_seconds: now.age_seconds,
        waits_for: now.waits_for,
        held: hold::is_held(session, db).await?,
        backfill,
        exceptions,
        redriven: redrive::waiting(session, db).await?,
        verdict: verdict.name(),
        services,
    })
}

fn progress(p: pass::Pass) -> Progress {
    let rate = p.seconds.filter(|s| *s > 0.0).map_or(0.0, |s| p.scanned as f64 / s);
    let left = p.estimate.saturating_sub(p.scanned) as f64;
    Progress {
        eta_seconds: (p.state == "running" && rate > 0.0).then(|| left / rate),
        target: p.target,
        kind: p.kind.name(),
        reason: p.reason,
        state: p.state,
        scanned: p.scanned,
        estimate: p.estimate,
        changed: p.changed,
        rows_per_second: rate,
    }
}
