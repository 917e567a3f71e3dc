//! The load: sessions that write until they are stopped, whatever happens to their connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use mysql::{Class, DbError, Session};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{Item, Ledger, OWNERS};
use crate::connect;

#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    pub sessions: u64,
    /// Transactions a second over all sessions.
    pub rate: f64,
    pub seed: u64,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { sessions: 4, rate: 150.0, seed: 1 }
    }
}

/// A running load; dropping it stops it.
pub struct Load {
    stop: CancellationToken,
    sessions: JoinSet<Result<(Ledger, Duration)>>,
    committed: Arc<AtomicU64>,
}

/// What a load came to.
#[derive(Debug)]
pub struct Loaded {
    pub ledger: Ledger,
    /// Acknowledged transactions.
    pub transactions: u64,
    /// The longest time that one transaction took, retries and lost connections included.
    pub longest: Duration,
}

impl Load {
    pub fn start(url: &str, before: &Ledger, options: LoadOptions) -> Self {
        let (stop, committed) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
        let mut sessions = JoinSet::new();
        for number in 0..options.sessions {
            let own = before.iter().filter(|(id, _)| *id % options.sessions == number);
            let worker = Worker {
                url: url.to_owned(),
                number,
                sessions: options.sessions,
                rng: StdRng::seed_from_u64(options.seed.wrapping_mul(7919).wrapping_add(number)),
                ledger: own.map(|(id, item)| (*id, item.clone())).collect(),
                version: 0,
                transaction: 0,
                next: 1_000_000 + number,
                db: None,
                committed: committed.clone(),
                longest: Duration::ZERO,
            };
            let pace = Duration::from_secs_f64(options.sessions as f64 / options.rate);
            sessions.spawn(worker.run(pace, stop.clone()));
        }
        Self { stop, sessions, committed }
    }

    /// Transactions that were acknowledged so far.
    pub fn committed(&self) -> u64 {
        self.committed.load(Relaxed)
    }

