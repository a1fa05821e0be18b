//! A token bucket a namespace.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use memory_core::{Error, ErrorKind, Namespace, Result, lock};
use serde::{Deserialize, Serialize};

/// Buckets are swept at this number; a full bucket equals a new one.
const SWEEP_AT: usize = 4_096;

/// Bounds how often episodes may be started or recorded in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Episodes a second in the long run; above 0.
    pub per_second: f64,
    /// Episodes that may come at once after a pause; at least 1.
    pub burst: u32,
}

/// Admits writes by one token bucket a namespace.
///
/// Implements the generic cell rate algorithm (ITU-T I.371): a bucket is one number, the time at which it would
/// be full again, in whole nanoseconds. So waiting exactly the time that a refusal names is always enough.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    /// The time one token takes to come back.
    interval_ns: u128,
    /// The time to fill a bucket that lacks all but one token.
    tolerance_ns: u128,
    full_at_ns: Mutex<HashMap<Namespace, u128>>,
}

impl RateLimiter {
    /// Creates a limiter whose buckets are full.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] unless the rate is a number from 1e-6 to 1e9 and the burst at least 1.
    pub(crate) fn new(limit: RateLimit) -> Result<Self> {
        if !(1e-6..=1e9).contains(&limit.per_second) {
            let problem = format!("{} is not a rate from 0.000001 to 1000000000 a second", limit.per_second);
            return Err(Error::invalid("configure", "rate_limit.per_second", problem));
        }
        if limit.burst == 0 {
            return Err(Error::invalid("configure", "rate_limit.burst", "0, at least 1 is needed"));
        }
        let interval_ns = ((1e9 / limit.per_second).round() as u128).max(1);
        Ok(Self {
            interval_ns,
            tolerance_ns: interval_ns * u128::from(limit.burst - 1),
            full_at_ns: Mutex::default(),
        })
    }

    /// Takes one token of a namespace; `now` is monotonic time.
    ///
    /// # Errors
    /// [`ErrorKind::RateLimitExceeded`] with the time until the next token; no token is taken.
    pub(crate) fn try_take(&self, namespace: &Namespace, now: Duration) -> Result<()> {
        let now = now.as_nanos();
        let mut buckets = lock(&self.full_at_ns);
        let full_at = buckets.get(namespace).copied().unwrap_or(0).max(now);
        let wait = full_at.saturating_sub(now + self.tolerance_ns);
        if wait > 0 {
            let wait = Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX));
            let message = format!("too many writes; the next is admitted in {wait:?}");
            return Err(Error::new(ErrorKind::RateLimitExceeded, "write", message)
                .with_context("namespace", namespace.as_str())
                .with_retry_after(wait));
        }
        if buckets.len() >= SWEEP_AT && !buckets.contains_key(namespace) {
            buckets.retain(|_, full_at| *full_at > now);
        }
        buckets.insert(namespace.clone(), full_at + self.interval_ns);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(per_second: f64, burst: u32) -> RateLimiter {
        RateLimiter::new(RateLimit { per_second, burst }).unwrap()
    }

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_burst_then_the_rate() {
        let limiter = limiter(10.0, 3);
        let namespace = Namespace::default();
        let check = |ms: u64, expected: Option<u64>| {
            let wait = limiter.try_take(&namespace, at(ms)).err().map(|error| error.retry_after().unwrap());
            assert_eq!(wait, expected.map(at), "at {ms} ms");
        };
        check(1_000, None);
        check(1_000, None);
        check(1_000, None);
        check(1_000, Some(100));
        check(1_040, Some(60));
        check(1_100, None);
        check(1_100, Some(100));
        check(1_050, Some(150));
        check(60_000, None);
        check(60_000, None);
        check(60_000, None);
        check(60_000, Some(100));
    }

    #[test]
    fn waiting_as_told_is_always_enough() {
        for per_second in [0.3, 3.0, 7.7, 1e5] {
            let limiter = limiter(per_second, 2);
            let namespace = Namespace::default();
            let mut now = Duration::ZERO;
            let mut refused = 0;
            for _ in 0..1_000 {
                if let Err(error) = limiter.try_take(&namespace, now) {
                    refused += 1;
                    assert!(error.is_transient());
                    now += error.retry_after().unwrap();
                    limiter.try_take(&namespace, now).unwrap();
                }
            }
            assert!(refused >= 998);
        }
    }

    #[test]
    fn namespaces_do_not_share() {
        let limiter = limiter(1.0, 1);
        let [a, b] = ["a", "b"].map(|name| Namespace::new(name).unwrap());
        limiter.try_take(&a, at(0)).unwrap();
        assert!(limiter.try_take(&a, at(0)).is_err());
        limiter.try_take(&b, at(0)).unwrap();
    }

    #[test]
    fn full_buckets_are_swept() {
        let limiter = limiter(1.0, 1);
        for index in 0..3 * SWEEP_AT as u64 {
            let namespace = Namespace::new(&format!("n{index}")).unwrap();
            limiter.try_take(&namespace, at(index * 1_000)).unwrap();
        }
        assert!(lock(&limiter.full_at_ns).len() <= SWEEP_AT);
    }

    #[test]
    fn configuration_is_checked() {
        for (per_second, burst) in [(0.0, 1), (f64::NAN, 1), (f64::INFINITY, 1), (-1.0, 1), (1.0, 0)] {
            assert!(RateLimiter::new(RateLimit { per_second, burst }).is_err(), "{per_second} {burst}");
        }
    }
}
