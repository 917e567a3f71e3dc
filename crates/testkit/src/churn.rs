//! A legacy application that keeps writing: many sessions, every table, every kind of change that PHASE2 names.
//!
//! What a session does depends on the seed and its number alone; how the sessions mix is the server's business. An
//! acknowledged transaction is one whose COMMIT returned.

mod acts;
pub mod ledger;
mod session;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use mysql::Session;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::connect::{self, said};
use crate::sample::{BIG_IDS, TROUBLE_IDS};
use ledger::{Found, Ledger, Note};
pub use session::{Counters, Tally};
use world::{Extent, Ground};

#[derive(Clone, Debug)]
pub struct ChurnOptions {
    /// Connections that write at the same time.
    pub sessions: u64,
    /// Transactions a second over all sessions; 0: as fast as the server takes them.
    pub rate: f64,
    /// Ends by itself after this time, or after this many transactions of each session.
    pub duration: Option<Duration>,
    pub transactions: Option<u64>,
    pub seed: u64,
    /// Acts that are not played, by their names.
    pub without: &'static [&'static str],
}

impl Default for ChurnOptions {
    fn default() -> Self {
        ChurnOptions { sessions: 4, rate: 200.0, duration: None, transactions: None, seed: 1, without: &[] }
    }
}

pub struct Churn;

impl Churn {
    /// Starts writing to the schema named in the URL, which holds a sample (or an earlier churn's rows).
    pub async fn start(url: &str, options: ChurnOptions) -> Result<ChurnHandle> {
        let mut db = connect::to(url).await?;
        let ground = Arc::new(ground(&mut db, options.sessions.max(1)).await.context("look at the sample")?);
        let found = Arc::new(found(&mut db).await.context("look at the fill columns")?);
        db.close().await;

        let stop = CancellationToken::new();
        let counters = Arc::new(Counters::default());
        let mut running = JoinSet::new();
        for number in 0..ground.sessions {
            let mut world =
                world::World::new(number, options.seed, ground.clone(), Ledger::new(found.clone()));
            world.without = options.without;
            let pace =
                (options.rate > 0.0).then(|| Duration::from_secs_f64(ground.sessions as f64 / options.rate));
            running.spawn(session::run(
                url.to_string(),
                world,
                session::Bounds { pace, duration: options.duration, transactions: options.transactions },
                counters.clone(),
                stop.clone(),
            ));
        }
        Ok(ChurnHandle { stop, counters, running, since: Instant::now() })
    }
}

/// A running churn; dropping it stops it, but only `stop` waits and reports.
pub struct ChurnHandle {
    stop: CancellationToken,
    /// May be read at any time.
    pub counters: Arc<Counters>,
    running: JoinSet<session::Ended>,
    since: Instant,
}

impl ChurnHandle {
    /// Lets each session end its transaction, and says what was done.
    pub async fn stop(self) -> Result<ChurnReport> {
        self.stop.cancel();
        self.ended().await
    }

    /// Waits until the options' duration or number of transactions is reached.
    pub async fn ended(mut self) -> Result<ChurnReport> {
        let (mut ledgers, mut by_act, mut unexpected) = (Vec::new(), BTreeMap::new(), Vec::new());
        while let Some(ended) = self.running.join_next().await {
            let ended = ended.context("a session of the churn panicked")?;
            for (act, n) in ended.by_act {
                *by_act.entry(act).or_insert(0) += n;
            }
            unexpected.extend(ended.unexpected);
            ledgers.push(ended.ledger);
        }
        Ok(ChurnReport {
            tally: self.counters.tally(),
            by_act,
            unexpected,
            elapsed: self.since.elapsed(),
            ledger: Ledger::merge(ledgers),
        })
    }
}

impl Drop for ChurnHandle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[derive(Debug)]
pub struct ChurnReport {
    pub tally: Tally,
    /// Committed transactions by what they began with.
    pub by_act: BTreeMap<&'static str, u64>,
    /// Errors that an application should not meet; a test expects none.
    pub unexpected: Vec<String>,
    pub elapsed: Duration,
    /// What the fill columns may hold now.
    pub ledger: Ledger,
}

/// All acts, whether or not they have happened.
pub fn act_names() -> Vec<&'static str> {
    acts::names().collect()
}

const TABLES: [&str; 16] = [
    "users",
    "roles",
    "permissions",
    "process_steps",
    "slas",
    "file_attachments",
    "assignments",
    "delays",
    "delay_justifications",
    "escalation_rules",
    "escalation_histories",
    "delegations",
    "feature_flags",
    "request_logs",
    "audit_logs",
    "legal_holds",
];

async fn ground(db: &mut Session, sessions: u64) -> Result<Ground> {
    let mut tables = BTreeMap::new();
    for table in TABLES {
        let generated = format!("SELECT MAX(id) FROM {table} WHERE id < {TROUBLE_IDS}");
        let greatest = format!("SELECT MAX(id) FROM {table} WHERE id < {BIG_IDS}");
        let generated = connect::number(db, &generated).await?;
        let free_from = connect::number(db, &greatest).await?.max(2 * TROUBLE_IDS) + 1;
        tables.insert(table, Extent { generated, free_from });
    }
    let mut requests = Vec::new();
    for row in db.rows("SELECT id FROM requests ORDER BY id LIMIT 3000").await.map_err(said)? {
        requests.push(row.text(0)?.unwrap_or_default().to_string());
    }
    Ok(Ground { sessions, tables, requests })
}

async fn found(db: &mut Session) -> Result<Found> {
    let mut found = Found::default();
    for row in db.rows("SELECT id, active FROM users").await.map_err(said)? {
        found.users.insert(row.u64(0)?.context("a user's id")?, row.i64(1)?);
    }
    for row in db.rows("SELECT id, remarks, notes FROM assignments").await.map_err(said)? {
        let text = |i| Ok::<_, mysql::DbError>(row.text(i)?.map(str::to_string));
        found.assignments.insert(row.u64(0)?.context("an assignment's id")?, Note::new(text(1)?, text(2)?));
    }
    Ok(found)
}
