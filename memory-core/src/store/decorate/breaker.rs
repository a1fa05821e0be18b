//! The circuit breaker: stops calling a store that is away, and probes for its return.
//!
//! Nygard, "Release It!" (2007), chapter 5: closed, open, half-open.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{IdSource, lock};
use crate::store::decorate::retry::backoff;
use crate::store::decorate::{Layer, Operation};

/// When the breaker opens and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerConfig {
    /// How many calls in a row must fail; 3 by default.
    pub threshold: u32,
    /// How long it stays open the first time, before jitter; 250 ms by default. Doubles with each failed probe.
    pub base: Duration,
    /// The longest it stays open; 15 s by default.
    pub cap: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { threshold: 3, base: Duration::from_millis(250), cap: Duration::from_secs(15) }
    }
}

/// The state of a breaker, as status shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// Calls are refused until the back-off is over.
    Open,
    /// One call is let through to see whether the store is back.
    HalfOpen,
}

/// What a breaker has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BreakerStatus {
    /// The state.
    pub state: BreakerState,
    /// Failures in a row that count.
    pub consecutive_failures: u32,
    /// How long until a probe is let through, in milliseconds; 0 unless open.
    pub retry_in_ms: u64,
    /// How often it has opened.
    pub opened: u64,
    /// The last failure that counted.
    pub last_error: Option<String>,
    /// Whether the store refuses this client (credentials, blocked): waiting alone will not help.
    pub needs_attention: bool,
}

/// A circuit breaker; cheap to clone, clones share state.
#[derive(Debug, Clone)]
pub struct Breaker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: BreakerConfig,
    clock: Arc<dyn Clock>,
    random: Arc<dyn IdSource>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `Some` while not closed: when the next probe may go.
    probe_at: Option<Duration>,
    probing: bool,
    /// How often in a row it has opened without a success between.
    exponent: u32,
    failures: u32,
    opened: u64,
    last_error: Option<Error>,
}

/// Leave to make one call. Dropping it without a verdict (the caller was cancelled) frees the probe.
#[derive(Debug)]
struct Permit<'a> {
    breaker: &'a Shared,
    probe: bool,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.probe {
            lock(&self.breaker.state).probing = false;
        }
    }
}

impl Breaker {
    /// Creates a closed breaker.
    pub fn new(config: BreakerConfig, clock: Arc<dyn Clock>, random: Arc<dyn IdSource>) -> Self {
        Self { shared: Arc::new(Shared { config, clock, random, state: Mutex::default() }) }
    }

    /// Returns the state and figures.
    pub fn status(&self) -> BreakerStatus {
        let state = lock(&self.shared.state);
        let now = self.shared.clock.monotonic();
        let (name, wait) = match state.probe_at {
            None => (BreakerState::Closed, Duration::ZERO),
            Some(at) if state.probing || at <= now => (BreakerState::HalfOpen, Duration::ZERO),
            Some(at) => (BreakerState::Open, at - now),
        };
        BreakerStatus {
            state: name,
            consecutive_failures: state.failures,
            retry_in_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            opened: state.opened,
            last_error: state.last_error.as_ref().map(ToString::to_string),
            needs_attention: state.last_error.as_ref().is_some_and(|e| e.kind() == ErrorKind::Unauthorized),
        }
    }

    /// Lets a probe through at once: somebody has reason to believe that the store is back.
    pub fn probe_now(&self) {
        let mut state = lock(&self.shared.state);
        if let Some(at) = &mut state.probe_at {
            *at = Duration::ZERO;
        }
    }

    fn admit(&self) -> Result<Permit<'_>> {
        let mut state = lock(&self.shared.state);
        let now = self.shared.clock.monotonic();
        let Some(at) = state.probe_at else {
            return Ok(Permit { breaker: &self.shared, probe: false });
        };
        if state.probing || at > now {
            return Err(refusal(&state, at.saturating_sub(now)));
        }
        state.probing = true;
        Ok(Permit { breaker: &self.shared, probe: true })
    }

    fn settle(&self, permit: Permit<'_>, failure: Option<&Error>) {
        let mut state = lock(&self.shared.state);
        match failure {
            Some(error) if counts(error) => {
                state.failures = state.failures.saturating_add(1);
                state.last_error = Some(error.duplicate());
                let refused = error.kind() == ErrorKind::Unauthorized;
                let closed = state.probe_at.is_none();
                if permit.probe || (closed && (refused || state.failures >= self.shared.config.threshold)) {
                    let BreakerConfig { base, cap, .. } = self.shared.config;
                    let pause = backoff(base, state.exponent, cap, self.shared.random.random());
                    state.probe_at = Some(self.shared.clock.monotonic() + pause);
                    state.exponent = state.exponent.saturating_add(1);
                    state.opened += 1;
                }
            }
            // The store answered, if only to refuse the request: it is there.
            _ => {
                let opened = state.opened;
                *state = State { opened, ..State::default() };
            }
        }
        drop(state);
        drop(permit);
    }
}

