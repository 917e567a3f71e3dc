//! One lane: collects marks, applies them in batches, and keeps the batch so small that the application never waits.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use change::{Fold, Key};
use mysql::control::lane::{self, Lane};
use mysql::{Class, DbError};
use plan::checked::TargetKind;
use plan::sql::{Scopes, TargetSql};
use service::{Context, Retry};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

use crate::apply::Outcome;
use crate::batch::{Applied, Claim, process};
use crate::error::WriterError;
use crate::metrics::Metrics;
use crate::schedule::{MOST_WAITING, Schedule};
use crate::sessions::Sessions;

/// Records of this lane, and the share of the buffer that they take until they are applied.
pub struct Load {
    pub records: Vec<(u64, Bytes)>,
    pub permit: OwnedSemaphorePermit,
}

/// What all lanes share.
pub struct Shared {
    pub context: Context,
    pub sessions: Sessions,
    pub metrics: Metrics,
}

/// Limits of a batch, in scopes. It starts at `START` and follows the time that a batch takes.
const START: usize = 200;
const LEAST: usize = 50;
const MOST: usize = 2000;
/// A lane of a shadow table that lags may take so many times its budget: the application does not wait for it, and the
/// more marks are taken together, the fewer scopes they name twice.
const LATE: u32 = 10;

pub struct LaneWorker {
    pub shared: Arc<Shared>,
    /// Where the lane stands.
    pub at: Lane,
    pub loads: mpsc::UnboundedReceiver<Load>,
    pub stop: CancellationToken,
    /// How many scopes a batch takes at most; adapts.
    pub size: usize,
    /// A batch target: the lane opens on schedule only.
    pub schedule: Option<Schedule>,
}

/// Marks that wait: distinct scopes in order of arrival, and the offset that they reach up to.
#[derive(Default)]
struct Pending {
    records: std::collections::VecDeque<(u64, Vec<Key>)>,
    permits: Vec<OwnedSemaphorePermit>,
}

impl LaneWorker {
    pub fn new(
        shared: Arc<Shared>,
        at: Lane,
        loads: mpsc::UnboundedReceiver<Load>,
        stop: CancellationToken,
    ) -> Self {
        let schedule = shared.context.plan.target(&at.target).and_then(Schedule::of);
        Self { shared, at, loads, stop, size: START, schedule }
    }

    /// Runs until the partition is taken away or the service stops.
    pub async fn run(mut self) -> Result<(), WriterError> {
        let mut pending = Pending::default();
        loop {
            if pending.records.is_empty() {
                pending.permits.clear();
                let load = tokio::select! {
                    () = self.stop.cancelled() => return Ok(()),
                    load = self.loads.recv() => load,
                };
                let Some(load) = load else { return Ok(()) };
                self.accept(load, &mut pending)?;
            }
            if let Some(schedule) = self.schedule.clone()
                && !self.collect_until_due(&schedule, &mut pending).await?
            {
                return Ok(());
            }
            while let Ok(load) = self.loads.try_recv() {
                self.accept(load, &mut pending)?;
            }
            while self.schedule.is_some() && !pending.records.is_empty() && !self.stop.is_cancelled() {
                self.apply(&mut pending).await?;
            }
            self.apply(&mut pending).await?;
            if self.stop.is_cancelled() {
                return Ok(());
            }
        }
    }

    /// A batch target: takes marks in until the next opening. Its lane's offset stands still meanwhile, so a restart
    /// loses none of them. `false`: asked to stop.
    async fn collect_until_due(
        &mut self,
        schedule: &Schedule,
        pending: &mut Pending,
    ) -> Result<bool, WriterError> {
        let due = tokio::time::Instant::now() + schedule.wait();
        loop {
            // What waits for hours must not take the room of what streams.
            pending.permits.clear();
            let waiting: usize = pending.records.iter().map(|(_, scopes)| scopes.len()).sum();
            if waiting >= MOST_WAITING {
                tracing::warn!(target = %self.at.target, lane = self.at.lane, waiting, "the batch opens early: too many marks wait");
                return Ok(true);
            }
            tokio::select! {
                () = self.stop.cancelled() => return Ok(false),
                () = tokio::time::sleep_until(due) => return Ok(true),
                load = self.loads.recv() => match load {
                    Some(load) => self.accept(load, pending)?,
                    None => return Ok(false),
                },
            }
        }
    }

