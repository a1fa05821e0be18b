//! The raw comparators: what the bare libraries take for the same work.

mod fts;
mod group;
mod libsql_file;
mod libsql_server;
mod redb_file;
mod upsert;

pub(crate) use fts::{Fts, scan};
pub(crate) use group::GroupCommit;
pub(crate) use libsql_file::LibsqlFile;
pub(crate) use libsql_server::LibsqlServer;
pub(crate) use redb_file::RedbFile;
