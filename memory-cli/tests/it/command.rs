//! Running the command, and making what it says comparable.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use regex::Regex;
use serde_json::Value;
use tempfile::TempDir;

/// A folder of its own for one test, and an environment without the user's settings.
pub(crate) struct World {
    folder: TempDir,
}

/// What a run of the command left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Makes a world with a memory that has nothing in it.
    pub(crate) fn empty() -> Self {
        Self::with("")
    }

    /// Makes a world with the lines of `fixture` imported.
    pub(crate) fn with(lines: &str) -> Self {
        let world = Self::new();
        let file = world.file("fixture.jsonl", lines);
        world.run(["import", file.to_str().unwrap()]).ok();
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Returns the command on this world's memory; its standard streams are no terminal.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_memory"));
        command
            .env_clear()
            .env("HOME", self.folder.path())
            .env("MEMORY_DB_PATH", self.path("memory"))
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run {
        finish(self.command().args(arguments))
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Run {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that has seen enough hangs up.
        let _hung_up = child.stdin.take().unwrap().write_all(input);
        Run::of(child.wait_with_output().unwrap())
    }

    /// Replaces what differs from run to run.
    pub(crate) fn stable(&self, text: &str) -> String {
        let folder = self.folder.path().to_str().unwrap();
        let mut text = text.replace(folder, "[folder]");
        let patterns = [
            (r"\b01[0-9a-f]{6}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b", "[live-id]"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[time]"),
            (r"\b20\d\d-\d\d-\d\d\b", "[day]"),
            (r"\b1[6-9]\d{11}\b", "[ms]"),
            (r"(just now|\d+ s ago)", "[ago]"),
            (r" *\b[\d.]+ (µs|ms|s)\b", " [taken]"),
            (r"\b[\d.]+ (B|kB|MB|GB)\b", "[size]"),
            (r"[\d,]+ (acknowledged|episodes/s)", "[rate] $1"),
            (r"\b[01]\.\d\d\b", "[score]"),
            (r#""elapsed_ms":\d+"#, r#""elapsed_ms":"[taken]""#),
        ];
        for (pattern, replacement) in patterns {
            text = Regex::new(pattern).unwrap().replace_all(&text, replacement).into_owned();
        }
        text
    }
}

pub(crate) fn finish(command: &mut Command) -> Run {
    Run::of(command.output().unwrap())
}

impl Run {
    fn of(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().expect("no signal ended the command"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Asserts that it went well without a word on standard error.
    pub(crate) fn ok(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{}", self.stdout);
        self.stdout
    }

    /// Asserts that it went well and answered with one object.
    pub(crate) fn object(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// Asserts that it failed with an exit code and one error object of a kind, and returns message and hint.
    pub(crate) fn error(self, code: i32, kind: &str) -> (String, String) {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{}", self.stderr);
        let object: Value = serde_json::from_str(&self.stderr).unwrap();
        assert_eq!(object["error"]["kind"], kind, "{object}");
        let text = |name: &str| object["error"][name].as_str().unwrap_or_default().to_owned();
        (text("message"), text("hint"))
    }
}

/// Returns the sorted field names of an object.
pub(crate) fn names(object: &Value) -> Vec<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

/// A conversation that failed, one that succeeded, and a task.
pub(crate) const LINES: &str = concat!(
    r#"{"task_id": 7, "trial": 0, "reward": 0.0, "instruction": "hidden", "reference_actions": [], "messages": [{"role": "system", "content": "policy"}, {"role": "user", "content": "I want to cancel my flight to Oslo."}, {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "find_booking", "arguments": "{\"user\": \"mia\"}"}}]}, {"role": "tool", "tool_call_id": "c1", "content": "Error: no such user"}, {"role": "assistant", "content": "Your flight is cancelled."}]}"#,
    "\n",
    r#"{"task_id": 7, "trial": 1, "reward": 1.0, "domain": "airline", "agent": "a1", "messages": [{"role": "user", "content": "Please change the seat of my flight to Bergen."}, {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "change_seat", "arguments": "{\"seat\": \"12A\"}"}}]}, {"role": "tool", "tool_call_id": "c1", "content": "{\"ok\": true}"}, {"role": "assistant", "content": "Seat 12A is yours."}]}"#,
    "\n",
    r##"{"id": "t-1", "user_id": "omar", "instruction": "Return the kettle of order #W1.", "actions": [{"name": "find_order", "kwargs": {"order_id": "#W1"}}, {"name": "return_items", "kwargs": {"items": ["kettle"]}}], "outputs": ["29.80"]}"##,
    "\n",
);

/// Returns whether a folder has anything in it.
pub(crate) fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}
