//! How to reach a server.

use std::fmt;
use std::time::Duration;

use memory_core::Deadlines;

/// How to reach sqld or Turso Cloud.
///
/// The token is shown neither by `Debug` nor in errors.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteOptions {
    pub(crate) url: String,
    pub(crate) token: Option<String>,
    pub(crate) pool_size: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) deadlines: Deadlines,
}

impl RemoteOptions {
    /// The most connections that a pool may have.
    pub const MAX_POOL_SIZE: usize = 1_024;

    /// Names the server: `http://host:port`, `https://host` or `libsql://host` (the same with TLS; `?tls=0` for
    /// without). The URL carries no credentials.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            token: None,
            pool_size: 4,
            connect_timeout: Duration::from_secs(3),
            deadlines: Deadlines::default(),
        }
    }

    /// Sets the token; none by default. An empty one counts as none.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into()).filter(|token| !token.is_empty());
        self
    }

    /// Sets the most connections at a time; 4 by default, at least 1. Connecting refuses more than
    /// [`Self::MAX_POOL_SIZE`].
    #[must_use]
    pub fn pool_size(mut self, connections: usize) -> Self {
        self.pool_size = connections.max(1);
        self
    }

    /// Sets how long a TCP connection may take; 3 s by default.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long a call may take, waiting for a connection included; [`Deadlines::default`] by default.
    #[must_use]
    pub fn deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// Returns the URL without what may be a credential.
    pub(crate) fn address(&self) -> &str {
        let end = self.url.find('?').unwrap_or(self.url.len());
        let shown = &self.url[..end];
        if shown.contains('@') { "(a URL with credentials)" } else { shown }
    }
}

impl fmt::Debug for RemoteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteOptions")
            .field("url", &self.address())
            .field("token", &self.token.as_ref().map(|_| "(hidden)"))
            .field("pool_size", &self.pool_size)
            .field("connect_timeout", &self.connect_timeout)
            .field("deadlines", &self.deadlines)
            .finish()
    }
}
