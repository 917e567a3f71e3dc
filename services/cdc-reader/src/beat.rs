//! Does our own beat come back through the binlog? If not, a barrier is no barrier, and the reader must stop.
//!
//! A beat is overdue only if the stream has provably passed its place. Two facts prove that without trusting our clock:
//! the server fell silent (a heartbeat event means that the stream stands at the end of the binlog) long after the beat
//! was committed; or an event of this server carries a time beyond the beat's, by the server's own clock, by more than
//! the bound. A stream that is merely behind, or held up by a full bus, is neither.

use std::sync::Mutex;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Beats {
    bound: Duration,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    seen: u64,
    probe: Option<Probe>,
    round_trip: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    beat: u64,
    committed: Instant,
    /// By the server's clock, seconds since 1970.
    server_time: u64,
}

impl Beats {
    pub fn new(bound: Duration) -> Self {
        Self { bound, inner: Mutex::default() }
    }

    /// A beat of ours was read from the binlog.
    pub fn saw(&self, beat: u64) {
        let mut inner = self.lock();
        inner.seen = inner.seen.max(beat);
        if let Some(probe) = inner.probe.filter(|p| p.beat <= beat) {
            inner.round_trip = Some(probe.committed.elapsed());
            inner.probe = None;
        }
    }

    /// No beat is waited for: time for another.
    pub fn wants_probe(&self) -> bool {
        self.lock().probe.is_none()
    }

    /// `beat` was committed at this time of the server's clock, and must come back.
    pub fn expect(&self, beat: u64, committed: Instant, server_time: u64) {
        let mut inner = self.lock();
        if inner.seen >= beat {
            inner.round_trip = Some(committed.elapsed());
        } else {
            inner.probe = Some(Probe { beat, committed, server_time });
        }
    }

    /// How long the last probe took to come back.
    pub fn round_trip(&self) -> Option<Duration> {
        let inner = self.lock();
        // A probe that is still out is the better measure once it takes longer.
        let waiting = inner.probe.map(|p| p.committed.elapsed());
        inner.round_trip.max(waiting)
    }

    /// The stream stands at the end of the binlog. The beat that should have come before.
    pub fn missing_when_silent(&self) -> Option<u64> {
        self.lock().probe.filter(|p| p.committed.elapsed() > self.bound).map(|p| p.beat)
    }

    /// The stream has come to this second of the server's clock.
    pub fn missing_at(&self, server_time: u64) -> Option<u64> {
        let probe = self.lock().probe?;
        (server_time > probe.server_time + self.bound.as_secs()).then_some(probe.beat)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_is_missed_only_where_the_stream_has_passed_it() {
        let beats = Beats::new(Duration::from_secs(30));
        let long_ago = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        assert!(beats.wants_probe());
        beats.expect(7, long_ago, 1000);
        assert!(!beats.wants_probe());
        assert_eq!(beats.missing_at(1030), None, "may still come");
        assert_eq!(beats.missing_at(1031), Some(7));
        assert_eq!(beats.missing_when_silent(), Some(7));
        beats.saw(6);
        assert_eq!(beats.missing_at(2000), Some(7));
        beats.saw(8);
        assert_eq!((beats.missing_at(2000), beats.missing_when_silent()), (None, None));
        beats.expect(8, long_ago, 1000);
        assert!(beats.wants_probe(), "it had come back before we asked");
    }
}
