//! A deadline on every call.

use std::future::Future;

use crate::error::{Error, ErrorKind, Result};
use crate::store::decorate::{Layer, Operation};
use crate::store::traits::Deadlines;

/// Gives up on a call that takes longer than its deadline.
#[derive(Debug, Clone, Copy)]
pub struct Timeout {
    deadlines: Deadlines,
}

impl Timeout {
    /// Creates the layer.
    pub fn new(deadlines: Deadlines) -> Self {
        Self { deadlines }
    }
}

impl Layer for Timeout {
    async fn around<'a, T, F, Fut>(&'a self, operation: Operation, call: F) -> Result<T>
    where
        T: Send + 'a,
        F: Fn() -> Fut + Send + Sync + 'a,
        Fut: Future<Output = Result<T>> + Send + 'a,
    {
        let deadline = if operation.writes() { self.deadlines.write } else { self.deadlines.read };
        match tokio::time::timeout(deadline, call()).await {
            Ok(result) => result,
            Err(_) => Err(Error::new(
                ErrorKind::Unavailable,
                "call the durable tier",
                format!("no answer to {operation:?} within {} ms", deadline.as_millis()),
            )),
        }
    }
}
