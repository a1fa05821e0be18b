//! Serves a model in a folder as an OpenAI-compatible endpoint on loopback: what an endpoint adds can be measured without an
//! account.
//!
//! ```console
//! $ cargo run --release --package memory-embed --all-features --example serve -- target/models/minilm 8091
//! $ memory --embedding-url http://127.0.0.1:8091/v1 --embedding-name minilm --embedding-dimensions 384 recall …
//! ```

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use memory_recall::embedder::Embedder;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// The longest request, in bytes.
const MAX_BODY: usize = 16 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, port] = arguments.as_slice() else { return Err("usage: serve MODEL_FOLDER PORT".into()) };
    let model = memory_embed::load(&PathBuf::from(folder))?;
    let runtime = Runtime::new()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.parse()?))?;
    println!("{} ({} dimensions) at http://{}/v1", model.model(), model.dimensions(), listener.local_addr()?);
    for stream in listener.incoming() {
        // One client's bad request is no reason to leave the others alone.
        if let Err(error) = answer(stream?, &model, &runtime) {
            eprintln!("{error}");
        }
    }
    Ok(())
}

fn answer(stream: TcpStream, model: &Arc<dyn Embedder>, runtime: &Runtime) -> Result<(), Box<dyn Error>> {
    let mut reader = BufReader::new(&stream);
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse::<usize>()?;
        }
        line.clear();
    }
    if length > MAX_BODY {
        return Err(format!("a request of {length} bytes, the limit is {MAX_BODY}").into());
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let request: Value = serde_json::from_slice(&body)?;
    let texts: Vec<String> = serde_json::from_value(request["input"].clone())?;
    let vectors = runtime.block_on(model.embed(&texts))?;
    let data: Vec<Value> = (0..)
        .zip(vectors)
        .map(|(index, embedding): (usize, Vec<f32>)| json!({"index": index, "embedding": embedding}))
        .collect();
    let body = json!({"object": "list", "model": request["model"], "data": data}).to_string();
    write!(
        &stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    Ok(())
}
