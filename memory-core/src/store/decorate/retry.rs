//! A few more attempts for calls that failed in passing.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::id::IdSource;
use crate::store::decorate::{Layer, Operation};

/// A call that took longer than this before it failed is not repeated: it met a deadline, and its caller has
/// waited enough.
const QUICK: Duration = Duration::from_secs(1);

/// Repeats a call that failed quickly with a transient error, with exponential back-off and jitter.
#[derive(Debug, Clone)]
pub struct Retry {
    attempts: u32,
    base: Duration,
    random: Arc<dyn IdSource>,
}

impl Retry {
    /// Creates the layer: at most `attempts` calls, the first pause being up to `base`, doubling each time.
    pub fn new(attempts: u32, base: Duration, random: Arc<dyn IdSource>) -> Self {
        Self { attempts, base, random }
    }
}

/// Returns a delay between half of and the whole `base × 2^exponent`, never above `cap`.
///
/// "Equal jitter" of Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
pub(crate) fn backoff(base: Duration, exponent: u32, cap: Duration, random: u64) -> Duration {
    let full = base.saturating_mul(1_u32 << exponent.min(20)).min(cap);
    let half = full / 2;
    half + half.mul_f64(random as f64 / u64::MAX as f64)
}

impl Layer for Retry {
    async fn around<'a, T, F, Fut>(&'a self, _operation: Operation, call: F) -> Result<T>
    where
        T: Send + 'a,
        F: Fn() -> Fut + Send + Sync + 'a,
        Fut: Future<Output = Result<T>> + Send + 'a,
    {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let started = tokio::time::Instant::now();
            match call().await {
                Err(error)
                    if error.is_transient() && attempt < self.attempts && started.elapsed() < QUICK =>
                {
                    let pause = backoff(self.base, attempt, Duration::from_secs(1), self.random.random());
                    tracing::debug!(%error, attempt, "transient failure, trying again");
                    tokio::time::sleep(pause).await;
                }
                Err(error) => return Err(error.with_context("attempts", attempt.to_string())),
                Ok(value) => return Ok(value),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_within_jitter_and_cap() {
        let check = |exponent, random, expected| {
            let [base, cap] = [100, 1_000].map(Duration::from_millis);
            assert_eq!(backoff(base, exponent, cap, random), Duration::from_millis(expected));
        };
        check(0, 0, 50);
        check(0, u64::MAX, 100);
        check(1, u64::MAX, 200);
        check(9, u64::MAX, 1_000);
        check(40, 0, 500);
    }
}
