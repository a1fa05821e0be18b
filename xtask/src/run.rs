//! Runs other programs.

use std::env;
use std::ffi::OsString;
use std::process::{Command, ExitStatus};

use crate::failure::Failure;
use crate::workspace::Workspace;

/// Returns cargo itself, started in the workspace root with the target folder of this run.
pub(crate) fn cargo(workspace: &Workspace) -> Command {
    // Set by cargo when it runs this program; the same toolchain is used again.
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.current_dir(workspace.root()).env("CARGO_TARGET_DIR", workspace.target());
    isolate(&mut command);
    command
}

/// Returns a program that was built with the dev profile; an example's name is `examples/<name>`.
pub(crate) fn program(workspace: &Workspace, name: &str) -> Command {
    let mut command = Command::new(workspace.target().join("debug").join(name));
    command.current_dir(workspace.root());
    isolate(&mut command);
    command
}

/// Hides the user's own memory: no test may touch a database that the environment happens to name.
fn isolate(command: &mut Command) {
    for name in ["TURSO_DATABASE_URL", "TURSO_AUTH_TOKEN", "MEMORY_DB_PATH"] {
        command.env_remove(name);
    }
}

/// Runs a program with its output shown, and fails when it does.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let status = status(command)?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::Task(format!("{status}: {}", shown(command))))
}

/// As [`run`], for a program whose exit code is to become that of the task.
pub(crate) fn pass_on(command: &mut Command) -> Result<(), Failure> {
    let status = status(command)?;
    if status.success() {
        return Ok(());
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Err(Failure::Tool { message: format!("{status}: {}", shown(command)), code })
}

/// Runs a program and returns what it printed on standard output; its standard error is shown.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| Failure::Task(format!("cannot run {}: {error}", shown(command))))?;
    if !output.status.success() {
        return Err(Failure::Task(format!("{}: {}", output.status, shown(command))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn status(command: &mut Command) -> Result<ExitStatus, Failure> {
    eprintln!("+ {}", shown(command));
    command.status().map_err(|error| Failure::Task(format!("cannot run {}: {error}", shown(command))))
}

/// Returns the command as a person would type it.
fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(program)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}
