//! The key and the texts go to the endpoint that was configured, to nobody else, and into no log.

use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use memory_core::{ErrorKind, Result};
use memory_embed::{OpenAi, OpenAiConfig};
use memory_recall::embedder::Embedder;
use memory_test_support::Witness;

const KEY: &str = "sk-told-to-nobody";
const TEXT: &str = "where the treasure is buried";

/// Keeps everything that is logged in this process.
struct Log(Mutex<String>);

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {} {}\n", record.level(), record.target(), record.args());
        self.0.lock().unwrap().push_str(&line);
    }

    fn flush(&self) {}
}

fn start_log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    let log = LOG.get_or_init(|| Log(Mutex::default()));
    // The other tests of this process may have started it already.
    let _started = log::set_logger(log);
    log::set_max_level(log::LevelFilter::Trace);
    log
}

async fn embed(base: String) -> Result<Vec<Vec<f32>>> {
    let config = OpenAiConfig::new(base, "m", 3).api_key(KEY).attempts(1).timeout(Duration::from_secs(10));
    OpenAi::new(config).unwrap().embed(&[TEXT.to_owned()]).await
}

#[tokio::test]
async fn an_endpoint_whose_certificate_nobody_vouches_for_reads_nothing() {
    let witness = Witness::https("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    let error = embed(format!("{}/v1", witness.url())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(format!("{error:?}").contains("UnknownIssuer"), "{error:?}");
    assert_eq!((witness.connections() > 0, witness.read().as_str()), (true, ""));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_no_log_has_the_key() {
    let log = start_log();
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let elsewhere = Witness::http("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        let location = format!("{}/v1/embeddings", elsewhere.url());
        let answer = format!("HTTP/1.1 {status}\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        let named = Witness::http(answer);
        let error = embed(format!("{}/v1", named.url())).await.unwrap_err();
        assert!(error.hint().unwrap_or_default().contains("redirects are not followed"), "{error:?}");
        assert!(
            named.read().contains(KEY) && named.read().contains(TEXT),
            "the endpoint that was named is asked"
        );
        assert_eq!((elsewhere.connections(), elsewhere.read().as_str()), (0, ""), "{status}");
    }
    let logged = log.0.lock().unwrap();
    assert!(logged.contains("ureq"), "the client logs: {logged}");
    assert!(!logged.contains(KEY), "{logged}");
    assert!(!logged.contains(TEXT), "{logged}");
}
