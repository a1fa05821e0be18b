//! The circuit breaker: stops calling a store that is away, and probes for its return.
//!
//! Nygard, "Release It!" (2007), chapter 5: closed, open, half-open.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{IdSource, lock};
use crate::store::contact::{Contact, Contacts, Outage, RoundTrip, Turn};
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
    /// One call is admitted to see whether the store is back.
    HalfOpen,
}

/// The observations of a breaker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BreakerStatus {
    /// The state.
    pub state: BreakerState,
    /// Failures in a row that count.
    pub consecutive_failures: u32,
    /// How long until a probe is admitted, in milliseconds; 0 unless open.
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
    contacts: Option<Arc<dyn Contacts>>,
    state: Mutex<State>,
    /// Notified whenever the state changes.
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    /// `Some` while not closed: when the next probe may go.
    probe_at: Option<Duration>,
    probing: bool,
    /// Until when calls wait for the first answer instead of being refused; `None` once there was an answer or
    /// a failure.
    patience: Option<Instant>,
    /// Held while this process is the one that probes.
    turn: Option<Turn>,
    /// Since when the store is away.
    away_since: Option<Timestamp>,
    /// How often in a row it has opened without a success between.
    exponent: u32,
    failures: u32,
    opened: u64,
    last_error: Option<Error>,
    contact: Contact,
}

impl State {
    /// Returns true while calls wait for the first answer.
    fn is_waiting(&self) -> bool {
        self.patience.is_some_and(|until| Instant::now() < until)
    }
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
            let mut state = lock(&self.breaker.state);
            state.probing = false;
            state.turn = None;
            drop(state);
            self.breaker.changed.send_replace(());
        }
    }
}

/// Whether a call may be made.
enum Admission<'a> {
    Go(Permit<'a>),
    /// Not yet: the first answer may come any moment.
    Wait(Instant),
    Refuse(Error),
}

impl Breaker {
    /// Creates a closed breaker.
    pub fn new(config: BreakerConfig, clock: Arc<dyn Clock>, random: Arc<dyn IdSource>) -> Self {
        Self::assemble(config, clock, random, None, State::default())
    }

    fn assemble(
        config: BreakerConfig,
        clock: Arc<dyn Clock>,
        random: Arc<dyn IdSource>,
        contacts: Option<Arc<dyn Contacts>>,
        state: State,
    ) -> Self {
        let (state, changed) = (Mutex::new(state), watch::Sender::new(()));
        Self { shared: Arc::new(Shared { config, clock, random, contacts, state, changed }) }
    }

    /// Creates a breaker around a store without any answer yet: one call is admitted, and the others wait for
    /// its outcome, but no longer than the usual time of the store, at least `patience` and at most `longest`.
    /// After that they are refused until there is an answer. If other processes recently found the store to be
    /// away, the breaker starts open.
    pub fn unproven(
        config: BreakerConfig,
        clock: Arc<dyn Clock>,
        random: Arc<dyn IdSource>,
        contacts: Option<Arc<dyn Contacts>>,
        (patience, longest): (Duration, Duration),
    ) -> Self {
        let (now, elapsed) = (clock.now(), clock.monotonic());
        let contact = contacts.as_ref().map(|contacts| contacts.recall()).unwrap_or_default();
        // A note from a process with a wrong clock must not keep this one from asking.
        let known = contact.outage.clone().filter(|outage| outage.since <= now);
        let wait = known.as_ref().map_or(Duration::ZERO, |outage| outage.probe_at.since(now).min(config.cap));
        let needed = contact.round_trip.map_or(Duration::ZERO, RoundTrip::timeout);
        let until = Instant::now() + needed.max(patience).min(longest);
        let reason = known
            .as_ref()
            .map(|outage| Error::new(ErrorKind::Unavailable, "call the durable tier", outage.reason.clone()));
        let state = State {
            probe_at: Some(elapsed + wait),
            patience: wait.is_zero().then_some(until),
            away_since: known.as_ref().map(|outage| outage.since),
            exponent: known.as_ref().map_or(0, |outage| outage.exponent),
            failures: u32::from(known.is_some()),
            last_error: reason,
            contact,
            ..State::default()
        };
        Self::assemble(config, clock, random, contacts, state)
    }

