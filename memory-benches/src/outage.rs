//! Whole processes of the `memory` command while the server is away, in each of the ways that a server can be.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use memory_test_support::{FaultProxy, Mode, Sqld, SqldOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Result, Run};

/// Episodes that the memory has before the server goes away.
const KNOWN: usize = 200;
/// Episodes of one import.
const IMPORTED: usize = 20;
/// How late a slow server answers.
const LATE: Duration = Duration::from_secs(2);
/// Connections that fill the queue of a listener which accepts none.
const QUEUED: usize = 300;

/// How a server is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
    /// It takes connections and answers nothing: the process is stopped (SIGSTOP).
    Hanging,
    /// Nobody listens at its address.
    Refusing,
    /// Nothing comes back, not even an answer to the attempt to connect.
    BlackHole,
    /// It answers after two seconds.
    Slow,
}

impl Away {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Hanging, Self::Refusing, Self::BlackHole, Self::Slow];

    /// Returns its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hanging => "hanging",
            Self::Refusing => "refusing",
            Self::BlackHole => "black-holed",
            Self::Slow => "slow",
        }
    }
}

/// A command that is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OneShot {
    /// `memory recall`
    Recall,
    /// `memory import` of 20 new episodes, learning included.
    Import,
    /// `memory episodes list`
    List,
    /// `memory episodes show`
    Show,
    /// `memory status`
    Status,
}

impl OneShot {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Recall, Self::Import, Self::List, Self::Show, Self::Status];

    /// Returns its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Recall => "recall",
            Self::Import => "import of 20",
            Self::List => "episodes list",
            Self::Show => "episodes show",
            Self::Status => "status",
        }
    }

    /// Returns an error unless the answer says that the server is away, or, if it is not, that it is there.
    fn check(self, answer: &Value, away: bool) -> Result<()> {
        let says_away = match self {
            Self::Recall | Self::List | Self::Show => !answer["stale_ms"].is_null(),
            Self::Import => answer["waiting"].as_u64() > Some(0),
            Self::Status => !answer["sync"]["last_error"].is_null(),
        };
        let is_whole = match self {
            Self::Recall => answer["episodes"].as_array().is_some_and(|found| !found.is_empty()),
            Self::Import => answer["new"].as_u64() == Some(IMPORTED as u64),
            Self::List => answer["episodes"].as_array().is_some_and(|found| found.len() == 20),
            Self::Show => answer["episode"]["id"].is_string(),
            Self::Status => answer["mode"] == "remote",
        };
        match is_whole && says_away == away {
            true => Ok(()),
            false => Err(format!("`{}` with the server away ({away}) answered {answer}", self.name()).into()),
        }
    }
}

/// The latencies of a command while the server is away, and in turns with them while another one is there.
#[derive(Debug, Default)]
pub struct Turns {
    /// The server is away.
    pub away: Run,
    /// It is there.
    pub up: Run,
}

/// Two memories: the server of the one is there, that of the other is away.
pub struct Outage {
    up: Place,
    gone: Place,
    /// What stands at the address of the server that is away.
    _away: Box<dyn std::any::Any>,
    imports: usize,
}

/// A folder with a memory and its server.
struct Place {
    program: PathBuf,
    folder: TempDir,
    url: String,
    known: String,
    // Dropped last.
    server: Sqld,
}

impl Outage {
    /// Fills both memories, and takes the server of the one away. `program` is the `memory` command.
    ///
    /// # Errors
    /// When the command fails.
    pub fn begin(program: &Path, way: Away) -> Result<Self> {
        let [(up, _up), (gone, proxy)] = [Place::fill(program)?, Place::fill(program)?];
        let addr = proxy.addr();
        let away: Box<dyn std::any::Any> = match way {
            Away::Hanging => {
                gone.server.pause();
                Box::new(proxy)
            }
            Away::Slow => {
                proxy.set_mode(Mode::Slow(LATE));
                Box::new(proxy)
            }
            Away::Refusing => {
                drop(proxy);
                Box::new(())
            }
            Away::BlackHole => {
                drop(proxy);
                Box::new(black_hole(addr)?)
            }
        };
        Ok(Self { up, gone, _away: Box::new((away, _up)), imports: 0 })
    }

