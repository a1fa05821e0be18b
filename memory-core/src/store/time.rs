//! The time that a store believes when it purges.

use std::time::Duration;

use crate::clock::Timestamp;

/// A clock that is further than this ahead of the believed time has jumped.
const JUMP: Duration = Duration::from_secs(86_400);

/// How long, by its own account, a clock must run after a jump until it is believed. This is the time to notice
/// and correct a wrong clock; expired records are hidden meanwhile, but not deleted.
const PROBATION: Duration = Duration::from_secs(7 * 86_400);

/// A store's record of its clock, so that a wrong one deletes nothing.
///
/// A store that rests for long meets a jump, too, and purges a week later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreTime {
    /// The latest believed time; 0 before the first.
    pub believed: Timestamp,
    /// When the clock was seen ahead of that for the first time, by the clock itself.
    pub jumped_to: Option<Timestamp>,
}

impl StoreTime {
    /// Takes note of the clock.
    #[must_use]
    pub fn see(self, now: Timestamp) -> Self {
        if self.believed < Timestamp::EARLIEST || now <= self.believed.plus(JUMP) {
            return Self { believed: self.believed.max(now), jumped_to: None };
        }
        match self.jumped_to {
            Some(first) if now >= first.plus(PROBATION) => Self { believed: now, jumped_to: None },
            Some(first) if now >= first => self,
            _ => Self { jumped_to: Some(now), ..self },
        }
    }

    /// Returns the time to purge by, for a caller that wants to purge by `asked`, and how far the clock is
    /// ahead of the believed time. Must be called after [`StoreTime::see`].
    pub fn purge_by(self, now: Timestamp, asked: Timestamp) -> (Timestamp, Option<Duration>) {
        let disbelieved = self.jumped_to.map(|_| now.since(self.believed));
        (asked.min(now).min(self.believed), disbelieved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_800_000_000_000);
    const FAR: Timestamp = Timestamp(u64::MAX);

    fn day(days: u64) -> Timestamp {
        START.plus(Duration::from_secs(days * 86_400))
    }

    #[test]
    fn a_clock_that_jumps_is_believed_after_a_week() {
        let mut time = StoreTime::default();
        let mut check = |now: Timestamp, until: Timestamp| {
            time = time.see(now);
            assert_eq!(time.purge_by(now, FAR).0, until, "{time:?}");
        };
        check(day(0), day(0));
        check(day(1), day(1));
        // Ahead by more than a year for one run, and right again.
        check(day(401), day(1));
        check(day(2), day(2));
        // A second run like it does not count as going on.
        check(day(402), day(2));
        check(day(403), day(2));
        check(day(408), day(2));
        check(day(409), day(409));
        // Set back: purged by the clock as it is, never beyond it.
        check(day(10), day(10));
    }

    #[test]
    fn a_caller_purges_by_its_own_time_if_that_is_earlier() {
        let time = StoreTime::default().see(day(9));
        assert_eq!(time.purge_by(day(9), day(3)), (day(3), None));
        let time = time.see(day(99));
        assert_eq!(time.purge_by(day(99), FAR), (day(9), Some(Duration::from_secs(90 * 86_400))));
    }

    #[test]
    fn what_a_clock_without_a_battery_showed_is_not_remembered() {
        let time = StoreTime::default().see(Timestamp(5_000)).see(day(0));
        assert_eq!(time, StoreTime { believed: day(0), jumped_to: None });
    }
}
