//! The replay certificate: marks that were applied already, and a chunk of the backfill, are applied again to the live tables, and
//! change nothing (P9).
//!
//! Under writes a replay may well change a row: it comes before the row's own mark. So only rows count that were as the plan wants
//! them, whose wanted values stayed the same, and that are others afterwards. Such a replay is tried again with other scopes, a few
//! times; only what changes rows again and again is held against the target.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use change::{Fold, Key};
use mysql::control::lane::Mode;
use mysql::control::{exceptions, pass, redrive};
use mysql::{DbError, Session, scan};
use plan::checked::Target;
use plan::sql::{Range, Scopes, TargetSql};
use serde::{Deserialize, Serialize};

use crate::compare::{self, Difference, Pair};
use crate::confirm::{self, PATIENCE};
use crate::error::VerifierError;
use crate::pass::Pass;
use crate::sample::Places;

/// Scopes whose marks are applied again.
const MARKS: usize = 25;
/// Scopes of the chunk that is run again.
const CHUNK: u64 = 100;
/// How often a replay that changed something is tried again.
const ROUNDS: u32 = 4;
/// How long the chunks are waited for: the backfill may be held.
const CHUNKS: Duration = Duration::from_secs(10);

/// What the last replay came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// Scopes that were marked again.
    pub marks: u64,
    /// Of these, those whose rows were changed by it.
    pub marks_changed: u64,
    /// Rows of the chunk that was run again; none: it did not run in time.
    pub rows: Option<u64>,
    /// Of these, those that were changed by it.
    pub rows_changed: u64,
    /// Replays that it took.
    pub rounds: u32,
}

impl Replay {
    pub fn changed(&self) -> u64 {
        self.marks_changed + self.rows_changed
    }
}

/// A replay under way.
struct Under<'a> {
    sql: TargetSql<'a>,
    /// Scopes that are marked, and their rows.
    keys: Vec<Key>,
    before: Vec<Difference>,
    /// The pass over a chunk, its scopes, and their rows.
    chunk: u64,
    range: Range,
    chunk_before: Vec<Difference>,
}

impl Pass<'_> {
    /// Replays a little of each of these targets.
    pub(crate) async fn replay(
        &self,
        session: &mut Session,
        targets: &[(&Target, Mode)],
    ) -> Result<BTreeMap<String, Replay>, VerifierError> {
        pass::forget_replays(session, self.db).await.map_err(VerifierError::Control)?;
        let mut all: BTreeMap<String, Replay> = BTreeMap::new();
        for round in 1..=ROUNDS {
            let left: Vec<(&Target, Mode)> = targets
                .iter()
                .copied()
                .filter(|(t, _)| all.get(&t.table).is_none_or(|r| r.changed() > 0))
                .collect();
            if left.is_empty() {
                break;
            }
            for (target, replay) in self.once(session, &left).await? {
                all.insert(target, Replay { rounds: round, ..replay });
            }
        }
        Ok(all)
    }

    async fn once(
        &self,
        session: &mut Session,
        targets: &[(&Target, Mode)],
    ) -> Result<Vec<(String, Replay)>, VerifierError> {
        let (db, source) = (self.db, self.source);
        let mut under = Vec::new();
        for (target, mode) in targets {
            let sql = TargetSql::new(self.plan, target, db.control());
            let begun = self.begin_replay(session, sql, *mode).await;
            under.push(
                begun.map_err(|source| VerifierError::Compare { target: target.table.clone(), source })?,
            );
        }
        // The marks are on the bus once the redrives are taken, and applied behind the next proof.
        confirm::drained(session, db, PATIENCE).await?;
        confirm::settle(session, db, source, PATIENCE).await?;
        self.wait_for(session, &under).await.map_err(VerifierError::Control)?;
        let mut done = Vec::new();
        for one in under {
            let target = one.sql.target.table.clone();
            done.push((target, self.end_replay(session, one).await?));
        }
        Ok(done)
    }

    async fn begin_replay<'s>(
        &self,
        session: &mut Session,
        sql: TargetSql<'s>,
        mode: Mode,
    ) -> Result<Under<'s>, DbError> {
        let (db, target) = (self.db, &sql.target.table);
        let places = Places::of(session, db, target).await?;
        // Marks of a batch target wait for its schedule; in mode `compare` they would count as the application's writes.
        let batch = matches!(sql.target.sync, plan::checked::Sync::Batch { .. });
        let marks = !batch && mode == Mode::Write;
        let keys = if marks { places.pick(session, &sql, MARKS).await? } else { Vec::new() };
        let before = compare::pairs(session, &sql, Scopes::Keys(&keys)).await?;
        let low = places.any().cloned();
        let high =
            scan::boundary(session, &self.plan.schema, &sql.scope_table(), low.as_ref(), CHUNK).await?;
        let range = Range { low, high };
        let chunk_before = compare::pairs(session, &sql, Scopes::Range(&range)).await?;
        redrive::ask(session, db, target, &keys, pass::REPLAY, 0).await?;
        let chunk = pass::order_replay(session, db, target, range.low.as_ref(), CHUNK).await?;
        Ok(Under { sql, keys, before, chunk, range, chunk_before })
    }

    async fn wait_for(&self, session: &mut Session, under: &[Under<'_>]) -> Result<(), DbError> {
        let ids: Vec<String> = under.iter().map(|u| u.chunk.to_string()).collect();
        let open = format!("state <> 'done' AND id IN ({})", ids.join(","));
        let began = Instant::now();
        while began.elapsed() < CHUNKS && !pass::all(session, self.db, &open).await?.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    async fn end_replay(&self, session: &mut Session, under: Under<'_>) -> Result<Replay, VerifierError> {
        let Under { sql, keys, before, range, chunk_before, .. } = &under;
        let failed = |source| VerifierError::Compare { target: sql.target.table.clone(), source };
        let folds = sql.target.folds();
        let after = compare::pairs(session, sql, Scopes::Keys(keys)).await.map_err(failed)?;
        let (before, mut after) = (by_scope(&folds, before), by_scope(&folds, &after));
        let none = Pair::default();
        after.retain(|scope, d| {
            let before = before.get(scope).map_or(&none, |d| &d.pair);
            stayed(before, &d.pair) && before.present != d.pair.present
        });
        // Legacy may have moved there and back: then the rows are right again in a moment.
        let others = after.into_values().cloned().collect();
        let changed = confirm::confirm(session, self.db, self.source, sql, others).await?;
        let mut replay = Replay {
            marks: keys.len() as u64,
            marks_changed: changed.differences.len() as u64,
            ..Replay::default()
        };
        let chunk = pass::take_replay(session, self.db, under.chunk).await.map_err(failed)?;
        let Some(chunk) = chunk else { return Ok(replay) };
        replay.rows = Some(chunk.scanned);
        if chunk.changed > 0 {
            let after = compare::pairs(session, sql, Scopes::Range(range)).await.map_err(failed)?;
            replay.rows_changed = chunk.changed.saturating_sub(moved(&folds, chunk_before, &after));
        }
        Ok(replay)
    }
}

type Scoped<'a> = HashMap<Vec<u8>, &'a Difference>;

fn by_scope<'a>(folds: &[Fold], all: &'a [Difference]) -> Scoped<'a> {
    all.iter().map(|d| (exceptions::identity(folds, &d.scope), d)).collect()
}

