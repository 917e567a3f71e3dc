//! A reader of the new side, all the time: no row ever goes back to a version that it has left.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use mysql::{DbError, Session};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::connect;

const LOOK: Duration = Duration::from_millis(10);

pub struct Watch {
    stop: CancellationToken,
    task: JoinHandle<Seen>,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    pub looks: u64,
    /// Rows that went back.
    pub back: Vec<String>,
    latest: HashMap<String, i64>,
}

impl Watch {
    pub fn start(url: &str) -> Self {
        let (stop, url) = (CancellationToken::new(), url.to_owned());
        let task = tokio::spawn(watch(url, stop.clone()));
        Self { stop, task }
    }

    pub async fn stop(self) -> Result<Seen> {
        self.stop.cancel();
        self.task.await.context("the watch panicked")
    }
}

async fn watch(url: String, stop: CancellationToken) -> Seen {
    let (mut seen, mut held) = (Seen::default(), None);
    while !stop.is_cancelled() {
        let began = Instant::now();
        if held.is_none() {
            held = connect::to(&url).await.ok();
        }
        if let Some(db) = &mut held
            && look(db, &mut seen).await.is_err()
        {
            held = None;
        }
        // Looking is not to be the load.
        tokio::time::sleep(LOOK.max(began.elapsed())).await;
    }
    seen
}

async fn look(db: &mut Session, seen: &mut Seen) -> Result<(), DbError> {
    for row in db.rows("SELECT HEX(id), version FROM items_new WHERE NOT note <=> 'great'").await? {
        let (id, version) = (row.text(0)?.unwrap_or_default(), row.i64(1)?.unwrap_or_default());
        match seen.latest.get_mut(id) {
            Some(latest) if *latest > version => {
                seen.back.push(format!("{id}: {latest}, and then {version}"));
            }
            Some(latest) => *latest = version,
            None => drop(seen.latest.insert(id.to_owned(), version)),
        }
    }
    seen.looks += 1;
    Ok(())
}
