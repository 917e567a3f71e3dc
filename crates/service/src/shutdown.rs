//! From a signal to the end of the last task.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The first SIGTERM or SIGINT cancels the token; the tasks then end by themselves. A second one ends the process.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tasks: TaskTracker,
}

impl Shutdown {
    /// Listens to the signals.
    pub fn on_signals() -> std::io::Result<Self> {
        let shutdown = Self::default();
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let token = shutdown.token.clone();
        tokio::spawn(async move {
            for count in 0.. {
                let (name, code) = tokio::select! {
                    _ = term.recv() => ("SIGTERM", 143),
                    _ = int.recv() => ("SIGINT", 130),
                };
                if count > 0 {
                    tracing::warn!("a second {name}: ending at once");
                    std::process::exit(code);
                }
                tracing::info!("{name}: draining");
                token.cancel();
            }
        });
        Ok(shutdown)
    }

    /// Cancelled when the process is to end.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    pub fn stop(&self) {
        self.token.cancel();
    }

    /// Starts a task that [`Shutdown::drain`] waits for. If it ends by itself the process is to end, too.
    pub fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        let guard = self.token.clone().drop_guard();
        self.tasks.spawn(async move {
            // Dropped at the end, by a panic too: a process with a dead part must not look alive.
            let _guard = guard;
            task.await
        })
    }

    /// Stops everything and waits for the tasks; `false` if the deadline came first.
    pub async fn drain(&self, deadline: Duration) -> bool {
        self.stop();
        self.tasks.close();
        tokio::time::timeout(deadline, self.tasks.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_are_waited_for_until_the_deadline() {
        let shutdown = Shutdown::default();
        let token = shutdown.token();
        let done = shutdown.spawn(async move { token.cancelled().await });
        assert!(shutdown.drain(Duration::from_secs(5)).await);
        done.await.unwrap();
        let stuck = Shutdown::default();
        stuck.spawn(std::future::pending::<()>());
        assert!(!stuck.drain(Duration::from_millis(20)).await);
    }

    #[tokio::test]
    async fn a_task_that_panics_ends_the_rest() {
        let shutdown = Shutdown::default();
        let broken = shutdown.spawn(async { assert!(std::env::args().count() == 0, "broken") });
        tokio::time::timeout(Duration::from_secs(5), shutdown.token().cancelled()).await.unwrap();
        assert!(broken.await.is_err());
    }
}
