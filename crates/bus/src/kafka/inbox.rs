//! What stands between the thread that polls Kafka and the task that calls `next`: events and records, bounded by bytes,
//! and the rebalance that is under way.
//!
//! A rebalance waits for us on both sides: partitions that are given begin when their start offsets are known; partitions
//! that are taken are let go of when the task asks for another event after `Revoked`, or when its time is over.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::{BusError, Delivery, Event};

pub(super) type Part = (String, u32);

/// How long a partition that is taken from us waits for the task's answer.
const GRACE: Duration = Duration::from_secs(10);
/// Records of one partition are handed over in portions of about this many bytes.
const PORTION: usize = 256 << 10;

pub(super) struct Inbox {
    state: Mutex<State>,
    /// For the task: there may be something.
    ready: Notify,
    /// For the thread: there is room, or we stop.
    changed: Condvar,
    limit: usize,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    /// The partitions that are ours, with the next offset that we expect.
    held: BTreeMap<Part, u64>,
    rebalance: Option<Rebalance>,
    failed: Option<BusError>,
    stopped: bool,
}

enum Item {
    Assigned(Vec<Part>),
    Revoked(Vec<Part>),
    Records(Delivery, usize),
}

enum Rebalance {
    Assign { parts: Vec<Part>, asked: bool, found: Option<Vec<(Part, u64)>> },
    Revoke { parts: Vec<Part>, until: Instant, said: bool, done: bool },
}

/// What the thread has to do about the rebalance.
pub(super) enum Duty {
    None,
    Ask(Vec<Part>),
    Assign(Vec<(Part, u64)>),
    Unassign(Vec<Part>),
}

