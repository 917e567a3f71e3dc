//! Is the new side of now? After an outage a stored `new_read` is older than what it would show: it is held back until
//! everything that was committed before this look is proved to be applied.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mysql::{DbError, Session};
use tokio_util::sync::CancellationToken;

use super::Api;
use crate::confirm;
use crate::error::VerifierError;

/// What was committed so long ago, and is not proved to be applied, makes the new side old.
const LATE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_secs(5);

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
            let pause = if fresh { LOOK } else { Duration::from_millis(200) };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn look(&self, session: &mut Session) -> Result<bool, DbError> {
        let (db, source) = (&self.context.database, &self.context.source);
        match confirm::settle(session, db, source, LATE).await {
            Ok(_) => Ok(true),
            Err(VerifierError::Control(e)) => Err(e),
            Err(_) => Ok(false),
        }
    }
}
