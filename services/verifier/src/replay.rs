//! The replay certificate: marks that were applied already, and a chunk of the backfill, are applied again to the live tables, and
//! change nothing (P9).
//!
//! Under writes a replay may well change a row: it comes before the row's own mark. Such a row is right a moment later, and the
//! next replay of other scopes meets another moment. So a replay that changed something is tried again, a few times; only
//! what changes rows again and again is held against the target.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use change::Key;
use mysql::control::lane::Mode;
use mysql::control::{exceptions, pass, redrive};
use mysql::{DbError, Session};
use plan::checked::Target;
use plan::sql::TargetSql;
use serde::{Deserialize, Serialize};

use crate::compare::{self, Difference};
use crate::confirm;
use crate::error::VerifierError;
use crate::pass::{PATIENCE, Pass};
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
    keys: Vec<Key>,
    before: Vec<Difference>,
    chunk: u64,
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
            let ended = self.end_replay(session, one).await;
            done.push((target.clone(), ended.map_err(|source| VerifierError::Compare { target, source })?));
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
        let before = compare::pairs(session, &sql, &keys).await?;
        redrive::ask(session, db, target, &keys, pass::REPLAY, 0).await?;
        let chunk = pass::order_replay(session, db, target, places.any(), CHUNK).await?;
        Ok(Under { sql, keys, before, chunk })
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

    async fn end_replay(&self, session: &mut Session, under: Under<'_>) -> Result<Replay, DbError> {
        let after = compare::pairs(session, &under.sql, &under.keys).await?;
        let folds = under.sql.target.folds();
        let find = |all: &[Difference], scope: &Key| {
            let wanted = exceptions::identity(&folds, scope);
            let found = all.iter().find(|d| exceptions::identity(&folds, &d.scope) == wanted);
            found.map(|d| d.pair.clone()).unwrap_or_default()
        };
        // Where legacy has moved meanwhile, the rows had to.
        let changed = under.keys.iter().filter(|key| {
            let (before, after) = (find(&under.before, key), find(&after, key));
            before.wanted == after.wanted && before.present != after.present
        });
        let mut replay = Replay {
            marks: under.keys.len() as u64,
            marks_changed: changed.count() as u64,
            ..Replay::default()
        };
        if let Some(chunk) = pass::take_replay(session, self.db, under.chunk).await? {
            replay.rows = Some(chunk.scanned);
            replay.rows_changed = chunk.changed;
        }
        Ok(replay)
    }
}
