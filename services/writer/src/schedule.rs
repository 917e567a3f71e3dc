//! When a batch target's lanes open (C6). Between two openings marks only pile up: distinct scopes, each once.

use std::time::Duration;

use croner::Cron;

/// Marks that wait at most; more open the lane early, because memory is bounded and schedules are not.
pub const MOST_WAITING: usize = 200_000;

/// A cron expression, in UTC.
#[derive(Clone, Debug)]
pub struct Schedule(Cron);

impl Schedule {
    /// `None` if it is no cron expression; the plan's checks have refused such a one already.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// Time until the next opening.
    pub fn wait(&self) -> Duration {
        self.wait_from(chrono::Utc::now())
    }

    fn wait_from(&self, now: chrono::DateTime<chrono::Utc>) -> Duration {
        let next = self.0.find_next_occurrence(&now, false);
        // A schedule that never comes again opens once a day.
        next.ok().and_then(|n| (n - now).to_std().ok()).unwrap_or(Duration::from_secs(86_400))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeZone, Utc};

    #[test]
    fn it_opens_at_the_next_full_hour() {
        let schedule = Schedule::parse("0 * * * *").unwrap();
        let at = |h, m, s| Utc.with_ymd_and_hms(2026, 3, 1, h, m, s).unwrap();
        assert_eq!(schedule.wait_from(at(4, 59, 30)), Duration::from_secs(30));
        assert_eq!(
            schedule.wait_from(at(5, 0, 0)),
            Duration::from_secs(3600),
            "an opening is not its own next one"
        );
        assert!(Schedule::parse("every hour").is_none());
    }
}