    fn accept(&self, load: Load, pending: &mut Pending) -> Result<(), WriterError> {
        for (offset, payload) in load.records {
            let batch = proto::decode_marks(&payload).map_err(|source| WriterError::Record {
                topic: self.at.topic.clone(),
                lane: self.at.lane,
                offset,
                source,
            })?;
            pending.records.push_back((offset, batch.marks.into_iter().map(|m| m.scope).collect()));
        }
        pending.permits.push(load.permit);
        Ok(())
    }

    /// One batch: as many whole records as fit, duplicates collapsed.
    async fn apply(&mut self, pending: &mut Pending) -> Result<(), WriterError> {
        while pending.records.front().is_some_and(|(offset, _)| *offset < self.at.next_offset) {
            pending.records.pop_front(); // applied before a restart
        }
        let Some((first, _)) = pending.records.front() else { return Ok(()) };
        if *first > self.at.next_offset {
            let (topic, lane) = (self.at.topic.clone(), self.at.lane);
            return Err(WriterError::Gap { topic, lane, wanted: self.at.next_offset, found: *first });
        }
        let plan = self.shared.context.plan.clone();
        let target = plan.target(&self.at.target).expect("lanes are made of the plan's targets");
        let Collected { keys, new, taken } = collect(&pending.records, &target.folds(), self.size);
        let full = taken < pending.records.len();
        let sql = TargetSql::new(&plan, target, self.shared.context.database.control());
        let at = self.at.clone();
        let claim = Claim::Lane { at: &at, new };
        let mut retry = Retry::new("a batch");
        let applied = loop {
            match self.once(&sql, &keys, &claim).await {
                Ok(applied) => {
                    retry.worked();
                    break applied;
                }
                Err(e) if e.is_transient() => {
                    self.shared.metrics.retries.fetch_add(1, Relaxed);
                    let pause = retry.failed(|tries| {
                        tracing::warn!(target = %self.at.target, lane = self.at.lane, error = %e, tries, "the batch is tried again");
                    });
                    tokio::select! {
                        () = self.stop.cancelled() => return Ok(()),
                        () = tokio::time::sleep(pause) => {}
                    }
                }
                Err(source) => return Err(WriterError::Apply { target: self.at.target.clone(), source }),
            }
        };
        match applied {
            Applied::Done(outcome) => {
                self.done(keys.len(), full, target.kind, &outcome);
                pending.records.drain(..taken);
                self.at.next_offset = new;
            }
            Applied::Fenced => self.resume().await?,
        }
        Ok(())
    }

    async fn once(&self, sql: &TargetSql<'_>, keys: &[Key], claim: &Claim<'_>) -> Result<Applied, DbError> {
        let mut loan = self.shared.sessions.take().await?;
        let applied = process(&self.shared.context, &mut loan.worker, sql, Scopes::Keys(keys), claim).await;
        // A session that failed is not used again: whatever it holds ends with it.
        if applied.is_ok() {
            self.shared.sessions.give_back(loan);
        }
        applied
    }

    /// `full`: more waited than the batch could take.
    fn done(&mut self, scopes: usize, full: bool, kind: TargetKind, outcome: &Outcome) {
        self.shared.metrics.applied(scopes as u64, outcome);
        let (mut budget, took) = (self.shared.context.budget(kind), outcome.held);
        if full && kind == TargetKind::Shadow {
            budget *= LATE;
        }
        if took > budget && scopes >= self.size / 2 {
            self.size = (self.size / 2).max(LEAST);
        } else if took < budget / 2 && full {
            self.size = (self.size * 3 / 2).min(MOST);
        }
        tracing::trace!(target = %self.at.target, lane = self.at.lane, scopes, changed = outcome.changed, ?took, "applied");
    }