    /// Returns true if calls go through.
    pub fn is_closed(&self) -> bool {
        lock(&self.shared.state).probe_at.is_none()
    }

    /// Returns the message of refused calls; `None` while calls are admitted.
    pub fn refusal(&self) -> Option<String> {
        let state = lock(&self.shared.state);
        state.probe_at.map(|_| refusal(&state, Duration::ZERO).message().to_owned())
    }

    /// Waits until calls are refused.
    pub async fn until_away(&self) {
        let mut changed = self.shared.changed.subscribe();
        loop {
            let (away, waiting) = {
                let state = lock(&self.shared.state);
                (state.probe_at.is_some() && !state.is_waiting(), state.patience)
            };
            if away {
                return;
            }
            let patience = async {
                match waiting {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = changed.changed() => {}
                () = patience => {}
            }
        }
    }

    /// Closes the breaker: the store was seen to answer.
    pub fn close(&self) {
        let mut state = lock(&self.shared.state);
        self.answered(&mut state, None);
        drop(state);
        self.shared.changed.send_replace(());
    }

    /// Ends this process's use of the store: if it waited for an answer without success, the next process need
    /// not.
    pub fn leave(&self) {
        let mut state = lock(&self.shared.state);
        if state.probe_at.is_some() && state.last_error.is_none() && !state.is_waiting() {
            let message = "the server has not answered yet";
            state.last_error = Some(Error::new(ErrorKind::Unavailable, "call the durable tier", message));
            self.open(&mut state);
        }
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

    /// Admits a probe at once, when there is reason to expect that the store is back.
    pub fn probe_now(&self) {
        let mut state = lock(&self.shared.state);
        if let Some(at) = &mut state.probe_at {
            *at = Duration::ZERO;
        }
        drop(state);
        self.shared.changed.send_replace(());
    }

    fn admit(&self, operation: Operation) -> Admission<'_> {
        let mut state = lock(&self.shared.state);
        let now = self.shared.clock.monotonic();
        let Some(at) = state.probe_at else {
            return Admission::Go(Permit { breaker: &self.shared, probe: false });
        };
        // A caller waits for a read, so it is no probe.
        if !state.probing && at <= now && probes(operation) && self.take_turn(&mut state, now) {
            state.probing = true;
            return Admission::Go(Permit { breaker: &self.shared, probe: true });
        }
        match state.patience {
            Some(until) if Instant::now() < until => Admission::Wait(until),
            _ if state.probing => Admission::Refuse(refusal(&state, self.shared.config.base)),
            _ => Admission::Refuse(refusal(&state, at.saturating_sub(now))),
        }
    }

    /// Makes this process the one that probes, while the store is known to be away; false if another one is.
    fn take_turn(&self, state: &mut State, now: Duration) -> bool {
        let (Some(contacts), Some(_)) = (&self.shared.contacts, state.away_since) else { return true };
        let Some(turn) = contacts.take_turn() else {
            // Its verdict is in the contacts by then.
            state.contact = contacts.recall();
            if state.contact.outage.is_none() {
                return true;
            }
            state.probe_at = Some(now + self.shared.config.base);
            state.patience = None;
            return false;
        };
        state.turn = Some(turn);
        if let Some(mut outage) = state.contact.outage.clone() {
            // If this process ends before it has an answer, the next one need not wait for the same answer.
            let BreakerConfig { base, cap, .. } = self.shared.config;
            let pause = backoff(base, state.exponent, cap, self.shared.random.random());
            (outage.probe_at, outage.exponent) =
                (self.shared.clock.now().plus(pause), state.exponent.saturating_add(1));
            self.note(state, Contact { outage: Some(outage), ..state.contact.clone() });
        }
        true
    }

    fn settle(&self, permit: Permit<'_>, failure: Option<&Error>, took: Duration) {
        let mut state = lock(&self.shared.state);
        match failure {
            Some(error) if counts(error) => {
                state.failures = state.failures.saturating_add(1);
                state.last_error = Some(error.duplicate());
                let refused = error.kind() == ErrorKind::Unauthorized;
                let closed = state.probe_at.is_none();
                if permit.probe || (closed && (refused || state.failures >= self.shared.config.threshold)) {
                    self.open(&mut state);
                }
            }
            // The store answered, if only to refuse the request: it is there.
            _ => self.answered(&mut state, permit.probe.then_some(took)),
        }
        drop(state);
        drop(permit);
        self.shared.changed.send_replace(());
    }

    /// Refuses calls for a while, and informs other processes.
    fn open(&self, state: &mut State) {
        let BreakerConfig { base, cap, .. } = self.shared.config;
        let pause = backoff(base, state.exponent, cap, self.shared.random.random());
        let now = self.shared.clock.now();
        state.probe_at = Some(self.shared.clock.monotonic() + pause);
        state.patience = None;
        state.exponent = state.exponent.saturating_add(1);
        state.opened += 1;
        let since = *state.away_since.get_or_insert(now);
        let reason = state.last_error.as_ref().map_or_else(String::new, |error| error.message().to_owned());
        let outage = Outage { since, probe_at: now.plus(pause), exponent: state.exponent, reason };
        self.note(state, Contact { outage: Some(outage), ..state.contact.clone() });
    }

    /// Admits calls, and informs other processes if they did not know; `took` is the duration of a first
    /// answer.
    fn answered(&self, state: &mut State, took: Option<Duration>) {
        let round_trip = match (took, state.contact.round_trip) {
            (Some(took), Some(known)) => Some(known.measured(took)),
            (Some(took), None) => Some(RoundTrip::first(took)),
            (None, known) => known,
        };
        let contact = Contact { outage: None, round_trip };
        let (opened, turn) = (state.opened, state.turn.take());
        self.note(state, contact.clone());
        *state = State { opened, turn, contact, ..State::default() };
    }

    fn note(&self, state: &mut State, contact: Contact) {
        if let Some(contacts) = self.shared.contacts.as_ref().filter(|_| contact != state.contact) {
            contacts.note(&contact);
        }
        state.contact = contact;
    }
}

/// Calls that usually no caller waits for.
fn probes(operation: Operation) -> bool {
    matches!(operation, Operation::Changes | Operation::Commit | Operation::Health)
}

/// Only failures that mean "the store is away" or "it refuses this client" count.
fn counts(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Unauthorized)
}

