//! What every service is given: built once, valid for as long as the process runs.

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, Topics};
use mysql::Database;
use plan::checked::{Checked, Sync, Target, TargetKind};
use uuid::Uuid;

#[derive(Clone)]
pub struct Context {
    pub database: Database,
    pub plan: Arc<Checked>,
    pub bus: Arc<dyn Bus>,
    pub topics: Topics,
    /// Name of the source in the control schema.
    pub source: String,
    /// Lanes per target: partitions of its topics.
    pub lanes: u32,
    /// The deployment's namespace for derived UUIDs.
    pub namespace: Uuid,
    /// Targets that the plan defers run too.
    pub include_deferred: bool,
    /// Longest time that rows of the application may stay locked.
    pub lock_budget: Duration,
    /// Longest time that a chunk may take.
    pub chunk_budget: Duration,
    /// What slows the backfill down.
    pub throttle: mysql::Limits,
    /// Tells this process apart from others of its kind.
    pub instance: String,
}

impl Context {
    /// The targets that run.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.plan.targets.iter().filter(|t| self.include_deferred || t.defer.is_none())
    }

    /// The topic that the writer consumes for this target; its partitions are the lanes.
    pub fn last_topic(&self, target: &str) -> String {
        self.topics.writes(target)
    }

    /// The topic that the mapper writes a target's marks to.
    pub fn first_topic(&self, target: &Target) -> String {
        if target.needs_ids() { self.topics.mapped(&target.table) } else { self.topics.writes(&target.table) }
    }

    /// Topics whose marks pass the id-mapper: targets that need ids, and the id maps themselves.
    pub fn mapped_topics(&self) -> Vec<String> {
        let targets = self.targets().filter(|t| t.needs_ids()).map(|t| self.topics.mapped(&t.table));
        targets.chain(self.plan.entities.iter().map(|e| self.topics.mapped(&e.map))).collect()
    }

    pub fn writes_topics(&self) -> Vec<String> {
        self.targets().map(|t| self.topics.writes(&t.table)).collect()
    }

    pub fn changes_topics(&self) -> Vec<String> {
        self.plan.watched.keys().map(|t| self.topics.changes(t)).collect()
    }

    /// Longest time that a transaction of the writer should take. Parallel columns stand in the application's rows:
    /// there the lock budget counts.
    pub fn budget(&self, kind: TargetKind) -> Duration {
        match kind {
            TargetKind::Parallel => self.lock_budget,
            TargetKind::Shadow => self.chunk_budget,
        }
    }

    /// Whole images for others: none without `publish: rows`, nor on a bus that nobody else reads.
    pub fn rows_topics(&self) -> Vec<String> {
        let others = self.bus.reaches_others();
        let tables = self.plan.watched.iter().filter(|(_, w)| others && w.image.is_some());
        tables.map(|(table, _)| self.topics.rows(table)).collect()
    }

    pub fn is_batch(target: &Target) -> bool {
        matches!(target.sync, Sync::Batch { .. })
    }

    /// Name of a consumer group, one per service and deployment.
    pub fn group(&self, service: &str) -> String {
        self.topics.group(service)
    }
}
