//! `crossfade wait`: has everything been applied that was committed before this call?

use std::time::{Duration, Instant};

use mysql::control::{applied, exceptions, pass};
use mysql::{Database, DbError, Session};
use serde::Serialize;

use crate::output::{self, Exit, Format};

#[derive(Serialize)]
struct Answer {
    schema_version: u32,
    applied: bool,
    position: String,
    /// Where it waits, if it was not applied in time.
    waits_for: Option<String>,
    /// Scopes that are parked for a reason that time does not heal; they are in the exceptions.
    parked: u64,
    seconds: f64,
}

pub async fn run(db: &Database, source: &str, timeout: Duration, format: Format) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let mut session = db.session().await?;
    let position = applied::barrier(&mut session, db).await?;
    let mut asked: Option<String> = None;
    let waits_for = loop {
        let at = blocked(&mut session, db, source, &position, &mut asked).await?;
        if at.is_none() || began.elapsed() >= timeout {
            break at;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let parked = count(
        &mut session,
        db,
        "kind = 'parked' AND waived_at IS NULL AND reason NOT IN ('busy', 'id_missing')",
    )
    .await?;
    let answer = Answer {
        schema_version: 1,
        applied: waits_for.is_none(),
        position: position.to_string(),
        waits_for,
        parked,
        seconds: began.elapsed().as_secs_f64(),
    };
    output::print(format, &answer, |a| match &a.waits_for {
        None if a.parked > 0 => {
            format!(
                "applied up to {}, except {} parked scopes (`crossfade exceptions list`)",
                a.position, a.parked
            )
        }
        None => format!("applied up to {}", a.position),
        Some(at) => format!("not applied up to {} after {:.0} s: it waits for {at}", a.position, a.seconds),
    })?;
    Ok(if answer.applied { Exit::Yes } else { Exit::No })
}

async fn count(session: &mut Session, db: &Database, condition: &str) -> Result<u64, DbError> {
    let sql = format!(
        "SELECT COUNT(*) FROM {} WHERE closed_at IS NULL AND {condition}",
        db.control_table("exceptions")
    );
    session.count(&sql).await
}

/// What it waits for. `asked` is the database's time at which the position was found to be applied: scopes that were
/// parked up to then, because they were busy or had no id yet, are still on their way.
async fn blocked(
    session: &mut Session,
    db: &Database,
    source: &str,
    position: &change::Position,
    asked: &mut Option<String>,
) -> Result<Option<String>, DbError> {
    let Some(now) = applied::read(session, db, source).await? else {
        return Ok(Some("the first start: no `crossfade up` has run against this control schema".into()));
    };
    if !now.position.as_ref().is_some_and(|p| p.reaches(position)) {
        let seconds = now.age_seconds.unwrap_or(f64::INFINITY);
        let stage = now.waits_for.unwrap_or_else(|| "cdc-reader".into());
        let silent =
            if seconds > 10.0 { " (nothing has been proved for a while: do the services run?)" } else { "" };
        return Ok(Some(format!("{stage}{silent}")));
    }
    let passes = pass::all(session, db, &pass::waited_for(db)).await?;
    if let Some(pass) = passes.first() {
        return Ok(Some(format!(
            "the pass over {} ({} of about {} scopes)",
            pass.target, pass.scanned, pass.estimate
        )));
    }
    let since = match asked {
        Some(time) => time.clone(),
        None => {
            let row = session.row("SELECT CAST(NOW(6) AS CHAR)").await?;
            let time = row
                .map(|r| r.text(0).map(|t| t.unwrap_or_default().to_string()))
                .transpose()?
                .unwrap_or_default();
            asked.insert(time).clone()
        }
    };
    let condition = format!("{} AND since <= '{since}'", exceptions::RETURNING);
    let returning = count(session, db, &condition).await?;
    if returning > 0 {
        return Ok(Some(format!("{returning} scopes that the application holds or that wait for an id")));
    }
    Ok(None)
}
