//! Runs everything that CI runs.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::run::{cargo, program, run};
use crate::workspace::Workspace;
use crate::{examples, mcp, models, sqld, tools};

/// How often each bounded crash run kills the writer.
const CRASH_ROUNDS: &str = "20";

/// How long random sequences of operations are drawn and run, in seconds.
const MODEL_SECONDS: &str = "45";

/// One step: what its heading says, and what it does.
struct Step {
    name: &'static str,
    /// Whether `--quick` has it, too.
    quick: bool,
    act: fn(&Context) -> Result<(), Failure>,
}

/// What the steps work with.
struct Context {
    workspace: Workspace,
    sqld: PathBuf,
}

const STEPS: &[Step] = &[
    Step { name: "format", quick: true, act: |context| context.cargo("fmt --all --check") },
    Step {
        name: "clippy",
        quick: true,
        act: |context| context.cargo("clippy --workspace --all-targets --all-features -- -D warnings"),
    },
    Step {
        name: "licences, bans and sources of dependencies",
        quick: false,
        act: |context| tools::check_dependencies(&context.workspace, false),
    },
    Step { name: "public API", quick: false, act: |context| tools::compare_api(&context.workspace, false) },
    Step { name: "feature variants", quick: false, act: feature_variants },
    Step {
        name: "tests",
        quick: true,
        // Unit, integration and documentation tests; examples are built.
        act: |context| context.cargo("test --workspace --all-features --no-fail-fast"),
    },
    Step { name: "random operations", quick: false, act: random_operations },
    Step { name: "models", quick: false, act: |context| models::test(&context.workspace) },
    Step { name: "documentation", quick: false, act: documentation },
    Step {
        name: "programs",
        quick: false,
        // With the packages and features of the tests, so that nothing below is compiled for a second time.
        act: |context| context.cargo("build --workspace --all-features --bins --examples"),
    },
    Step {
        name: "examples",
        quick: false,
        act: |context| examples::run_all(&context.workspace, &context.sqld),
    },
    Step { name: "MCP clients", quick: false, act: |context| mcp::test(&context.workspace) },
    Step { name: "crash, local mode", quick: false, act: |context| context.crash("local") },
    Step { name: "crash, remote mode", quick: false, act: |context| context.crash("remote") },
    Step { name: "demo", quick: false, act: demo },
];

/// Runs `cargo xtask test`.
pub(crate) fn test(mut arguments: Arguments) -> Result<(), Failure> {
    let quick = arguments.flag("--quick");
    arguments.finish()?;
    let workspace = Workspace::find()?;
    let start = Instant::now();
    let steps: Vec<&Step> = STEPS.iter().filter(|step| step.quick || !quick).collect();
    // The fetching of sqld is a step, too.
    let total = steps.len() + 1;
    let sqld = timed("sqld", 1, total, || sqld::ensure(&workspace))?;
    let context = Context { workspace, sqld };
    for (index, step) in steps.iter().enumerate() {
        timed(step.name, index + 2, total, || (step.act)(&context))?;
    }
    println!("xtask test: all {total} steps passed in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Runs one step under its heading and says how long it took.
fn timed<T>(
    name: &str,
    number: usize,
    total: usize,
    act: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    println!("\n=== [{number}/{total}] {name}");
    let start = Instant::now();
    let result = act();
    let seconds = start.elapsed().as_secs_f64();
    match result {
        Ok(value) => {
            println!("=== [{number}/{total}] {name}: passed in {seconds:.1} s");
            Ok(value)
        }
        Err(Failure::Task(message) | Failure::Tool { message, .. }) => Err(Failure::Task(format!(
            "{message}\nxtask test: step {number}/{total} FAILED after {seconds:.1} s: {name}"
        ))),
        Err(usage) => Err(usage),
    }
}

impl Context {
    /// Returns cargo with these arguments and what the tests need.
    fn cargo_command(&self, arguments: &str) -> Command {
        let mut command = cargo(&self.workspace);
        command.args(arguments.split(' ')).env("SQLD_BIN", &self.sqld);
        command
    }

    fn cargo(&self, arguments: &str) -> Result<(), Failure> {
        run(&mut self.cargo_command(arguments))
    }

    fn crash(&self, mode: &str) -> Result<(), Failure> {
        let mut command = program(&self.workspace, "memory-crash");
        command.args(["--rounds", CRASH_ROUNDS, "--mode", mode]).env("SQLD_BIN", &self.sqld);
        run(&mut command)
    }
}

/// Checks that all also compiles with default features, without what `--all-features` brings in, and each embedding
/// provider without the others; the command also without its default features.
fn feature_variants(context: &Context) -> Result<(), Failure> {
    for package in [
        "memory-core",
        "memory-storage-redb",
        "memory-storage-turso",
        "memory-embed",
        "agent-memory",
        "memory-eval",
        "memory-mcp",
    ] {
        context.cargo(&format!("check --package {package} --lib"))?;
    }
    for feature in ["sentence-transformer", "static-embedding", "openai"] {
        context.cargo(&format!("check --package memory-embed --lib --features {feature}"))?;
    }
    context.cargo("check --package memory-cli --bins --no-default-features")?;
    context.cargo("check --package memory-cli --bins")
}

/// Runs the model-based test for longer than beside all other tests, whose deadlines it would strain.
fn random_operations(context: &Context) -> Result<(), Failure> {
    // With the packages and features of the tests, so that nothing is compiled for a second time.
    let arguments = "test --workspace --all-features --test it -- model::random_operations";
    run(context.cargo_command(arguments).env("MEMORY_MODEL_SECONDS", MODEL_SECONDS))
}

fn documentation(context: &Context) -> Result<(), Failure> {
    run(context.cargo_command("doc --workspace --all-features --no-deps").env("RUSTDOCFLAGS", "-D warnings"))
}

/// Runs the demo of the `memory` command on a folder of its own.
fn demo(context: &Context) -> Result<(), Failure> {
    let dir = context.workspace.fresh_dir("demo")?;
    let mut command = program(&context.workspace, "memory");
    run(command.arg("demo").env("MEMORY_DB_PATH", dir.join("memory")).current_dir(&dir))
}
