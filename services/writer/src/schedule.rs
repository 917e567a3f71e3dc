//! When a batch target's lanes open (C6). Between two openings marks only pile up: distinct scopes, each once.

use std::time::Duration;

use croner::Cron;
use plan::checked::{Sync, Target};

/// Marks that wait at most; more open the lane early, because memory is bounded and schedules are not.
pub const MOST_WAITING: usize = 200_000;

/// A cron expression, in UTC.
#[derive(Clone, Debug)]
pub struct Schedule(Cron);

impl Schedule {
    /// The schedule of a batch target.
    pub fn of(target: &Target) -> Option<Self> {
        match &target.sync {
            Sync::Batch { cron } => Self::parse(cron),
            Sync::Stream => None,
        }
    }

    /// `None` if it is no cron expression; the plan's checks have refused such a one already.
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// Time until the next opening.
    pub fn wait(&self) -> Duration {
        self.wait_from(chrono::Utc::now())
    }

    /// The longest time that three openings in a row may take, as far as the next hundred tell.
    pub fn three(&self) -> Duration {
        self.three_from(chrono::Utc::now())
    }

    fn three_from(&self, now: chrono::DateTime<chrono::Utc>) -> Duration {
        let openings: Vec<_> = self.0.iter_after(now).take(100).collect();
        let spans = openings.iter().zip(openings.iter().skip(3)).map(|(from, to)| *to - *from);
        spans.max().and_then(|span| span.to_std().ok()).unwrap_or(Duration::MAX)
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

    #[test]
    fn three_openings_take_as_long_as_the_longest_of_them() {
        let three = |text: &str| {
            Schedule::parse(text).unwrap().three_from(Utc.with_ymd_and_hms(2026, 3, 1, 0, 0, 0).unwrap())
        };
        assert_eq!(three("0 * * * *"), Duration::from_secs(3 * 3600));
        // Monday and Tuesday: from a Tuesday to the Monday after next.
        assert_eq!(three("0 0 * * 1,2"), Duration::from_secs(13 * 86_400));
        // December, January, February, March.
        assert_eq!(three("0 0 1 * *"), Duration::from_secs(92 * 86_400));
    }
}
