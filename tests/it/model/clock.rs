//! The clock of one machine, which people set.

use std::sync::Mutex;
use std::time::Duration;

use memory_core::{Clock, Timestamp};

/// Stands still until it is told to pass or is set. Setting it leaves the time since the start alone, as setting a
/// machine's clock does.
#[derive(Debug)]
pub(crate) struct MachineClock(Mutex<(Timestamp, Duration)>);

impl MachineClock {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self(Mutex::new((now, Duration::ZERO)))
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, ms: u64) {
        let mut held = self.0.lock().unwrap();
        held.0 = Timestamp(held.0.0 + ms);
        held.1 += Duration::from_millis(ms);
    }

    /// Sets the wall clock forward or back.
    pub(crate) fn set_by(&self, ms: i64) {
        let mut held = self.0.lock().unwrap();
        held.0 = Timestamp(held.0.0.saturating_add_signed(ms));
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap().0
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().unwrap().1
    }
}
