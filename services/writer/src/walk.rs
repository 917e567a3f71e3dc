//! A walk: one pass over a target, by one process, with a few hands (C6).
//!
//! # Why this is right
//!
//! Chunks hold the target's lanes shared, so chunks of one walk run side by side while every lane's own batches wait. What
//! keeps two of them from one scope is the walk: it hands out disjoint key ranges, one after the other. What keeps two
//! walks from one target is the `walker` in the lanes' rows: it is set with all lanes locked, which waits for every chunk
//! of the walk before, and each later chunk of that walk finds another walker under its shared locks and does nothing.
//! So a scope still has one writer at a time, and each reads after it got the lane (P2).
//!
//! The server's named lock is a courtesy on top: while a walk lives, another process does not claim its target.
//!
//! *The place never runs ahead.* `done_to` is the end of the ranges that are done without a hole; a chunk that is done
//! before an earlier one leaves it where it is. A range that fails ends the walk; the next one begins at `done_to`, and
//! does again what was done behind the hole, which changes nothing.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use change::Key;
use mysql::control::{lane, pass};
use mysql::{Database, DbError, Session, scan};
use plan::quote;
use plan::sql::{Range, ScopeTable};
use tokio::sync::Mutex as AsyncMutex;

use crate::apply::Outcome;
use crate::chunk::ChunkSize;

/// Ranges that may be handed out beyond the pass's place.
const AHEAD: usize = 8;

pub struct Walk {
    pub target: String,
    walker: String,
    head: AsyncMutex<Head>,
    /// The pass as its row says. Held from the pass's row to the end of the commit, so that hands commit one by one.
    tail: AsyncMutex<pass::Pass>,
    /// Ranges that are handed out, in key order.
    open: Mutex<VecDeque<Piece>>,
    size: Mutex<ChunkSize>,
    /// No further range is handed out: the table is at its end, or something went wrong.
    over: AtomicBool,
}

struct Head {
    /// Holds the named lock.
    session: Session,
    next: Option<Key>,
    number: u64,
    /// The pass is one range of so many scopes.
    most: Option<u64>,
}

struct Piece {
    number: u64,
    /// `None`: to the end of the table.
    high: Option<Key>,
    /// The pass ends with it.
    last: bool,
    done: bool,
}

impl Walk {
    /// Claims the target for a pass; `None`: another process walks over it, or the pass is done.
    pub async fn begin(db: &Database, pass: &pass::Pass, size: ChunkSize) -> Result<Option<Self>, DbError> {
        let mut session = db.session().await?;
        // The named lock of a lost host goes within a minute. Losing an idle session only begins another walk.
        session.execute("SET SESSION wait_timeout = 60").await?;
        let got = session.row(&format!("SELECT GET_LOCK({}, 0), UUID()", name(db, &pass.target))).await?;
        let Some(got) = got.filter(|r| matches!(r.u64(0), Ok(Some(1)))) else {
            session.close().await;
            return Ok(None);
        };
        let walker = got.text(1)?.unwrap_or_default().to_string();
        lane::claim(&mut session, db, &pass.target, &walker).await?;
        let Some(pass) = pass::start(&mut session, db, pass.id).await? else {
            session.close().await;
            return Ok(None);
        };
        Ok(Some(Self {
            target: pass.target.clone(),
            walker,
            head: AsyncMutex::new(Head { session, next: pass.done_to.clone(), number: 0, most: pass.most }),
            tail: AsyncMutex::new(pass),
            open: Mutex::default(),
            size: Mutex::new(size),
            over: AtomicBool::new(false),
        }))
    }

    /// Does nobody walk over this target?
    pub async fn is_free(session: &mut Session, db: &Database, target: &str) -> Result<bool, DbError> {
        let row = session.row(&format!("SELECT IS_FREE_LOCK({})", name(db, target))).await?;
        Ok(row.map(|r| r.bool(0)).transpose()?.flatten().unwrap_or(false))
    }

