//! Token and records go to the server that was named, and to nobody else.

use std::time::Duration;

use memory_core::{Deadlines, ErrorKind, Store};
use memory_storage_turso::{RemoteOptions, RemoteStore};
use memory_test_support::Witness;

use crate::fixtures::{connect_with, live};

const TOKEN: &str = "eyJhbGciOiJub25lIn0.dG9rZW4.c2lnbmVk";

/// Calls a server and returns the error.
async fn refused(url: String) -> memory_core::Error {
    let store = connect_with(RemoteOptions::new(url).token(TOKEN));
    let error = store.commit(&[live("told-to-nobody")]).await.expect_err("that is no database");
    assert!(!format!("{error} {error:?}").contains(TOKEN), "{error:?}");
    error
}

/// `memory-cli` tests that the same server is talked to once its certificate is trusted.
#[tokio::test]
async fn a_server_whose_certificate_nobody_vouches_for_reads_nothing() {
    for scheme in ["https", "libsql"] {
        let witness = Witness::https("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        let error = refused(format!("{scheme}://localhost:{}", witness.port())).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(witness.connections() > 0, "it was called");
        assert_eq!(witness.read(), "", "and told nothing");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let elsewhere = Witness::http("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        let answer = format!(
            "HTTP/1.1 {status}\r\nlocation: {}/v3/pipeline\r\ncontent-length: 0\r\n\r\n",
            elsewhere.url()
        );
        let named = Witness::http(answer);
        refused(named.url()).await;
        assert!(named.read().contains(TOKEN), "the server that was named is asked");
        assert_eq!((elsewhere.connections(), elsewhere.read().as_str()), (0, ""), "{status}");
    }
}

/// A server may ask for what follows to be sent to another address.
#[tokio::test]
async fn another_address_that_an_answer_names_gets_nothing() {
    let elsewhere = Witness::http("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    let described = r#"{"type":"ok","response":{"type":"describe","result":{"params":[],"cols":[],"is_explain":false,"is_readonly":true}}}"#;
    let body = format!(r#"{{"baton":"b","base_url":"{}","results":[{described}]}}"#, elsewhere.url());
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let named = Witness::http(answer);
    let error = refused(named.url()).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.message().contains("which was not named"), "{error:?}");
    assert!(named.read().contains(TOKEN), "the server that was named is asked");
    assert_eq!((elsewhere.connections(), elsewhere.read().as_str()), (0, ""));
}

/// The client reads an answer whole, also that of a refusal.
#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    const MORE_THAN_ENOUGH: usize = 80 << 20;
    for status in ["200 OK", "500 Internal Server Error"] {
        let endless = Witness::http(format!("HTTP/1.1 {status}\r\n\r\n{}", " ".repeat(MORE_THAN_ENOUGH)));
        let options = RemoteOptions::new(endless.url());
        // Not the deadline is to end it.
        let patient = Deadlines { read: Duration::from_secs(60), write: Duration::from_secs(60) };
        let store = RemoteStore::connect(options.deadlines(patient)).unwrap();
        let error = store.commit(&[live("a")]).await.expect_err("that is no database");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(error.message().contains("the answer is longer than 67108864 bytes"), "{error:?}");
    }
}
