//! Runs a real sqld for the length of a test.

mod options;
mod process;
mod query;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub use self::options::SqldOptions;
pub use self::query::SqlError;

use self::process::{Process, StartError};
use crate::jwt::{Access, JwtKeys};
use crate::{http, net};

/// How long a server may take from its start to its first answer, and a busy port to become free.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a server may take to end by itself after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the harness waits for an answer to a query of its own.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A running sqld with its folder, on a loopback port that stays the same over restarts.
///
/// Dropping it kills the server and deletes the folder (unless the options named one). When the test process itself
/// is killed, a watchdog process does the same. All methods take `&self`, so that threads and tasks can share it.
pub struct Sqld {
    options: SqldOptions,
    scratch: TempDir,
    data_dir: PathBuf,
    port: u16,
    admin_port: u16,
    state: Mutex<State>,
}

struct State {
    process: Option<Process>,
    keys: Option<JwtKeys>,
}

impl Sqld {
    /// Starts a server and waits until it has answered a query.
    ///
    /// # Panics
    ///
    /// If the binary is missing (run `cargo xtask sqld`) or the server does not answer within 20 seconds; what the
    /// server printed is in the message.
    pub fn start(options: SqldOptions) -> Self {
        let scratch = tempfile::Builder::new()
            .prefix("sqld-")
            .tempdir()
            .unwrap_or_else(|error| panic!("cannot make a temporary folder for sqld: {error}"));
        let data_dir = options.data_dir.clone().unwrap_or_else(|| scratch.path().join("data"));
        fs::create_dir_all(&data_dir)
            .unwrap_or_else(|error| panic!("cannot make the folder {}: {error}", data_dir.display()));
        let state = Mutex::new(State { process: None, keys: options.keys.clone() });
        let mut sqld = Self { options, scratch, data_dir, port: 0, admin_port: 0, state };
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            sqld.port = net::free_port();
            sqld.admin_port = net::free_port();
            let launched = sqld.launch(&mut sqld.lock(), deadline);
            match launched {
                Ok(()) => return sqld,
                Err(StartError::PortTaken) if Instant::now() < deadline => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Returns the URL of the server: `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// Returns the address of the server.
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Returns the port of the server.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the folder that holds the server's data.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Returns what the server has printed since its last start.
    pub fn log(&self) -> String {
        fs::read(self.log_path())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Signs a token for this server; `None` when it checks none.
    pub fn token(&self, access: Access) -> Option<String> {
        self.lock().keys.as_ref().map(|keys| keys.token(access))
    }

    /// Counts the TCP connections that clients hold open to the server now.
    pub fn connections(&self) -> usize {
        net::established(self.port)
    }

    /// Returns whether the server process is there; a paused one is.
    pub fn is_running(&self) -> bool {
        self.lock().process.as_mut().is_some_and(Process::is_alive)
    }

    /// Kills the server with SIGKILL, also a paused one; does nothing if none runs.
    pub fn kill(&self) {
        if let Some(process) = self.lock().process.take() {
            process.kill();
        }
    }

    /// Stops the server with SIGTERM and waits for its end; after 10 seconds it is killed.
    pub fn stop(&self) {
        if let Some(process) = self.lock().process.take() {
            process.stop(STOP_TIMEOUT);
        }
    }

    /// Starts the server again on the same folder and port, after killing the one that runs, if any.
    ///
    /// # Panics
    ///
    /// If the port stays busy or the server does not answer, each for 20 seconds.
    pub fn restart(&self) {
        let mut state = self.lock();
        if let Some(process) = state.process.take() {
            process.kill();
        }
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            match self.launch(&mut state, deadline) {
                Ok(()) => return,
                Err(StartError::PortTaken) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(error) => {
                    drop(state);
                    panic!("{error}");
                }
            }
        }
    }

    /// Restarts the server so that it accepts only tokens of `keys`, or any client for `None`.
    pub fn restart_with_keys(&self, keys: Option<&JwtKeys>) {
        self.lock().keys = keys.cloned();
        self.restart();
    }

    /// Freezes the server with SIGSTOP: connections are accepted by the kernel and never answered.
    ///
    /// # Panics
    ///
    /// If no server runs.
    pub fn pause(&self) {
        self.running(Process::pause);
    }

    /// Lets a paused server go on.
    ///
    /// # Panics
    ///
    /// If no server runs.
    pub fn resume(&self) {
        self.running(Process::resume);
    }

    /// Changes settings of the server's database, for example `{"block_writes": true, "block_reason": "test"}`, and
    /// leaves the others as they are.
    ///
    /// # Panics
    ///
    /// If `settings` is no object or the server refuses it.
    pub fn configure(&self, settings: &Value) {
        self.merge_settings(settings).unwrap_or_else(|error| panic!("{}", self.explain(&error)));
    }

    /// Starts the process and waits until it has answered a query.
    fn launch(&self, state: &mut State, deadline: Instant) -> Result<(), StartError> {
        let key_file = self.scratch.path().join("jwt.pem");
        let auth = state.keys.as_ref().map(|keys| {
            fs::write(&key_file, keys.public_pem())
                .unwrap_or_else(|error| panic!("cannot write {}: {error}", key_file.display()));
            key_file.as_path()
        });
        let mut process = Process::spawn(&process::Spawn {
            data_dir: &self.data_dir,
            scratch: self.scratch.path(),
            log: &self.log_path(),
            port: self.port,
            admin_port: self.admin_port,
            auth,
            arguments: &self.options.arguments,
        })?;
        process.wait_for_listener(self.port, deadline)?;
        let token = state.keys.as_ref().map(|keys| keys.token(Access::ReadWrite));
        process.wait_for(deadline, "answer GET /health with 200", || {
            http::request(self.addr(), "GET", "/health", None, &[], REQUEST_TIMEOUT)
                .is_ok_and(|(status, _)| status == 200)
        })?;
        process.wait_for(deadline, "answer SELECT 1", || self.query("SELECT 1", token.as_deref()).is_ok())?;
        if self.options.strong_durability {
            let settings = serde_json::json!({ "durability_mode": "strong" });
            self.merge_settings(&settings).map_err(|error| StartError::Failed(self.explain(&error)))?;
        }
        state.process = Some(process);
        Ok(())
    }

    fn merge_settings(&self, settings: &Value) -> Result<(), String> {
        const PATH: &str = "/v1/namespaces/default/config";
        let admin: SocketAddr = (Ipv4Addr::LOCALHOST, self.admin_port).into();
        let (_, body) = http::request(admin, "GET", PATH, None, &[], REQUEST_TIMEOUT)
            .map_err(|error| format!("cannot read the settings: {error}"))?;
        let mut merged: serde_json::Map<String, Value> = serde_json::from_slice(&body)
            .map_err(|error| format!("the settings are no JSON object: {error}"))?;
        let settings = settings.as_object().ok_or("the new settings are no JSON object")?;
        merged.extend(settings.clone());
        let body = Value::Object(merged).to_string();
        match http::request(admin, "POST", PATH, None, body.as_bytes(), REQUEST_TIMEOUT) {
            Ok((200, _)) => Ok(()),
            Ok((status, answer)) => {
                Err(format!("settings refused: {status} {}: {body}", String::from_utf8_lossy(&answer)))
            }
            Err(error) => Err(format!("cannot send the settings: {error}")),
        }
    }

    fn running(&self, act: impl FnOnce(&Process)) {
        match &self.lock().process {
            Some(process) => act(process),
            None => panic!("no sqld runs: it was killed or stopped before"),
        }
    }

    fn explain(&self, error: &str) -> String {
        format!("{error}\nsqld at {} printed:\n{}", self.url(), self.log())
    }

    fn log_path(&self) -> PathBuf {
        self.scratch.path().join("sqld.log")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock leaves at worst no process, which every method handles.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Sqld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sqld")
            .field("url", &self.url())
            .field("data_dir", &self.data_dir)
            .finish_non_exhaustive()
    }
}