    pub fn walker(&self) -> &str {
        &self.walker
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    /// Hands out no further range.
    pub fn end(&self) {
        self.over.store(true, Relaxed);
    }

    /// The next range and its number.
    pub async fn next(&self, schema: &str, table: &ScopeTable) -> Result<Option<(Range, u64)>, DbError> {
        let mut head = self.head.lock().await;
        // Behind a hole that stays open no more is done than is cheap to do again.
        while !self.is_over() && self.open.lock().unwrap_or_else(PoisonError::into_inner).len() >= AHEAD {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if self.is_over() {
            return Ok(None);
        }
        let low = head.next.take();
        let adapted = self.size.lock().unwrap_or_else(PoisonError::into_inner).scopes();
        let size = head.most.unwrap_or(adapted);
        let high = match scan::boundary(&mut head.session, schema, table, low.as_ref(), size).await {
            Ok(high) => high,
            Err(e) => {
                self.end();
                return Err(e);
            }
        };
        let last = high.is_none() || head.most.is_some();
        if last {
            self.end();
        }
        head.next = high.clone();
        head.number += 1;
        let piece = Piece { number: head.number, high: high.clone(), last, done: false };
        self.open.lock().unwrap_or_else(PoisonError::into_inner).push_back(piece);
        Ok(Some((Range { low, high }, head.number)))
    }

    /// Moves the pass's place as far as this range allows, and commits both. `false`: another process has moved the pass.
    pub async fn settle(
        &self,
        session: &mut Session,
        db: &Database,
        number: u64,
        outcome: &Outcome,
    ) -> Result<bool, DbError> {
        let mut tail = self.tail.lock().await;
        let (done_to, last, pieces) = self.reach(number, tail.done_to.as_ref());
        let step = pass::Step {
            done_to: done_to.as_ref(),
            last,
            scanned: outcome.scanned,
            changed: outcome.changed,
        };
        if !pass::advance(session, db, &tail, &step).await? {
            return Ok(false);
        }
        session.commit().await?;
        tail.done_to = done_to;
        tail.scanned += outcome.scanned;
        tail.changed += outcome.changed;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mine) = open.iter_mut().find(|p| p.number == number) {
            mine.done = true;
        }
        open.drain(..pieces);
        if last {
            tracing::info!(target = %self.target, scanned = tail.scanned, changed = tail.changed, "pass done");
        }
        Ok(true)
    }

    /// How far all is done once `number` is: the place, whether that is the end, and how many ranges it takes in.
    fn reach(&self, number: u64, from: Option<&Key>) -> (Option<Key>, bool, usize) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        reach(&open, number, from)
    }

    pub fn learn(&self, held: Duration) {
        self.size.lock().unwrap_or_else(PoisonError::into_inner).learn(held);
    }

    /// Gives the target free. The last hand does it.
    pub async fn close(self) {
        self.head.into_inner().session.close().await;
    }
}

/// The named lock of a target, as SQL. A name has 64 characters at most.
fn name(db: &Database, target: &str) -> String {
    let whole = quote::text(&format!("{}/{target}", db.control()));
    format!("CONCAT('crossfade pass ', LEFT(SHA2({whole}, 256), 40))")
}

fn reach(open: &VecDeque<Piece>, number: u64, from: Option<&Key>) -> (Option<Key>, bool, usize) {
    let done = open.iter().take_while(|p| p.done || p.number == number).count();
    let last = open.iter().take(done).any(|p| p.last);
    let place = open.iter().take(done).filter_map(|p| p.high.as_ref()).next_back();
    (place.or(from).cloned(), last, done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use change::Cell;

    fn key(n: i64) -> Key {
        Key(vec![Cell::Int(n)])
    }

    #[test]
    fn the_place_stops_at_the_first_hole() {
        let piece = |number, high: Option<i64>, done| Piece {
            number,
            high: high.map(key),
            last: high.is_none(),
            done,
        };
        let mut open: VecDeque<Piece> =
            [piece(1, Some(10), false), piece(2, Some(20), false), piece(3, None, false)].into();
        let low = key(5);
        assert_eq!(reach(&open, 2, Some(&low)), (Some(key(5)), false, 0), "1 is not done yet");
        assert_eq!(reach(&open, 3, None), (None, false, 0), "nor is the end reached");
        open[1].done = true;
        assert_eq!(reach(&open, 1, Some(&low)), (Some(key(20)), false, 2), "1 takes 2 with it");
        open[2].done = true;
        assert_eq!(reach(&open, 1, Some(&low)), (Some(key(20)), true, 3), "and the end");
    }
}
