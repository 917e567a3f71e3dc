//! Is the new side of now? After an outage a stored `new_read` is older than what it would show: it is held back until
//! everything that was committed before this look is proved to be applied.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mysql::control::applied;
use mysql::{DbError, Session};
use tokio_util::sync::CancellationToken;

use super::Api;
use crate::confirm;
use crate::error::VerifierError;

/// A proof that is older proves nothing of now.
const LATE: f64 = 30.0;
const LOOK: Duration = Duration::from_secs(1);

impl Api {
    pub(super) fn is_fresh(&self) -> bool {
        self.fresh.load(Relaxed)
    }

    pub(super) async fn follow_freshness(self: std::sync::Arc<Self>, stop: CancellationToken) {
        let mut held: Option<Session> = None;
        while !stop.is_cancelled() {
            let looked = async {
                let mut session = self.context.database.resume(&mut held).await?;
                let fresh = self.look(&mut session).await?;
                held = Some(session);
                Ok::<_, DbError>(fresh)
            };
            let fresh = tokio::select! {
                () = stop.cancelled() => return,
                looked = looked => looked.unwrap_or(false),
            };
            if self.fresh.swap(fresh, Relaxed) != fresh {
                match fresh {
                    true => tracing::info!("the new side is of now: flags at new_read are served as such"),
                    false => {
                        tracing::warn!("the new side is behind: flags at new_read are served as dual_write")
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn look(&self, session: &mut Session) -> Result<bool, DbError> {
        let (db, source) = (&self.context.database, &self.context.source);
        if self.is_fresh() {
            let age = applied::read(session, db, source).await?.and_then(|a| a.age_seconds);
            return Ok(age.is_some_and(|age| age < LATE));
        }
        match confirm::settle(session, db, source, Duration::from_secs(5)).await {
            Ok(_) => Ok(true),
            Err(VerifierError::Control(e)) => Err(e),
            Err(_) => Ok(false),
        }
    }
}
