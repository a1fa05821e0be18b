//! Threads for the blocking calls of libsql: its async functions step SQLite inline.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use memory_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

type Job<C> = Box<dyn FnOnce(&C) + Send>;

/// Threads that share a queue of jobs, each with a context of its own.
pub(crate) struct Lane<C> {
    jobs: Sender<Job<C>>,
    threads: Vec<JoinHandle<()>>,
}

impl<C: Send + 'static> Lane<C> {
    /// Starts one thread a context.
    pub(crate) fn start(name: &str, contexts: Vec<C>) -> Result<Self> {
        let (jobs, queue) = channel::<Job<C>>();
        let queue = Arc::new(Mutex::new(queue));
        let threads = contexts
            .into_iter()
            .map(|context| {
                let queue = queue.clone();
                spawn(name, move || {
                    while let Some(job) = next(&queue) {
                        job(&context);
                    }
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { jobs, threads })
    }

    /// Queues a job; the future gives its result. The job runs even if the future is dropped.
    pub(crate) fn submit<T, J>(
        &self,
        operation: &'static str,
        job: J,
    ) -> impl Future<Output = Result<T>> + Send + use<T, J, C>
    where
        T: Send + 'static,
        J: FnOnce(&C) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Job<C> = Box::new(move |context| {
            let outcome = guarded(operation, || job(context));
            // The receiver is gone if the caller has given up.
            let _ = reply.send(outcome);
        });
        let queued = self.jobs.send(job).is_ok();
        async move {
            match answer.await {
                Ok(outcome) if queued => outcome,
                _ => Err(Error::new(ErrorKind::Closed, operation, "the store is closed")),
            }
        }
    }

    /// Ends the threads when they have done the queued work, and waits for them.
    pub(crate) fn join(self) {
        drop(self.jobs);
        for thread in self.threads {
            // Jobs are guarded, so a thread ends in no other way than by the end of its queue.
            let _ = thread.join();
        }
    }
}

fn next<C>(queue: &Mutex<Receiver<Job<C>>>) -> Option<Job<C>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// Runs a function on a thread made for it.
pub(crate) fn detached(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<impl Future<Output = Result<()>> + Send> {
    let (reply, answer) = oneshot::channel();
    spawn(name, move || {
        work();
        let _ = reply.send(());
    })?;
    Ok(async move {
        answer.await.map_err(|_| Error::new(ErrorKind::Io, "close", "the closing thread ended early"))
    })
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).spawn(work).map_err(|source| {
        Error::new(ErrorKind::Io, "open database", format!("no thread for {name}: {source}"))
            .with_hint("raise the limit on threads of this user")
            .with_source(source)
    })
}

/// Turns a panic of the database client, which some damaged files cause, into an error of the call.
pub(crate) fn guarded<T>(operation: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Error::new(ErrorKind::Corrupt, operation, "the database client panicked on what it read")
            .with_hint("the file may be damaged; check it with `PRAGMA integrity_check`"))
    })
}
