//! Opening and closing the memory that the flags, the environment and the settings file name.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent_memory::status::PendingReport;
use agent_memory::{Builder, Memory};

use crate::cli::Global;
use crate::endpoint::endpoint;
use crate::failure::{Exit, Failure};
use crate::output::{Output, style};
use crate::repository;
use crate::text;

/// How long a command that wrote waits for the durable tier before it ends.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);

/// How long a command waits for a server that does not answer. A hanging server must not make a person, or a
/// hook, wait: the command answers from local records, marked as stale.
const FIRST_ANSWER: Duration = Duration::from_millis(150);

/// An open memory and where it is.
pub(crate) struct Session {
    pub(crate) memory: Memory,
    pub(crate) folder: PathBuf,
    /// The database, without credentials; `None` in local mode.
    pub(crate) url: Option<String>,
}

impl Session {
    /// Opens the memory, which must exist, and reports what opening had to repair.
    pub(crate) async fn open(global: &Global, output: &mut Output) -> Result<Self, Failure> {
        Self::open_with(global, output, |builder| builder.create(false)).await
    }

    /// As [`Session::open`], with settings of the command; creates the memory unless they forbid that.
    pub(crate) async fn open_with(
        global: &Global,
        output: &mut Output,
        set: impl FnOnce(Builder) -> Builder,
    ) -> Result<Self, Failure> {
        let file = global.config.as_deref().map(Located::from_file).transpose()?.unwrap_or_default();
        let folder = folder(global, file.path)?;
        let mut builder = Memory::builder().path(&folder).env();
        if let Some(config) = &global.config {
            builder = builder.config_file(config);
        }
        if file.first_answer_ms.is_none() {
            builder = builder.first_answer(FIRST_ANSWER);
        }
        if let Some(url) = &global.url {
            builder = builder.remote(url);
        }
        if let Some(namespace) = namespace(global) {
            builder = builder.namespace(namespace);
        }
        if let Some(model) = &global.embedding_model {
            builder = builder.embedding_model(model);
        }
        if let Some(endpoint) = endpoint(global)? {
            builder = builder.embedder(endpoint);
        }
        let memory = set(builder).open().await?;
        warn(&memory, output)?;
        let from_env = variable("TURSO_DATABASE_URL").and_then(|url| url.into_string().ok());
        let url = global.url.clone().or(from_env).or(file.url);
        Ok(Self { memory, folder, url: url.map(|url| without_credentials(&url)) })
    }

    /// Ends a command that only read.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        self.memory.close(Duration::ZERO).await?;
        Ok(())
    }

    /// Ends a command that wrote: waits a little for the durable tier, and reports records that have not
    /// arrived yet.
    pub(crate) async fn drain(self, output: &mut Output) -> Result<PendingReport, Failure> {
        let left = self.memory.close(DRAIN).await?;
        if left.rows > 0 && !output.is_json() {
            let remark = format!(
                "{} ({}) wait here for the durable tier; `memory sync` sends them",
                text::count(left.rows, "row"),
                text::bytes(left.bytes)
            );
            output.note("note", style::UNSURE, remark)?;
        }
        Ok(left)
    }
}

/// Returns the namespace that the flags name.
fn namespace(global: &Global) -> Option<String> {
    let here = || env::current_dir().map(|folder| repository::namespace(Some(&folder))).ok();
    let from_env = || variable("MEMORY_NAMESPACE").and_then(|name| name.into_string().ok());
    global.namespace.clone().or_else(|| global.here.then(here).flatten()).or_else(from_env)
}

/// The settings that the command itself reads from the file. Opening checks the rest of the file.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Located {
    path: Option<PathBuf>,
    url: Option<String>,
    first_answer_ms: Option<u64>,
}

impl Located {
    fn from_file(file: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(file).map_err(|source| Failure::Command {
            exit: Exit::Failed,
            kind: "io",
            message: format!("cannot read {}: {source}", file.display()),
            hint: Some("--config takes a TOML file; check its name and who may read it".into()),
        })?;
        Ok(toml::from_str(&text).unwrap_or_default())
    }
}

/// Reports to people what opening had to repair; programs find it in the status.
pub(crate) fn warn(memory: &Memory, output: &mut Output) -> Result<(), Failure> {
    if !output.is_json() {
        for warning in memory.notices() {
            output.note("warning", style::UNSURE, text::one_line(&warning))?;
        }
    }
    Ok(())
}

/// Returns the folder: flag, environment, settings file, or the default.
pub(crate) fn folder(global: &Global, from_file: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let named = global.path.clone().or_else(|| variable("MEMORY_DB_PATH").map(PathBuf::from)).or(from_file);
    match named {
        Some(folder) => Ok(folder),
        None => data_folder().map(|data| data.join("agent-memory")).ok_or_else(|| {
            let message = "no folder is given, and HOME is not set";
            Failure::usage(message, "give one with --path or MEMORY_DB_PATH")
        }),
    }
}

/// Returns the user's data folder by the XDG rules, which ignore relative names; on Windows the local one.
fn data_folder() -> Option<PathBuf> {
    if cfg!(windows) {
        return variable("LOCALAPPDATA").map(PathBuf::from);
    }
    let xdg = variable("XDG_DATA_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    xdg.or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".local/share")))
}

/// Reads an environment variable; empty means unset.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// Takes user, password, query and fragment out of a URL.
fn without_credentials(url: &str) -> String {
    let bare = url.split(['?', '#']).next().unwrap_or_default();
    match bare.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = host.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => bare.to_owned(),
    }
}

/// Refuses flags that a command does not take.
pub(crate) fn refuse(flag: &str, given: bool, why: &str) -> Result<(), Failure> {
    if given {
        return Err(Failure::Command {
            exit: Exit::Usage,
            kind: "usage",
            message: format!("{flag} does not go with this command"),
            hint: Some(why.into()),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_their_secrets() {
        let check = |url: &str, expected: &str| assert_eq!(without_credentials(url), expected);
        check("libsql://db.turso.io?authToken=s3cret", "libsql://db.turso.io");
        check("http://u:p@w@127.0.0.1:8080/ns", "http://127.0.0.1:8080/ns");
        check("http://127.0.0.1:8080", "http://127.0.0.1:8080");
        check("nonsense", "nonsense");
    }
}
