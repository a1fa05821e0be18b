//! Code that the application plugs in: a panic in it fails that call alone, not the task in the background that
//! made it.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use memory_core::{Error, ErrorKind, Reflection, Result};
use memory_learn::reflect::Reflector;
use memory_learn::trace::Trace;
use memory_recall::embedder::Embedder;

/// A reflector or a model whose panics are errors.
#[derive(Debug)]
pub(super) struct PluggedIn<T: ?Sized>(pub(super) Arc<T>);

#[async_trait]
impl Embedder for PluggedIn<dyn Embedder> {
    fn model(&self) -> &str {
        self.0.model()
    }

    fn dimensions(&self) -> usize {
        self.0.dimensions()
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        caught(self.0.embed(texts), |problem| Error::new(ErrorKind::Unavailable, "embed", problem)).await
    }
}

#[async_trait]
impl Reflector for PluggedIn<dyn Reflector> {
    async fn reflect(&self, trace: &Trace, similar: &[Trace]) -> Result<Reflection> {
        // An error of this episode: the others can be reflected on.
        let refused = |problem| Error::invalid("reflect", "episode", problem);
        caught(self.0.reflect(trace, similar), refused).await
    }
}

/// Awaits a call; a panic becomes an error. The state of the call is dropped with it.
async fn caught<T>(call: impl Future<Output = Result<T>>, error: impl Fn(String) -> Error) -> Result<T> {
    let mut call = pin!(call);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(context))) {
        Ok(poll) => poll,
        Err(panic) => Poll::Ready(Err(error(format!("it panicked: {}", text_of(panic.as_ref()))))),
    })
    .await
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Panics on this word.
    #[derive(Debug)]
    struct Touchy(&'static str);

    #[async_trait]
    impl Embedder for Touchy {
        fn model(&self) -> &str {
            "touchy"
        }

        fn dimensions(&self) -> usize {
            1
        }

        async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
            tokio::task::yield_now().await;
            assert!(texts.iter().all(|text| text != self.0), "I do not like {}", self.0);
            Ok(vec![vec![1.0]; texts.len()])
        }
    }

    #[tokio::test]
    async fn a_panic_fails_its_call_alone() {
        let model = PluggedIn::<dyn Embedder>(Arc::new(Touchy("spam")));
        let error = model.embed(&["eggs".to_owned(), "spam".to_owned()]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("it panicked: I do not like spam"), "{error}");
        assert_eq!(model.embed(&["eggs".to_owned()]).await.unwrap(), [[1.0]]);
    }
}
