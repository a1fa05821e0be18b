//! Kills a writing process over and over and checks that nothing acknowledged is lost.
//!
//! A child process records episodes as fast as it can and prints each acknowledgement. The parent kills it with SIGKILL
//! at a random moment (in remote mode it also kills and restarts sqld), reopens the memory and checks every
//! acknowledged record: there once, with its content, locally and on the server. What was forgotten must stay away, and what
//! was about to be forgotten is there as a whole or not at all. Each writer has a clock that may be off by more than a year.
//! At the end each completed episode must have been learned from once, though many a kill interrupted that.

mod check;
mod content;
mod round;
mod tally;
mod writer;

use std::process::ExitCode;

use round::{Mode, Plan};

const USAGE: &str = "\
Usage: memory-crash --mode local|remote [--rounds N] [--seed N] [--keep DIR]

  --rounds N   How often the writer is killed; 20 by default.
  --seed N     Makes the moments of the kills repeatable as far as timing allows; 1 by default.
  --keep DIR   Works in this folder and leaves it there; a temporary one by default.

The last line reads: rounds N acknowledged A lost 0 duplicated 0 corrupted 0 returned 0
Exit codes: 0 nothing lost and nothing came back, 1 something did, 2 wrong usage.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == writer::COMMAND) {
        return writer::main(&arguments[1..]);
    }
    match parse(&arguments) {
        Ok(plan) => match round::run(&plan) {
            Ok(tally) => {
                println!("{tally}");
                if tally.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
            }
            Err(problem) => {
                eprintln!("memory-crash: {problem}");
                ExitCode::FAILURE
            }
        },
        Err(problem) => {
            eprintln!("memory-crash: {problem}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn parse(arguments: &[String]) -> Result<Plan, String> {
    let mut plan = Plan { rounds: 20, mode: Mode::Local, seed: 1, keep: None };
    let mut mode = None;
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        let value = rest.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{name}: {value:?} is not a number"));
        match name.as_str() {
            "--rounds" => plan.rounds = number()?,
            "--seed" => plan.seed = number()?,
            "--keep" => plan.keep = Some(value.into()),
            "--mode" if value == "local" => mode = Some(Mode::Local),
            "--mode" if value == "remote" => mode = Some(Mode::Remote),
            _ => return Err(format!("{name} {value} is not understood")),
        }
    }
    plan.mode = mode.ok_or("--mode is missing")?;
    Ok(plan)
}
