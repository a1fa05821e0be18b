use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use memory_test_support::{FaultProxy, Mode, Sqld, SqldOptions};

/// A server with an empty table `t` and a proxy in front of it.
fn setup() -> (Sqld, FaultProxy) {
    let sqld = Sqld::start(SqldOptions::new());
    sqld.sql("CREATE TABLE t (a)");
    let proxy = FaultProxy::start(sqld.addr());
    (sqld, proxy)
}

/// A client that keeps its connection alive, as the real ones do.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(proxy: &FaultProxy) -> Self {
        let socket = TcpStream::connect(proxy.addr()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self(BufReader::new(socket))
    }

    fn send(&mut self, sql: &str) -> std::io::Result<()> {
        let body = format!(r#"{{"requests":[{{"type":"execute","stmt":{{"sql":"{sql}"}}}}]}}"#);
        let length = body.len();
        let head = format!("POST /v2/pipeline HTTP/1.1\r\nhost: sqld\r\ncontent-length: {length}\r\n\r\n");
        self.0.get_mut().write_all((head + &body).as_bytes())
    }

    /// Reads a whole answer: its status, and its body cut where the connection was.
    fn receive(&mut self) -> std::io::Result<(String, Vec<u8>, usize)> {
        let mut status = String::new();
        self.0.read_line(&mut status)?;
        let mut announced = 0;
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line)?;
            if let Some(length) = line.strip_prefix("content-length: ") {
                announced = length.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = Vec::new();
        self.0.by_ref().take(announced as u64).read_to_end(&mut body)?;
        Ok((status.trim().to_owned(), body, announced))
    }

    /// Sends one statement and returns the status line, or `closed` when there is none.
    fn run(&mut self, sql: &str) -> String {
        match self.send(sql).and_then(|()| self.receive()) {
            Ok((status, ..)) if !status.is_empty() => status,
            _ => "closed".to_owned(),
        }
    }
}

const INSERT: &str = "INSERT INTO t VALUES (1)";

fn rows(sqld: &Sqld) -> u64 {
    sqld.scalar("SELECT count(*) FROM t").as_u64().unwrap()
}

#[test]
fn forwards_on_one_connection_and_counts() {
    let (sqld, proxy) = setup();
    let mut client = Client::connect(&proxy);
    assert_eq!(client.run(INSERT), "HTTP/1.1 200 OK");
    assert_eq!(client.run(INSERT), "HTTP/1.1 200 OK");
    assert_eq!(rows(&sqld), 2);
    assert_eq!((proxy.connections(), proxy.requests(), proxy.faults()), (1, 2, 0));
    assert!(proxy.bytes_to_server() > 0 && proxy.bytes_to_client() > proxy.bytes_to_server());
}

#[test]
fn each_fault_looks_as_described_and_does_what_it_says_to_the_server() {
    let (sqld, proxy) = setup();
    let check = |mode: Mode, expected: &str, executed: bool| {
        let before = rows(&sqld);
        proxy.set_mode(mode);
        let answer = Client::connect(&proxy).run(INSERT);
        assert_eq!(answer, expected, "{mode:?}");
        assert_eq!(rows(&sqld) - before, u64::from(executed), "{mode:?}");
    };
    check(Mode::Pass, "HTTP/1.1 200 OK", true);
    check(Mode::Refuse, "closed", false);
    check(Mode::Status503, "HTTP/1.1 503 Service Unavailable", false);
    check(Mode::Unauthorized401, "HTTP/1.1 401 Unauthorized", false);
    check(Mode::Garbage, "closed", false);
    check(Mode::DropAnswer, "closed", true);
    check(Mode::Truncate, "HTTP/1.1 200 OK", true);
    check(Mode::Slow(Duration::from_millis(5)), "HTTP/1.1 200 OK", true);
}

#[test]
fn garbage_is_no_http() {
    let (_sqld, proxy) = setup();
    proxy.set_mode(Mode::Garbage);
    let mut client = Client::connect(&proxy);
    client.send(INSERT).unwrap();
    let mut bytes = Vec::new();
    client.0.read_to_end(&mut bytes).unwrap();
    assert!(!bytes.is_empty() && !bytes.is_ascii() && std::str::from_utf8(&bytes).is_err());
}