    /// Lets each session find out what became of its last transaction.
    pub async fn stop(mut self) -> Result<Loaded> {
        self.stop.cancel();
        let (mut ledger, mut longest) = (Ledger::new(), Duration::ZERO);
        while let Some(ended) = self.sessions.join_next().await {
            let (own, took) = ended.context("a session of the load panicked")??;
            ledger.extend(own);
            longest = longest.max(took);
        }
        Ok(Loaded { ledger, transactions: self.committed.load(Relaxed), longest })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Worker {
    url: String,
    number: u64,
    sessions: u64,
    rng: StdRng,
    ledger: Ledger,
    version: i64,
    transaction: u64,
    /// The next id that was never there.
    next: u64,
    db: Option<Session>,
    committed: Arc<AtomicU64>,
    longest: Duration,
}

/// A transaction, and what it does to the session's rows: `None` is deleted.
type Deal = (Vec<String>, Vec<(u64, Option<Item>)>);

impl Worker {
    async fn run(mut self, pace: Duration, stop: CancellationToken) -> Result<(Ledger, Duration)> {
        let mut ticks = tokio::time::interval(pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            tokio::select! { _ = ticks.tick() => {}, () = stop.cancelled() => break }
            let (statements, effects) = self.deal();
            let began = Instant::now();
            self.transaction += 1;
            if self.commit(&statements).await? {
                self.committed.fetch_add(1, Relaxed);
                for (id, item) in effects {
                    match item {
                        Some(item) => drop(self.ledger.insert(id, item)),
                        None => drop(self.ledger.remove(&id)),
                    }
                }
            }
            self.longest = self.longest.max(began.elapsed());
        }
        Ok((self.ledger, self.longest))
    }

    /// Until the transaction is committed, or was refused for good.
    async fn commit(&mut self, statements: &[String]) -> Result<bool> {
        loop {
            let mut db = self.open().await?;
            match run(&mut db, statements).await {
                Ok(()) => {
                    self.db = Some(db);
                    return Ok(true);
                }
                Err((error, _)) if matches!(error.class, Class::Deadlock | Class::LockWait) => {
                    self.db = Some(db);
                }
                // The answer to the COMMIT was lost: the row that went with it says whether it happened.
                Err((error, true)) if error.class == Class::Connection => {
                    let mut db = self.open().await?;
                    let sql = format!("SELECT transaction FROM committed WHERE session = {}", self.number);
                    let happened = connect::number(&mut db, &sql).await? == self.transaction;
                    self.db = Some(db);
                    if happened {
                        return Ok(true);
                    }
                }
                Err((error, false)) if matches!(error.class, Class::Connection | Class::ReadOnly) => {}
                Err((error, _)) => return Err(connect::said(error)),
            }
        }
    }

    /// A connection, as soon as there is a server.
    async fn open(&mut self) -> Result<Session> {
        if let Some(db) = self.db.take().filter(Session::is_open) {
            return Ok(db);
        }
        let began = Instant::now();
        loop {
            match connect::to(&self.url).await {
                Ok(db) => return Ok(db),
                Err(e) if began.elapsed() > Duration::from_secs(120) => return Err(e),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn deal(&mut self) -> Deal {
        let mut rows: Ledger = self.ledger.clone();
        let (mut statements, mut effects) = (Vec::new(), Vec::new());
        for _ in 0..self.rng.random_range(1..=4) {
            self.version += 1;
            let item = Item {
                version: self.version,
                owner: self.rng.random_bool(0.8).then(|| self.rng.random_range(1..=OWNERS)),
                note: self
                    .rng
                    .random_bool(0.5)
                    .then(|| format!("{} of session {}", self.version, self.number)),
            };
            let some = rows.keys().nth(self.rng.random_range(0..rows.len().max(1))).copied();
            match (self.rng.random_range(0..20), some) {
                (0..4, _) | (_, None) => {
                    // One that was there before may come back.
                    let id = self.next;
                    self.next += self.sessions * self.rng.random_range(0..=1);
                    if rows.contains_key(&id) {
                        continue;
                    }
                    statements.push(insert(id, &item));
                    rows.insert(id, item.clone());
                    effects.push((id, Some(item)));
                }
                (4..6, Some(id)) => {
                    statements.push(format!("DELETE FROM items WHERE id = {id}"));
                    rows.remove(&id);
                    effects.push((id, None));
                }
                (6, Some(id)) => {
                    let to = self.next;
                    self.next += self.sessions;
                    if rows.contains_key(&to) {
                        continue;
                    }
                    statements
                        .push(format!("UPDATE items SET id = {to}, {} WHERE id = {id}", assigned(&item)));
                    rows.remove(&id);
                    rows.insert(to, item.clone());
                    effects.extend([(id, None), (to, Some(item))]);
                }
                // Owners belong to nobody: the ledger does not know them, and the judge asks the table.
                (7, _) => {
                    let owner = self.rng.random_range(1..=OWNERS);
                    statements.push(match self.rng.random_range(0..3) {
                        0 => format!("DELETE FROM owners WHERE id = {owner}"),
                        1 => format!(
                            "UPDATE owners SET name = 'owner {owner}, {}' WHERE id = {owner}",
                            self.version
                        ),
                        _ => format!("INSERT IGNORE INTO owners VALUES ({owner}, 'owner {owner}')"),
                    });
                }
                (_, Some(id)) => {
                    statements.push(format!("UPDATE items SET {} WHERE id = {id}", assigned(&item)));
                    rows.insert(id, item.clone());
                    effects.push((id, Some(item)));
                }
            }
        }
        statements.push(format!("REPLACE INTO committed VALUES ({}, {})", self.number, self.transaction + 1));
        (statements, effects)
    }
}

/// With the error: whether the COMMIT was on its way.
async fn run(db: &mut Session, statements: &[String]) -> Result<(), (DbError, bool)> {
    db.begin().await.map_err(|e| (e, false))?;
    for statement in statements {
        if let Err(e) = db.execute(statement).await {
            if db.is_open() {
                let _ = db.rollback().await;
            }
            return Err((e, false));
        }
    }
    db.commit().await.map_err(|e| (e, true))
}

fn owner(item: &Item) -> String {
    item.owner.map_or("NULL".into(), |id| id.to_string())
}

fn note(item: &Item) -> String {
    item.note.as_deref().map_or("NULL".into(), connect::text)
}

fn assigned(item: &Item) -> String {
    format!("version = {}, owner_id = {}, note = {}", item.version, owner(item), note(item))
}

fn insert(id: u64, item: &Item) -> String {
    let values = format!("{id}, {}, {}, {}", item.version, owner(item), note(item));
    format!("INSERT INTO items (id, version, owner_id, note) VALUES ({values})")
}
