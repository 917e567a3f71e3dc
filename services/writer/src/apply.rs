//! Applying scopes: the step at which a target is made equal to what the plan says.
//!
//! # Why this is right
//!
//! The caller has taken the scopes' lanes in this transaction and holds them until it ends (P2); chunks share them among
//! each other, never a scope (`walk`). Every snapshot below is opened by a statement that starts later. All writers of a
//! scope are ordered by its lane, and each reads after it got the lane, so along a lane snapshots only grow: an older view can never overwrite a younger one, whoever writes and however
//! often a mark is repeated.
//!
//! A change that commits after our snapshot has a mark of its own, which is applied after us. A change that commits before
//! it is in it. So the last application of a scope has seen the last change of its inputs.
//!
//! One statement computes the wanted rows into the session's staging table: values, parents' existence and map entries
//! are of one snapshot, and everything after it compares and writes that staged copy. No later statement names a legacy
//! table other than the written one, so no joined legacy row is ever locked.
//!
//! *The application's rows are locked before they are read.* Between a snapshot and a later lock the application may put
//! another row under the same key, and a `fill` column would keep the value of the one that is gone (decision 16).
//!
//! *Report before NULL.* A NULL for a missing parent must not be committed by the transaction that first reports it: the
//! parent could arrive, look for reports, find none (ours is not committed yet) and mark nothing. So the first attempt
//! ends with [`Attempt::ReportFirst`]; the caller commits the reports alone and starts over. Then either the parent's
//! mark finds the report, or our second snapshot finds the parent. Where parents come and go so fast that each attempt finds others
//! to report, the caller loses its patience: those scopes are left as they are and parked, their reports are committed with the
//! other rows, and they come back by a mark, which starts later.
//!
//! *An id is never NULL by accident.* A parent that exists without a map entry parks the scope (`id_missing`), leaves its
//! rows as they are, and orders a redrive through the id-mapper: whoever parks sees to it.

use std::collections::HashSet;
use std::time::Duration;

use change::Key;
use mysql::control::dual_write::Counts;
use mysql::control::exceptions::{self, Exception, Kind, Missing, Open};
use mysql::control::redrive;
use mysql::{Class, Database, DbError, Session};
use plan::checked::TargetKind;
use plan::sql::{Flag, PlainCopy, Scopes, TargetSql};

use crate::problems::{self, Flagged, Problems};

/// What is done about rows that are not what the plan says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum With {
    /// They are made so.
    Write,
    /// They are counted; only what is missing is written.
    Compare,
}

/// How a batch of scopes ended.
pub enum Attempt {
    Done(Outcome),
    /// These reports must be committed first; roll back, commit them, start over.
    ReportFirst(Vec<Exception>),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Staged rows, for a pass's progress.
    pub scanned: u64,
    /// Target rows inserted, updated or deleted.
    pub changed: u64,
    pub parked: u64,
    pub reported: u64,
    pub closed: u64,
    pub compared: Counts,
    /// From the lanes' locks to the end of the commit: the time for which rows may have been locked.
    pub held: Duration,
}

impl Outcome {
    pub fn add(&mut self, other: &Outcome) {
        self.scanned += other.scanned;
        self.changed += other.changed;
        self.parked += other.parked;
        self.reported += other.reported;
        self.closed += other.closed;
        self.compared.add(&other.compared);
        self.held += other.held;
    }
}

