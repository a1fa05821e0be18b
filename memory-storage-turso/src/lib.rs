//! The durable tier of agent-memory: a libsql file, or a shared sqld / Turso database.
//!
//! Both stores implement [`memory_core::Store`] and [`memory_core::Durable`] over the same SQL: one `records`
//! table, a revision-guarded upsert, a change feed by commit number, and a view per kind for people with an SQL
//! tool.
//!
//! - [`LocalStore`]: a file on this machine, shared by any number of processes. A commit is fsynced when it returns.
//! - `RemoteStore` (feature `remote`): sqld or Turso Cloud over HTTP. Every call has a deadline; the server may
//!   be away.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use memory_core::{Durable, Store};
//! use memory_storage_turso::{LocalOptions, LocalStore};
//!
//! let folder = tempfile::tempdir()?;
//! let store = LocalStore::open(&folder.path().join("memory.db"), LocalOptions::new())?;
//! store.health().await?;
//! store.close().await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod classify;
mod local;
mod operation;
#[cfg(feature = "remote")]
mod remote;
mod schema;
mod session;

pub use local::{LocalOptions, LocalStore};
#[cfg(feature = "remote")]
pub use remote::{RemoteOptions, RemoteStore};
pub use schema::SCHEMA_VERSION;
