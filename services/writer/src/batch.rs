//! One batch of one lane, or one chunk: a transaction that moves the offset, or the pass, and the rows together (P3).

use std::time::{Duration, Instant};

use change::Key;
use mysql::control::lane::{self, Lane, Mode};
use mysql::control::{dual_write, exceptions};
use mysql::{Class, DbError};
use plan::quote;
use plan::sql::{Scopes, TargetSql};
use service::Context;

use crate::apply::{self, Attempt, Outcome, With};
use crate::problems;
use crate::sessions::{LOCK_WAIT, Worker, wait_for_locks};
use crate::walk::Walk;

/// How the lane is taken, and what moves with it.
pub enum Claim<'a> {
    /// A lane's records from where it stands up to `new`.
    Lane { at: &'a Lane, new: u64 },
    /// A range of a walk, by its number: all lanes, shared.
    Chunk { walk: &'a Walk, number: u64 },
}

pub enum Applied {
    Done(Outcome),
    /// Somebody else has moved the lane or the pass: nothing was done.
    Fenced,
}

/// How often reports are committed before their rows. After that the scopes that need others still are left for a moment.
const ROUNDS: u32 = 3;

/// Applies scopes under a claim. Deadlocks are retried with jitter; an error that belongs to a row is found by halving,
/// and that row's scope is parked.
pub async fn process(
    context: &Context,
    worker: &mut Worker,
    sql: &TargetSql<'_>,
    scopes: Scopes<'_>,
    claim: &Claim<'_>,
) -> Result<Applied, DbError> {
    worker.prepare(sql).await?;
    let mut careful = false;
    let (mut attempts, mut rounds) = (0u32, 0u32);
    loop {
        let how = How { careful, patient: rounds < ROUNDS };
        let result = attempt(context, worker, sql, scopes, claim, how).await;
        match result {
            Ok(Tried::Applied(done)) => return Ok(Applied::Done(done)),
            Ok(Tried::Fenced) => {
                worker.session.rollback().await?;
                return Ok(Applied::Fenced);
            }
            Ok(Tried::Report(reports)) => {
                worker.session.rollback().await?;
                rounds += 1;
                if !commit_reports(context, worker, sql, claim, &reports).await? {
                    return Ok(Applied::Fenced);
                }
            }
            Err(Failed { error, .. }) if error.class == Class::Connection => return Err(error),
            Err(Failed { error: e, applying }) => {
                worker.session.rollback().await?;
                attempts += 1;
                if applying && apply::belongs_to_a_row(&e, sql.target.kind) && !careful {
                    careful = true;
                } else if matches!(e.class, Class::Deadlock | Class::LockWait) && attempts < 20 {
                    let pause = rand::random_range(1..=5 * u64::from(attempts));
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                } else {
                    return Err(e);
                }
            }
        }
    }
}

/// An error, and whether rows were applied when it came: otherwise it is none of a row's.
struct Failed {
    error: DbError,
    applying: bool,
}

impl From<DbError> for Failed {
    fn from(error: DbError) -> Self {
        Self { error, applying: false }
    }
}

/// How an attempt is made.
#[derive(Clone, Copy)]
struct How {
    /// A row is to blame: it is looked for by halving.
    careful: bool,
    /// What must be reported first is reported first, and all is tried again.
    patient: bool,
}

enum Tried {
    Applied(Outcome),
    Fenced,
    Report(Vec<exceptions::Exception>),
}

async fn attempt(
    context: &Context,
    worker: &mut Worker,
    sql: &TargetSql<'_>,
    scopes: Scopes<'_>,
    claim: &Claim<'_>,
    how: How,
) -> Result<Tried, Failed> {
    let (db, session) = (&context.database, &mut worker.session);
    if !sql.is_plain_copy() {
        session.execute(&sql.staging().clear()).await?;
    }
    session.begin().await?;
    let Some(mode) = take(context, session, sql, claim, true).await? else {
        return Ok(Tried::Fenced);
    };
    let with = match (mode, claim) {
        (Mode::Write, _) => With::Write,
        (Mode::Compare, _) => {
            if sql.is_plain_copy() {
                session.execute(&sql.staging().empty()).await?;
            }
            With::Compare
        }
        // A pass would be called done: it waits.
        (Mode::Off, Claim::Chunk { .. }) => return Ok(Tried::Fenced),
        (Mode::Off, Claim::Lane { .. }) => {
            session.commit().await?;
            return Ok(Tried::Applied(Outcome::default()));
        }
    };
    let began = Instant::now();
    let applied = if how.careful {
        let keys = match scopes {
            Scopes::Keys(keys) => keys.to_vec(),
            Scopes::Range(_) => keys_of(session, sql, scopes).await?,
        };
        // The first try has waited: what is still held is found without waiting for it once more in every half.
        wait_for_locks(session, 0).await?;
        let applied = carefully(context, session, sql, keys, with, how.patient).await;
        wait_for_locks(session, LOCK_WAIT).await?;
        applied
    } else {
        apply::apply(session, db, sql, scopes, with, how.patient).await
    };
    match applied.map_err(|error| Failed { error, applying: true })? {
        Attempt::ReportFirst(reports) => Ok(Tried::Report(reports)),
        Attempt::Done(mut outcome) => {
            match claim {
                Claim::Lane { at, .. } => {
                    dual_write::add(session, db, &at.target, at.lane, &outcome.compared).await?;
                    session.commit().await?;
                }
                Claim::Chunk { walk, number } => {
                    if !walk.settle(session, db, *number, &outcome).await? {
                        return Ok(Tried::Fenced);
                    }
                }
            }
            outcome.held = began.elapsed();
            Ok(Tried::Applied(outcome))
        }
    }
}

/// Takes the claim's lanes and gives their mode; `advance` also moves the offset. `None`: fenced. A pass moves at the end of its chunk: [`Walk::settle`].
async fn take(
    context: &Context,
    session: &mut mysql::Session,
    sql: &TargetSql<'_>,
    claim: &Claim<'_>,
    advance: bool,
) -> Result<Option<Mode>, DbError> {
    let db = &context.database;
    match claim {
        Claim::Lane { at, new } => {
            let new = if advance { *new } else { at.next_offset };
            Ok(lane::advance(session, db, at, new).await?.then_some(at.mode))
        }
        Claim::Chunk { walk, .. } => lane::share(session, db, &sql.target.table, walk.walker()).await,
    }
}

/// Commits reports alone, under the lanes but without moving anything. `false`: fenced.
async fn commit_reports(
    context: &Context,
    worker: &mut Worker,
    sql: &TargetSql<'_>,
    claim: &Claim<'_>,
    reports: &[exceptions::Exception],
) -> Result<bool, DbError> {
    let (db, session) = (&context.database, &mut worker.session);
    session.begin().await?;
    if take(context, session, sql, claim, false).await?.is_none() {
        session.rollback().await?;
        return Ok(false);
    }
    // Between the roll-back and this lock another holder of the lane may have said the same.
    let (target, folds) = (&sql.target.table, sql.target.folds());
    let said = exceptions::of_scopes(session, db, target, &folds, reports.iter().map(|r| &r.scope)).await?;
    let new: Vec<exceptions::Exception> =
        reports.iter().filter(|r| !said.iter().any(|o| o.exception.same(r, &folds))).cloned().collect();
    exceptions::open(session, db, target, &folds, &new).await?;
    session.commit().await?;
    Ok(true)
}

/// Applies scope by scope where it must: halves a list that fails, and parks the scope that remains.
async fn carefully(
    context: &Context,
    session: &mut mysql::Session,
    sql: &TargetSql<'_>,
    keys: Vec<Key>,
    with: With,
    patient: bool,
) -> Result<Attempt, DbError> {
    let mut outcome = Outcome::default();
    let mut unheard = Vec::new();
    let mut pieces = vec![keys];
    while let Some(piece) = pieces.pop() {
        session.execute("SAVEPOINT piece").await?;
        session.execute(&sql.staging().empty()).await?;
        let scopes = Scopes::Keys(&piece);
        match apply::apply(session, &context.database, sql, scopes, with, patient).await {
            Ok(Attempt::Done(done)) => outcome.add(&done),
            Ok(Attempt::ReportFirst(reports)) => {
                session.execute("ROLLBACK TO SAVEPOINT piece").await?;
                unheard.extend(reports);
            }
            Err(e) if apply::belongs_to_a_row(&e, sql.target.kind) => {
                session.execute("ROLLBACK TO SAVEPOINT piece").await?;
                if let [scope] = piece.as_slice() {
                    let reason = match e.class {
                        Class::LockWait => problems::BUSY,
                        Class::Duplicate => problems::DUPLICATE,
                        _ => problems::ROW_ERROR,
                    };
                    apply::park(session, &context.database, sql, scope, reason, Some(e.to_string())).await?;
                    outcome.parked += 1;
                } else {
                    let (a, b) = piece.split_at(piece.len() / 2);
                    pieces.extend([a.to_vec(), b.to_vec()]);
                }
            }
            Err(e) => return Err(e),
        }
    }
    Ok(if unheard.is_empty() { Attempt::Done(outcome) } else { Attempt::ReportFirst(unheard) })
}

/// The scopes of a range, one by one.
async fn keys_of(
    session: &mut mysql::Session,
    sql: &TargetSql<'_>,
    scopes: Scopes<'_>,
) -> Result<Vec<Key>, DbError> {
    let table = sql.scope_table();
    let names: Vec<String> = table.columns.iter().map(|c| quote::ident(&c.name)).collect();
    let rows = session
        .rows(&format!(
            "SELECT DISTINCT {} FROM {}.{} WHERE {}",
            names.join(", "),
            quote::ident(&sql.plan.schema),
            quote::ident(&table.table),
            scopes.condition(&names)
        ))
        .await?;
    rows.iter()
        .map(|r| {
            let cells = table.columns.iter().enumerate().map(|(i, c)| r.cell(i, c));
            Ok(Key(cells.collect::<Result<_, _>>()?))
        })
        .collect()
}
