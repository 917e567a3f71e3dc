//! Shows the backfill while it runs: a bar in a terminal, a line now and then elsewhere. On stderr.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use mysql::control::{hold, pass};
use mysql::{Database, DbError, Session};
use tokio_util::sync::CancellationToken;

const LINE_EVERY: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(200);

/// Which passes are watched.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Passes {
    All,
    /// Those that are not done yet at the first look.
    Open,
}

/// Watches until every pass is done, or `stop`. Gives (scanned, changed) of these passes.
pub async fn watch(db: &Database, which: Passes, stop: &CancellationToken) -> anyhow::Result<(u64, u64)> {
    let bar = std::io::stderr().is_terminal().then(|| {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} scopes  {per_sec}  ETA {eta}  {msg}");
        ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    });
    let mut session: Option<Session> = None;
    let mut last_line = Instant::now();
    let mut last_scanned = 0;
    let began = Instant::now();
    let mut past: Option<Vec<u64>> = None;
    loop {
        let mut passes = match read(db, &mut session).await {
            Ok(passes) => passes,
            Err(e) if e.is_transient() && !stop.is_cancelled() => {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            Err(e) => return Err(e.into()),
        };
        if which == Passes::Open {
            let done = passes.iter().filter(|p| p.state == "done").map(|p| p.id);
            let past = past.get_or_insert_with(|| done.collect());
            passes.retain(|p| !past.contains(&p.id));
            if passes.is_empty() && !past.is_empty() {
                return Ok((0, 0));
            }
        }
        let scanned: u64 = passes.iter().map(|p| p.scanned).sum();
        let changed: u64 = passes.iter().map(|p| p.changed).sum();
        let total: u64 = passes
            .iter()
            .map(|p| if p.state == "done" { p.scanned } else { p.estimate.max(p.scanned) })
            .sum();
        let running = passes.iter().find(|p| p.state != "done");
        if let Some(bar) = &bar {
            bar.set_length(total);
            bar.set_position(scanned);
            bar.set_message(running.map(|p| p.target.clone()).unwrap_or_default());
        }
        if last_line.elapsed() > LINE_EVERY
            && let Some(why) =
                stalled(db, &mut session, passes.is_empty(), running.is_some() && scanned == last_scanned)
                    .await
        {
            match &bar {
                Some(bar) => bar.set_message(why),
                None => eprintln!("backfill: {why}"),
            }
            last_line = Instant::now();
        } else if let Some(running) = running.filter(|_| bar.is_none() && last_line.elapsed() > LINE_EVERY) {
            let rate = scanned as f64 / began.elapsed().as_secs_f64();
            let eta = total.saturating_sub(scanned) as f64 / rate.max(1.0);
            eprintln!(
                "backfill: {} ({scanned} of about {total} scopes, {rate:.0}/s, ETA {eta:.0} s)",
                running.target
            );
            last_line = Instant::now();
            last_scanned = scanned;
        }
        if (!passes.is_empty() && running.is_none()) || stop.is_cancelled() {
            if let Some(bar) = &bar {
                bar.finish_and_clear();
            }
            return Ok((scanned, changed));
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Why nothing moves, if nothing does.
async fn stalled(
    db: &Database,
    session: &mut Option<Session>,
    none: bool,
    still: bool,
) -> Option<&'static str> {
    if none {
        return Some("no pass is ordered yet: does `crossfade up` run?");
    }
    let held = match session {
        Some(session) => hold::is_held(session, db).await.unwrap_or(false),
        None => false,
    };
    match (still, held) {
        (true, true) => Some("passes are held: `crossfade resume` lets them go on"),
        (true, false) => Some("nothing has moved for a while: do the services run? (`crossfade status`)"),
        _ => None,
    }
}

async fn read(db: &Database, held: &mut Option<Session>) -> Result<Vec<pass::Pass>, DbError> {
    let mut session = db.resume(held).await?;
    let passes = pass::all(&mut session, db, pass::ORDERED).await?;
    *held = Some(session);
    Ok(passes)
}
