//! The `memory` command: the memory's verbs for people at a terminal and for scripts.

mod cli;
mod commands;
mod corrupt;
mod document;
mod endpoint;
mod failure;
mod hook;
mod import;
mod install;
mod log;
mod output;
mod repository;
mod session;
mod table;
mod text;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Color, Command};
use crate::failure::{Exit, Failure, Report};
use crate::output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // An agent takes another exit code of a hook for a veto; settings may be older or newer than this program.
        Err(error) if error.use_stderr() && std::env::args_os().nth(1).is_some_and(|it| it == "hook") => {
            return ExitCode::SUCCESS;
        }
        Err(error) => return refuse(&error),
    };
    let mut output = Output::new(cli.global.json, cli.global.color);
    let exit = match run(&cli, &mut output) {
        Ok(exit) => exit,
        Err(failure) => {
            if let Some(report) = failure.report() {
                output.fail(&report);
            }
            failure.exit()
        }
    };
    ExitCode::from(exit as u8)
}

fn run(cli: &Cli, output: &mut Output) -> Result<Exit, Failure> {
    log::start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|source| {
        let hint = "the system refuses threads; close other programs or raise its limits";
        Failure::Command {
            exit: Exit::Failed,
            kind: "io",
            message: format!("cannot start: {source}"),
            hint: Some(hint.into()),
        }
    })?;
    let exit = runtime.block_on(dispatch(cli, output))?;
    output.flush()?;
    Ok(exit)
}

async fn dispatch(cli: &Cli, output: &mut Output) -> Result<Exit, Failure> {
    let global = &cli.global;
    match &cli.command {
        Command::Demo(arguments) => commands::demo::run(global, arguments, output).await,
        Command::Import(arguments) => commands::import::run(global, arguments, output).await,
        Command::Hook(arguments) => hook::run(global, arguments, output),
        #[cfg(feature = "mcp")]
        Command::Mcp => commands::mcp::run(global, output).await,
        Command::Install(arguments) => install::run(global, arguments, output),
        Command::Episode(command) => commands::episode::run(global, command, output).await,
        Command::Episodes(command) => commands::episodes::run(global, command, output).await,
        Command::Recall(arguments) => commands::recall::run(global, arguments, output).await,
        Command::Status => commands::status::run(global, output).await,
        Command::Sync(arguments) => commands::sync::run(global, arguments, output).await,
        Command::Heuristics(command) => commands::heuristics::run(global, command, output).await,
        Command::Patterns(command) => commands::patterns::run(global, command, output).await,
        Command::Playbooks(command) => commands::playbooks::run(global, command, output).await,
        Command::Failures(command) => commands::failures::run(global, command, output).await,
        Command::Rulings => commands::rulings::run(global, output).await,
        Command::Stats => commands::stats::run(global, output).await,
        Command::Lift => commands::lift::run(global, output).await,
        Command::Consolidate(arguments) => commands::consolidate::run(global, arguments, output).await,
        Command::Redact(arguments) => commands::redact::run(global, arguments, output).await,
        #[cfg(feature = "eval")]
        Command::Eval(command) => commands::eval::run(global, command, output).await,
    }
}

/// Reports an error in the arguments, or answers `--help` and `--version`.
fn refuse(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().any(|argument| argument == "--json");
    if error.use_stderr() && json {
        let text = error.render().to_string();
        let mut lines = text.trim().splitn(2, "\n\n");
        let message = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let report = Report { kind: "usage", message, hint: Some("see memory --help".into()) };
        Output::new(true, Color::Never).fail(&report);
    } else {
        // A closed reader needs no answer.
        let _nobody_listens = error.print();
    }
    ExitCode::from(if error.use_stderr() { Exit::Usage } else { Exit::Done } as u8)
}
