//! The durable tier on a server: sqld or Turso Cloud, over HTTP.

mod connector;
mod guard;
mod options;
mod pool;
mod url;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use memory_core::{
    Changes, ChangesQuery, Durable, Error, ErrorKind, Key, Kind, Namespace, Page, Purged, Record, Result,
    Row, Scan, Store, Timestamp,
};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::classify::{Failure, Recovery};
use crate::operation::{Access, Commit, Count, Get, Operation, Probe, Purge, ReadChanges, ReadPage};
use crate::remote::guard::Guarded;
use crate::remote::pool::Pool;
use crate::session::Session;

pub use options::RemoteOptions;

/// Keeps records on sqld or Turso Cloud.
///
/// Connecting is lazy: the server is first asked by the first call, which also migrates the schema. Every call
/// has a deadline, uses one connection of a bounded pool, and needs a tokio runtime with I/O and time enabled.
///
/// After [`ErrorKind::Unavailable`] the outcome of a commit is unknown; repeating it is safe. A call whose
/// future is dropped gives up its connection; a request already sent may still take effect.
pub struct RemoteStore {
    shared: Shared,
}

struct Shared {
    options: RemoteOptions,
    pool: Pool,
    /// Whether the schema was found to be that of this program. Held while it is looked at.
    migrated: Mutex<bool>,
}

impl RemoteStore {
    /// Prepares a store; the server need not be there.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a URL or token that cannot work, [`ErrorKind::Unsupported`] for a URL
    /// scheme that is not served, [`ErrorKind::Io`] if the system has no TLS root certificates.
    pub fn connect(options: RemoteOptions) -> Result<Self> {
        let pool = Pool::new(&options)?;
        Ok(Self { shared: Shared { options, pool, migrated: Mutex::new(false) } })
    }

    /// Returns the address of the server, without any credentials.
    pub fn url(&self) -> &str {
        self.shared.options.address()
    }

    async fn run<O: Operation>(&self, operation: O) -> Result<O::Answer> {
        let shared = &self.shared;
        let outcome = match Handle::try_current() {
            Ok(_) => shared.within_deadline(&operation).await,
            Err(_) => Err(Error::new(ErrorKind::Unsupported, O::NAME, "no tokio runtime is running here")
                .with_hint("call the store from within a tokio runtime with I/O and time enabled")),
        };
        outcome.map_err(|error| error.with_context("url", self.url()))
    }
}

impl Shared {
    async fn within_deadline<O: Operation>(&self, operation: &O) -> Result<O::Answer> {
        let deadlines = self.options.deadlines;
        let limit = if O::ACCESS == Access::Read { deadlines.read } else { deadlines.write };
        match tokio::time::timeout(limit, self.migrate_and_run(operation)).await {
            // A failed write is an outage: there is no evidence that its rows are at fault.
            Ok(Err(Failure { error, recovery: Recovery::Split })) if O::ACCESS == Access::Read => {
                Err(Error::new(ErrorKind::Rejected, O::NAME, error.message()))
            }
            Ok(outcome) => outcome.map_err(Error::from),
            Err(_) => Err(late(O::NAME, limit)),
        }
    }

    async fn migrate_and_run<O: Operation>(&self, operation: &O) -> Result<O::Answer, Failure> {
        self.migrate(O::NAME).await?;
        match self.attempt(O::NAME, operation).await {
            Err(failure) if failure.recovery == Recovery::Migrate => {
                tracing::warn!(error = %failure.error, "the schema is gone; it is laid out again");
                *self.migrated.lock().await = false;
                self.migrate(O::NAME).await?;
                self.attempt(O::NAME, operation).await
            }
            outcome => outcome,
        }
    }

    async fn migrate(&self, name: &'static str) -> Result<(), Failure> {
        let mut migrated = self.migrated.lock().await;
        if !*migrated {
            self.attempt(name, &Migrate).await?;
            *migrated = true;
        }
        Ok(())
    }

