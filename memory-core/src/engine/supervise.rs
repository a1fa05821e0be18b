//! Background tasks and their supervision: a panic is reported, and the task restarts.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};

use crate::engine::{Engine, Shared, Task};
use crate::error::{Error, ErrorKind, Result};

/// How long a task pauses after its first panic; doubled with each that follows before it has run for [`STEADY`].
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const STEADY: Duration = Duration::from_secs(60);

/// Runs `task` on the current runtime until it returns; aborting the handle aborts it.
pub fn supervised<F, Run>(
    name: &'static str,
    report: impl Fn(Option<&Error>) + Send + 'static,
    run: Run,
) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
    Run: Fn() -> F + Send + 'static,
{
    tokio::spawn(async move {
        let mut pause = PAUSE;
        loop {
            let begun = tokio::time::Instant::now();
            let mut attempt = JoinSet::new();
            attempt.spawn(run());
            let panic = match attempt.join_next().await {
                Some(Err(ended)) if ended.is_panic() => ended.into_panic(),
                _ => return,
            };
            if begun.elapsed() > STEADY {
                pause = PAUSE;
            }
            report(Some(&panicked(name, panic.as_ref())));
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    })
}

/// Calls a function that may panic; a panic becomes an error.
///
/// # Errors
/// `Corrupt` with the panic's message.
pub(crate) fn contained<T>(name: &'static str, run: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| panicked(name, panic.as_ref()))
}

pub(super) fn panicked(name: &'static str, panic: &(dyn Any + Send)) -> Error {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    Error::new(ErrorKind::Corrupt, name, format!("panicked: {said}"))
        .with_hint("this is a fault of agent-memory; the rest goes on without it")
}

impl Shared {
    /// Starts a background task of the engine.
    pub(super) fn spawn<F>(
        self: &Arc<Self>,
        task: Task,
        run: impl Fn(Arc<Self>) -> F + Send + 'static,
    ) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (reporter, own) = (self.clone(), self.clone());
        let report = move |error: Option<&Error>| {
            error.into_iter().for_each(|error| reporter.report_panic(task, error));
        };
        supervised(task.name(), report, move || run(own.clone()))
    }
}

impl Engine {
    /// Notes that background learning panicked, for the status.
    pub fn note_learning_panic(&self, error: &Error) {
        self.shared.report_panic(Task::Learn, error);
    }
}

/// Runs a blocking call off the async workers.
pub(super) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result,
        Err(source) if source.is_panic() => Err(panicked("background work", source.into_panic().as_ref())),
        Err(source) => Err(Error::new(ErrorKind::Closed, "background work", "the runtime is shutting down")
            .with_source(source)),
    }
}
