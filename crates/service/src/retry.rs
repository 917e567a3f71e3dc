//! What is tried until it works: pauses that grow, and a warning now and then instead of one for every try.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

const LEAST: Duration = Duration::from_millis(50);
const MOST: Duration = Duration::from_secs(5);
/// Between two warnings of one row of failures.
const QUIET: Duration = Duration::from_secs(10);

/// What lasted less is nothing to tell the end of.
const TOLD: Duration = Duration::from_secs(1);

/// One thing that may fail for a while.
#[derive(Debug)]
pub struct Retry {
    what: &'static str,
    most: Duration,
    pauses: ExponentialBackoff,
    failures: u32,
    began: Instant,
    told: Instant,
}

impl Retry {
    /// `what` is for the log, such as `the fence`.
    pub fn new(what: &'static str) -> Self {
        Self::with_most(what, MOST)
    }

    /// With pauses of at most this.
    pub fn with_most(what: &'static str, most: Duration) -> Self {
        let now = Instant::now();
        Self { what, most, pauses: pauses(most), failures: 0, began: now, told: now }
    }

    /// It failed: how long to wait before the next try, with jitter. `tell` is called, with the number of failures until now, at
    /// the first one and then every ten seconds.
    pub fn failed(&mut self, tell: impl FnOnce(u32)) -> Duration {
        let now = Instant::now();
        if self.failures == 0 {
            self.began = now;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 || now.duration_since(self.told) >= QUIET {
            self.told = now;
            tell(self.failures);
        }
        self.pauses.next().unwrap_or(self.most)
    }

    /// It works, or works again.
    pub fn worked(&mut self) {
        if self.failures > 0 {
            let lasted = self.began.elapsed();
            if lasted >= TOLD {
                let seconds = lasted.as_secs();
                tracing::info!(what = self.what, failures = self.failures, seconds, "works again");
            }
            self.pauses = pauses(self.most);
            self.failures = 0;
        }
    }
}

fn pauses(most: Duration) -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(LEAST.min(most))
        .with_max_delay(most)
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_failures_is_told_once_and_waited_for_longer_and_longer() {
        let mut retry = Retry::with_most("a test", Duration::from_secs(1));
        let mut told = Vec::new();
        let waits: Vec<Duration> = (0..20).map(|_| retry.failed(|n| told.push(n))).collect();
        assert_eq!(told, [1]);
        assert!(waits[0] < waits[6], "{waits:?}");
        // The jitter adds up to as much again.
        assert!(waits.iter().all(|w| *w >= LEAST && *w <= 2 * Duration::from_secs(1)), "{waits:?}");

        retry.worked();
        let first = retry.failed(|n| told.push(n));
        assert_eq!(told, [1, 1], "a new row of failures is told");
        assert!(first <= 2 * LEAST, "{first:?}");
    }
}
