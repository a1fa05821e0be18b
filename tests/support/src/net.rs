//! Reads the kernel's table of TCP sockets.

use std::collections::HashSet;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};

const ESTABLISHED: &str = "01";
const LISTEN: &str = "0A";

/// Returns a loopback port that is free at this moment; another process may take it before it is used.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .unwrap_or_else(|error| panic!("no free loopback port: {error}"))
        .port()
}

/// Counts the established connections that a server on `port` holds.
pub(crate) fn established(port: u16) -> usize {
    sockets(port, ESTABLISHED).len()
}

/// Returns whether the process `pid` itself listens on `port`, as opposed to another one that took it first.
pub(crate) fn listens(pid: u32, port: u16) -> bool {
    let listening: HashSet<String> =
        sockets(port, LISTEN).into_iter().map(|inode| format!("socket:[{inode}]")).collect();
    // The process may be gone already: then it listens on nothing.
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files
        .filter_map(|file| fs::read_link(file.ok()?.path()).ok())
        .any(|target| listening.contains(target.to_string_lossy().as_ref()))
}

/// Returns the inodes of the sockets whose local end is `port` and that are in `state`.
fn sockets(port: u16, state: &str) -> Vec<String> {
    let table = fs::read_to_string("/proc/net/tcp")
        .unwrap_or_else(|error| panic!("cannot read /proc/net/tcp (these tests need Linux): {error}"));
    let local = format!(":{port:04X}");
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_ascii_whitespace().collect();
            let matches = columns.get(1)?.ends_with(&local) && *columns.get(3)? == state;
            matches.then(|| columns.get(9).map(|inode| (*inode).to_owned())).flatten()
        })
        .collect()
}