    /// Somebody else has moved the lane: go on from where it stands, unless it is of another incarnation.
    async fn resume(&mut self) -> Result<(), WriterError> {
        let found = find(&self.shared.context, &self.at.target, self.at.lane, &self.at.topic);
        let Some(found) = self.stop.run_until_cancelled(found).await else { return Ok(()) };
        let before = std::mem::replace(&mut self.at, found?);
        let Lane { target, lane, next_offset, mode, .. } = &self.at;
        if before.mode != *mode {
            tracing::info!(%target, lane, from = before.mode.name(), to = mode.name(), "the lane's mode is another");
        }
        if before.next_offset != *next_offset {
            self.shared.metrics.fenced.fetch_add(1, Relaxed);
            tracing::warn!(%target, lane, next_offset, "fenced: another writer moved the lane");
        }
        Ok(())
    }
}

/// Where the lane stands, if it belongs to this topic. Waits for a database that is away.
pub async fn find(context: &Context, target: &str, lane: u32, topic: &str) -> Result<Lane, WriterError> {
    let failed = |source| WriterError::Lane { target: target.into(), lane, source };
    let lanes = loop {
        let read = async {
            let mut session = context.database.session().await?;
            lane::of_target(&mut session, &context.database, target).await
        };
        match read.await {
            Ok(lanes) => break lanes,
            Err(e) if e.class == Class::Connection => tokio::time::sleep(Duration::from_millis(200)).await,
            Err(e) => return Err(failed(e)),
        }
    };
    let Some(found) = lanes.into_iter().find(|l| l.lane == lane) else {
        return Err(WriterError::NoLane { target: target.into(), lane });
    };
    if found.topic != topic {
        return Err(WriterError::Replaced { target: target.into(), lane, found: found.topic });
    }
    Ok(found)
}

struct Collected {
    /// Distinct scopes of the records, in key order.
    keys: Vec<Key>,
    /// The offset after them.
    new: u64,
    /// How many records they are.
    taken: usize,
}

/// As many records as fit, at least one. A scope counts once, however often it was marked: what is marked again and again
/// is computed once.
fn collect(records: &std::collections::VecDeque<(u64, Vec<Key>)>, folds: &[Fold], size: usize) -> Collected {
    let mut seen = std::collections::HashSet::new();
    let mut keys = Vec::new();
    let (mut new, mut taken) = (0, 0);
    for (offset, scopes) in records {
        let before = keys.len();
        for scope in scopes {
            if seen.insert(Fold::spelled(folds, scope)) {
                keys.push(scope.clone());
            }
        }
        if taken > 0 && keys.len() > size {
            keys.truncate(before);
            break;
        }
        (new, taken) = (offset + 1, taken + 1);
    }
    // Locks are taken in key order, so that two writers of one table meet in the same order.
    change::distinct(&mut keys);
    Collected { keys, new, taken }
}

#[cfg(test)]
mod tests {
    use super::*;
    use change::Cell;

    fn key(v: u64) -> Key {
        Key(vec![Cell::UInt(v)])
    }

    #[test]
    fn a_batch_takes_whole_records_and_each_scope_once() {
        let records =
            [(5, vec![key(3), key(1)]), (6, vec![key(3)]), (7, vec![key(9), key(8), key(7)])].into();
        let taken = |size| {
            let Collected { keys, new, taken } = collect(&records, &[Fold::Exact], size);
            (keys, new, taken)
        };
        assert_eq!(taken(4), (vec![key(1), key(3)], 7, 2));
        assert_eq!(taken(2), (vec![key(1), key(3)], 7, 2), "the second record names nothing new");
        assert_eq!(taken(0), (vec![key(1), key(3)], 6, 1), "never an empty batch");
        assert_eq!(taken(100).2, 3);
    }

    #[test]
    fn scopes_that_the_collation_calls_equal_are_one() {
        let text = |s: &str| Key(vec![Cell::Text(s.into())]);
        let records = [(0, vec![text("a"), text("A "), text("b")])].into();
        assert_eq!(collect(&records, &[Fold::AsciiInsensitive], 10).keys.len(), 2);
        assert_eq!(collect(&records, &[Fold::Unspread], 10).keys.len(), 3, "both spellings are looked up");
    }
}
