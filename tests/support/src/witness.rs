//! A server that answers every request alike and remembers what it could read.

use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::http::{Message, Side};

/// How long a client may take for a request or a handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server on a loopback port that answers every request alike. It ends when it is dropped.
pub struct Witness {
    addr: SocketAddr,
    /// The certificate, if it speaks TLS.
    certificate: Option<CertificateDer<'static>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    connections: AtomicUsize,
    read: Mutex<Vec<u8>>,
    ended: AtomicBool,
}

impl Witness {
    /// Starts one that speaks HTTP. `answer` is a whole response, from its status line on.
    pub fn http(answer: impl Into<String>) -> Self {
        Self::start(answer.into(), None, None)
    }

    /// Starts one that speaks HTTPS as `localhost`, with a certificate that it signed itself.
    pub fn https(answer: impl Into<String>) -> Self {
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
            .unwrap_or_else(|error| panic!("cannot make a certificate: {error}"));
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der()));
        let certificate = signed.cert.der().clone();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map(|config| config.with_no_client_auth())
            .and_then(|config| config.with_single_cert(vec![certificate.clone()], key))
            .unwrap_or_else(|error| panic!("cannot serve TLS: {error}"));
        Self::start(answer.into(), Some(Arc::new(config)), Some(certificate))
    }

    fn start(
        answer: String,
        tls: Option<Arc<ServerConfig>>,
        certificate: Option<CertificateDer<'static>>,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap_or_else(|error| panic!("cannot listen on loopback: {error}"));
        let addr = listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}"));
        let shared = Arc::<Shared>::default();
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if own.ended.load(Ordering::SeqCst) {
                    return;
                }
                own.connections.fetch_add(1, Ordering::SeqCst);
                let (own, answer, tls) = (Arc::clone(&own), answer.clone(), tls.clone());
                // A client that hangs up, or refuses the certificate, ends its own connection only.
                std::thread::spawn(move || {
                    let _gone = own.serve(stream, tls, &answer);
                });
            }
        });
        Self { addr, certificate, shared }
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Returns the address as a URL: that of `localhost` with TLS, and of 127.0.0.1 without.
    pub fn url(&self) -> String {
        match self.certificate {
            Some(_) => format!("https://localhost:{}", self.port()),
            None => format!("http://{}", self.addr),
        }
    }

    /// Returns its certificate as PEM, for a client that is to trust it.
    ///
    /// # Panics
    /// Without TLS.
    pub fn certificate_pem(&self) -> String {
        let der = self.certificate.as_ref().unwrap_or_else(|| panic!("a witness without TLS has none"));
        let text = STANDARD.encode(der);
        let lines: Vec<&str> =
            (0..text.len()).step_by(64).map(|at| &text[at..(at + 64).min(text.len())]).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }

    /// Returns how many connections were made.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Returns everything that it could read of requests, heads and bodies.
    pub fn read(&self) -> String {
        let read = self.shared.read.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&read).into_owned()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Ends the wait for a connection.
        drop(TcpStream::connect(self.addr));
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream, tls: Option<Arc<ServerConfig>>, answer: &str) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        match tls {
            None => self.converse(stream, answer),
            Some(config) => {
                let connection = ServerConnection::new(config).map_err(io::Error::other)?;
                self.converse(StreamOwned::new(connection, stream), answer)
            }
        }
    }

    fn converse(&self, stream: impl Read + Write, answer: &str) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        while let Some(request) = Message::read(&mut stream, Side::Request)? {
            {
                let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
                read.extend_from_slice(&request.head);
                read.extend_from_slice(&request.raw_body);
            }
            let stream = stream.get_mut();
            stream.write_all(answer.as_bytes())?;
            stream.flush()?;
        }
        Ok(())
    }
}
