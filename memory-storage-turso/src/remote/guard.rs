//! Catches panics of the database client.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future whose panic is an error: the client unwraps what a server sends (an error page that is not UTF-8, a
/// row that is too short), and a stranger's answer must not take the caller's task down.
pub(crate) struct Guarded<F>(F);

impl<F: Future + Unpin> Guarded<F> {
    pub(crate) fn new(future: F) -> Self {
        Self(future)
    }
}

impl<F: Future + Unpin> Future for Guarded<F> {
    type Output = Result<F::Output, Box<dyn Any + Send>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // After a panic only the connection is affected, which is then dropped.
        let future = Pin::new(&mut self.0);
        match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    #[test]
    fn a_panic_is_an_error() {
        let mut future = Guarded::new(Box::pin(async { panic!("as the client does") }));
        let poll: Poll<Result<(), _>> = Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(poll, Poll::Ready(Err(_))));
    }
}
