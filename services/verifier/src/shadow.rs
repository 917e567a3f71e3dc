//! Shadow reads: queries of the application, run in both forms on some scopes of their target, compared and timed.
//!
//! Both forms are run in one read-only snapshot. What differs may be on its way: so it is read again behind proofs that
//! all was applied, and counts when both results stay the same over two more. A scope that is parked at such a proof is
//! left out, as in the comparison of rows. A scope that is known to differ is read in every pass until it reads alike.
//!
//! Results stay in this process's memory: what is written down are keys, numbers of scopes, and times.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use change::Key;
use mysql::control::exceptions::identity;
use mysql::control::shadow_read::{self, Which};
use mysql::{Database, DbError, Session};
use plan::checked::{Read, Sync};
use plan::sql::TargetSql;
use sampled::Sample;

use crate::compare;
use crate::confirm::{self, PATIENCE};
use crate::error::VerifierError;

mod judge;
mod sampled;

pub use judge::{IDENTICAL_READS, Latency, ReadEvidence, criterion, reasons};

/// Scopes of one read in one pass, beside those that are known to differ.
const SCOPES: usize = 50;
/// A longer result is not compared.
const ROWS: usize = 1000;
/// One form may take so long for one scope.
const SECONDS: u32 = 2;
/// One read may take so long in one pass: what was compared by then counts.
const BUDGET: Duration = Duration::from_secs(20);
/// After so many scopes without an answer the rest of a pass is spared a read.
const UNANSWERED: usize = 3;
/// Rounds in which both results must stay as they were.
const STABLE: u32 = 2;
/// Rounds before a scope is called unstable.
const ROUNDS: u32 = 8;

/// Rows as the server prints them.
type Rows = Vec<Vec<Option<Vec<u8>>>>;

/// What a form gave for a scope. `None`: not in time, too much, or an error.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    scope: Key,
    legacy: Option<Rows>,
    new: Option<Rows>,
}

impl Seen {
    fn answered(&self) -> bool {
        self.legacy.is_some() && self.new.is_some()
    }

    fn alike(&self) -> bool {
        self.answered() && self.legacy == self.new
    }
}

/// Runs the reads of a target. `rest`: between two reads, as a multiple of the time that the last one took. `repair`: rows
/// that are stale may be marked.
pub async fn run(
    session: &mut Session,
    db: &Database,
    source: &str,
    sql: &TargetSql<'_>,
    rest: f64,
    repair: bool,
) -> Result<Vec<ReadEvidence>, VerifierError> {
    let (target, reads) = (sql.target, &sql.target.reads);
    let failed = |source| VerifierError::Compare { target: target.table.clone(), source };
    let names = reads.iter().map(|r| r.name.as_str());
    shadow_read::forget_others(session, db, &target.table, names).await.map_err(failed)?;
    let mut seen = Vec::new();
    for read in reads {
        let began = Instant::now();
        let which = Which { target: &target.table, read: &read.name };
        let mut reader = Reader { db, source, sql, read, which, repair, legacy: vec![], new: vec![], began };
        seen.push(reader.run(session).await?);
        if rest > 0.0 {
            tokio::time::sleep(began.elapsed().mul_f64(rest)).await;
        }
    }
    Ok(seen)
}

struct Reader<'a> {
    db: &'a Database,
    source: &'a str,
    sql: &'a TargetSql<'a>,
    read: &'a Read,
    which: Which<'a>,
    repair: bool,
    /// Microseconds of each answer at first sight.
    legacy: Vec<u64>,
    new: Vec<u64>,
    began: Instant,
}

