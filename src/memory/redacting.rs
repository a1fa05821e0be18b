//! Redacting large texts without holding up the runtime.

use memory_core::{Error, ErrorKind, Result};

use crate::redact::Redactor;

/// Larger texts are redacted on the runtime's blocking threads, in bytes: smaller ones take less than a
/// millisecond.
const INLINE_BYTES: usize = 64 << 10;

impl Redactor {
    /// Redacts an application's input, on a blocking thread if it has more than 64 KiB; returns it and how many
    /// secrets were replaced. Cancelling the future stores nothing.
    ///
    /// # Errors
    /// `Closed` when the runtime is shutting down.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        bytes: usize,
        mut value: T,
        redact: fn(&Redactor, &mut T) -> u32,
    ) -> Result<(T, u32)> {
        if bytes <= INLINE_BYTES {
            let count = redact(self, &mut value);
            return Ok((value, count));
        }
        let redactor = self.clone();
        let redacted = tokio::task::spawn_blocking(move || {
            let count = redact(&redactor, &mut value);
            (value, count)
        });
        redacted.await.map_err(|source| {
            let message = "the text could not be redacted; nothing of it is stored";
            Error::new(ErrorKind::Closed, operation, message).with_source(source)
        })
    }
}

#[cfg(test)]
mod tests;
