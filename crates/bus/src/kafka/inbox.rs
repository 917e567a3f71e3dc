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
    /// Assignments so far: an answer to an earlier one must not start a later one.
    assignments: u64,
    failed: Option<BusError>,
    stopped: bool,
}

enum Item {
    Assigned(Vec<Part>),
    Revoked(Vec<Part>),
    Records(Delivery, usize),
}

enum Rebalance {
    Assign { number: u64, parts: Vec<Part>, asked: bool, found: Option<Vec<(Part, u64)>> },
    Revoke { parts: Vec<Part>, until: Instant, said: bool, done: bool },
}

/// What the thread has to do about the rebalance.
pub(super) enum Duty {
    None,
    /// Find the start offsets for the assignment of this number.
    Ask(u64, Vec<Part>),
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
        let mut state = self.lock();
        state.assignments += 1;
        let number = state.assignments;
        state.rebalance = Some(Rebalance::Assign { number, parts, asked: false, found: None });
    }

    /// The start offsets of an assignment, if it still stands.
    pub fn found(&self, answered: u64, starts: Result<Vec<(Part, u64)>, BusError>) {
        let mut state = self.lock();
        let Some(Rebalance::Assign { number, found, .. }) = &mut state.rebalance else { return };
        if *number != answered {
            return;
        }
        match starts {
            Ok(starts) => *found = Some(starts),
            Err(error) => {
                state.failed.get_or_insert(error);
                self.ready.notify_one();
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
            Some(Rebalance::Assign { number, parts, asked: asked @ false, .. }) => {
                *asked = true;
                Duty::Ask(*number, parts.clone())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn part(partition: u32) -> Part {
        ("t".to_owned(), partition)
    }

    /// An inbox that holds these partitions, from 0; the task knows it.
    fn holding(partitions: &[u32]) -> Inbox {
        let inbox = Inbox::new(1000);
        inbox.assign(partitions.iter().copied().map(part).collect());
        let Duty::Ask(number, parts) = inbox.duty() else { panic!("nobody asked for the start") };
        assert!(matches!(inbox.duty(), Duty::None), "asked twice");
        inbox.found(number, Ok(parts.into_iter().map(|part| (part, 0)).collect()));
        assert!(matches!(inbox.duty(), Duty::Assign(_)));
        assert!(matches!(inbox.take().unwrap(), Some(Event::Assigned(_))));
        inbox
    }

    #[test]
    fn a_late_answer_does_not_start_another_assignment() {
        let inbox = Inbox::new(1000);
        inbox.assign(vec![part(0)]);
        let Duty::Ask(first, _) = inbox.duty() else { panic!() };
        inbox.assign(vec![part(1)]);
        inbox.found(first, Ok(vec![(part(0), 7)]));
        let Duty::Ask(second, parts) = inbox.duty() else { panic!() };
        assert_eq!(parts, [part(1)]);
        inbox.found(first, Err(BusError::Closed));
        inbox.found(second, Ok(vec![(part(1), 3)]));
        let Duty::Assign(starts) = inbox.duty() else { panic!() };
        assert_eq!(starts, [(part(1), 3)]);
    }

    #[test]
    fn what_is_taken_away_is_let_go_of_after_the_answer() {
        let inbox = holding(&[0, 1]);
        inbox.push(part(0), 0, Bytes::from_static(b"gone"));
        inbox.push(part(1), 0, Bytes::from_static(b"kept"));
        inbox.revoke(vec![part(0)], false);
        assert!(matches!(inbox.duty(), Duty::None), "before the task knew");
        let Some(Event::Revoked(parts)) = inbox.take().unwrap() else { panic!("records came first") };
        assert_eq!(parts, [part(0)]);
        assert!(matches!(inbox.duty(), Duty::None) && inbox.holds(&part(0)), "before the task answered");
        assert!(matches!(inbox.take().unwrap(), Some(Event::Records(kept)) if kept.partition == 1));
        assert!(matches!(inbox.duty(), Duty::Unassign(parts) if parts == [part(0)]));
        assert!(!inbox.holds(&part(0)) && inbox.holds(&part(1)));
        assert_eq!(inbox.lock().bytes, 0);
    }

    #[test]
    fn what_is_lost_is_gone_at_once() {
        let inbox = holding(&[0]);
        inbox.revoke(vec![part(0)], true);
        assert!(!inbox.holds(&part(0)) && !inbox.is_moving());
        inbox.push(part(0), 0, Bytes::from_static(b"late"));
        assert!(matches!(inbox.take().unwrap(), Some(Event::Revoked(_))));
        assert!(inbox.take().unwrap().is_none());
    }

    #[test]
    fn an_assignment_that_the_task_never_saw_is_not_revoked() {
        let inbox = holding(&[0]);
        inbox.assign(vec![part(1)]);
        let Duty::Ask(number, _) = inbox.duty() else { panic!() };
        inbox.found(number, Ok(vec![(part(1), 0)]));
        assert!(matches!(inbox.duty(), Duty::Assign(_)));
        inbox.revoke(vec![part(1)], false);
        assert!(inbox.take().unwrap().is_none());
        assert!(!inbox.holds(&part(1)) && inbox.holds(&part(0)) && !inbox.is_moving());
    }
}
