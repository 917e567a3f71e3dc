//! One connection of the churn: runs transactions, bears deadlocks as an application does, and counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mysql::{Class, DbError, Session};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::acts::{self, Deal};
use super::ledger::Ledger;
use super::world::World;
use crate::connect;

/// Counts of all sessions together.
#[derive(Debug, Default)]
pub struct Counters {
    committed: AtomicU64,
    rolled_back: AtomicU64,
    deadlocks: AtomicU64,
    lock_waits: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
    in_doubt: AtomicU64,
    statements: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Acknowledged.
    pub committed: u64,
    /// On purpose.
    pub rolled_back: u64,
    pub deadlocks: u64,
    pub lock_waits: u64,
    /// A key that was there already.
    pub refused: u64,
    /// The connection went before the commit.
    pub lost: u64,
    /// The connection went while the commit was under way: it may have happened.
    pub in_doubt: u64,
    pub statements: u64,
}

impl Counters {
    pub fn tally(&self) -> Tally {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Tally {
            committed: read(&self.committed),
            rolled_back: read(&self.rolled_back),
            deadlocks: read(&self.deadlocks),
            lock_waits: read(&self.lock_waits),
            refused: read(&self.refused),
            lost: read(&self.lost),
            in_doubt: read(&self.in_doubt),
            statements: read(&self.statements),
        }
    }
}

pub struct Bounds {
    /// One transaction of this session per so much time.
    pub pace: Option<Duration>,
    pub duration: Option<Duration>,
    pub transactions: Option<u64>,
}

pub struct Ended {
    pub ledger: Ledger,
    pub by_act: BTreeMap<&'static str, u64>,
    pub unexpected: Vec<String>,
}

/// An application gives up after that many attempts.
const ATTEMPTS: u32 = 3;

pub async fn run(
    url: String,
    mut world: World,
    bounds: Bounds,
    counters: Arc<Counters>,
    stop: CancellationToken,
) -> Ended {
    let mut by_act = BTreeMap::new();
    let mut unexpected = Vec::new();
    let until = bounds.duration.map(|d| Instant::now() + d);
    let mut ticks = bounds.pace.map(|pace| {
        let mut ticks = tokio::time::interval(pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        ticks
    });
    let mut db = None;
    let mut done = 0;
    while !stop.is_cancelled()
        && until.is_none_or(|until| Instant::now() < until)
        && bounds.transactions.is_none_or(|most| done < most)
    {
        if let Some(ticks) = &mut ticks {
            tokio::select! { _ = ticks.tick() => {}, () = stop.cancelled() => break }
        }
        let Some(session) = opened(&mut db, &url, &stop).await else { continue };
        let deal = acts::next(&mut world);
        done += 1;
        for attempt in 1..=ATTEMPTS {
            let outcome = transact(session, &deal, &counters).await;
            if settle(outcome, &deal, &mut world, &counters, &mut by_act, &mut unexpected)
                || attempt == ATTEMPTS
            {
                break;
            }
        }
        if !session.is_open() {
            db = None;
        }
    }
    if let Some(db) = db {
        db.close().await;
    }
    Ended { ledger: world.ledger, by_act, unexpected }
}

/// The session's connection, opened anew if it was lost; `None` after a short while without a server.
async fn opened<'a>(
    db: &'a mut Option<Session>,
    url: &str,
    stop: &CancellationToken,
) -> Option<&'a mut Session> {
    if db.is_none() {
        match connect::to(url).await {
            Ok(session) => *db = Some(session),
            Err(_) => {
                let _ = tokio::time::timeout(Duration::from_millis(100), stop.cancelled()).await;
            }
        }
    }
    db.as_mut()
}

/// Where a transaction failed: whether it may have been committed depends on that.
enum Failed {
    Before(DbError),
    Committing(DbError),
}

async fn transact(db: &mut Session, deal: &Deal, counters: &Counters) -> Result<(), Failed> {
    db.begin().await.map_err(Failed::Before)?;
    for statement in &deal.statements {
        counters.statements.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = db.execute(statement).await {
            if db.is_open() {
                let _ = db.rollback().await;
            }
            return Err(Failed::Before(error));
        }
    }
    if deal.commits {
        db.commit().await.map_err(Failed::Committing)
    } else {
        db.rollback().await.map_err(Failed::Before)
    }
}

/// Counts the outcome and keeps the ledger; false: try the transaction again.
fn settle(
    outcome: Result<(), Failed>,
    deal: &Deal,
    world: &mut World,
    counters: &Counters,
    by_act: &mut BTreeMap<&'static str, u64>,
    unexpected: &mut Vec<String>,
) -> bool {
    let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
    match outcome {
        Ok(()) if deal.commits => {
            count(&counters.committed);
            *by_act.entry(deal.act).or_insert(0) += 1;
            for effect in &deal.effects {
                world.ledger.apply(effect.clone());
            }
        }
        Ok(()) => {
            count(&counters.rolled_back);
        }
        Err(Failed::Committing(error)) => {
            count(&counters.in_doubt);
            for effect in &deal.effects {
                world.ledger.doubt(effect);
            }
            if error.class != Class::Connection {
                note(unexpected, deal, &error);
            }
        }
        Err(Failed::Before(error)) => match error.class {
            Class::Deadlock => {
                count(&counters.deadlocks);
                return false;
            }
            Class::LockWait => {
                count(&counters.lock_waits);
                return false;
            }
            Class::Duplicate => {
                count(&counters.refused);
            }
            Class::Connection | Class::ReadOnly => {
                count(&counters.lost);
            }
            _ => note(unexpected, deal, &error),
        },
    }
    true
}

fn note(unexpected: &mut Vec<String>, deal: &Deal, error: &DbError) {
    if unexpected.len() < 20 {
        unexpected.push(format!(
            "{}: {error}: {}\n{}",
            deal.act,
            error.server_message(),
            deal.statements.join(";\n")
        ));
    }
}
