//! Breaks the connection between a client and a server in a chosen way.

use std::collections::HashMap;
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::http::{Message, Side};

/// What the proxy does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Forwards the request and its answer.
    Pass,
    /// Closes each connection as soon as it is accepted.
    Refuse,
    /// Answers 503 itself; the server sees nothing.
    Status503,
    /// Answers 401 itself; the server sees nothing.
    Unauthorized401,
    /// Answers bytes that are no HTTP; the server sees nothing.
    Garbage,
    /// Reads the request and never answers; the server sees nothing.
    Hang,
    /// Lets the server carry the request out and closes without its answer: the lost acknowledgement.
    DropAnswer,
    /// Lets the server carry the request out and closes in the middle of the answer's body.
    Truncate,
    /// Waits this long before forwarding each request, also when the client has given up by then.
    Slow(Duration),
    /// Answers requests whose body has this text with this status itself (403, 400, 500 …), as a filter of contents does.
    Filter(u16, &'static str),
    /// Takes and gives so many bytes a second at the most.
    Narrow(u64),
}

/// A TCP proxy on loopback that forwards HTTP/1.1 to a server, or does not.
///
/// It forwards until told otherwise. Dropping it closes every connection.
pub struct FaultProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
    connections: AtomicU64,
    requests: AtomicU64,
    faults: AtomicU64,
    bytes_to_server: AtomicU64,
    bytes_to_client: AtomicU64,
}

struct State {
    mode: Mode,
    /// After how many more requests `mode` gives way to `Pass`; `None` for never.
    remaining: Option<u64>,
    stopped: bool,
    next_socket: u64,
    /// Every open socket of every connection, both ends, so that a change of mode can close them.
    sockets: HashMap<u64, TcpStream>,
}

impl FaultProxy {
    /// Starts a proxy in front of the server at `target`, on a free loopback port.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap_or_else(|error| panic!("no free loopback port for the proxy: {error}"));
        let addr = listener.local_addr().unwrap_or_else(|error| panic!("the proxy has no address: {error}"));
        let shared = Arc::new(Shared {
            target,
            state: Mutex::new(State {
                mode: Mode::Pass,
                remaining: None,
                stopped: false,
                next_socket: 0,
                sockets: HashMap::new(),
            }),
            connections: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            bytes_to_server: AtomicU64::new(0),
            bytes_to_client: AtomicU64::new(0),
        });
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Self { addr, shared, acceptor: Some(acceptor) }
    }

    /// Returns the URL that clients use in place of the server's: `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Returns the address that clients use in place of the server's.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Sets what happens to every request from now on, and closes all open connections.
    pub fn set_mode(&self, mode: Mode) {
        self.shared.change(mode, None);
    }

    /// Sets what happens to the next `count` requests ([`Mode::Refuse`] counts connections), after which the proxy
    /// forwards again; open connections stay open.
    ///
    /// # Panics
    ///
    /// If `count` is 0.
    pub fn fault_next(&self, count: u64, mode: Mode) {
        assert!(count > 0, "a fault for no request is no fault");
        let mut state = self.shared.lock();
        state.mode = mode;
        state.remaining = Some(count);
    }

    /// Closes all open connections, in the middle of an answer if need be; the mode stays.
    pub fn close_connections(&self) {
        self.shared.lock().close_sockets();
    }

    /// Counts the connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Counts the requests received so far, forwarded or not.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Counts the requests and connections that were not simply forwarded; a delay counts.
    pub fn faults(&self) -> u64 {
        self.shared.faults.load(Ordering::SeqCst)
    }

    /// Counts the bytes forwarded to the server so far.
    pub fn bytes_to_server(&self) -> u64 {
        self.shared.bytes_to_server.load(Ordering::SeqCst)
    }

    /// Counts the bytes sent to clients so far.
    pub fn bytes_to_client(&self) -> u64 {
        self.shared.bytes_to_client.load(Ordering::SeqCst)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        {
            let mut state = self.shared.lock();
            state.stopped = true;
            state.close_sockets();
        }
        // Wakes the acceptor, which then sees that it is over.
        let woken = TcpStream::connect(self.addr).is_ok();
        if let Some(acceptor) = self.acceptor.take().filter(|_| woken) {
            let _ = acceptor.join();
        }
    }
}

impl std::fmt::Debug for FaultProxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FaultProxy")
            .field("url", &self.url())
            .field("target", &self.shared.target)
            .field("mode", &self.shared.lock().mode)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, mode: Mode, remaining: Option<u64>) {
        let mut state = self.lock();
        state.mode = mode;
        state.remaining = remaining;
        state.close_sockets();
    }

    /// Decides about one request (or, for `Refuse`, one connection), and uses up one of a counted fault.
    fn decide(&self) -> Mode {
        let mut state = self.lock();
        let mode = state.mode;
        if mode != Mode::Pass {
            self.faults.fetch_add(1, Ordering::SeqCst);
        }
        if let Some(remaining) = &mut state.remaining {
            *remaining -= 1;
            if *remaining == 0 {
                state.mode = Mode::Pass;
                state.remaining = None;
            }
        }
        mode
    }

    /// Registers a socket, so that a change of mode closes it; fails once the proxy is stopped.
    fn register(self: &Arc<Self>, socket: &TcpStream) -> io::Result<Registration> {
        let clone = socket.try_clone()?;
        let mut state = self.lock();
        if state.stopped {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let key = state.next_socket;
        state.next_socket += 1;
        state.sockets.insert(key, clone);
        Ok(Registration { shared: Arc::clone(self), key })
    }
}

