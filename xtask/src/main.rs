//! Runs the development tasks: `cargo xtask` prints what there is.

mod arguments;
mod check;
mod examples;
mod failure;
mod mcp;
mod models;
mod run;
mod server;
mod sqld;
mod tools;
mod workspace;

use std::process::ExitCode;

use crate::arguments::Arguments;
use crate::failure::Failure;

const USAGE: &str = "\
Usage: cargo xtask <task> [options]

  test [--quick]      Run everything that CI runs. --quick: only format, clippy and tests.
  sqld                Fetch the sqld server that the tests use into the target folder.
  models [--test]     Fetch the embedding models that the tests use into the target folder. --test: run their tests.
  mcp                 Run real MCP clients, fetched into the target folder, against the built memory command.
  crash --rounds N --mode local|remote [--release]
                      Kill a writing process N times and check that nothing acknowledged is lost.
  bench-report [--json] [--quick] [--only TEXT]...
                      Measure the targets against their raw comparators, in the profile dist.
  fuzz --seconds N    Run each fuzz target for N seconds (needs cargo-fuzz).
  deny [--advisories] Check licences, bans and sources with cargo-deny, which is built into the target folder.
                      --advisories: also known vulnerabilities, for which the advisory database is downloaded from GitHub.
  api [--update]      Compare the public API of the libraries with docs/public-api. --update: write it there.

Environment: CARGO_TARGET_DIR is respected; SQLD_BIN names an sqld binary to use in place of the fetched one.
Exit codes: 0 passed, 1 failed, 2 wrong usage; crash, bench-report, fuzz and deny pass on the exit code of the tool.
";

fn main() -> ExitCode {
    let mut arguments = Arguments::new(std::env::args().skip(1));
    let task = arguments.task();
    let result = match task.as_deref() {
        Some("test") => check::test(arguments),
        Some("sqld") => sqld::task(arguments),
        Some("mcp") => mcp::task(arguments),
        Some("models") => models::task(arguments),
        Some("crash") => tools::crash(arguments),
        Some("bench-report") => tools::bench_report(arguments),
        Some("fuzz") => tools::fuzz(arguments),
        Some("deny") => tools::deny(arguments),
        Some("api") => tools::api(arguments),
        None | Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Some(other) => Err(Failure::Usage(format!("there is no task {other:?}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => {
            eprintln!("xtask: {message}\n\n{USAGE}");
            ExitCode::from(2)
        }
        Err(Failure::Task(message)) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
        Err(Failure::Tool { message, code }) => {
            eprintln!("xtask: {message}");
            ExitCode::from(code)
        }
    }
}
