//! Runs a model's arithmetic away from the threads that serve asynchronous work.

use memory_core::{Error, ErrorKind, Result, Retry};

/// Runs a computation on a blocking thread; a panic in it becomes an error.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::new(ErrorKind::Unavailable, "embed", "the model's computation panicked")
            .with_retry(Retry::Permanent)
            .with_source(error)),
    }
}
