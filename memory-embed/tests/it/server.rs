//! A server that answers each request as its script says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

/// What to do with one request.
pub(crate) enum Answer {
    /// Answers with this status, these header lines and this body.
    Reply(u16, &'static str, String),
    /// Answers rightly with the vectors in reverse.
    Shuffled,
    /// Closes the connection without a word.
    Hangs,
    /// Promises more bytes than it sends.
    Truncated,
    /// Waits this long, then closes the connection.
    Silence(Duration),
}

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: Value,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts a server that answers as many requests as the script has.
    pub(crate) fn start(script: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        let thread = std::thread::spawn(move || {
            for answer in script {
                let (stream, _) = listener.accept().unwrap();
                let request = read(&stream);
                // An empty head is the wake-up call of `requests`.
                if request.head.is_empty() {
                    return;
                }
                respond(stream, &request, &answer);
                kept.lock().unwrap().push(request);
            }
        });
        Self { address, seen, thread: Some(thread) }
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Ends the server and returns the requests it saw.
    pub(crate) fn requests(mut self) -> Vec<Seen> {
        // Ends the wait for a request that the script has and nobody made; refused when the script is over.
        drop(TcpStream::connect(self.address));
        self.thread.take().unwrap().join().unwrap();
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

/// The vector of a text in three dimensions: its length, so that a test sees which text got which.
pub(crate) fn vector(text: &str) -> Vec<f32> {
    vec![text.chars().count() as f32, 1.0, 0.0]
}

/// The right answer to a request body, the last vector first.
pub(crate) fn reversed(body: &Value) -> String {
    let texts = body["input"].as_array().unwrap().iter().enumerate().rev();
    let data: Vec<Value> = texts
        .map(|(index, text)| json!({ "object": "embedding", "index": index, "embedding": vector(text.as_str().unwrap()) }))
        .collect();
    json!({ "object": "list", "data": data, "model": "m", "usage": {} }).to_string()
}

fn read(stream: &TcpStream) -> Seen {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 || line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("content-length:").map(|length| length.trim().parse().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    Seen { head, body: serde_json::from_slice(&body).unwrap_or_default() }
}

fn respond(mut stream: TcpStream, request: &Seen, answer: &Answer) {
    let (status, headers, body, promised) = match answer {
        Answer::Reply(status, headers, body) => (*status, *headers, body.clone(), 0),
        Answer::Shuffled => (200, "", reversed(&request.body), 0),
        Answer::Truncated => (200, "", r#"{"data": ["#.to_owned(), 100),
        Answer::Hangs => return,
        Answer::Silence(time) => return std::thread::sleep(*time),
    };
    let length = body.len() + promised;
    let head =
        format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
    // A client that refuses the answer by its length hangs up before it has read the body.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
}