/// Applies scopes inside the caller's transaction. The session's staging table is empty. `patient`: the caller starts over when
/// something must be reported first; else the scopes that it is about are parked for a moment.
pub async fn apply(
    session: &mut Session,
    db: &Database,
    sql: &TargetSql<'_>,
    scopes: Scopes<'_>,
    with: With,
    patient: bool,
) -> Result<Attempt, DbError> {
    if with == With::Write
        && let Some(copy) = sql.plain_copy(scopes)
    {
        return plain(session, db, sql, scopes, &copy).await.map(Attempt::Done);
    }
    let (staging, texts) = (sql.staging(), sql.apply());
    let locked = match texts.lock(scopes) {
        Some(lock) => Some(keys(session, sql, &lock).await?),
        None => None,
    };
    // Before the values: a parent that comes between the two is then reported once too often, and never too seldom.
    let lists = read_lists(session, sql, scopes).await?;
    let staged = session.execute(&staging.fill(scopes)).await?;

    let mut found = read_problems(session, sql).await?;
    found.exceptions.extend(lists.exceptions);
    let mut busy = match locked {
        // Every locked row is staged, so equal numbers mean equal sets.
        Some(locked) if locked.len() as u64 != staged => busy(session, sql, &locked).await?,
        _ => Vec::new(),
    };
    let open = open_exceptions(session, db, sql, scopes).await?;
    let folds = sql.target.folds();
    // A busy scope is not computed now: what is said of it stays as it is.
    found.exceptions.retain(|e| !busy.contains(&e.scope));
    let unheard: Vec<Exception> = found
        .exceptions
        .iter()
        .filter(|e| e.missing.is_some() && !open.iter().any(|o| o.exception.same(e, &folds)))
        .cloned()
        .collect();
    if !unheard.is_empty() && patient {
        return Ok(Attempt::ReportFirst(unheard));
    }
    for e in &unheard {
        if !busy.contains(&e.scope) {
            busy.push(e.scope.clone());
        }
    }
    found.exceptions.retain(|e| !busy.contains(&e.scope));

    let mut aside = found.parked();
    aside.extend(busy.iter().cloned());
    if !aside.is_empty() {
        session.execute(&staging.forget(Scopes::Keys(&aside))).await?;
    }
    let (changed, compared) = match with {
        With::Write => (write(session, sql, scopes, &aside).await?, Counts::default()),
        With::Compare => {
            let compared = compare(session, sql, scopes, &aside).await?;
            (compared.filled, compared)
        }
    };

    for scope in &busy {
        found.park(scope.clone(), problems::BUSY, None);
    }
    let (mut reported, closed) = reconcile(session, db, sql, &open, &found.exceptions, &busy).await?;
    exceptions::open(session, db, &sql.target.table, &folds, &unheard).await?;
    reported += unheard.len() as u64;
    order_redrives(session, db, sql, &found.exceptions).await?;
    Ok(Attempt::Done(Outcome {
        scanned: staged,
        changed,
        parked: aside.len() as u64,
        reported,
        closed,
        compared,
        held: Duration::ZERO,
    }))
}

/// A plain copy: pushed down, without a staging table. There is nothing to report, only parked scopes to take back.
async fn plain(
    session: &mut Session,
    db: &Database,
    sql: &TargetSql<'_>,
    scopes: Scopes<'_>,
    copy: &PlainCopy,
) -> Result<Outcome, DbError> {
    let width = sql.target.primary_key.len();
    let (mut kept, mut doomed) = (0, Vec::new());
    for row in session.rows(&copy.present).await? {
        if row.bool(width)?.unwrap_or_default() {
            let key = sql.target.primary_key.iter().enumerate().map(|(i, c)| row.cell(i, c));
            doomed.push(Key(key.collect::<Result<_, _>>()?));
        } else {
            kept += 1;
        }
    }
    let mut changed = 0;
    for some in doomed.chunks(500) {
        changed += session.execute(&sql.apply().delete(some)).await?;
    }
    // A kept row counts once, and once more if it changed; a new one counts once. Rows of the source that come or go
    // between the two statements have marks of their own, and may make this number differ by as many.
    let more = session.execute(&copy.upsert).await?.saturating_sub(kept);
    changed += more;
    let scanned = match scopes {
        Scopes::Range(_) if kept > 0 && more > 0 => session.count(&copy.count).await?,
        _ => kept.max(more),
    };
    let open = open_exceptions(session, db, sql, scopes).await?;
    let (reported, closed) = reconcile(session, db, sql, &open, &[], &[]).await?;
    Ok(Outcome { scanned, changed, reported, closed, ..Outcome::default() })
}

/// What would be said about scopes, without writing anything but the session's own staging table.
pub async fn survey(
    session: &mut Session,
    sql: &TargetSql<'_>,
    scopes: Scopes<'_>,
) -> Result<(u64, Problems), DbError> {
    let staging = sql.staging();
    session.execute(&staging.clear()).await?;
    let lists = read_lists(session, sql, scopes).await?;
    let staged = session.execute(&staging.fill(scopes)).await?;
    let mut found = read_problems(session, sql).await?;
    found.exceptions.extend(lists.exceptions);
    Ok((staged, found))
}

/// Parks scopes for a reason that the rows themselves do not tell.
pub async fn park(
    session: &mut Session,
    db: &Database,
    sql: &TargetSql<'_>,
    scope: &Key,
    reason: &str,
    detail: Option<String>,
) -> Result<(), DbError> {
    let folds = sql.target.folds();
    let mut found = Problems::default();
    found.park(scope.clone(), reason, detail);
    let open = exceptions::of_scopes(session, db, &sql.target.table, &folds, [scope]).await?;
    reconcile(session, db, sql, &open, &found.exceptions, &[]).await?;
    order_redrives(session, db, sql, &found.exceptions).await
}

