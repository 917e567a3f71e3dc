//! What one session knows: which ids there may be, which times and texts it uses, what it will do later.
//!
//! Nothing is read from the database while the churn runs, so that a session's choices depend on its seed alone.
//! A statement that hits no row is fine; applications do that too.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::ledger::Ledger;
use crate::connect::text;
use crate::sample::{BIG_IDS, TROUBLE_IDS};

/// What the schema held when the churn started; the same for all sessions.
#[derive(Debug)]
pub struct Ground {
    pub sessions: u64,
    /// Greatest generated id per table, and the greatest below `BIG_IDS`.
    pub tables: BTreeMap<&'static str, Extent>,
    /// Some of the requests' ids, in order.
    pub requests: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
pub struct Extent {
    pub generated: u64,
    pub free_from: u64,
}

pub struct World {
    pub session: u64,
    pub ground: Arc<Ground>,
    pub ledger: Ledger,
    rng: StdRng,
    next: BTreeMap<&'static str, u64>,
    recent: BTreeMap<&'static str, VecDeque<u64>>,
    own_requests: VecDeque<String>,
    /// Statements for later transactions: late audit entries, parents that come back.
    later: VecDeque<String>,
    last_time: String,
    /// Acts that are not played.
    pub without: &'static [&'static str],
}

/// A user's id that is never in any table.
const NOBODY: u64 = TROUBLE_IDS + 99;

impl World {
    pub fn new(session: u64, seed: u64, ground: Arc<Ground>, ledger: Ledger) -> World {
        World {
            session,
            ground,
            ledger,
            rng: StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(session)),
            next: BTreeMap::new(),
            recent: BTreeMap::new(),
            own_requests: VecDeque::new(),
            later: VecDeque::new(),
            last_time: "2024-06-01 00:00:00".into(),
            without: &[],
        }
    }

    /// True `n` times in a hundred.
    pub fn percent(&mut self, n: u32) -> bool {
        self.rng.random_range(0..100) < n
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.rng.random_range(0..n.max(1))
    }

    pub fn one_of<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.rng.random_range(0..of.len())]
    }

    /// A new id of this session: no other session makes it, and it is this session's by `owns`.
    pub fn fresh(&mut self, table: &'static str) -> u64 {
        let n = self.ground.sessions;
        let from = self.ground.tables.get(table).map_or(1, |e| e.free_from);
        let next = self.next.entry(table).or_insert((from / n + 1) * n + self.session);
        let id = *next;
        *next += n;
        let recent = self.recent.entry(table).or_default();
        recent.push_back(id);
        if recent.len() > 60 {
            recent.pop_front();
        }
        id
    }

    /// Only its owner deletes a row, changes its key or writes its fill columns, so that the ledger is exact.
    pub fn owns(&self, id: u64) -> bool {
        id % self.ground.sessions == self.session
    }

    /// An id that is likely to be in the table: a recent one, a hot one, any of the sample's, or a trouble.
    pub fn any(&mut self, table: &'static str) -> u64 {
        let generated = self.ground.tables.get(table).map_or(1, |e| e.generated).max(1);
        match self.below(100) {
            0..45 => {
                let count = self.recent.get(table).map_or(0, |r| r.len() as u64);
                let at = self.below(count) as usize;
                self.recent.get(table).and_then(|r| r.get(at).copied()).unwrap_or(1)
            }
            45..65 => 1 + self.below(generated.min(12)),
            65..95 => 1 + self.below(generated),
            95 => 0,
            96 => BIG_IDS + 1,
            _ => TROUBLE_IDS + 1 + self.below(8),
        }
    }

    /// As `any`, of this session's own.
    pub fn mine(&mut self, table: &'static str) -> u64 {
        let id = self.any(table);
        if self.owns(id) {
            return id;
        }
        let n = self.ground.sessions;
        id / n * n + self.session
    }

    /// A reference to a user: mostly one who is there, sometimes NULL or one who is gone.
    pub fn user(&mut self) -> String {
        match self.below(40) {
            0..3 => "NULL".into(),
            3 => NOBODY.to_string(),
            _ => self.any("users").to_string(),
        }
    }

    pub fn maybe(&mut self, table: &'static str) -> String {
        match self.below(20) {
            0 => "NULL".into(),
            1 => NOBODY.to_string(),
            _ => self.any(table).to_string(),
        }
    }

    /// A request's id as text, in any case.
    pub fn request(&mut self) -> String {
        let id = match self.below(100) {
            0..40 if !self.own_requests.is_empty() => {
                let count = self.own_requests.len() as u64;
                let at = self.below(count) as usize;
                self.own_requests[at].clone()
            }
            0..60 => self.ground.requests.first().cloned().unwrap_or_default(),
            60..63 => "REQ-2009-000123".into(),
            63..66 => "tail".into(),
            66..68 => "nothing here".into(),
            _ => {
                let count = self.ground.requests.len() as u64;
                let at = self.below(count) as usize;
                self.ground.requests.get(at).cloned().unwrap_or_default()
            }
        };
        match self.below(12) {
            0 => id.to_uppercase(),
            1 => id.to_lowercase(),
            _ => id,
        }
    }

    /// A new request's id, in any of the forms in which applications have written them.
    pub fn fresh_request(&mut self) -> String {
        let hex = format!("{:016x}{:016x}", self.rng.random::<u64>(), self.rng.random::<u64>());
        let id = match self.below(40) {
            0 => format!("REQ-{}-{}", self.session, &hex[..6]),
            1 => hex,
            2 => hex.to_uppercase(),
            3 => hex[..31].to_string(),
            4 => hyphens(&hex).to_uppercase(),
            // The other spelling of a UUID that this session made before: a collision.
            5 => match self.own_requests.back() {
                Some(other) if other.len() == 36 => other.replace('-', ""),
                Some(other) if other.len() == 32 => hyphens(other),
                _ => hyphens(&hex),
            },
            _ => hyphens(&hex),
        };
        self.own_requests.push_back(id.clone());
        if self.own_requests.len() > 40 {
            self.own_requests.pop_front();
        }
        id
    }

    /// A time as an SQL literal; often one that was used before, so that equal times occur.
    pub fn time(&mut self) -> String {
        if !self.percent(20) {
            let (day, second) = (self.below(700), self.below(86_400));
            let micro = if self.percent(40) { 0 } else { self.below(1_000_000) };
            let second = if self.percent(30) { second / 3600 * 3600 } else { second };
            self.last_time = format!(
                "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{micro:06}",
                2024 + day / 360,
                1 + day % 360 / 30,
                1 + day % 28,
                second / 3600,
                second / 60 % 60,
                second % 60
            );
        }
        format!("'{}'", self.last_time)
    }

    pub fn text(&mut self) -> String {
        match self.below(12) {
            0 => String::new(),
            1 => "   ".into(),
            2 => "it's \"quoted\" \\ and\nbroken".into(),
            3 => "żółć 😀 ".into(),
            n => format!("text {n} of {}/{}", self.session, self.rng.random_range(0..100_000)),
        }
    }

    /// A text or NULL as an SQL literal.
    pub fn text_or_null(&mut self) -> String {
        if self.percent(15) {
            return "NULL".into();
        }
        let value = self.text();
        text(&value)
    }

    pub fn later(&mut self, statement: String) {
        self.later.push_back(statement);
        if self.later.len() > 200 {
            self.later.pop_front();
        }
    }

    /// Takes back what was to be done later, oldest first.
    pub fn due(&mut self) -> Option<String> {
        self.later.pop_front()
    }
}

fn hyphens(hex: &str) -> String {
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
