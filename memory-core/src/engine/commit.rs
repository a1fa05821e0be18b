//! The committer: one thread that turns whatever has queued up into one commit (group commit).

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{JoinHandle, Thread};

use tokio::sync::{oneshot, watch};

use crate::clock::Clock;
use crate::engine::index::DocumentChange;
use crate::engine::outbox::reopen;
use crate::engine::supervise::contained;
use crate::error::{Error, ErrorKind, LimitViolation, Result};
use crate::id::lock;
use crate::store::record::Record;
use crate::store::record::Seq;
use crate::store::traits::{Durable, Outbox};

/// Rows in one commit at most; bounds how long the first of them waits for the others' bytes.
const GROUP_ROWS: usize = 1_024;
/// Bytes in one commit, about.
const GROUP_BYTES: usize = 4 << 20;

/// A caller's write: all of it or nothing.
pub(crate) struct Write {
    pub(crate) records: Vec<Record>,
    /// The changes of the recall index by the records.
    pub(crate) documents: Vec<DocumentChange>,
    /// The encoded size, about.
    pub(crate) bytes: usize,
}

/// Where a write ended up in the outbox; `None` in local mode, where the durable tier has it already.
pub(crate) type Place = Option<(Seq, Seq)>;

struct Request {
    write: Write,
    reply: oneshot::Sender<Result<Place>>,
}

/// Where commits go.
pub(crate) enum Target {
    Durable(Arc<dyn Durable>),
    /// With the number up to which rows were renumbered because the outbox was rebuilt.
    Outbox(Arc<dyn Outbox>, Arc<AtomicU64>),
}

/// Called on the committer's thread for committed writes, before their callers wake.
pub(crate) type OnCommit = Box<dyn Fn(Vec<Write>) + Send>;

#[derive(Default)]
struct Queue {
    requests: VecDeque<Request>,
    rows: usize,
    bytes: usize,
    closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    max_rows: usize,
    max_bytes: usize,
    /// How many groups were begun, and how many are done with.
    begun: AtomicU64,
    done: watch::Sender<u64>,
    /// How often storing, or handing on, panicked.
    panics: AtomicU64,
}

impl Shared {
    fn contained<T>(&self, name: &'static str, run: impl FnOnce() -> T) -> Result<T> {
        contained(name, run).inspect_err(|error| {
            self.panics.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%error, "the committer goes on");
        })
    }
}

pub(crate) struct Committer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Committer {
    pub(crate) fn start(
        target: Target,
        clock: Arc<dyn Clock>,
        (max_rows, max_bytes): (usize, usize),
        on_commit: OnCommit,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            max_rows,
            max_bytes,
            begun: AtomicU64::new(0),
            done: watch::Sender::new(0),
            panics: AtomicU64::new(0),
        });
        let worker = Worker { shared: shared.clone(), target, clock, on_commit, needs_reopen: false };
        let thread = std::thread::Builder::new()
            .name("memory-commit".into())
            .spawn(move || worker.run())
            .map_err(|source| {
                Error::new(ErrorKind::Io, "open", "cannot start the committer thread").with_source(source)
            })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Queues a write and waits for its commit. Cancelling the wait does not cancel the write.
    ///
    /// # Errors
    /// `QuotaExceeded` if the queue is full, `Closed` after [`Committer::close`], or the commit's own error; in
    /// each case nothing of the write is stored, unless the error says that the outcome is unknown.
    pub(crate) async fn commit(&self, write: Write) -> Result<Place> {
        let (reply, committed) = oneshot::channel();
        {
            let mut queue = lock(&self.shared.queue);
            if queue.closed {
                return Err(closed());
            }
            // The bounds hold back many callers; one write that is larger than they are is admitted alone.
            let alone = queue.requests.is_empty();
            let found = queue.rows + write.records.len();
            if found > self.shared.max_rows && !alone {
                return Err(full("queue.rows", self.shared.max_rows, found, "rows"));
            }
            let found = queue.bytes + write.bytes;
            if found > self.shared.max_bytes && !alone {
                return Err(full("queue.bytes", self.shared.max_bytes, found, "bytes"));
            }
            queue.rows += write.records.len();
            queue.bytes += write.bytes;
            queue.requests.push_back(Request { write, reply });
        }
        self.shared.wake.notify_one();
        committed.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Waits until everything committed so far has been handed on: to caches and recall, too.
    pub(crate) async fn settle(&self) {
        let begun = self.shared.begun.load(Ordering::Acquire);
        let mut done = self.shared.done.subscribe();
        // An error would mean that the sender is dropped, but it exists here.
        let _ended = done.wait_for(|done| *done >= begun).await;
    }

    /// Returns how often a commit panicked.
    pub(crate) fn panics(&self) -> u64 {
        self.shared.panics.load(Ordering::Relaxed)
    }

    /// Returns the rows that wait for a commit.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.shared.queue).rows
    }

    /// Refuses further writes; those queued are still committed.
    pub(crate) fn close(&self) {
        lock(&self.shared.queue).closed = true;
        self.shared.wake.notify_all();
    }

    /// Waits for the thread after [`Committer::close`]. Blocks.
    pub(crate) fn join(&self) {
        if let Some(thread) = lock(&self.thread).take() {
            let _panicked = thread.join();
        }
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "commit", "the memory is closed")
}

