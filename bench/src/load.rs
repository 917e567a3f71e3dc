//! The application's load: a backlog at once, or changes at a steady pace.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::stand::{COPY, Stand, run};

/// Makes the backlog over two connections, without waiting for disks.
pub async fn backlog(stand: &Stand, changes: u64) -> Result<()> {
    let rows = stand.settings.rows;
    stand.durable(false).await?;
    let mut workers = Vec::new();
    for share in [changes / 2, changes - changes / 2] {
        let mut db = stand.session(COPY).await?;
        workers
            .push(tokio::spawn(async move { run(&mut db, &format!("CALL backlog({share}, {rows})")).await }));
    }
    for worker in workers {
        worker.await??;
    }
    stand.durable(true).await
}

/// Changes at a pace, until it is stopped.
pub struct Churn {
    stop: watch::Sender<bool>,
    worker: JoinHandle<Result<u64>>,
    began: Instant,
}

impl Churn {
    pub async fn start(stand: &Stand, per_second: u64) -> Result<Self> {
        let mut db = stand.session(COPY).await?;
        let rows = stand.settings.rows;
        let (stop, stopped) = watch::channel(false);
        let worker = tokio::spawn(async move {
            let mut pace = Pace::new(per_second);
            while !*stopped.borrow() {
                let n = pace.next().await;
                run(&mut db, &format!("START TRANSACTION; CALL churn_rows({n}, {rows}); COMMIT")).await?;
            }
            Ok(pace.made)
        });
        Ok(Self { stop, worker, began: Instant::now() })
    }

    /// Row changes a second that were really made.
    pub async fn stop(self) -> Result<f64> {
        // The worker listens until it ends.
        let _ = self.stop.send(true);
        let made = self.worker.await??;
        Ok(made as f64 / self.began.elapsed().as_secs_f64())
    }
}

/// When the next transaction is due, and of how many rows it is: 1 to 20, in a fixed order.
pub struct Pace {
    per_second: f64,
    due: Instant,
    pub made: u64,
}

impl Pace {
    pub fn new(per_second: u64) -> Self {
        Self { per_second: per_second as f64, due: Instant::now(), made: 0 }
    }

    pub async fn next(&mut self) -> u64 {
        let n = 1 + self.made * 7 % 20;
        self.due += Duration::from_secs_f64(n as f64 / self.per_second);
        tokio::time::sleep_until(self.due.into()).await;
        self.made += n;
        n
    }
}
