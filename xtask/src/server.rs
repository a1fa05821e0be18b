//! Runs an sqld for the examples that need a server.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// A running sqld; dropping it ends it.
pub(crate) struct Server {
    child: Child,
    addr: SocketAddr,
}

impl Server {
    /// Starts a server that keeps its data in `dir`, and waits until it answers.
    pub(crate) fn start(binary: &Path, dir: &Path) -> Result<Self, Failure> {
        let failed =
            |error: std::io::Error| Failure::Task(format!("cannot start {}: {error}", binary.display()));
        let addr: SocketAddr = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(failed)?;
        let child = Command::new(binary)
            .args(["--no-welcome", "--http-listen-addr", &addr.to_string(), "--db-path"])
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let server = Self { child, addr };
        let deadline = Instant::now() + Duration::from_secs(20);
        while !server.is_healthy() {
            if Instant::now() > deadline {
                return Err(Failure::Task(format!("sqld does not answer at {}", server.url())));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// Returns the URL that clients connect to.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    fn is_healthy(&self) -> bool {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(self.addr)?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            write!(stream, "GET /health HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.addr)?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