/// Only failures that say "the store is away" or "it refuses this client" count.
fn counts(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Unauthorized)
}

fn refusal(state: &State, wait: Duration) -> Error {
    let last = state.last_error.as_ref();
    let cause = last.map_or_else(String::new, |error| format!("; last error: {error}"));
    let unauthorized = last.is_some_and(|error| error.kind() == ErrorKind::Unauthorized);
    let kind = if unauthorized { ErrorKind::Unauthorized } else { ErrorKind::Unavailable };
    let message = format!("the circuit breaker is open after {} failures in a row{cause}", state.failures);
    let error = Error::new(kind, "call the durable tier", message).with_retry_after(wait);
    match last.and_then(Error::hint) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

impl Layer for Breaker {
    async fn around<'a, T, F, Fut>(&'a self, _operation: Operation, call: F) -> Result<T>
    where
        T: Send + 'a,
        F: Fn() -> Fut + Send + Sync + 'a,
        Fut: Future<Output = Result<T>> + Send + 'a,
    {
        let permit = self.admit()?;
        let result = call().await;
        self.settle(permit, result.as_ref().err());
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Timestamp};
    use crate::id::SeededIds;

    struct Bench {
        breaker: Breaker,
        clock: Arc<ManualClock>,
    }

    impl Bench {
        fn new() -> Self {
            let clock = Arc::new(ManualClock::new(Timestamp(0)));
            let config = BreakerConfig {
                threshold: 3,
                base: Duration::from_millis(100),
                cap: Duration::from_millis(400),
            };
            Self { breaker: Breaker::new(config, clock.clone(), Arc::new(SeededIds::new(1))), clock }
        }

        async fn call(&self, kind: Option<ErrorKind>) -> Result<()> {
            let outcome = || async move {
                match kind {
                    Some(kind) => Err(Error::new(kind, "call", "scripted")),
                    None => Ok(()),
                }
            };
            self.breaker.around(Operation::Get, outcome).await
        }

        fn check(&self, state: BreakerState) {
            assert_eq!(self.breaker.status().state, state);
        }
    }

    #[tokio::test]
    async fn opens_after_the_threshold_and_refuses() {
        let bench = Bench::new();
        for _ in 0..3 {
            bench.check(BreakerState::Closed);
            bench.call(Some(ErrorKind::Unavailable)).await.expect_err("scripted");
        }
        bench.check(BreakerState::Open);
        let error = bench.call(None).await.expect_err("open refuses even what would work");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.retry_after().is_some_and(|wait| wait <= Duration::from_millis(100)));
    }

    #[tokio::test]
    async fn only_failures_that_mean_away_count() {
        let bench = Bench::new();
        for _ in 0..2 {
            bench.call(Some(ErrorKind::Unavailable)).await.expect_err("scripted");
        }
        bench.call(Some(ErrorKind::Rejected)).await.expect_err("scripted");
        for _ in 0..20 {
            for kind in [ErrorKind::Busy, ErrorKind::Rejected, ErrorKind::Corrupt] {
                bench.call(Some(kind)).await.expect_err("scripted");
            }
        }
        bench.check(BreakerState::Closed);
        bench.call(Some(ErrorKind::Unauthorized)).await.expect_err("scripted");
        bench.check(BreakerState::Open);
        assert!(bench.breaker.status().needs_attention);
    }

    #[tokio::test]
    async fn half_open_admits_one_probe_and_backs_off() {
        let bench = Bench::new();
        for _ in 0..3 {
            bench.call(Some(ErrorKind::Unavailable)).await.expect_err("scripted");
        }
        let mut last = Duration::ZERO;
        for _ in 0..4 {
            bench.clock.advance(Duration::from_millis(bench.breaker.status().retry_in_ms + 1));
            bench.check(BreakerState::HalfOpen);
            bench.call(Some(ErrorKind::Unavailable)).await.expect_err("the probe fails");
            bench.check(BreakerState::Open);
            let wait = Duration::from_millis(bench.breaker.status().retry_in_ms);
            assert!(wait <= Duration::from_millis(400), "capped");
            assert!(wait >= last / 2, "grows, within jitter");
            last = wait;
        }
        bench.clock.advance(Duration::from_millis(401));
        let probe = bench.breaker.admit().expect("one probe");
        bench.breaker.admit().expect_err("and only one");
        drop(probe);
        bench.call(None).await.expect("a cancelled probe frees its place");
        bench.check(BreakerState::Closed);
        assert_eq!(bench.breaker.status().consecutive_failures, 0);
    }
}
