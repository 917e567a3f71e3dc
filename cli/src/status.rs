//! `crossfade status`: where everything stands, from the control schema alone.

use std::io::IsTerminal;
use std::time::Duration;

use mysql::control::{applied, hold, pass, redrive};
use mysql::{Database, DbError, Session};
use serde::Serialize;

use crate::output::{self, Exit, Format};

#[derive(Serialize)]
pub struct Status {
    schema_version: u32,
    /// Everything up to here is applied.
    applied: Option<String>,
    /// Seconds since that was proved, by the database's clock.
    lag_seconds: Option<f64>,
    waits_for: Option<String>,
    held: bool,
    backfill: Vec<Progress>,
    exceptions: Vec<Count>,
    redriven: u64,
    verdict: Option<String>,
    services: Vec<Service>,
}

#[derive(Serialize)]
struct Progress {
    target: String,
    kind: &'static str,
    reason: String,
    state: String,
    scanned: u64,
    estimate: u64,
    changed: u64,
    rows_per_second: f64,
    eta_seconds: Option<f64>,
}

#[derive(Serialize)]
struct Count {
    target: String,
    kind: String,
    reason: String,
    count: u64,
}

#[derive(Serialize)]
struct Service {
    name: String,
    instance: String,
    state: String,
    seen_seconds_ago: f64,
}

pub async fn run(db: &Database, source: &str, watch: bool, format: Format) -> anyhow::Result<Exit> {
    let mut session = db.session().await?;
    loop {
        let status = read(&mut session, db, source).await?;
        if watch && std::io::stdout().is_terminal() {
            print!("\x1b[2J\x1b[H");
        }
        output::print(format, &status, text)?;
        if !watch {
            return Ok(Exit::Yes);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn read(session: &mut Session, db: &Database, source: &str) -> Result<Status, DbError> {
    let now = applied::read(session, db, source).await?.unwrap_or_default();
    let backfill = pass::all(session, db, "TRUE").await?.into_iter().map(progress).collect();
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
    let sql = format!(
        "SELECT verdict FROM {} WHERE target = '' AND expires_at > NOW(6)",
        db.control_table("verdict")
    );
    let verdict = session.row(&sql).await?;
    let mut services = Vec::new();
    let sql = format!(
        "SELECT name, instance, state, TIMESTAMPDIFF(MICROSECOND, seen_at, NOW(6)) / 1e6 FROM {} WHERE seen_at > NOW(6) - INTERVAL 1 HOUR ORDER BY name, instance",
        db.control_table("service")
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
        verdict: verdict.map(|r| r.text(0).map(|t| t.map(String::from))).transpose()?.flatten(),
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

fn text(s: &Status) -> String {
    let mut out = format!(
        "applied up to {}{}\n",
        s.applied.as_deref().unwrap_or("(nothing yet)"),
        s.lag_seconds.map(|l| format!(", proved {l:.1} s ago")).unwrap_or_default()
    );
    if let Some(at) = &s.waits_for {
        out += &format!("the fence waits for {at}\n");
    }
    if s.held {
        out += "passes are held: `crossfade resume`\n";
    }
    let rows = s.backfill.iter().map(|p| {
        vec![
            p.target.clone(),
            p.kind.into(),
            p.reason.clone(),
            p.state.clone(),
            p.scanned.to_string(),
            p.changed.to_string(),
            format!("{:.0}", p.rows_per_second),
            p.eta_seconds.map(|e| format!("{e:.0} s")).unwrap_or_default(),
        ]
    });
    out += &output::table(
        &["target", "kind", "reason", "state", "scanned", "changed", "rows/s", "ETA"],
        rows.collect(),
    );
    out.push('\n');
    if !s.exceptions.is_empty() {
        let rows = s
            .exceptions
            .iter()
            .map(|c| vec![c.target.clone(), c.kind.clone(), c.reason.clone(), c.count.to_string()]);
        out += &output::table(&["target", "kind", "reason", "open"], rows.collect());
        out.push('\n');
    }
    for service in &s.services {
        out += &format!(
            "{} {}: {}, seen {:.0} s ago\n",
            service.name, service.instance, service.state, service.seen_seconds_ago
        );
    }
    out + &format!("verdict: {}\n", s.verdict.as_deref().unwrap_or("unknown"))
}