    /// Runs a command so often with the server away, and in turns with it there.
    ///
    /// # Errors
    /// When the command fails, or does not say how current its answer is.
    pub fn run(&mut self, command: OneShot, times: u64) -> Result<Turns> {
        let mut turns = Turns::default();
        for time in 0..times {
            self.imports += 1;
            let sides = [(&self.gone, true), (&self.up, false)];
            // Whoever goes first in one turn goes second in the next.
            for (place, away) in if time % 2 == 0 { sides } else { [sides[1], sides[0]] } {
                let (elapsed, answer) = place.run(command, self.imports)?;
                command.check(&answer, away)?;
                let run = if away { &mut turns.away } else { &mut turns.up };
                run.latencies.push(elapsed);
                run.elapsed += elapsed;
            }
        }
        Ok(turns)
    }
}

impl Drop for Outage {
    fn drop(&mut self) {
        // A stopped process would not end.
        self.gone.server.resume();
    }
}

impl Place {
    /// Makes a memory with episodes that its server has, too, which is reached through a proxy.
    fn fill(program: &Path) -> Result<(Self, FaultProxy)> {
        let server = Sqld::start(SqldOptions::new());
        let proxy = FaultProxy::start(server.addr());
        let (folder, url) = (tempfile::tempdir()?, proxy.url());
        let mut place = Self { program: program.to_owned(), folder, url, known: String::new(), server };
        place.write_lines("known.jsonl", 0, KNOWN)?;
        place.call(&["import", "known.jsonl"])?;
        place.call(&["sync"])?;
        let listed = place.call(&["episodes", "list"])?;
        place.known = listed["episodes"][0]["id"].as_str().ok_or("no episode is known")?.to_owned();
        Ok((place, proxy))
    }

    fn write_lines(&self, name: &str, first: usize, count: usize) -> Result<()> {
        let line = |number: usize| {
            json!({
                "id": format!("task-{number}"),
                "instruction": format!("Cancel order #W{number} of customer {}, the kettle is broken", number % 17),
                "actions": [
                    {"name": "find_order", "kwargs": {"order_id": format!("#W{number}")}},
                    {"name": "cancel_order", "kwargs": {"order_id": format!("#W{number}"), "reason": "broken"}},
                ],
            })
        };
        let lines: String = (first..first + count).map(|number| format!("{}\n", line(number))).collect();
        Ok(std::fs::write(self.folder.path().join(name), lines)?)
    }

    fn run(&self, command: OneShot, imports: usize) -> Result<(Duration, Value)> {
        if command == OneShot::Import {
            self.write_lines("more.jsonl", KNOWN + imports * IMPORTED, IMPORTED)?;
        }
        let start = Instant::now();
        let answer = match command {
            OneShot::Recall => self.call(&["recall", "Cancel the order of a broken kettle"]),
            OneShot::Import => self.call(&["import", "more.jsonl"]),
            OneShot::List => self.call(&["episodes", "list"]),
            OneShot::Show => self.call(&["episodes", "show", &self.known]),
            OneShot::Status => self.call(&["status"]),
        };
        Ok((start.elapsed(), answer?))
    }

    /// Runs the command to its end and returns its object.
    fn call(&self, arguments: &[&str]) -> Result<Value> {
        let output = Command::new(&self.program)
            .args(arguments)
            .arg("--json")
            .env_clear()
            .env("HOME", self.folder.path())
            .env("MEMORY_DB_PATH", self.folder.path().join("memory"))
            .env("TURSO_DATABASE_URL", &self.url)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            return Err(format!("`memory {}` failed: {output:?}", arguments.join(" ")).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// Listens at an address, accepts nothing, and fills the queue, so that no further attempt to connect is answered.
fn black_hole(addr: SocketAddr) -> Result<(TcpListener, Vec<TcpStream>)> {
    let listener = TcpListener::bind(addr)?;
    let mut queued = Vec::new();
    for _ in 0..QUEUED {
        match TcpStream::connect_timeout(&addr, Duration::from_millis(200)) {
            Ok(stream) => queued.push(stream),
            Err(_) => return Ok((listener, queued)),
        }
    }
    Err(format!("{QUEUED} connections do not fill the queue of a listener").into())
}