    /// Runs an operation: repeated once if the connection was at fault, a few times if another writer was in
    /// the way.
    ///
    /// A connection returns to the pool only after a success: one that failed, or whose call was dropped in the
    /// middle, may have a stream or a transaction open.
    async fn attempt<O: Operation>(&self, name: &'static str, operation: &O) -> Result<O::Answer, Failure> {
        let mut lease = self.pool.lease(name).await?;
        let mut pauses = BUSY_PAUSES_MS.iter();
        loop {
            let failure = match run_guarded(operation, lease.session(name)?).await {
                Ok(answer) => {
                    lease.give_back();
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            match failure.recovery {
                Recovery::Reconnect if lease.is_reused() => {}
                Recovery::Retry => match pauses.next() {
                    Some(pause) => tokio::time::sleep(Duration::from_millis(*pause)).await,
                    None => return Err(failure),
                },
                _ => return Err(failure),
            }
            lease.renew(name)?;
        }
    }
}

/// How long to wait before each further attempt when the server reports a locked database.
const BUSY_PAUSES_MS: [u64; 8] = [3, 7, 15, 30, 60, 120, 240, 480];

async fn run_guarded<O: Operation>(operation: &O, session: &Session) -> Result<O::Answer, Failure> {
    let run = Box::pin(operation.run(session));
    Guarded::new(run).await.unwrap_or_else(|_| {
        let message = "the answer is not one of a database server";
        let hint = "check that the URL leads to sqld or Turso, and what proxies are between";
        Err(Error::new(ErrorKind::Unavailable, O::NAME, message).with_hint(hint).into())
    })
}

/// Brings the schema up to date.
struct Migrate;

impl Operation for Migrate {
    type Answer = ();
    const NAME: &'static str = "open schema";
    const ACCESS: Access = Access::Write;

    async fn run(&self, session: &Session) -> Result<(), Failure> {
        crate::schema::open(session).await
    }
}

/// Returns true for a read that the server, or this client, refuses: size is the only reason to.
fn is_too_large(error: &Error) -> bool {
    error.kind() == ErrorKind::Rejected
}

fn late(operation: &'static str, limit: Duration) -> Error {
    Error::new(ErrorKind::Unavailable, operation, format!("no answer within {} ms", limit.as_millis()))
        .with_hint("check that the server is up and the network lets the address through")
}

impl fmt::Debug for RemoteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteStore").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for RemoteStore {
    async fn commit(&self, records: &[Record]) -> Result<()> {
        let rows = records.iter().map(Row::encode).collect::<Result<Vec<_>>>()?;
        self.run(Commit { rows }).await
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>> {
        let mut found = Vec::with_capacity(keys.len());
        let mut parts = vec![keys];
        while let Some(part) = parts.pop() {
            match self.run(Get { keys: part.to_vec() }).await {
                Ok(records) => found.extend(records),
                Err(error) if is_too_large(&error) && part.len() > 1 => {
                    let (first, rest) = part.split_at(part.len() / 2);
                    parts.extend([rest, first]);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        scan.validate()?;
        let mut scan = scan.clone();
        loop {
            match self.run(ReadPage { scan: scan.clone() }).await {
                Err(error) if is_too_large(&error) && scan.limit > 1 => scan.limit /= 2,
                page => return page,
            }
        }
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<Purged> {
        let mut total = 0;
        loop {
            let (more, purged) = self.run(Purge { now }).await?;
            total += purged.records;
            if !more {
                return Ok(Purged { records: total, ..purged });
            }
        }
    }

    async fn health(&self) -> Result<()> {
        self.run(Probe).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Durable for RemoteStore {
    async fn changes(&self, query: &ChangesQuery) -> Result<Changes> {
        self.run(ReadChanges { query: query.clone() }).await
    }

    async fn count(&self, namespace: &Namespace) -> Result<Vec<(Kind, u64)>> {
        self.run(Count { namespace: namespace.clone() }).await
    }

    async fn maintain(&self) -> Result<()> {
        self.shared.pool.drop_idle("maintain")
    }

    async fn close(&self) -> Result<()> {
        self.shared.pool.close();
        Ok(())
    }
}
