use std::time::{Duration, Instant};

use memory_core::{Error, ErrorKind, Result};
use memory_embed::{OpenAi, OpenAiConfig};
use memory_recall::embedder::Embedder;
use serde_json::json;

use crate::server::{Answer, Server};

const KEY: &str = "sk-very-secret";

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn config(server: &Server) -> OpenAiConfig {
    OpenAiConfig::new(server.base(), "m", 3).api_key(KEY).backoff(Duration::from_millis(1))
}

async fn embed(config: OpenAiConfig, input: &[&str]) -> Result<Vec<Vec<f32>>> {
    OpenAi::new(config).unwrap().embed(&texts(input)).await
}

/// Returns the error of one call against this script, and how many requests it made.
async fn failure(script: Vec<Answer>, input: &[&str]) -> (Error, usize) {
    let server = Server::start(script);
    let error = embed(config(&server), input).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(KEY), "{shown}");
    (error, server.requests().len())
}

/// Checks that a vector is the one of a text with this many characters.
fn is_of(vector: &[f32], characters: f32) -> bool {
    let norm = (characters * characters + 1.0).sqrt();
    (vector[0] - characters / norm).abs() < 1e-6 && (vector[1] - 1.0 / norm).abs() < 1e-6
}

fn reply(status: u16, body: &str) -> Answer {
    Answer::Reply(status, "", body.to_owned())
}

#[tokio::test]
async fn puts_vectors_into_the_order_of_the_texts() {
    let server = Server::start(vec![Answer::Shuffled, Answer::Shuffled]);
    let embedder = OpenAi::new(config(&server).batch(2).max_characters(5)).unwrap();
    let vectors = embedder.embed(&texts(&["a", "bb", " \n", "cut after five"])).await.unwrap();
    assert!(is_of(&vectors[0], 1.0) && is_of(&vectors[1], 2.0) && is_of(&vectors[3], 5.0), "{vectors:?}");
    assert_eq!(vectors[2], [0.0, 0.0, 0.0], "a blank text is like nothing");
    assert_eq!((embedder.dimensions(), embedder.model()), (3, &*format!("openai:m:3@{}", server.base())));
    let requests = server.requests();
    assert_eq!(requests[0].body, json!({ "model": "m", "input": ["a", "bb"], "encoding_format": "float" }));
    assert_eq!(requests[1].body["input"], json!(["cut a"]));
    let head = &requests[0].head;
    assert!(head.starts_with("POST /v1/embeddings HTTP/1.1\r\n"), "{head}");
    assert!(head.to_ascii_lowercase().contains(&format!("authorization: bearer {KEY}\r\n")), "{head}");
}

#[tokio::test]
async fn asks_for_nothing_without_texts() {
    let server = Server::start(vec![Answer::Shuffled]);
    assert_eq!(embed(config(&server), &[]).await.unwrap(), Vec::<Vec<f32>>::new());
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn tries_again_what_may_succeed() {
    let script = vec![
        Answer::Reply(429, "Retry-After: 0\r\n", r#"{"error": {"message": "slow down"}}"#.to_owned()),
        reply(503, "down"),
        Answer::Hangs,
        Answer::Truncated,
        Answer::Shuffled,
    ];
    let server = Server::start(script);
    let vectors = embed(config(&server).attempts(5), &["abc"]).await.unwrap();
    assert!(is_of(&vectors[0], 3.0));
    assert_eq!(server.requests().len(), 5);
}

#[tokio::test]
async fn gives_up_after_the_attempts_configured() {
    let server = Server::start((0..4).map(|_| reply(500, "")).collect());
    let error = embed(config(&server).attempts(3), &["abc"]).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unavailable, true));
    assert!(error.to_string().contains("status 500") && error.to_string().contains("attempts 3"), "{error}");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn keeps_the_deadline() {
    let start = Instant::now();
    let server = Server::start(vec![Answer::Silence(Duration::from_secs(3))]);
    let error = embed(config(&server).timeout(Duration::from_millis(100)), &["abc"]).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unavailable, true));
    assert!(start.elapsed() < Duration::from_secs(3), "the server, which says nothing, was waited for");
}

#[tokio::test]
async fn does_not_wait_beyond_the_deadline_for_a_server_that_asks_it_to() {
    let script = vec![Answer::Reply(429, "Retry-After: 3600\r\n", String::new())];
    let (error, requests) = failure(script, &["abc"]).await;
    assert_eq!((error.kind(), requests), (ErrorKind::Unavailable, 1));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3_600)));
}

