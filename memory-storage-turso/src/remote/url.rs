//! Which URLs name a server.

use hyper::Uri;
use memory_core::{Error, ErrorKind, Result};

const NAME: &str = "connect";

/// A checked URL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// `http://…` or `https://…`, as the client takes it.
    pub(crate) url: Uri,
    /// Whether TLS is used.
    pub(crate) tls: bool,
}

/// Checks a URL.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] or [`ErrorKind::Unsupported`]; neither repeats what may be a credential.
pub(crate) fn parse(url: &str) -> Result<Endpoint> {
    let invalid = |problem: &str| {
        Error::invalid(NAME, "url", problem)
            .with_hint("the form is http://host:port, https://host or libsql://host (TURSO_DATABASE_URL)")
    };
    let url = url.trim();
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(invalid("there is no scheme"));
    };
    let scheme = scheme.to_ascii_lowercase();
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    if rest.contains('@') || query.is_some_and(|query| query.to_ascii_lowercase().contains("token")) {
        return Err(Error::invalid(NAME, "url", "it carries credentials, which would end up in logs")
            .with_hint("leave them out of the URL and give the token by itself (TURSO_AUTH_TOKEN)"));
    }
    let tls = match (scheme.as_str(), query) {
        ("http", None) => false,
        ("https", None) | ("libsql", None | Some("tls=1")) => true,
        ("libsql", Some("tls=0")) => false,
        ("http" | "https" | "libsql", Some(_)) => {
            return Err(invalid("the part behind `?` is not understood"));
        }
        ("ws" | "wss", _) => {
            return Err(Error::new(ErrorKind::Unsupported, NAME, format!("{scheme}:// is not supported"))
                .with_hint("the same server answers at http:// (for ws) or https:// (for wss)"));
        }
        ("file", _) => {
            return Err(Error::new(ErrorKind::Unsupported, NAME, "file:// names no server")
                .with_hint("open a local file by its path instead of a URL"));
        }
        _ => return Err(invalid(&format!("the scheme {scheme:?} is not http, https or libsql"))),
    };
    let url = format!("{}://{}", if tls { "https" } else { "http" }, rest.trim_end_matches('/'));
    let parsed: Uri = url.parse().map_err(|_| invalid("it is malformed"))?;
    match parsed.authority() {
        Some(authority) if !authority.host().is_empty() && authority.as_str().ends_with(':') => {
            Err(invalid("the port is missing"))
        }
        Some(authority) if !authority.host().is_empty() => {
            let port =
                authority.as_str().rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
            match port {
                Some(port) if port.parse::<u16>().map_or(true, |port| port == 0) => {
                    Err(invalid("the port is not one"))
                }
                _ => Ok(Endpoint { url: parsed, tls }),
            }
        }
        _ => Err(invalid("there is no host")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_names_a_server() {
        let check = |url: &str, expected: &str, tls: bool| {
            assert_eq!(parse(url).unwrap(), Endpoint { url: expected.parse().unwrap(), tls }, "{url}");
        };
        check("http://127.0.0.1:8080", "http://127.0.0.1:8080", false);
        check("http://[::1]:8080/", "http://[::1]:8080", false);
        check("http://[::1]", "http://[::1]", false);
        check("HTTPS://db.example.org", "https://db.example.org", true);
        check("libsql://db-org.turso.io", "https://db-org.turso.io", true);
        check("libsql://db.local:8080?tls=0", "http://db.local:8080", false);
        check(" https://host/prefix/ ", "https://host/prefix", true);
    }

    #[test]
    fn refuses_the_rest_without_repeating_secrets() {
        let check = |url: &str, kind: ErrorKind, part: &str| {
            let error = parse(url).unwrap_err();
            assert_eq!(error.kind(), kind, "{url}: {error}");
            assert!(error.message().contains(part), "{url}: {error}");
            assert!(error.hint().is_some(), "{url}");
            assert!(!format!("{error:?}").contains("s3cret"), "{url}: {error:?}");
        };
        check("", ErrorKind::InvalidInput, "no scheme");
        check("localhost:8080", ErrorKind::InvalidInput, "no scheme");
        check("http://", ErrorKind::InvalidInput, "malformed");
        check("http://:80", ErrorKind::InvalidInput, "");
        check("http://host:0", ErrorKind::InvalidInput, "port");
        check("http://host:99999", ErrorKind::InvalidInput, "port");
        check("http://host:", ErrorKind::InvalidInput, "port");
        check("http://ho st", ErrorKind::InvalidInput, "malformed");
        check("http://host?x=1", ErrorKind::InvalidInput, "behind `?`");
        check("ftp://host", ErrorKind::InvalidInput, "scheme");
        check("wss://host", ErrorKind::Unsupported, "wss://");
        check("file:///tmp/a.db", ErrorKind::Unsupported, "no server");
        check("https://user:s3cret@host", ErrorKind::InvalidInput, "credentials");
        check("libsql://host?authToken=s3cret", ErrorKind::InvalidInput, "credentials");
    }
}