impl Inbox {
    pub fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), ready: Notify::new(), changed: Condvar::new(), limit }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // The task's side.

    pub async fn next(&self) -> Result<Event, BusError> {
        loop {
            if let Some(event) = self.take()? {
                return Ok(event);
            }
            self.ready.notified().await;
        }
    }

    fn take(&self) -> Result<Option<Event>, BusError> {
        let mut state = self.lock();
        if let Some(Rebalance::Revoke { said: true, done, .. }) = &mut state.rebalance {
            *done = true;
        }
        let event = match state.items.pop_front() {
            Some(Item::Assigned(parts)) => Event::Assigned(parts),
            Some(Item::Revoked(parts)) => {
                if let Some(Rebalance::Revoke { parts: waiting, said, .. }) = &mut state.rebalance {
                    *said = *said || *waiting == parts;
                }
                Event::Revoked(parts)
            }
            Some(Item::Records(delivery, bytes)) => {
                state.bytes -= bytes;
                self.changed.notify_one();
                Event::Records(delivery)
            }
            None => match state.failed.take() {
                Some(error) => {
                    state.stopped = true;
                    return Err(error);
                }
                None if state.stopped => return Err(BusError::Closed),
                None => return Ok(None),
            },
        };
        Ok(Some(event))
    }

    pub fn holds(&self, part: &Part) -> bool {
        self.lock().held.contains_key(part)
    }

    pub fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_one();
        self.ready.notify_one();
    }

    // The thread's side.

    pub fn stopped(&self) -> bool {
        self.lock().stopped
    }

    pub fn fail(&self, error: BusError) {
        let mut state = self.lock();
        state.failed.get_or_insert(error);
        self.ready.notify_one();
    }

    pub fn held(&self) -> Vec<(Part, u64)> {
        self.lock().held.iter().map(|(part, next)| (part.clone(), *next)).collect()
    }

    pub fn push(&self, part: Part, offset: u64, payload: Bytes) {
        let mut state = self.lock();
        let Some(next) = state.held.get_mut(&part) else { return };
        *next = offset + 1;
        let cost = payload.len() + 64;
        state.bytes += cost;
        match state.items.back_mut() {
            Some(Item::Records(last, bytes))
                if *bytes < PORTION && last.partition == part.1 && last.topic == part.0 =>
            {
                last.records.push((offset, payload));
                *bytes += cost;
            }
            _ => {
                let delivery =
                    Delivery { topic: part.0, partition: part.1, records: vec![(offset, payload)] };
                state.items.push_back(Item::Records(delivery, cost));
            }
        }
        self.ready.notify_one();
    }

    pub fn is_full(&self) -> bool {
        self.lock().bytes >= self.limit
    }

    pub fn is_half_empty(&self) -> bool {
        self.lock().bytes <= self.limit / 2
    }

    /// Waits until there is room, at most `time`.
    pub fn wait_for_room(&self, time: Duration) {
        let full = |state: &mut State| state.bytes >= self.limit && !state.stopped;
        drop(
            self.changed.wait_timeout_while(self.lock(), time, full).unwrap_or_else(PoisonError::into_inner),
        );
    }

    pub fn is_moving(&self) -> bool {
        self.lock().rebalance.is_some()
    }

    pub fn assign(&self, parts: Vec<Part>) {
        self.lock().rebalance = Some(Rebalance::Assign { parts, asked: false, found: None });
    }

    /// The start offsets of the partitions that we were given.
    pub fn found(&self, starts: Result<Vec<(Part, u64)>, BusError>) {
        match starts {
            Err(error) => self.fail(error),
            Ok(starts) => {
                if let Some(Rebalance::Assign { found, .. }) = &mut self.lock().rebalance {
                    *found = Some(starts);
                }
            }
        }
    }

    /// They are taken from us: `lost` if somebody else may have them already.
    pub fn revoke(&self, parts: Vec<Part>, lost: bool) {
        let mut state = self.lock();
        state.drop_records(&parts);
        let unsaid = state.forget_assigned(&parts);
        let said: Vec<Part> = parts.iter().filter(|part| !unsaid.contains(part)).cloned().collect();
        let at_once = lost || said.is_empty();
        if !said.is_empty() {
            state.items.push_front(Item::Revoked(said.clone()));
        }
        if at_once {
            state.held.retain(|part, _| !parts.contains(part));
            state.rebalance = None;
        } else {
            let until = Instant::now() + GRACE;
            state.held.retain(|part, _| !unsaid.contains(part));
            state.rebalance = Some(Rebalance::Revoke { parts: said, until, said: false, done: false });
        }
        self.ready.notify_one();
    }

    /// What is due now. Each duty is handed out once.
    pub fn duty(&self) -> Duty {
        let mut state = self.lock();
        match &mut state.rebalance {
            Some(Rebalance::Assign { parts, asked: asked @ false, .. }) => {
                *asked = true;
                Duty::Ask(parts.clone())
            }
            Some(Rebalance::Assign { found, .. }) => match found.take() {
                None => Duty::None,
                Some(starts) => {
                    state.rebalance = None;
                    state.held.extend(starts.iter().cloned());
                    state
                        .items
                        .push_back(Item::Assigned(starts.iter().map(|(part, _)| part.clone()).collect()));
                    self.ready.notify_one();
                    Duty::Assign(starts)
                }
            },
            Some(Rebalance::Revoke { parts, until, done, .. }) if *done || Instant::now() >= *until => {
                let parts = std::mem::take(parts);
                state.rebalance = None;
                state.drop_records(&parts);
                state.held.retain(|part, _| !parts.contains(part));
                Duty::Unassign(parts)
            }
            _ => Duty::None,
        }
    }
}

impl State {
    fn drop_records(&mut self, parts: &[Part]) {
        let bytes = &mut self.bytes;
        self.items.retain(|item| match item {
            Item::Records(delivery, cost)
                if parts.iter().any(|part| part.1 == delivery.partition && part.0 == delivery.topic) =>
            {
                *bytes -= cost;
                false
            }
            _ => true,
        });
    }

    /// Takes them out of what was not said yet; returns those that it found there.
    fn forget_assigned(&mut self, parts: &[Part]) -> Vec<Part> {
        let mut found = Vec::new();
        for item in &mut self.items {
            if let Item::Assigned(assigned) = item {
                found.extend(assigned.extract_if(.., |part| parts.contains(part)));
            }
        }
        self.items.retain(|item| !matches!(item, Item::Assigned(parts) if parts.is_empty()));
        found
    }
}
