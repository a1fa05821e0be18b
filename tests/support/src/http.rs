//! Reads HTTP/1.1 messages and makes plain requests: as much HTTP as the harness and the proxy need.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Which side sent a message; it decides where a message without a length ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Response,
}

/// One message: its head as sent, its body as sent, and the body decoded.
pub(crate) struct Message {
    /// Start line and headers, with the empty line that ends them.
    pub(crate) head: Vec<u8>,
    /// The body with its transfer encoding.
    pub(crate) raw_body: Vec<u8>,
    /// The body without its transfer encoding.
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// Reads one message; `None` when the peer closed between messages.
    pub(crate) fn read(from: &mut impl BufRead, side: Side) -> io::Result<Option<Self>> {
        let Some(head) = read_head(from)? else { return Ok(None) };
        let mut message = Self { head, raw_body: Vec::new(), body: Vec::new() };
        if message.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            message.read_chunks(from)?;
        } else if let Some(length) = message.header("content-length") {
            let length: usize = length.parse().map_err(|_| invalid("content-length is not a number"))?;
            message.raw_body = vec![0; length];
            from.read_exact(&mut message.raw_body)?;
            message.body.clone_from(&message.raw_body);
        } else if side == Side::Response && !matches!(message.status(), Some(100..=199 | 204 | 304)) {
            from.read_to_end(&mut message.raw_body)?;
            message.body.clone_from(&message.raw_body);
        }
        Ok(Some(message))
    }

    /// Returns the status of a response.
    pub(crate) fn status(&self) -> Option<u16> {
        let head = String::from_utf8_lossy(&self.head);
        head.split_ascii_whitespace().nth(1)?.parse().ok()
    }

    /// Returns the length of the message as sent, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.raw_body.len()
    }

    fn header(&self, name: &str) -> Option<String> {
        let head = String::from_utf8_lossy(&self.head);
        head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    }

    fn read_chunks(&mut self, from: &mut impl BufRead) -> io::Result<()> {
        loop {
            let line = read_line(from)?;
            self.raw_body.extend_from_slice(&line);
            let size = String::from_utf8_lossy(&line);
            let size = size.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| invalid("a chunk has no size"))?;
            if size == 0 {
                break;
            }
            let start = self.raw_body.len();
            self.raw_body.resize(start + size + 2, 0);
            from.read_exact(&mut self.raw_body[start..])?;
            self.body.extend_from_slice(&self.raw_body[start..start + size]);
        }
        loop {
            let line = read_line(from)?;
            self.raw_body.extend_from_slice(&line);
            if line == b"\r\n" {
                return Ok(());
            }
        }
    }
}

/// Sends one request on a connection of its own and returns the status and the body of the answer.
pub(crate) fn request(
    addr: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &[u8],
    timeout: Duration,
) -> io::Result<(u16, Vec<u8>)> {
    let stream = TcpStream::connect_timeout(&addr, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.set_nodelay(true)?;
    let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let mut bytes = format!(
        "{method} {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n{authorization}\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    (&stream).write_all(&bytes)?;
    let answer = Message::read(&mut BufReader::new(&stream), Side::Response)?
        .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "closed without an answer"))?;
    let status = answer.status().ok_or_else(|| invalid("the answer has no status"))?;
    Ok((status, answer.body))
}

fn read_head(from: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    loop {
        let line = read_line(from)?;
        if line.is_empty() {
            let closed_between_messages = head.is_empty();
            return if closed_between_messages { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        head.extend_from_slice(&line);
        if line == b"\r\n" {
            return Ok(Some(head));
        }
    }
}

fn read_line(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    // No header line comes near this; the limit keeps a stream of garbage from filling the memory.
    const LIMIT: u64 = 64 * 1024;
    let mut line = Vec::new();
    from.by_ref().take(LIMIT).read_until(b'\n', &mut line)?;
    Ok(line)
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
