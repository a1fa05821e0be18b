//! Asking the outbox, which blocks, and whose file may fail.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::{Shared, supervise};
use crate::error::{Error, ErrorKind, Result};
use crate::store::traits::Outbox;

impl Shared {
    /// Calls the outbox off the async workers; `None` without one. A file that failed is reopened, recovered to
    /// its last durable commit or salvaged, and called again: a moment of a full disk must not close it for
    /// good.
    pub(super) async fn ask_outbox<T: Send + 'static>(
        &self,
        ask: impl Fn(&dyn Outbox) -> Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let Some(outbox) = self.outbox().cloned() else { return Ok(None) };
        let renumbered = self.renumbered.clone();
        let answer = supervise::blocking(move || match ask(outbox.as_ref()) {
            Err(error) if blames_file(&error) => {
                tracing::warn!(%error, "the outbox is opened again");
                reopen(outbox.as_ref(), &renumbered)?;
                ask(outbox.as_ref())
            }
            answer => answer,
        });
        answer.await.map(Some)
    }

    /// As [`Shared::ask_outbox`], on this thread as long as the file is intact: for the short queries of reads.
    pub(super) async fn ask_outbox_here<T: Send + 'static>(
        &self,
        ask: impl Fn(&dyn Outbox) -> Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let Some(outbox) = self.outbox() else { return Ok(None) };
        match ask(outbox.as_ref()) {
            Err(error) if blames_file(&error) => self.ask_outbox(ask).await,
            answer => answer.map(Some),
        }
    }
}

/// Reopens the outbox. If it was rebuilt, its rows have new numbers, above all that were assigned before.
pub(super) fn reopen(outbox: &dyn Outbox, renumbered: &AtomicU64) -> Result<()> {
    let before = outbox.usage().last_seq;
    outbox.reopen()?;
    let after = outbox.usage().last_seq;
    if after > before {
        renumbered.fetch_max(after, Ordering::AcqRel);
    }
    Ok(())
}

/// Errors after which the file must be opened again.
fn blames_file(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Io | ErrorKind::Corrupt)
}
