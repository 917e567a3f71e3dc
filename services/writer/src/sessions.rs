//! Sessions with their staging tables, shared by the lanes. A lane that finds none free lets its marks pile up, which
//! makes its next batch larger: that is how the writer adapts to load.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use mysql::{Database, DbError, Session};
use plan::sql::TargetSql;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub struct Sessions {
    database: Database,
    free: Mutex<Vec<Worker>>,
    permits: Arc<Semaphore>,
}

/// Seconds that a statement waits for rows that somebody else holds; all lanes of the batch wait with it.
pub const LOCK_WAIT: u32 = 1;

/// A client that is lost, or hangs, in a transaction holds the lanes, and perhaps rows of the application: the server ends it after so
/// many seconds. The second limit begins with the first written row.
const IDLE: &str = "SET SESSION innodb_lock_wait_timeout = DEFAULT /*M!100300 , idle_transaction_timeout = 5, idle_write_transaction_timeout = 5 */";

/// How long the session's statements wait for locked rows from now on; 0: not at all.
pub async fn wait_for_locks(session: &mut Session, seconds: u32) -> Result<(), DbError> {
    session.execute(&format!("SET SESSION innodb_lock_wait_timeout = {seconds}")).await.map(drop)
}

/// A session and the staging tables that it has.
pub struct Worker {
    pub session: Session,
    staged: HashSet<String>,
}

/// A worker on loan. It goes back only by [`Loan::give_back`]: one that failed in mid-transaction is dropped, and the
/// server rolls back.
pub struct Loan {
    pub worker: Worker,
    _permit: OwnedSemaphorePermit,
}

impl Sessions {
    pub fn new(database: Database, most: usize) -> Self {
        Self { database, free: Mutex::default(), permits: Arc::new(Semaphore::new(most)) }
    }

    pub async fn take(&self) -> Result<Loan, DbError> {
        let permit = self.permits.clone().acquire_owned().await.expect("the semaphore is never closed");
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let worker = match free {
            Some(worker) => worker,
            None => {
                let mut session = self.database.session().await?;
                session.execute(IDLE).await?;
                wait_for_locks(&mut session, LOCK_WAIT).await?;
                Worker { session, staged: HashSet::new() }
            }
        };
        Ok(Loan { worker, _permit: permit })
    }

    pub fn give_back(&self, loan: Loan) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(loan.worker);
    }
}

impl Worker {
    /// Sees to it that the session has the target's staging table. Outside a transaction only.
    pub async fn prepare(&mut self, sql: &TargetSql<'_>) -> Result<(), DbError> {
        let staging = sql.staging();
        if !self.staged.contains(staging.name()) {
            self.session.execute(&staging.create()).await?;
            self.staged.insert(staging.name().to_string());
        }
        Ok(())
    }
}