/// Writes what differs; extra rows first, so that a unique value is free before another row takes it.
async fn write(
    session: &mut Session,
    sql: &TargetSql<'_>,
    scopes: Scopes<'_>,
    aside: &[Key],
) -> Result<u64, DbError> {
    let texts = sql.apply();
    let mut changed = 0;
    for some in extras(session, sql, scopes, aside).await?.chunks(500) {
        changed += session.execute(&texts.delete(some)).await?;
    }
    for statement in [texts.update(), texts.insert()].into_iter().flatten() {
        changed += session.execute(&statement).await?;
    }
    Ok(changed)
}

/// Counts rows instead of writing them; fills in what is missing.
async fn compare(
    session: &mut Session,
    sql: &TargetSql<'_>,
    scopes: Scopes<'_>,
    aside: &[Key],
) -> Result<Counts, DbError> {
    let texts = sql.apply();
    let mut counts = Counts::default();
    if let Some(row) = session.row(&texts.compare()).await? {
        let number = |i: usize| Ok::<u64, DbError>(row.u64(i)?.unwrap_or_default());
        counts = Counts { equal: number(0)?, filled: number(1)?, different: number(2)? };
    }
    counts.different += extras(session, sql, scopes, aside).await?.len() as u64;
    if let Some(fill) = texts.fill() {
        session.execute(&fill).await?;
    }
    if let Some(insert) = texts.insert() {
        counts.filled += session.execute(&insert).await?;
    }
    Ok(counts)
}

/// Primary keys of rows that the plan does not want in these scopes; not of scopes that were set aside.
async fn extras(
    session: &mut Session,
    sql: &TargetSql<'_>,
    scopes: Scopes<'_>,
    aside: &[Key],
) -> Result<Vec<Key>, DbError> {
    let Some(query) = sql.apply().extras(scopes) else { return Ok(Vec::new()) };
    let (width, folds) = (sql.target.scope.len(), sql.target.folds());
    let aside: HashSet<Vec<u8>> = aside.iter().map(|k| exceptions::identity(&folds, k)).collect();
    let mut doomed = Vec::new();
    for row in session.rows(&query).await? {
        let scope = scope_of(&row, sql)?;
        if aside.contains(&exceptions::identity(&folds, &scope)) {
            continue;
        }
        let key = sql.target.primary_key.iter().enumerate().map(|(i, c)| row.cell(width + i, c));
        doomed.push(Key(key.collect::<Result<_, _>>()?));
    }
    Ok(doomed)
}

fn scope_of(row: &mysql::Row, sql: &TargetSql<'_>) -> Result<Key, DbError> {
    let cells = sql.target.scope.iter().enumerate().map(|(i, s)| row.cell(i, &s.source_column));
    Ok(Key(cells.collect::<Result<_, _>>()?))
}

async fn keys(session: &mut Session, sql: &TargetSql<'_>, query: &str) -> Result<Vec<Key>, DbError> {
    session.rows(query).await?.iter().map(|r| scope_of(r, sql)).collect()
}

/// Scopes that were staged but not locked: the application holds them.
async fn busy(session: &mut Session, sql: &TargetSql<'_>, locked: &[Key]) -> Result<Vec<Key>, DbError> {
    let locked: HashSet<String> = locked.iter().map(Key::text).collect();
    let staged = keys(session, sql, &sql.staging().keys()).await?;
    Ok(staged.into_iter().filter(|k| !locked.contains(&k.text())).collect())
}

async fn read_problems(session: &mut Session, sql: &TargetSql<'_>) -> Result<Problems, DbError> {
    let target = sql.target;
    let references: Vec<usize> =
        target.columns.iter().enumerate().filter(|(_, c)| c.reference.is_some()).map(|(j, _)| j).collect();
    let width = target.scope.len();
    let mut rows = Vec::new();
    for r in session.rows(&sql.staging().problems()).await? {
        let number = |i: usize| Ok::<u64, DbError>(r.u64(width + i)?.unwrap_or_default());
        let after = width + Flag::ALL.len();
        rows.push(Flagged {
            scope: Some(scope_of(&r, sql)?),
            missing: number(0)?,
            unmapped: number(1)?,
            unfit: number(2)?,
            nomatch: number(3)?,
            parked: number(4)?,
            matches: r.u64(after)?.unwrap_or_default(),
            named: r.text(after + 1)?.map(Into::into),
            ok: r.bool(after + 2)?.unwrap_or_default(),
            references: references
                .iter()
                .enumerate()
                .map(|(i, j)| Ok((*j, r.text(after + 3 + i)?.map(Into::into))))
                .collect::<Result<_, DbError>>()?,
        });
    }
    Ok(Problems::of(target, &sql.flagged(), &rows))
}

