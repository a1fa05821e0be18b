use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use memory_test_support::Witness;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

const REQUEST: &str = "POST /x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\n\r\nbody";
const ANSWER: &str = "HTTP/1.1 204 No Content\r\n\r\n";

fn client(witness: &Witness, roots: RootCertStore) -> StreamOwned<ClientConnection, TcpStream> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(connection, TcpStream::connect(("127.0.0.1", witness.port())).unwrap())
}

#[test]
fn a_client_that_trusts_the_certificate_is_served_and_read() {
    let witness = Witness::https(ANSWER);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(witness.certificate_pem().as_bytes()).unwrap()).unwrap();
    let mut client = client(&witness, roots);
    client.write_all(REQUEST.as_bytes()).unwrap();
    let mut answer = [0; ANSWER.len()];
    client.read_exact(&mut answer).unwrap();
    assert_eq!((answer.as_slice(), witness.connections()), (ANSWER.as_bytes(), 1));
    assert_eq!(witness.read(), REQUEST);
}

#[test]
fn a_client_that_does_not_trust_it_tells_nothing() {
    let witness = Witness::https(ANSWER);
    let error = client(&witness, RootCertStore::empty()).write_all(REQUEST.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    assert_eq!((witness.connections(), witness.read().as_str()), (1, ""));
}

#[test]
fn without_tls_it_answers_and_reads_too() {
    let witness = Witness::http(ANSWER);
    let mut client = TcpStream::connect(("127.0.0.1", witness.port())).unwrap();
    client.write_all(REQUEST.as_bytes()).unwrap();
    let mut answer = [0; ANSWER.len()];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(witness.read(), REQUEST);
}