#[test]
fn truncate_sends_half_of_the_body() {
    let (_sqld, proxy) = setup();
    proxy.set_mode(Mode::Truncate);
    let mut client = Client::connect(&proxy);
    client.send(INSERT).unwrap();
    let (_, body, announced) = client.receive().unwrap();
    assert_eq!(body.len(), announced / 2);
}

#[test]
fn slow_delays_an_answer() {
    let (_sqld, proxy) = setup();
    let latency = Duration::from_millis(200);
    proxy.set_mode(Mode::Slow(latency));
    let start = Instant::now();
    assert_eq!(Client::connect(&proxy).run(INSERT), "HTTP/1.1 200 OK");
    // A lower bound holds on the slowest machine, too.
    assert!(start.elapsed() >= latency);
}

#[test]
fn hang_answers_nothing_until_the_mode_changes() {
    let (sqld, proxy) = setup();
    proxy.set_mode(Mode::Hang);
    let mut client = Client::connect(&proxy);
    client.0.get_ref().set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    client.send(INSERT).unwrap();
    let mut byte = [0];
    let error = client.0.read(&mut byte).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    proxy.set_mode(Mode::Pass);
    client.0.get_ref().set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    assert!(matches!(client.0.read(&mut byte), Ok(0) | Err(_)), "the hanging connection ends");
    assert_eq!(rows(&sqld), 0);
    assert_eq!(Client::connect(&proxy).run(INSERT), "HTTP/1.1 200 OK");
}

#[test]
fn a_change_of_mode_closes_open_connections() {
    let (_sqld, proxy) = setup();
    let mut client = Client::connect(&proxy);
    assert_eq!(client.run(INSERT), "HTTP/1.1 200 OK");
    proxy.set_mode(Mode::Status503);
    assert_eq!(client.run(INSERT), "closed");
    assert_eq!(Client::connect(&proxy).run(INSERT), "HTTP/1.1 503 Service Unavailable");
}

#[test]
fn a_counted_fault_ends_by_itself() {
    let (sqld, proxy) = setup();
    proxy.fault_next(2, Mode::Status503);
    let mut client = Client::connect(&proxy);
    let answers: Vec<String> = (0..3).map(|_| client.run(INSERT)).collect();
    assert_eq!(
        answers,
        ["HTTP/1.1 503 Service Unavailable", "HTTP/1.1 503 Service Unavailable", "HTTP/1.1 200 OK"]
    );
    proxy.fault_next(1, Mode::DropAnswer);
    assert_eq!(client.run(INSERT), "closed");
    assert_eq!(Client::connect(&proxy).run(INSERT), "HTTP/1.1 200 OK");
    assert_eq!(rows(&sqld), 3);
    assert_eq!(proxy.faults(), 3);
    proxy.fault_next(1, Mode::Refuse);
    assert_eq!(Client::connect(&proxy).run(INSERT), "closed");
    assert_eq!(Client::connect(&proxy).run(INSERT), "HTTP/1.1 200 OK");
}

#[test]
fn survives_a_restart_of_the_server() {
    let (sqld, proxy) = setup();
    let mut client = Client::connect(&proxy);
    assert_eq!(client.run(INSERT), "HTTP/1.1 200 OK");
    sqld.kill();
    assert_eq!(client.run(INSERT), "closed");
    assert_eq!(Client::connect(&proxy).run(INSERT), "closed");
    sqld.restart();
    assert_eq!(Client::connect(&proxy).run(INSERT), "HTTP/1.1 200 OK");
    assert_eq!(rows(&sqld), 2);
}

#[test]
fn drops_in_every_mode_with_connections_open() {
    let (_sqld, proxy) = setup();
    let proxies: Vec<FaultProxy> = [Mode::Pass, Mode::Hang, Mode::Refuse]
        .into_iter()
        .map(|mode| {
            let proxy = FaultProxy::start(proxy.addr());
            proxy.set_mode(mode);
            proxy
        })
        .collect();
    for proxy in proxies {
        let mut client = Client::connect(&proxy);
        // Refused or not, the request is on its way when the proxy goes.
        let _ = client.send(INSERT);
        drop(proxy);
        let end = client.0.read_to_end(&mut Vec::new());
        let timed_out = end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!timed_out, "the proxy kept the connection open");
    }
}