fn ended() -> Error {
    Error::new(
        ErrorKind::Closed,
        "commit",
        "the committer has ended; whether the write is stored is not known",
    )
    .with_hint("open the memory again and look")
}

fn full(field: &str, limit: usize, found: usize, unit: &'static str) -> Error {
    let violation = LimitViolation { field: field.into(), limit: limit as u64, found: found as u64, unit };
    Error::limit(ErrorKind::QuotaExceeded, "commit", violation)
        .with_hint("writes arrive faster than the disk takes them; slow down or write in larger batches")
}

struct Worker {
    shared: Arc<Shared>,
    target: Target,
    clock: Arc<dyn Clock>,
    on_commit: OnCommit,
    /// The outbox refused a commit for a reason of the file's: it must be reopened before the next one.
    needs_reopen: bool,
}

impl Worker {
    fn run(mut self) {
        let _end = End(self.shared.clone());
        while let Some(group) = self.next_group() {
            let begun = self.shared.begun.fetch_add(1, Ordering::AcqRel) + 1;
            self.commit(group);
            self.shared.done.send_replace(begun);
        }
    }

    fn next_group(&self) -> Option<Vec<Request>> {
        let mut queue = lock(&self.shared.queue);
        while queue.requests.is_empty() {
            if queue.closed {
                return None;
            }
            queue = self.shared.wake.wait(queue).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        let (mut rows, mut bytes, mut group) = (0, 0, Vec::new());
        while let Some(request) = queue.requests.pop_front() {
            let (request_rows, request_bytes) = (request.write.records.len(), request.write.bytes);
            if !group.is_empty() && (rows + request_rows > GROUP_ROWS || bytes + request_bytes > GROUP_BYTES)
            {
                queue.requests.push_front(request);
                break;
            }
            rows += request_rows;
            bytes += request_bytes;
            group.push(request);
        }
        queue.rows -= rows;
        queue.bytes -= bytes;
        Some(group)
    }

    fn commit(&mut self, group: Vec<Request>) {
        let all: Vec<Record> = group.iter().flat_map(|request| request.write.records.clone()).collect();
        match self.store(&all) {
            Ok(last) => {
                let mut from = last.map(|last| last + 1 - all.len() as Seq);
                let (mut writes, mut replies) = (Vec::new(), Vec::new());
                for Request { write, reply } in group {
                    let place = from.map(|first| (first, first + write.records.len() as Seq - 1));
                    from = from.map(|first| first + write.records.len() as Seq);
                    writes.push(write);
                    replies.push((reply, place));
                }
                // The commit is stored, so its callers get success, whatever happens to the caches.
                let _panicked = self.shared.contained("hand on a commit", || (self.on_commit)(writes));
                for (reply, place) in replies {
                    let _cancelled = reply.send(Ok(place));
                }
            }
            // One caller's bad row, or a batch too large, must not fail the others.
            Err(error) if group.len() > 1 && blames_content(&error) => {
                for request in group {
                    self.commit(vec![request]);
                }
            }
            Err(error) => {
                for request in group {
                    let _cancelled = request.reply.send(Err(error.duplicate()));
                }
            }
        }
    }

    /// Stores records; whether they are stored is not known after a panic.
    fn store(&mut self, records: &[Record]) -> Result<Option<Seq>> {
        let shared = self.shared.clone();
        shared.contained("commit", || self.try_store(records)).unwrap_or_else(|panicked| {
            self.needs_reopen = true;
            Err(panicked)
        })
    }

    fn try_store(&mut self, records: &[Record]) -> Result<Option<Seq>> {
        match &self.target {
            Target::Durable(durable) => block_on(durable.commit(records)).map(|()| None),
            Target::Outbox(outbox, renumbered) => {
                if self.needs_reopen {
                    reopen(outbox.as_ref(), renumbered)?;
                    self.needs_reopen = false;
                }
                let appended = outbox.append(records, self.clock.now());
                if let Err(error) = &appended {
                    self.needs_reopen = !blames_content(error) || error.kind() == ErrorKind::Corrupt;
                }
                appended.map(Some)
            }
        }
    }
}

/// Leaves no caller waiting when the thread ends, by a panic too.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        let mut queue = lock(&self.0.queue);
        queue.closed = true;
        queue.requests.clear();
        drop(queue);
        self.0.done.send_replace(u64::MAX);
    }
}

