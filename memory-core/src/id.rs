//! Identifiers: typed UUIDs, and the source that new ones come from.

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};

macro_rules! id_types {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                Uuid::parse_str(text.trim()).map(Self).map_err(|source| {
                    Error::new(
                        ErrorKind::InvalidInput,
                        "parse id",
                        format!("{text:?} is not a {} id", stringify!($name).trim_end_matches("Id").to_lowercase()),
                    )
                    .with_hint("ids are UUIDs, as `memory episodes list` shows them")
                    .with_source(source)
                })
            }
        }
    )+};
}

id_types! {
    /// Identifies an episode: a UUIDv7, so that text order is creation order. That of an imported episode follows
    /// from its source key and sorts before all others.
    EpisodeId,
    /// Identifies an artifact: a UUIDv7.
    ArtifactId,
    /// Identifies a pattern: a UUIDv5 of domain, kind and content, the same on every machine.
    PatternId,
    /// Identifies a heuristic: a UUIDv5 of domain, kind, condition and action, the same on every machine.
    HeuristicId,
    /// Identifies a playbook: a UUIDv5 of domain, kind and procedure, the same on every machine.
    PlaybookId,
    /// Identifies a failure lesson: a UUIDv5 of domain, tool and error, the same on every machine.
    FailureId,
    /// Identifies a recall: a UUIDv7.
    RecallId,
}

/// Returns the hash of a text, as 32 hexadecimal digits.
pub fn content_hash(text: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).simple().to_string()
}

/// A source of identifiers.
pub trait IdSource: Send + Sync + fmt::Debug {
    /// Returns a new UUIDv7 for something created at `now`; later calls sort later.
    fn next(&self, now: Timestamp) -> Uuid;
    /// Returns 64 random bits, for writer ids and jitter.
    fn random(&self) -> u64;
}

/// Random ids from the operating system.
#[derive(Debug, Default)]
pub struct SystemIds {
    order: Mutex<Monotonic>,
}

impl IdSource for SystemIds {
    fn next(&self, now: Timestamp) -> Uuid {
        let random = Uuid::new_v4().as_u128();
        lock(&self.order).build(now, random)
    }

    fn random(&self) -> u64 {
        let [a, b] = [Uuid::new_v4().as_u128(), Uuid::new_v4().as_u128()];
        // A v4 UUID has 122 random bits; the low 32 of each half carry no fixed bits.
        ((a as u64 & 0xffff_ffff) << 32) | (b as u64 & 0xffff_ffff)
    }
}

/// Reproducible ids: the same seed and calls give the same ids.
#[derive(Debug)]
pub struct SeededIds {
    state: Mutex<(u64, Monotonic)>,
}

impl SeededIds {
    /// Creates a source from a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: Mutex::new((seed, Monotonic::default())) }
    }
}

impl IdSource for SeededIds {
    fn next(&self, now: Timestamp) -> Uuid {
        let mut state = lock(&self.state);
        let random = u128::from(split_mix(&mut state.0)) << 64 | u128::from(split_mix(&mut state.0));
        state.1.build(now, random)
    }

    fn random(&self) -> u64 {
        split_mix(&mut lock(&self.state).0)
    }
}

/// Keeps ids in order within a millisecond, and when the clock steps back: a 12-bit counter in `rand_a`,
/// overflowing into the timestamp (RFC 9562, section 6.2, method 1).
#[derive(Debug, Default)]
struct Monotonic {
    last_ms: u64,
    counter: u16,
}

impl Monotonic {
    fn build(&mut self, now: Timestamp, random: u128) -> Uuid {
        if now.0 > self.last_ms {
            self.last_ms = now.0;
            self.counter = 0;
        } else if self.counter == 0xfff {
            self.last_ms += 1;
            self.counter = 0;
        } else {
            self.counter += 1;
        }
        let high = (u128::from(self.last_ms) << 80) | (0x7 << 76) | (u128::from(self.counter) << 64);
        let low = (0b10 << 62) | (random & 0x3fff_ffff_ffff_ffff);
        Uuid::from_u128(high | low)
    }
}

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014).
pub fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Locks a mutex whose data stays valid even if a holder panicked.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ordered_v7_even_when_the_clock_steps_back() {
        let ids = SeededIds::new(7);
        let mut last = Uuid::nil();
        for step in 0..10_000_u64 {
            let now = if step == 6_000 { 900 } else { 1_000 };
            let id = ids.next(Timestamp(now));
            assert!(id > last, "{id} after {last}");
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
            last = id;
        }
    }

    #[test]
    fn a_seed_repeats() {
        let [a, b] = [SeededIds::new(1), SeededIds::new(1)];
        assert_eq!(a.next(Timestamp(5)), b.next(Timestamp(5)));
        assert_eq!(a.random(), b.random());
    }
}
