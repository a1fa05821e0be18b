//! Gives tests a real server and real faults.
//!
//! - [`Sqld`] runs the sqld binary on a free loopback port; it can be killed, paused, stopped and restarted.
//! - [`JwtKeys`] makes an Ed25519 key pair and signs the tokens that such a server accepts.
//! - [`FaultProxy`] stands between a client and a server and breaks the connection in a chosen way.
//! - [`Witness`] answers every request alike, with TLS if asked to, and remembers what it could read.
//!
//! The calls block and panic with a full explanation when something outside the test's control fails (no binary, no
//! port, no answer): a test that cannot run has failed. They start no async runtime, so they work in plain and in
//! async tests alike.
//!
//! ```
//! use memory_test_support::{FaultProxy, Mode, Sqld, SqldOptions};
//!
//! let sqld = Sqld::start(SqldOptions::new());
//! sqld.sql("CREATE TABLE t (a)");
//! let proxy = FaultProxy::start(sqld.addr());
//! proxy.set_mode(Mode::Status503);
//! // A client of `proxy.url()` is refused, while the test itself still sees the truth:
//! assert_eq!(sqld.scalar("SELECT count(*) FROM t"), 0);
//! ```

mod binary;
mod http;
mod jwt;
mod net;
mod proxy;
mod sqld;
mod witness;

pub use jwt::{Access, JwtKeys};
pub use proxy::{FaultProxy, Mode};
pub use sqld::{SqlError, Sqld, SqldOptions};
pub use witness::Witness;