impl Reader<'_> {
    async fn run(&mut self, session: &mut Session) -> Result<ReadEvidence, VerifierError> {
        let target = self.sql.target;
        let failed = |source| VerifierError::Compare { target: target.table.clone(), source };
        let scopes = self.scopes(session).await.map_err(failed)?;
        let seen = self.look(session, &scopes, true).await.map_err(failed)?;
        let mut evidence = ReadEvidence {
            read: self.read.name.clone(),
            keys: seen.iter().filter(|s| s.answered()).count() as u64,
            unanswered: seen.iter().filter(|s| !s.answered()).count() as u64,
            legacy: Latency::of(&mut self.legacy),
            new: Latency::of(&mut self.new),
            ..ReadEvidence::default()
        };
        let (alike, differ): (Vec<Seen>, Vec<Seen>) =
            seen.into_iter().filter(Seen::answered).partition(Seen::alike);
        let mut alike: Vec<Key> = alike.into_iter().map(|s| s.scope).collect();
        let mut confirmed = self.confirm(session, differ, &mut alike, &mut evidence).await?;
        let batch = matches!(target.sync, Sync::Batch { .. });
        if self.repair && !batch && !confirmed.is_empty() && self.mend(session, &confirmed).await? {
            let again = self.look(session, &confirmed, false).await.map_err(failed)?;
            confirmed = self.confirm(session, again, &mut alike, &mut evidence).await?;
        }
        shadow_read::close(session, self.db, self.which, &alike).await.map_err(failed)?;
        if batch {
            // Its lanes stand still between two runs: a difference proves nothing.
            evidence.waiting = confirmed.len() as u64;
        } else {
            shadow_read::record(session, self.db, self.which, &confirmed).await.map_err(failed)?;
        }
        evidence.differ = shadow_read::count(session, self.db, self.which).await.map_err(failed)?;
        Ok(evidence)
    }

    /// Those that are known to differ, and some at random.
    async fn scopes(&self, session: &mut Session) -> Result<Vec<Key>, DbError> {
        let mut scopes = shadow_read::open(session, self.db, self.which, SCOPES).await?;
        scopes.extend(Sample { sql: self.sql, most: SCOPES }.take(session).await?);
        let (folds, mut seen) = (self.sql.target.folds(), HashSet::new());
        scopes.retain(|s| seen.insert(identity(&folds, s)));
        Ok(scopes)
    }

    /// Which of these differences are real.
    async fn confirm(
        &mut self,
        session: &mut Session,
        differ: Vec<Seen>,
        alike: &mut Vec<Key>,
        evidence: &mut ReadEvidence,
    ) -> Result<Vec<Key>, VerifierError> {
        let target = self.sql.target;
        let failed = |source| VerifierError::Compare { target: target.table.clone(), source };
        let folds = target.folds();
        let mut confirmed = Vec::new();
        let mut open: Vec<(Seen, u32)> = differ.into_iter().map(|seen| (seen, 0)).collect();
        for _ in 0..ROUNDS {
            if open.is_empty() {
                break;
            }
            confirm::settle(session, self.db, self.source, PATIENCE).await?;
            // Behind the proof and before the snapshot: what is not parked here was applied.
            let scopes = open.iter().map(|(seen, _)| &seen.scope);
            let parked = confirm::parked(session, self.db, self.sql, scopes).await.map_err(failed)?;
            open.retain(|(seen, _)| !parked.contains(&identity(&folds, &seen.scope)));
            let scopes: Vec<Key> = open.iter().map(|(seen, _)| seen.scope.clone()).collect();
            let now = self.look(session, &scopes, false).await.map_err(failed)?;
            for ((before, count), now) in std::mem::take(&mut open).into_iter().zip(now) {
                let count = if now == before { count + 1 } else { 0 };
                match (now.answered(), now.alike()) {
                    (false, _) => evidence.unanswered += 1,
                    (true, true) => alike.push(now.scope),
                    (true, false) if count >= STABLE => confirmed.push(now.scope),
                    (true, false) => open.push((now, count)),
                }
            }
        }
        evidence.unstable += open.len() as u64;
        Ok(confirmed)
    }

    /// A change that no route leads from may have come since the rows were compared: that is a matter of rows, not of
    /// reads. Marks what is not as the plan says, and waits for it; false: all is.
    async fn mend(&self, session: &mut Session, scopes: &[Key]) -> Result<bool, VerifierError> {
        let failed = |source| VerifierError::Compare { target: self.sql.target.table.clone(), source };
        let stale = compare::scopes(session, self.sql, scopes).await.map_err(failed)?;
        if stale.is_empty() {
            return Ok(false);
        }
        confirm::repair(session, self.db, self.sql, &stale).await.map_err(failed)?;
        confirm::drained(session, self.db, PATIENCE).await
    }

    /// Both forms for these scopes, in one snapshot. At first sight they are timed, and the budget may end it early.
    async fn look(
        &mut self,
        session: &mut Session,
        scopes: &[Key],
        first: bool,
    ) -> Result<Vec<Seen>, DbError> {
        compare::snapshot(session).await?;
        let looked = self.both(session, scopes, first).await;
        session.rollback().await?;
        looked
    }

    async fn both(
        &mut self,
        session: &mut Session,
        scopes: &[Key],
        first: bool,
    ) -> Result<Vec<Seen>, DbError> {
        let mut all: Vec<Seen> = Vec::new();
        for (i, scope) in scopes.iter().enumerate() {
            let unanswered = all.iter().filter(|s| !s.answered()).count();
            if first && (self.began.elapsed() > BUDGET || unanswered == UNANSWERED) {
                break;
            }
            let (legacy, new) =
                (self.sql.read(&self.read.legacy, scope), self.sql.read(&self.read.new, scope));
            // Whoever comes second finds the pages warm: by turns.
            let (old, other) = if i % 2 == 0 {
                let old = self.ask(session, &legacy).await?;
                (old, self.ask(session, &new).await?)
            } else {
                let other = self.ask(session, &new).await?;
                (self.ask(session, &legacy).await?, other)
            };
            if first {
                self.legacy.extend(old.0.is_some().then_some(old.1));
                self.new.extend(other.0.is_some().then_some(other.1));
            }
            all.push(Seen { scope: scope.clone(), legacy: old.0, new: other.0 });
        }
        Ok(all)
    }

    /// The result, and the microseconds that it took.
    async fn ask(&self, session: &mut Session, query: &str) -> Result<(Option<Rows>, u64), DbError> {
        let limited = format!(
            "SET STATEMENT max_statement_time = {SECONDS}, sql_select_limit = {} FOR {query}",
            ROWS + 1
        );
        let began = Instant::now();
        let answer = session.rows(&limited).await;
        let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        match answer {
            Ok(rows) if rows.len() <= ROWS => {
                let mut rows: Rows =
                    rows.iter().map(|r| (0..r.len()).map(|i| r.bytes(i).map(Vec::from)).collect()).collect();
                if !self.read.ordered {
                    rows.sort_unstable();
                }
                Ok((Some(rows), took))
            }
            Ok(_) => Ok((None, took)),
            Err(e) if e.is_fatal_to_session() => Err(e),
            Err(e) => {
                let (target, read) = (self.which.target, self.which.read);
                tracing::warn!(%target, %read, error = %e, "a shadow read gives no answer");
                Ok((None, took))
            }
        }
    }
}