async fn read_lists(
    session: &mut Session,
    sql: &TargetSql<'_>,
    scopes: Scopes<'_>,
) -> Result<Problems, DbError> {
    let mut found = Problems::default();
    let texts = sql.apply().missing_in_lists(scopes);
    for (list, query) in sql.target.lists.iter().zip(&texts) {
        for row in session.rows(query).await? {
            let id = row.text(sql.target.scope.len())?.unwrap_or_default().to_string();
            let key = &list.parent_key;
            let fold = change::Fold::of(&key.data_type, key.collation.as_deref());
            let missing = Missing { entity: list.parent.clone(), id, fold };
            found.list(scope_of(&row, sql)?, list.column.clone(), missing);
        }
    }
    Ok(found)
}

async fn open_exceptions(
    session: &mut Session,
    db: &Database,
    sql: &TargetSql<'_>,
    scopes: Scopes<'_>,
) -> Result<Vec<Open>, DbError> {
    let target = sql.target;
    match scopes {
        Scopes::Keys(keys) => exceptions::of_scopes(session, db, &target.table, &target.folds(), keys).await,
        Scopes::Range(_) => {
            let columns: Vec<_> = target.scope.iter().map(|s| s.source_column.clone()).collect();
            let condition = scopes.condition(&exceptions::scope_cells(&columns));
            exceptions::where_scope(session, db, &target.table, &condition).await
        }
    }
}

/// Makes the open exceptions of the scopes equal to what was found; gives the numbers of opened and closed ones.
async fn reconcile(
    session: &mut Session,
    db: &Database,
    sql: &TargetSql<'_>,
    open: &[Open],
    found: &[Exception],
    busy: &[Key],
) -> Result<(u64, u64), DbError> {
    let folds = sql.target.folds();
    let mut kept: Vec<&Exception> = Vec::new();
    let mut gone: Vec<u64> = Vec::new();
    for o in open {
        let said = |e: &&Exception| o.exception.same(e, &folds);
        if busy.contains(&o.exception.scope) {
            continue;
        }
        match found.iter().find(said) {
            // The same thing is said once.
            Some(e) if !kept.iter().any(|k| std::ptr::eq(*k, e)) => kept.push(e),
            _ => gone.push(o.id),
        }
    }
    let new: Vec<Exception> =
        found.iter().filter(|e| !open.iter().any(|o| o.exception.same(e, &folds))).cloned().collect();
    exceptions::close(session, db, &gone).await?;
    exceptions::open(session, db, &sql.target.table, &folds, &new).await?;
    Ok((new.len() as u64, gone.len() as u64))
}

/// Parked scopes that time alone can heal come back by themselves.
async fn order_redrives(
    session: &mut Session,
    db: &Database,
    sql: &TargetSql<'_>,
    found: &[Exception],
) -> Result<(), DbError> {
    // To find that a shadow row is still held takes a wait; a parallel row is passed over at once.
    let busy_ms = if sql.target.kind == TargetKind::Shadow { 500 } else { 50 };
    for (reason, delay_ms) in [(problems::BUSY, busy_ms), (problems::ID_MISSING, 100)] {
        let mut scopes: Vec<&Key> = Vec::new();
        for e in found.iter().filter(|e| e.kind == Kind::Parked && e.reason == reason) {
            if !scopes.contains(&&e.scope) {
                scopes.push(&e.scope);
            }
        }
        redrive::ask(session, db, &sql.target.table, scopes, reason, delay_ms).await?;
    }
    Ok(())
}

/// Does this error belong to some row, so that halving the batch finds it?
pub fn belongs_to_a_row(error: &DbError, target: TargetKind) -> bool {
    match error.class {
        Class::Data | Class::Duplicate => true,
        // A shadow row that somebody else holds; parallel rows are skipped when locked.
        Class::LockWait => target == TargetKind::Shadow,
        _ => false,
    }
}
