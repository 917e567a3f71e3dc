//! A sweep: all ranges of one target, compared one after the other, and what differs confirmed (C8).
//!
//! The service's sweeps are resumable: as long as nothing was found to differ, the place is written down with each part, and a
//! verifier that starts again goes on from there. A sweep that did not reach the end is not complete, and never gives "ready".

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use change::Key;
use mysql::control::exceptions;
use mysql::control::sweep::{self, Segment, Sweep};
use mysql::{DbError, Session, scan};
use plan::sql::{Range, ScopeTable, Scopes, TargetSql};

use crate::compare::{self, Difference};
use crate::confirm;
use crate::error::VerifierError;
use crate::pass::Pass;
use crate::sample::Places;

/// Scopes in one comparison.
pub const SIZE: u64 = 2000;
/// Parts of a target whose times are kept.
const PARTS: u64 = 64;
/// Random scopes that are compared with each part.
const SAMPLE: usize = 5;
/// What differed at first sight is confirmed once it is so much; memory is bounded by it.
const BLOCK: usize = 2000;
/// A place is written down this often even if something differed at first sight: it is confirmed then.
const SAVE: Duration = Duration::from_secs(30);

/// What a sweep came to.
#[derive(Debug, Default)]
pub struct Swept {
    /// Counts, and what it has looked behind.
    pub at: Sweep,
    /// Differences that outlived two proofs.
    pub confirmed: Vec<Difference>,
    pub unstable: Vec<Key>,
    pub complete: bool,
    /// It stopped: more differ than may be repaired without asking.
    pub too_many: bool,
}

impl Pass<'_> {
    pub(crate) async fn sweep(
        &self,
        session: &mut Session,
        sql: &TargetSql<'_>,
        known: u64,
    ) -> Result<Swept, VerifierError> {
        let failed = |source| VerifierError::Compare { target: sql.target.table.clone(), source };
        let (db, target, table) = (self.db, &sql.target.table, sql.scope_table());
        let mut swept =
            Swept { at: self.begin(session, target, known).await.map_err(failed)?, ..Swept::default() };
        let places = Places::of(session, db, target).await.map_err(failed)?;
        let stride = self.stride(session, &table).await.map_err(failed)?;
        let mut candidates: Vec<Difference> = Vec::new();
        let (folds, mut counted) = (sql.target.folds(), HashSet::new());
        // Rows that scopes lacked at first sight.
        let mut lacking = HashMap::new();
        let mut part =
            Segment { number: swept.at.segment, low: swept.at.done_to.clone(), high: None, rows: 0 };
        let (mut low, mut ranges, mut saved) = (swept.at.done_to.clone(), 0, Instant::now());
        loop {
            let began = Instant::now();
            let high = scan::boundary(session, &self.plan.schema, &table, low.as_ref(), SIZE)
                .await
                .map_err(failed)?;
            let range = Range { low: low.take(), high: high.clone() };
            let compared = compare::range(session, sql, Scopes::Range(&range)).await.map_err(failed)?;
            swept.at.wanted += compared.wanted;
            swept.at.present += compared.present;
            part.rows += compared.wanted;
            for d in &compared.differences {
                let lacks = d.pair.wanted.len() as i64 - d.pair.present.len() as i64;
                lacking.insert(exceptions::identity(&folds, &d.scope), lacks);
            }
            candidates.extend(compared.differences);
            ranges += 1;
            let last = high.is_none();
            if last || ranges % stride == 0 {
                part.high = high.clone();
                let keys = places.pick(session, sql, SAMPLE).await.map_err(failed)?;
                swept.at.sampled += keys.len() as u64;
                candidates.extend(compare::scopes(session, sql, &keys).await.map_err(failed)?);
                sweep::cover(session, db, target, &part).await.map_err(failed)?;
                part = Segment { number: part.number + 1, low: high.clone(), high: None, rows: 0 };
            }
            let due = self.resume.is_some() && saved.elapsed() > SAVE;
            if last || candidates.len() > BLOCK || (due && !candidates.is_empty()) {
                let some = std::mem::take(&mut candidates);
                let confirmed = confirm::confirm(session, db, self.source, sql, some).await?;
                // A scope that was drawn at random is in some range, too.
                let new = confirmed.differences.into_iter();
                let new = new.filter(|d| counted.insert(exceptions::identity(&folds, &d.scope)));
                swept.confirmed.extend(new);
                // What was on its way counts as it is now: on either side as many.
                for scope in confirmed.settled {
                    let lacks = lacking.remove(&exceptions::identity(&folds, &scope)).unwrap_or_default();
                    swept.at.present = swept.at.present.saturating_add_signed(lacks);
                }
                lacking.clear();
                swept.unstable.extend(confirmed.unstable);
            }
            if swept.confirmed.len() > self.limit {
                swept.too_many = true;
                return Ok(swept);
            }
            let equal = candidates.is_empty() && swept.confirmed.is_empty() && swept.unstable.is_empty();
            if !last && part.low == high && equal && self.resume.is_some() {
                swept.at.done_to = high.clone();
                swept.at.segment = part.number;
                sweep::save(session, db, target, &swept.at).await.map_err(failed)?;
                saved = Instant::now();
            }
            if last {
                swept.complete = true;
                return Ok(swept);
            }
            low = high;
            if self.rest > 0.0 {
                tokio::time::sleep(began.elapsed().mul_f64(self.rest)).await;
            }
        }
    }

    async fn begin(&self, session: &mut Session, target: &str, known: u64) -> Result<Sweep, DbError> {
        let Some(within) = self.resume else { return Ok(Sweep { known, ..Sweep::default() }) };
        match sweep::unfinished(session, self.db, target, within).await? {
            Some(at) => {
                tracing::info!(target, part = at.segment, "the sweep goes on where it was");
                Ok(at)
            }
            None => sweep::begin(session, self.db, target, known).await,
        }
    }

    /// Ranges that make a part.
    async fn stride(&self, session: &mut Session, table: &ScopeTable) -> Result<u64, DbError> {
        let rows = scan::about(session, &self.plan.schema, &table.table).await?;
        Ok((rows / SIZE / PARTS).max(1))
    }
}
