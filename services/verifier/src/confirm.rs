//! Confirming a difference (C8): it counts only if it outlives two proofs that everything is applied.
//!
//! A difference that is merely on its way disappears once what was committed before it is applied: so each round commits a
//! barrier, waits until it is proved to be applied, and reads again. A scope that changes in every round is *unstable*:
//! about it nothing is said.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use change::{Key, Position};
use mysql::control::{applied, exceptions, redrive};
use mysql::{Database, Session};
use plan::quote;
use plan::sql::TargetSql;

use crate::compare::{self, Difference};
use crate::error::VerifierError;

/// Rounds in which both digests must stay as they were.
const STABLE: u32 = 2;
/// Rounds before a scope is called unstable.
const ROUNDS: u32 = 8;
/// How long one proof, or what is on its way, is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Scopes compared in one statement.
const SOME: usize = 500;

#[derive(Debug, Default)]
pub struct Confirmed {
    pub differences: Vec<Difference>,
    pub unstable: Vec<Key>,
    /// Scopes that were merely on their way.
    pub settled: Vec<Key>,
}

/// Waits until everything that is committed now is proved to be applied.
pub async fn settle(
    session: &mut Session,
    db: &Database,
    source: &str,
    patience: Duration,
) -> Result<Position, VerifierError> {
    let barrier = applied::barrier(session, db).await.map_err(VerifierError::Control)?;
    reach(session, db, source, &barrier, patience).await?;
    Ok(barrier)
}

/// Waits until this position is proved to be applied.
pub async fn reach(
    session: &mut Session,
    db: &Database,
    source: &str,
    wanted: &Position,
    patience: Duration,
) -> Result<(), VerifierError> {
    let began = Instant::now();
    loop {
        let now =
            applied::read(session, db, source).await.map_err(VerifierError::Control)?.unwrap_or_default();
        if now.position.as_ref().is_some_and(|p| p.reaches(wanted)) {
            return Ok(());
        }
        if began.elapsed() > patience {
            return Err(VerifierError::NotApplied {
                wanted: wanted.to_string(),
                seconds: patience.as_secs(),
                at: now.waits_for.unwrap_or_else(|| "cdc-reader".into()),
                now: now.position.map(|p| p.to_string()),
            });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until no scope is on its way back by itself (busy, without id, being repaired).
pub async fn drained(
    session: &mut Session,
    db: &Database,
    patience: Duration,
) -> Result<bool, VerifierError> {
    let began = Instant::now();
    while redrive::waiting(session, db).await.map_err(VerifierError::Control)? > 0 {
        if began.elapsed() > patience {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(true)
}

/// Waits a little for scopes of a target that are parked for a reason that heals by itself.
pub async fn returned(
    session: &mut Session,
    db: &Database,
    target: &str,
    patience: Duration,
) -> Result<(), mysql::DbError> {
    let began = Instant::now();
    let sql = format!(
        "SELECT COUNT(*) FROM {} WHERE target_table = {} AND closed_at IS NULL AND {}",
        db.control_table("exceptions"),
        quote::text(target),
        exceptions::RETURNING
    );
    while began.elapsed() < patience {
        if session.count(&sql).await? == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Which of these differences are real. Parked scopes are left out: they count by themselves.
pub async fn confirm(
    session: &mut Session,
    db: &Database,
    source: &str,
    sql: &TargetSql<'_>,
    candidates: Vec<Difference>,
) -> Result<Confirmed, VerifierError> {
    let failed = |source| VerifierError::Compare { target: sql.target.table.clone(), source };
    let folds = sql.target.folds();
    let mut confirmed = Confirmed::default();
    // One that was drawn at random may be there twice.
    let mut once = HashSet::new();
    let candidates = candidates.into_iter().filter(|d| once.insert(exceptions::identity(&folds, &d.scope)));
    let mut open: Vec<(Difference, u32)> = candidates.map(|d| (d, 0)).collect();
    for _ in 0..ROUNDS {
        if open.is_empty() {
            break;
        }
        settle(session, db, source, PATIENCE).await?;
        let keys: Vec<Key> = open.iter().map(|(d, _)| d.scope.clone()).collect();
        let mut now = Vec::new();
        for some in keys.chunks(SOME) {
            now.extend(compare::scopes(session, sql, some).await.map_err(failed)?);
        }
        let mut still = Vec::new();
        let mut now: HashMap<Vec<u8>, Difference> =
            now.into_iter().map(|d| (exceptions::identity(&folds, &d.scope), d)).collect();
        for (before, count) in open {
            let Some(found) = now.remove(&exceptions::identity(&folds, &before.scope)) else {
                confirmed.settled.push(before.scope);
                continue;
            };
            let count = if found.pair == before.pair { count + 1 } else { 0 };
            if count >= STABLE { confirmed.differences.push(found) } else { still.push((found, count)) }
        }
        open = still;
    }
    confirmed.unstable = open.into_iter().map(|(d, _)| d.scope).collect();
    let parked =
        parked(session, db, sql, confirmed.differences.iter().map(|d| &d.scope)).await.map_err(failed)?;
    confirmed.differences.retain(|d| !parked.contains(&exceptions::identity(&folds, &d.scope)));
    Ok(confirmed)
}

/// Which of these scopes are parked, as [`exceptions::identity`] tells them apart.
pub(crate) async fn parked(
    session: &mut Session,
    db: &Database,
    sql: &TargetSql<'_>,
    scopes: impl Iterator<Item = &Key>,
) -> Result<HashSet<Vec<u8>>, mysql::DbError> {
    let folds = sql.target.folds();
    let open = exceptions::of_scopes(session, db, &sql.target.table, &folds, scopes).await?;
    Ok(open
        .iter()
        .filter(|o| o.exception.kind == exceptions::Kind::Parked)
        .map(|o| exceptions::identity(&folds, &o.exception.scope))
        .collect())
}

/// Sends scopes through the pipeline again.
pub async fn repair(
    session: &mut Session,
    db: &Database,
    sql: &TargetSql<'_>,
    findings: &[Difference],
) -> Result<(), mysql::DbError> {
    redrive::ask(session, db, &sql.target.table, findings.iter().map(|d| &d.scope), "repair", 0).await
}
