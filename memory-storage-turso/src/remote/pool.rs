//! A bounded pool of connections to one server.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::client::HttpConnector;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use libsql::{Builder, Database};
use memory_core::{Error, ErrorKind, LimitViolation, Result};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::classify::classify;
use crate::remote::connector::{Connector, Server};
use crate::remote::options::RemoteOptions;
use crate::remote::url;
use crate::session::{Place, Session, finish};

/// The server forgets an unused stream after 10 s and then fails every call on it; a connection idle for longer
/// than this forgets its stream first.
const STREAM_LIFETIME: Duration = Duration::from_secs(8);

/// Upkeep drops connections that were idle for longer than this.
const IDLE_LIFETIME: Duration = Duration::from_secs(60);

/// The connections to one server: a semaphore bounds them, idle ones wait for reuse.
pub(crate) struct Pool {
    database: Database,
    permits: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    session: Session,
    since: Instant,
}

/// A connection in use. Dropping it drops the connection; [`Lease::give_back`] returns it.
pub(crate) struct Lease<'a> {
    pool: &'a Pool,
    session: Option<Session>,
    reused: bool,
    _permit: SemaphorePermit<'a>,
}

impl Pool {
    pub(crate) fn new(options: &RemoteOptions) -> Result<Self> {
        if options.pool_size > RemoteOptions::MAX_POOL_SIZE {
            let violation = LimitViolation {
                field: "pool_size".into(),
                limit: RemoteOptions::MAX_POOL_SIZE as u64,
                found: options.pool_size as u64,
                unit: "connections",
            };
            return Err(Error::limit(ErrorKind::InvalidInput, "connect", violation));
        }
        let endpoint = url::parse(&options.url)?;
        let token = options.token.clone().unwrap_or_default();
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::invalid("connect", "token", "it has characters that no token has")
                .with_hint("check TURSO_AUTH_TOKEN for spaces, quotes and line ends"));
        }
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(options.connect_timeout));
        let server = Server::of(&endpoint.url);
        let builder = Builder::new_remote(endpoint.url.to_string(), token);
        let builder = match endpoint.tls {
            false => builder.connector(Connector::new(tcp, server)),
            true => builder.connector(Connector::new(over_tls(tcp)?, server)),
        };
        let database = finish(builder.build()).map_err(|error| Error::from(classify("connect", error)))?;
        Ok(Self { database, permits: Semaphore::new(options.pool_size), idle: Mutex::default() })
    }

    /// Waits for a connection: an idle one if there is one, else a new one.
    pub(crate) async fn lease(&self, operation: &'static str) -> Result<Lease<'_>> {
        let permit = self.permits.acquire().await.map_err(|_| closed(operation))?;
        let idle = self.idle().pop();
        let mut lease = Lease { pool: self, session: None, reused: idle.is_some(), _permit: permit };
        match idle {
            Some(Idle { session, since }) => {
                if since.elapsed() > STREAM_LIFETIME {
                    session.connection().reset().await;
                }
                lease.session = Some(session);
            }
            None => lease.session = Some(self.open(operation)?),
        }
        Ok(lease)
    }

    /// Drops connections that have been idle for long.
    pub(crate) fn drop_idle(&self, operation: &'static str) -> Result<()> {
        if self.permits.is_closed() {
            return Err(closed(operation));
        }
        self.idle().retain(|idle| idle.since.elapsed() <= IDLE_LIFETIME);
        Ok(())
    }

    /// Refuses new leases and drops idle connections; calls in progress end by themselves.
    pub(crate) fn close(&self) {
        self.permits.close();
        self.idle().clear();
    }

    /// Makes a connection, which opens its socket with its first request.
    fn open(&self, operation: &'static str) -> Result<Session> {
        let connection = self.database.connect().map_err(|error| Error::from(classify(operation, error)))?;
        Ok(Session::new(connection, Place::Remote))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts TLS over TCP, with the system's root certificates.
fn over_tls(mut tcp: HttpConnector) -> Result<HttpsConnector<HttpConnector>> {
    tcp.enforce_http(false);
    let builder = HttpsConnectorBuilder::new().with_native_roots().map_err(|source| {
        Error::new(ErrorKind::Io, "connect", format!("no TLS root certificates: {source}"))
            .with_hint("install the system's CA certificates")
    })?;
    Ok(builder.https_only().enable_http1().wrap_connector(tcp))
}

impl Lease<'_> {
    /// Returns true if the connection has been used before.
    pub(crate) fn is_reused(&self) -> bool {
        self.reused
    }

    pub(crate) fn session(&self, operation: &'static str) -> Result<&Session> {
        self.session.as_ref().ok_or_else(|| closed(operation))
    }

    /// Replaces the connection by a new one.
    pub(crate) fn renew(&mut self, operation: &'static str) -> Result<()> {
        self.session = None;
        self.session = Some(self.pool.open(operation)?);
        self.reused = false;
        Ok(())
    }

    /// Returns the connection to the pool.
    pub(crate) fn give_back(mut self) {
        if let Some(session) = self.session.take()
            && !self.pool.permits.is_closed()
        {
            self.pool.idle().push(Idle { session, since: Instant::now() });
        }
    }
}

fn closed(operation: &'static str) -> Error {
    Error::new(ErrorKind::Closed, operation, "the store is closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_bounded() {
        let connect = |size| Pool::new(&RemoteOptions::new("http://127.0.0.1:1").pool_size(size));
        assert!(connect(RemoteOptions::MAX_POOL_SIZE).is_ok());
        let error = connect(usize::MAX).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains("pool_size"), "{error}");
    }
}
