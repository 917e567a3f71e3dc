//! Who reads which partition. A partition goes to its next owner when the last one has let go of it: when it asks for
//! another event after `Revoked`, when it is dropped, or when its time is over. So two owners overlap only if one hangs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

pub(super) type Part = (String, u32);

pub(super) struct Group {
    grace: Duration,
    members: BTreeMap<u64, Member>,
    holds: BTreeMap<Part, Hold>,
    holds_made: u64,
}

struct Member {
    topics: BTreeSet<String>,
    /// What it shall have once the others have let go.
    target: BTreeSet<Part>,
    /// To be said with the next event.
    revoked: BTreeSet<Part>,
    /// Was said with the last event: let go of when the next one is asked for.
    leaving: BTreeSet<Part>,
    /// The partition that was served last, for a fair turn.
    last: Option<Part>,
    wake: Arc<Notify>,
}

struct Hold {
    member: u64,
    number: u64,
    /// The next record to be delivered; `None` until the start offset is known and `Assigned` was said.
    position: Option<u64>,
    /// Revoked, and to be kept until then at the latest.
    until: Option<Instant>,
}

/// What a member has to do next.
pub(super) enum Turn {
    Revoked(Vec<Part>),
    /// Ask where to start, then `settle` with the number of each hold.
    Start(Vec<(Part, u64)>),
    /// Look for records in these partitions, in this order.
    Read(Vec<(Part, u64)>),
    /// Nothing is held: wait, at most until a partition's grace is over.
    Idle,
}

impl Group {
    pub fn new(grace: Duration) -> Self {
        Self { grace, members: BTreeMap::new(), holds: BTreeMap::new(), holds_made: 0 }
    }

    pub fn join(&mut self, id: u64, topics: &[String], wake: Arc<Notify>, partitions: impl Fn(&str) -> u32) {
        let member = Member {
            topics: topics.iter().cloned().collect(),
            target: BTreeSet::new(),
            revoked: BTreeSet::new(),
            leaving: BTreeSet::new(),
            last: None,
            wake,
        };
        self.members.insert(id, member);
        self.rebalance(partitions);
    }

    pub fn leave(&mut self, id: u64, partitions: impl Fn(&str) -> u32) {
        self.members.remove(&id);
        self.holds.retain(|_, hold| hold.member != id);
        self.rebalance(partitions);
    }

    pub fn wake_reader(&self, part: &Part) {
        if let Some(member) = self.holds.get(part).and_then(|hold| self.members.get(&hold.member)) {
            member.wake.notify_one();
        }
    }

    pub fn wake_all(&self) {
        self.members.values().for_each(|member| member.wake.notify_one());
    }

    pub fn holds(&self, id: u64, part: &Part) -> bool {
        self.holds.get(part).is_some_and(|hold| hold.member == id && hold.position.is_some())
    }

    pub fn advance(&mut self, id: u64, part: &Part, next: u64) {
        if let Some(hold) = self.holds.get_mut(part).filter(|hold| hold.member == id) {
            hold.position = Some(next);
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.last = Some(part.clone());
        }
    }

    /// Does this hold still stand, without a start offset?
    pub fn awaits(&self, part: &Part, number: u64) -> bool {
        self.holds.get(part).is_some_and(|hold| hold.number == number && hold.position.is_none())
    }

    pub fn settle(&mut self, part: &Part, position: u64) {
        if let Some(hold) = self.holds.get_mut(part) {
            hold.position = Some(position);
        }
    }

    /// When the first partition that this member waits for becomes free at the latest.
    pub fn deadline(&self, id: u64) -> Option<Instant> {
        let waited = self.members.get(&id)?.target.iter().filter_map(|part| self.holds.get(part));
        waited.filter(|hold| hold.member != id).filter_map(|hold| hold.until).min()
    }

    pub fn turn(&mut self, id: u64) -> Turn {
        self.let_go(id);
        let Some(member) = self.members.get_mut(&id) else { return Turn::Idle };
        if !member.revoked.is_empty() {
            member.leaving = std::mem::take(&mut member.revoked);
            return Turn::Revoked(member.leaving.iter().cloned().collect());
        }
        let now = Instant::now();
        for part in &member.target {
            let free = match self.holds.get(part) {
                None => true,
                Some(hold) => hold.member != id && hold.until.is_some_and(|until| until <= now),
            };
            if free {
                self.holds_made += 1;
                let hold = Hold { member: id, number: self.holds_made, position: None, until: None };
                self.holds.insert(part.clone(), hold);
            }
        }
        let mut start = Vec::new();
        let mut read = Vec::new();
        for (part, hold) in self.holds.iter().filter(|(_, hold)| hold.member == id && hold.until.is_none()) {
            match hold.position {
                None => start.push((part.clone(), hold.number)),
                Some(position) => read.push((part.clone(), position)),
            }
        }
        if !start.is_empty() {
            return Turn::Start(start);
        }
        if let Some(last) = &member.last {
            let after = read.partition_point(|(part, _)| part <= last);
            read.rotate_left(after);
        }
        if read.is_empty() { Turn::Idle } else { Turn::Read(read) }
    }

    fn let_go(&mut self, id: u64) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let leaving = std::mem::take(&mut member.leaving);
        if leaving.is_empty() {
            return;
        }
        for part in leaving {
            if self.holds.get(&part).is_some_and(|hold| hold.member == id && hold.until.is_some()) {
                self.holds.remove(&part);
            }
        }
        self.wake_all();
    }

    /// Deals the partitions of each topic in turn to the members that read it.
    fn rebalance(&mut self, partitions: impl Fn(&str) -> u32) {
        self.members.values_mut().for_each(|member| member.target.clear());
        let topics: BTreeSet<String> = self.members.values().flat_map(|m| m.topics.iter().cloned()).collect();
        let mut turn = 0;
        for topic in topics {
            let readers: Vec<u64> =
                self.members.iter().filter(|(_, m)| m.topics.contains(&topic)).map(|(id, _)| *id).collect();
            for partition in 0..partitions(&topic) {
                let owner = readers[turn % readers.len()];
                turn += 1;
                if let Some(member) = self.members.get_mut(&owner) {
                    member.target.insert((topic.clone(), partition));
                }
            }
        }
        let until = Instant::now() + self.grace;
        self.holds.retain(|part, hold| {
            let Some(member) = self.members.get_mut(&hold.member) else { return false };
            if member.target.contains(part) {
                // Taken and given back before it was said: nothing happened.
                if member.revoked.remove(part) {
                    hold.until = None;
                }
                return true;
            }
            if hold.position.is_none() {
                return false;
            }
            if hold.until.is_none() {
                hold.until = Some(until);
                member.revoked.insert(part.clone());
            }
            true
        });
        self.wake_all();
    }
}