/// Was the scope as the plan wants it, and does the plan still want that?
fn stayed(before: &Pair, after: &Pair) -> bool {
    before.wanted == before.present && before.wanted == after.wanted
}

/// Rows of scopes that were on their way when the replay began, or that legacy has changed since.
fn moved(folds: &[Fold], before: &[Difference], after: &[Difference]) -> u64 {
    let (before, after) = (by_scope(folds, before), by_scope(folds, after));
    let scopes: HashSet<&Vec<u8>> = before.keys().chain(after.keys()).collect();
    let none = Pair::default();
    let rows = scopes.into_iter().map(|scope| {
        let pair = |all: &Scoped<'_>| all.get(scope).map_or(&none, |d| &d.pair).clone();
        let (before, after) = (pair(&before), pair(&after));
        if stayed(&before, &after) { 0 } else { differ(&before.present, &after.present) }
    });
    rows.sum()
}

/// Rows that came, went or changed between two lists of digests.
fn differ(before: &[String], after: &[String]) -> u64 {
    let mut count: HashMap<&String, i64> = HashMap::new();
    before.iter().for_each(|d| *count.entry(d).or_default() -= 1);
    after.iter().for_each(|d| *count.entry(d).or_default() += 1);
    let of = |sign: i64| count.values().map(|n| (n * sign).max(0).unsigned_abs()).sum::<u64>();
    of(1).max(of(-1))
}

#[cfg(test)]
mod tests {
    use change::Cell;

    use super::*;

    fn scope(id: i64, wanted: &[&str], present: &[&str]) -> Difference {
        let own = |side: &[&str]| side.iter().map(|d| (*d).to_string()).collect();
        Difference {
            scope: Key(vec![Cell::Int(id)]),
            pair: Pair { wanted: own(wanted), present: own(present) },
        }
    }

    #[test]
    fn rows_that_were_right_and_are_wanted_as_they_were_are_no_excuse() {
        let folds = [Fold::Exact];
        let quiet = || scope(1, &["a"], &["a"]);
        let moved =
            |before: Difference, after: Difference| moved(&folds, &[quiet(), before], &[quiet(), after]);
        assert_eq!(moved(scope(2, &["a"], &["a"]), scope(2, &["a"], &["b"])), 0);
        assert!(moved(scope(2, &["b"], &["a"]), scope(2, &["b"], &["b"])) > 0, "it was on its way");
        assert_eq!(moved(scope(2, &["a"], &["a"]), scope(2, &["b"], &["b"])), 1, "legacy has changed");
        assert!(moved(scope(2, &["a"], &["a"]), scope(3, &["a"], &["a"])) > 0, "one went, another came");
        let many =
            moved(scope(2, &["b", "c", "d"], &["a", "c", "d"]), scope(2, &["b", "c", "d"], &["b", "c", "d"]));
        assert_eq!(many, 1, "no more rows than have changed");
    }
}