#[tokio::test]
async fn does_not_repeat_what_is_refused() {
    let check = async |answer, kind, part: &str| {
        let (error, requests) = failure(vec![answer, Answer::Shuffled], &["abc"]).await;
        assert_eq!((error.kind(), error.is_transient(), requests), (kind, false, 1), "{error}");
        assert!(error.to_string().contains(part), "{error} does not say {part:?}");
    };
    let echo = format!(r#"{{"error": {{"message": "Incorrect API key provided: {KEY}"}}}}"#);
    check(reply(401, &echo), ErrorKind::Unauthorized, "status 401").await;
    check(reply(400, &echo), ErrorKind::InvalidInput, "provided: [redacted]").await;
    check(reply(404, r#"{"error": "no such model"}"#), ErrorKind::InvalidInput, "no such model").await;
    let elsewhere = Answer::Reply(302, "Location: http://127.0.0.1:1/\r\n", String::new());
    check(elsewhere, ErrorKind::InvalidInput, "status 302").await;
}

#[tokio::test]
async fn refuses_answers_that_do_not_fit() {
    let check = async |body: &str, kind, part: &str| {
        let (error, requests) = failure(vec![reply(200, body), Answer::Shuffled], &["a", "b"]).await;
        assert_eq!((error.kind(), error.is_transient(), requests), (kind, false, 1), "{body}: {error}");
        assert!(error.to_string().contains(part), "{body}: {error} does not say {part:?}");
    };
    let two =
        |first: &str, second: &str| format!(r#"{{"data": [{{"index": {first}]}}, {{"index": {second}]}}]}}"#);
    check("<html>", ErrorKind::Unavailable, "not the JSON expected").await;
    check("{}", ErrorKind::Unavailable, "not the JSON expected").await;
    check(r#"{"data": []}"#, ErrorKind::Unavailable, "0 vectors for 2 texts").await;
    let same = two(r#"0, "embedding": [1, 0, 0"#, r#"0, "embedding": [1, 0, 0"#);
    check(&same, ErrorKind::Unavailable, "index 0 twice").await;
    let beyond = two(r#"0, "embedding": [1, 0, 0"#, r#"7, "embedding": [1, 0, 0"#);
    check(&beyond, ErrorKind::Unavailable, "index 7").await;
    let longer = two(r#"0, "embedding": [1, 0, 0"#, r#"1, "embedding": [1, 0, 0, 0"#);
    check(&longer, ErrorKind::InvalidInput, "dimensions: it is 3, but vectors have 4").await;
    check(&format!("\"{}\"", "x".repeat(2 << 20)), ErrorKind::Unavailable, "larger").await;
}

#[tokio::test]
async fn an_absent_server_is_unavailable() {
    let server = Server::start(Vec::new());
    let base = server.base();
    server.requests();
    let config = OpenAiConfig::new(base, "m", 3).attempts(2).backoff(Duration::from_millis(1));
    let error = embed(config, &["abc"]).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unavailable, true), "{error}");
}

#[test]
fn settings_are_checked_and_the_key_is_not_shown() {
    let good = || OpenAiConfig::new("https://example.invalid/v1/", "m", 3);
    let shown = format!("{:?} {:?}", good().api_key(KEY), OpenAi::new(good().api_key(KEY)).unwrap());
    assert!(!shown.contains(KEY) && shown.contains("[redacted]"), "{shown}");
    let check = |config: OpenAiConfig, field: &str| {
        let error = OpenAi::new(config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().starts_with(field), "{error} is not about {field}");
    };
    check(OpenAiConfig::new("ftp://x", "m", 3), "base_url");
    check(OpenAiConfig::new("https://user:pass@x", "m", 3), "base_url");
    check(OpenAiConfig::new("https://x", "", 3), "model");
    check(OpenAiConfig::new("https://x", "m", 0), "dimensions: 0, the limits are 1 to 8192");
    check(good().api_key("two\nlines"), "api_key");
    check(good().batch(4_000), "batch: 4000, the limits are 1 to 2048");
    check(good().max_characters(0), "max_characters: 0, the limits are 1 to 1000000");
    check(good().timeout(Duration::ZERO), "timeout: 0ns, the limits are 1 ms to 1 h");
    check(good().attempts(0), "attempts: 0, the limits are 1 to 100");
    check(good().backoff(Duration::from_secs(60)), "backoff: 60s, the limits are 0 to 10 s");
}
