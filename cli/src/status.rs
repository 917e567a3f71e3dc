//! `crossfade status`: where everything stands.

use std::io::IsTerminal;
use std::time::Duration;

use mysql::Database;
use verifier::answer::Verdicts;
use verifier::status::{self, Status};

use crate::output::{self, Exit, Format};

pub async fn run(db: &Database, source: &str, watch: bool, format: Format) -> anyhow::Result<Exit> {
    let mut session = db.session().await?;
    loop {
        let verdict = Verdicts::read(&mut session, db).await?.overall.answer;
        let status = status::read(&mut session, db, source, verdict).await?;
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
    out + &format!("verdict: {}\n", s.verdict)
}
