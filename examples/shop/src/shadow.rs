//! What shadow reads have shown: are both forms equal, and what does each cost?

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The last so many times of each form are kept.
const KEPT: usize = 10_000;

/// The comparisons of one target.
#[derive(Default)]
pub struct Shadow(Mutex<Compared>);

#[derive(Clone, Debug, Default)]
pub struct Compared {
    pub equal: u64,
    pub different: u64,
    /// The new form could not be read.
    pub failed: u64,
    pub legacy: Times,
    pub new: Times,
}

#[derive(Clone, Debug, Default)]
pub struct Times(VecDeque<Duration>);

impl Shadow {
    pub fn compared(&self, equal: bool, legacy: Duration, new: Duration) {
        self.note(|seen| {
            *if equal { &mut seen.equal } else { &mut seen.different } += 1;
            seen.legacy.add(legacy);
            seen.new.add(new);
        });
    }

    pub fn failed(&self) {
        self.note(|seen| seen.failed += 1);
    }

    pub fn seen(&self) -> Compared {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, change: impl FnOnce(&mut Compared)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Compared {
    /// There were no shadow reads.
    pub fn none(&self) -> bool {
        self.equal + self.different + self.failed == 0
    }
}

impl Times {
    fn add(&mut self, time: Duration) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(time);
    }

    /// The time that this share of the reads did not exceed; zero if there were none.
    pub fn within(&self, share: f64) -> Duration {
        let mut sorted: Vec<Duration> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        sorted.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |share| self.within(share).as_secs_f64() * 1000.0;
        write!(f, "half within {:.2} ms, 99 % within {:.2} ms", ms(0.5), ms(0.99))
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} equal, {} different", self.equal, self.different)?;
        if self.failed > 0 {
            write!(f, ", {} failed", self.failed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_median_and_a_tail() {
        let mut times = Times::default();
        assert_eq!(times.within(0.5), Duration::ZERO);
        (1..=101).for_each(|ms| times.add(Duration::from_millis(ms)));
        assert_eq!(times.within(0.5), Duration::from_millis(51));
        assert_eq!(times.within(0.99), Duration::from_millis(100));
    }
}
