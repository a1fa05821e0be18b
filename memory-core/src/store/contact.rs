//! Information about a server that the processes of one machine share: whether it is away, and how long it
//! takes to answer.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// The shared information about a server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Contact {
    /// That it is away; `None` if it answered last.
    pub outage: Option<Outage>,
    /// How long its first answer to a process takes; `None` before the first.
    pub round_trip: Option<RoundTrip>,
}

/// An outage as one process saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// Since when.
    pub since: Timestamp,
    /// The time of the next request to the server.
    pub probe_at: Timestamp,
    /// The number of consecutive failed attempts.
    pub exponent: u32,
    /// The latest error.
    pub reason: String,
}

/// How long answers take: mean and deviation, smoothed.
///
/// Paxson et al., RFC 6298 (2011), sections 2.2 and 2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundTrip {
    /// The smoothed mean, in milliseconds.
    pub smoothed_ms: u64,
    /// The smoothed deviation, in milliseconds.
    pub variation_ms: u64,
}

impl RoundTrip {
    /// Creates it from the first measurement.
    pub fn first(took: Duration) -> Self {
        let ms = millis(took);
        Self { smoothed_ms: ms, variation_ms: ms / 2 }
    }

    /// Takes another measurement into account.
    #[must_use]
    pub fn measured(self, took: Duration) -> Self {
        let ms = millis(took);
        let deviation = self.smoothed_ms.abs_diff(ms);
        Self {
            smoothed_ms: (7 * self.smoothed_ms + ms) / 8,
            variation_ms: (3 * self.variation_ms + deviation) / 4,
        }
    }

    /// Returns how long to wait for an answer.
    pub fn timeout(self) -> Duration {
        Duration::from_millis(self.smoothed_ms.saturating_add(4 * self.variation_ms))
    }
}

fn millis(duration: Duration) -> u64 {
    // An hour is as good as for ever, and sums of it do not overflow.
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(3_600_000)
}

/// Held by the one process that probes; the turn is over when it is dropped.
pub struct Turn {
    _held: Box<dyn Any + Send>,
}

impl Turn {
    /// Holds the guard of a turn.
    pub fn new(held: impl Any + Send) -> Self {
        Self { _held: Box::new(held) }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").finish_non_exhaustive()
    }
}

/// Where processes of one machine share information about a server. After an error nothing is known.
pub trait Contacts: Send + Sync + fmt::Debug {
    /// Returns the shared information; the default if there is none.
    fn recall(&self) -> Contact;

    /// Shares information with other processes.
    fn note(&self, contact: &Contact);

    /// Makes this process the one that probes; `None` while another one is.
    fn take_turn(&self) -> Option<Turn>;
}
