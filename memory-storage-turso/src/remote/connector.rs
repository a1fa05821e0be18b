//! Connects to the configured server only, and bounds its answers.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::Uri;
use hyper::client::connect::{Connected, Connection};
use hyper::service::Service;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::classify::ANSWER_TOO_LONG;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The most bytes of one answer, as transferred: the client holds it in memory. A read of several records then
/// requests fewer; one takes at most 4 MiB, and twice that if all of it is escaped.
const MAX_ANSWER_BYTES: u64 = 64 * 1024 * 1024;

/// Makes connections to one scheme, host and port, and to no other.
///
/// A server may name another address for the requests that follow, and the token would go there.
#[derive(Clone)]
pub(crate) struct Connector<C> {
    inner: C,
    server: Server,
}

/// The server of a connection.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Server {
    scheme: String,
    host: String,
    port: u16,
}

impl Server {
    /// Takes the server out of an absolute URL.
    pub(crate) fn of(url: &Uri) -> Self {
        let lower = |part: Option<&str>| part.unwrap_or_default().to_ascii_lowercase();
        let scheme = lower(url.scheme_str());
        let port = url.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        Self { host: lower(url.host()), port, scheme }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

impl<C> Connector<C> {
    pub(crate) fn new(inner: C, server: Server) -> Self {
        Self { inner, server }
    }
}

impl<C> Service<Uri> for Connector<C>
where
    C: Service<Uri>,
    C::Future: Send + 'static,
    C::Error: Into<BoxError>,
{
    type Response = Bounded<C::Response>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let asked = Server::of(&url);
        if asked != self.server {
            let refused = format!("{} sends this client to {asked}, which was not named", self.server);
            return Box::pin(async move { Err(refused.into()) });
        }
        let connecting = self.inner.call(url);
        Box::pin(async move { Ok(Bounded { stream: connecting.await.map_err(Into::into)?, received: 0 }) })
    }
}

/// A connection that fails once an answer is too long.
///
/// HTTP/1.1 sends one request at a time, so all bytes between two writes belong to one answer.
#[derive(Debug)]
pub(crate) struct Bounded<S> {
    stream: S,
    /// Bytes read since the last write.
    received: u64,
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.received += (buffer.filled().len() - before) as u64;
        if self.received > MAX_ANSWER_BYTES {
            return Poll::Ready(Err(io::Error::other(format!("{ANSWER_TOO_LONG} {MAX_ANSWER_BYTES} bytes"))));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.received = 0;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.received = 0;
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl<S: Connection> Connection for Bounded<S> {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_told_apart_by_scheme_host_and_port() {
        let of = |url: &str| Server::of(&url.parse().unwrap());
        assert!(of("https://Db.example.org/v3/pipeline") == of("https://db.example.org:443"));
        for other in ["http://db.example.org", "https://db.example.org:8443", "https://example.org"] {
            assert!(of(other) != of("https://db.example.org"), "{other}");
        }
    }
}
