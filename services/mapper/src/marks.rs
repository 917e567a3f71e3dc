//! Collects marks by target and lane, each scope once, and makes records of them.

use std::collections::{HashMap, HashSet};

use bus::Record;
use change::{Cause, Fold, Key, Mark, MarkBatch, lane_of};
use service::Context;

/// Marks in one record. Small enough that a lane can stop between two records without locking the application long.
const PER_RECORD: usize = 100;

pub struct Marks<'a> {
    context: &'a Context,
    cause: Cause,
    lanes: HashMap<(String, u32), Lane>,
    count: usize,
}

#[derive(Default)]
struct Lane {
    seen: HashSet<Vec<u8>>,
    scopes: Vec<Key>,
}

impl<'a> Marks<'a> {
    pub fn new(context: &'a Context, cause: Cause) -> Self {
        Self { context, cause, lanes: HashMap::new(), count: 0 }
    }

    /// Marks held, for the bound on memory.
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// `target` is a target's table or an id map.
    pub fn add(&mut self, target: &str, scope: Key) {
        let folds = self.folds(target);
        let lane = lane_of(&folds, &scope, self.context.lanes);
        let lane = self.lanes.entry((target.to_string(), lane)).or_default();
        if lane.seen.insert(Fold::spelled(&folds, &scope)) {
            lane.scopes.push(scope);
            self.count += 1;
        }
    }

    fn folds(&self, target: &str) -> Vec<Fold> {
        let plan = &self.context.plan;
        match plan.target(target) {
            Some(t) => t.folds(),
            None => plan
                .entities
                .iter()
                .filter(|e| e.map == target)
                .map(|e| Fold::of(&e.key.data_type, e.key.collation.as_deref()))
                .collect(),
        }
    }

    /// The records, and an empty collection again.
    pub fn take(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        for ((target, lane), marks) in self.lanes.drain() {
            let topic = match self.context.plan.target(&target) {
                Some(t) => self.context.first_topic(t),
                None => self.context.topics.mapped(&target),
            };
            for scopes in marks.scopes.chunks(PER_RECORD) {
                let batch = MarkBatch {
                    target: target.clone(),
                    cause: self.cause.clone(),
                    marks: scopes.iter().map(|s| Mark { scope: s.clone() }).collect(),
                };
                records.push(Record::new(&topic, lane, proto::encode_marks(&batch)));
            }
        }
        self.count = 0;
        records
    }
}
