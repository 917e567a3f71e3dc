//! Waiting for a state: bounded, by looking again and again, and telling the last thing that was seen.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use anyhow::bail;
use tokio::time::{Instant, sleep, timeout_at};

const PAUSE: Duration = Duration::from_millis(20);

/// Calls `probe` until it gives `Ok`; what it says in `Err` is the status. Fails after `limit`, with the last status.
pub async fn until<T, E, F, Fut>(what: &str, limit: Duration, mut probe: F) -> anyhow::Result<T>
where
    E: Display,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let end = Instant::now() + limit;
    let mut last = "never looked to the end".to_owned();
    loop {
        match timeout_at(end, probe()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(status)) => last = status.to_string(),
            Err(_) => bail!("{what}: not within {limit:?}; a look did not end; before it: {last}"),
        }
        if Instant::now() >= end {
            bail!("{what}: not within {limit:?}; last seen: {last}");
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_tells_the_last_status() {
        let mut n = 0;
        let waited = until("a miracle", Duration::from_millis(70), || {
            n += 1;
            let status = format!("look {n}");
            async move { Err::<(), _>(status) }
        });
        let error = waited.await.unwrap_err().to_string();
        assert!(error.contains("a miracle") && error.contains(&format!("look {n}")), "{error}");
    }

    #[tokio::test]
    async fn a_probe_that_hangs_is_bounded_as_well() {
        let never = until("it", Duration::from_millis(50), std::future::pending::<Result<(), &str>>);
        assert!(never.await.is_err());
    }
}