/// Returns true for an error that one row may cause, a panic included: storing a row twice is storing it once.
fn blames_content(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Rejected | ErrorKind::InvalidInput | ErrorKind::QuotaExceeded | ErrorKind::Corrupt
    )
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread, outside any runtime: a local store sees that it may block here, and does
/// its work in place instead of handing it to another thread.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::store::fixtures::{episode, record};
    use crate::store::memory_store::MemoryStore;
    use crate::store::record::Namespace;
    use crate::store::traits::Store;

    #[tokio::test]
    async fn what_the_durable_tier_has_is_settled_when_it_was_handed_on() {
        let (durable, (release, released)) = (Arc::new(MemoryStore::new()), mpsc::channel::<()>());
        let on_commit: OnCommit = Box::new(move |_| released.recv().unwrap());
        let clock = Arc::new(SystemClock::new());
        let committer = Committer::start(Target::Durable(durable.clone()), clock, (10, 1_000), on_commit);
        let committer = Arc::new(committer.unwrap());
        committer.settle().await;

        let record = record(&Namespace::default(), "a", 1, Some(episode(1)));
        let write = Write { records: vec![record.clone()], documents: Vec::new(), bytes: 1 };
        let own = committer.clone();
        let committing = tokio::spawn(async move { own.commit(write).await });
        while durable.get(std::slice::from_ref(&record.key)).await.unwrap() == [None] {
            tokio::task::yield_now().await;
        }
        let mut settling = Box::pin(committer.settle());
        tokio::select! {
            biased;
            () = &mut settling => panic!("it is stored, but not handed on"),
            () = std::future::ready(()) => {}
        }
        release.send(()).unwrap();
        settling.await;
        committing.await.unwrap().unwrap();
        committer.close();
        committer.join();
    }

    #[tokio::test]
    async fn the_bounds_hold_back_many_and_not_one_that_is_large() {
        let (durable, (release, released)) = (Arc::new(MemoryStore::new()), mpsc::channel::<()>());
        let on_commit: OnCommit = Box::new(move |_| released.recv().unwrap());
        let clock = Arc::new(SystemClock::new());
        let committer = Committer::start(Target::Durable(durable.clone()), clock, (3, 1_000), on_commit);
        let committer = Arc::new(committer.unwrap());
        let write = |rows: u64| {
            let one = |n: u64| record(&Namespace::default(), &n.to_string(), 1, Some(episode(n)));
            Write { records: (0..rows).map(one).collect(), documents: Vec::new(), bytes: 2_000 }
        };
        let queue = |rows: u64| {
            let (own, write) = (committer.clone(), write(rows));
            tokio::spawn(async move { own.commit(write).await.map(drop).map_err(|error| error.kind()) })
        };
        let large = queue(5);
        let key = write(1).records[0].key.clone();
        while durable.get(std::slice::from_ref(&key)).await.unwrap() == [None] {
            tokio::task::yield_now().await;
        }
        // The first one is being handed on; this one waits for it, and the next would be the second in the
        // queue.
        let waits = queue(1);
        while committer.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(queue(1).await.unwrap(), Err(ErrorKind::QuotaExceeded));
        release.send(()).unwrap();
        release.send(()).unwrap();
        assert_eq!((large.await.unwrap(), waits.await.unwrap()), (Ok(()), Ok(())));
        committer.close();
        committer.join();
    }
}