impl State {
    fn close_sockets(&mut self) {
        for (_, socket) in self.sockets.drain() {
            // Fails only when the peer closed it first.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// Keeps a socket registered.
struct Registration {
    shared: Arc<Shared>,
    key: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        // Without this the clone in the table would keep the connection open.
        self.shared.lock().sockets.remove(&self.key);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.lock().stopped {
            return;
        }
        // A connection that was reset before it was accepted concerns nobody.
        let Ok(client) = client else { continue };
        shared.connections.fetch_add(1, Ordering::SeqCst);
        if shared.lock().mode == Mode::Refuse {
            shared.decide();
            continue;
        }
        let shared = Arc::clone(shared);
        // An error ends this connection: that is how the client learns of it.
        thread::spawn(move || serve(&client, &shared));
    }
}

/// Handles the requests of one connection until either side closes it or a fault does.
fn serve(client: &TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    let _registered = shared.register(client)?;
    client.set_nodelay(true)?;
    let mut requests = BufReader::new(client);
    let mut server: Option<Upstream> = None;
    while let Some(request) = Message::read(&mut requests, Side::Request)? {
        shared.requests.fetch_add(1, Ordering::SeqCst);
        let mode = shared.decide();
        match mode {
            Mode::Refuse => return Ok(()),
            Mode::Status503 => {
                send(client, shared, &response("503 Service Unavailable", "the proxy says no"))?;
                continue;
            }
            Mode::Unauthorized401 => {
                send(client, shared, &response("401 Unauthorized", "the proxy knows no such token"))?;
                continue;
            }
            Mode::Garbage => return send(client, shared, &GARBAGE),
            Mode::Hang => return wait_for_close(requests),
            Mode::Slow(latency) => thread::sleep(latency),
            Mode::Filter(status, text) if contains(&request.raw_body, text.as_bytes()) => {
                send(client, shared, &response(&format!("{status} Filtered"), "the proxy dislikes it"))?;
                continue;
            }
            Mode::Narrow(rate) => thread::sleep(at_rate(request.len(), rate)),
            Mode::Filter(..) | Mode::Pass | Mode::DropAnswer | Mode::Truncate => {}
        }
        let upstream = match &mut server {
            Some(upstream) => upstream,
            none => none.insert(Upstream::connect(shared)?),
        };
        let answer = upstream.exchange(&request, shared)?;
        match mode {
            Mode::DropAnswer => return Ok(()),
            Mode::Truncate => {
                let half = &answer.raw_body[..answer.raw_body.len() / 2];
                return send(client, shared, &[answer.head.as_slice(), half].concat());
            }
            Mode::Narrow(rate) => {
                for part in [answer.head.as_slice(), &answer.raw_body].concat().chunks(512) {
                    thread::sleep(at_rate(part.len(), rate));
                    send(client, shared, part)?;
                }
            }
            _ => send(client, shared, &[answer.head.as_slice(), &answer.raw_body].concat())?,
        }
    }
    Ok(())
}

/// The proxy's own connection to the server, one for each connection of a client.
struct Upstream {
    socket: TcpStream,
    answers: BufReader<TcpStream>,
    _registered: Registration,
}

impl Upstream {
    fn connect(shared: &Arc<Shared>) -> io::Result<Self> {
        let socket = TcpStream::connect(shared.target)?;
        let registered = shared.register(&socket)?;
        socket.set_nodelay(true)?;
        let answers = BufReader::new(socket.try_clone()?);
        Ok(Self { socket, answers, _registered: registered })
    }

    fn exchange(&mut self, request: &Message, shared: &Shared) -> io::Result<Message> {
        self.socket.write_all(&[request.head.as_slice(), &request.raw_body].concat())?;
        shared.bytes_to_server.fetch_add(request.len() as u64, Ordering::SeqCst);
        Message::read(&mut self.answers, Side::Response)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// Not HTTP in its first byte already, and not text.
const GARBAGE: [u8; 64] = {
    let mut bytes = [0; 64];
    let mut state = 0x2545_f491_u32;
    let mut index = 0;
    while index < bytes.len() {
        // xorshift32: the same bytes in each run.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        bytes[index] = (state >> 24) as u8 | 0x80;
        index += 1;
    }
    bytes
};

fn contains(body: &[u8], text: &[u8]) -> bool {
    body.windows(text.len()).any(|window| window == text)
}

/// Returns how long so many bytes take.
fn at_rate(bytes: usize, rate: u64) -> Duration {
    Duration::from_micros(bytes as u64 * 1_000_000 / rate.max(1))
}

fn response(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

fn send(mut client: &TcpStream, shared: &Shared, bytes: &[u8]) -> io::Result<()> {
    client.write_all(bytes)?;
    shared.bytes_to_client.fetch_add(bytes.len() as u64, Ordering::SeqCst);
    Ok(())
}

fn wait_for_close(mut requests: BufReader<&TcpStream>) -> io::Result<()> {
    let mut ignored = [0; 4096];
    while requests.read(&mut ignored)? > 0 {}
    Ok(())
}
