//! Makes keys and tokens for a server that checks them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::json;

/// What a token lets its holder do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read and write.
    ReadWrite,
    /// Read only: a write is refused with 403.
    ReadOnly,
}

/// An Ed25519 key pair: the public half goes to sqld, the private half signs tokens.
#[derive(Clone)]
pub struct JwtKeys {
    private: Vec<u8>,
    public: Vec<u8>,
}

impl JwtKeys {
    /// Generates a new key pair.
    ///
    /// # Panics
    ///
    /// If the system gives no randomness.
    pub fn generate() -> Self {
        let private = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .unwrap_or_else(|error| panic!("cannot generate an Ed25519 key: {error}"))
            .as_ref()
            .to_vec();
        let public = key_pair(&private).public_key().as_ref().to_vec();
        Self { private, public }
    }

    /// Returns the public key as PEM, the form that `--auth-jwt-key-file` takes.
    pub fn public_pem(&self) -> String {
        // SubjectPublicKeyInfo of RFC 8410: the fixed DER prefix of an Ed25519 key, then its 32 bytes.
        let mut der = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        der.extend_from_slice(&self.public);
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }

    /// Signs a token that is good for one hour.
    pub fn token(&self, access: Access) -> String {
        self.token_until(access, SystemTime::now() + Duration::from_secs(3600))
    }

    /// Signs a token that expired an hour ago.
    pub fn expired_token(&self, access: Access) -> String {
        self.token_until(access, SystemTime::now() - Duration::from_secs(3600))
    }

    /// Signs a token that expires at `expiry`, counted in whole seconds.
    pub fn token_until(&self, access: Access, expiry: SystemTime) -> String {
        let expiry = expiry.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let access = match access {
            Access::ReadWrite => "rw",
            Access::ReadOnly => "ro",
        };
        let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!(
            "{}.{}",
            encode(json!({ "alg": "EdDSA", "typ": "JWT" })),
            encode(json!({ "a": access, "exp": expiry }))
        );
        let signature = key_pair(&self.private).sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

impl std::fmt::Debug for JwtKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JwtKeys").field("public", &STANDARD.encode(&self.public)).finish_non_exhaustive()
    }
}

fn key_pair(pkcs8: &[u8]) -> Ed25519KeyPair {
    Ed25519KeyPair::from_pkcs8(pkcs8).unwrap_or_else(|error| panic!("not an Ed25519 key: {error}"))
}