fn refusal(state: &State, wait: Duration) -> Error {
    let last = state.last_error.as_ref();
    let cause = last.map_or_else(String::new, |error| format!("; last error: {error}"));
    let unauthorized = last.is_some_and(|error| error.kind() == ErrorKind::Unauthorized);
    let kind = if unauthorized { ErrorKind::Unauthorized } else { ErrorKind::Unavailable };
    let message = match state.failures {
        0 => "the server has not answered yet".to_owned(),
        failures => format!("the circuit breaker is open after {failures} failures in a row{cause}"),
    };
    let error = Error::new(kind, "call the durable tier", message).with_retry_after(wait);
    match last.and_then(Error::hint) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

impl Layer for Breaker {
    async fn around<'a, T, F, Fut>(&'a self, operation: Operation, call: F) -> Result<T>
    where
        T: Send + 'a,
        F: Fn() -> Fut + Send + Sync + 'a,
        Fut: Future<Output = Result<T>> + Send + 'a,
    {
        let mut changed = self.shared.changed.subscribe();
        let permit = loop {
            match self.admit(operation) {
                Admission::Go(permit) => break permit,
                Admission::Refuse(error) => return Err(error),
                Admission::Wait(until) => {
                    let _patience_over = tokio::time::timeout_at(until, changed.changed()).await;
                }
            }
        };
        let begun = Instant::now();
        let result = call().await;
        self.settle(permit, result.as_ref().err(), begun.elapsed());
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
            self.breaker.around(Operation::Health, outcome).await
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
        let refused = |operation| matches!(bench.breaker.admit(operation), Admission::Refuse(_));
        assert!(refused(Operation::Get), "somebody waits for it");
        let Admission::Go(probe) = bench.breaker.admit(Operation::Changes) else { panic!("one probe") };
        assert!(refused(Operation::Changes), "and only one");
        drop(probe);
        bench.call(None).await.expect("a cancelled probe frees its place");
        bench.check(BreakerState::Closed);
        assert_eq!(bench.breaker.status().consecutive_failures, 0);
    }
}
