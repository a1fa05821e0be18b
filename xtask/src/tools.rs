//! Hands tasks on to the programs that do them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::run::{cargo, pass_on, run};
use crate::sqld;
use crate::workspace::Workspace;

/// Runs `cargo xtask crash`.
pub(crate) fn crash(mut arguments: Arguments) -> Result<(), Failure> {
    let release = arguments.flag("--release");
    let rounds = arguments.required_number("--rounds")?;
    let mode = arguments.required("--mode")?;
    arguments.finish()?;
    if !["local", "remote"].contains(&mode.as_str()) {
        return Err(Failure::Usage(format!("--mode is local or remote, not {mode:?}")));
    }
    let workspace = Workspace::find()?;
    let mut command = cargo(&workspace);
    command.args(["run", "--quiet", "--package", "memory-crash"]);
    if release {
        command.arg("--release");
    }
    command.args(["--", "--rounds", &rounds.to_string(), "--mode", &mode]);
    if mode == "remote" {
        command.env("SQLD_BIN", sqld::ensure(&workspace)?);
    }
    pass_on(&mut command)
}

/// Runs `cargo xtask bench-report`, which checks its arguments itself.
pub(crate) fn bench_report(arguments: Arguments) -> Result<(), Failure> {
    let workspace = Workspace::find()?;
    // One group runs the command as a whole.
    run(cargo(&workspace).args(["build", "--quiet", "--profile", "dist", "--package", "memory-cli"]))?;
    let mut command = cargo(&workspace);
    command.args([
        "run",
        "--quiet",
        "--profile",
        "dist",
        "--package",
        "memory-benches",
        "--bin",
        "bench-report",
        "--",
    ]);
    command.args(arguments.rest());
    command.env("SQLD_BIN", sqld::ensure(&workspace)?);
    pass_on(&mut command)
}

/// Runs `cargo xtask fuzz`.
pub(crate) fn fuzz(mut arguments: Arguments) -> Result<(), Failure> {
    const FOLDER: &str = "memory-storage-redb";
    let seconds = arguments.required_number("--seconds")?;
    arguments.finish()?;
    let workspace = Workspace::find()?;
    require(&workspace, "fuzz", "cargo-fuzz")?;
    let crate_dir = workspace.root().join(FOLDER);
    // cargo-fuzz keeps its targets in a workspace of their own, one file a target.
    let sources = crate_dir.join("fuzz").join("fuzz_targets");
    let mut targets: Vec<String> = fs::read_dir(&sources)
        .map_err(|error| Failure::Task(format!("no fuzz targets at {}: {error}", sources.display())))?
        .filter_map(|entry| entry.ok()?.path().file_stem()?.to_str().map(str::to_owned))
        .collect();
    targets.sort();
    if targets.is_empty() {
        return Err(Failure::Task(format!("no fuzz targets at {}", sources.display())));
    }
    for target in &targets {
        let mut command = cargo(&workspace);
        // The sanitizer flags are unstable; this admits them on the stable toolchain.
        command.env("RUSTC_BOOTSTRAP", "1").current_dir(&crate_dir);
        command.args(["fuzz", "run", target]);
        // libFuzzer adds what it finds to the first folder only: the committed seeds stay as they are.
        let found = workspace.target().join("xtask").join("fuzz").join(target);
        fs::create_dir_all(&found)
            .map_err(|error| Failure::Task(format!("cannot make the folder {}: {error}", found.display())))?;
        command.arg(found);
        let seeds = crate_dir.join("fuzz").join("corpus").join(target);
        if seeds.is_dir() {
            command.arg(seeds);
        }
        command.args(["--", &format!("-max_total_time={seconds}")]);
        pass_on(&mut command)?;
    }
    println!("xtask fuzz: no finding in {seconds} s each: {}", targets.join(", "));
    Ok(())
}

/// The cargo-deny release that `deny.toml` is written for.
const CARGO_DENY: &str = "0.20.2";

/// Runs `cargo xtask deny`.
pub(crate) fn deny(mut arguments: Arguments) -> Result<(), Failure> {
    let advisories = arguments.flag("--advisories");
    arguments.finish()?;
    let workspace = Workspace::find()?;
    check_dependencies(&workspace, advisories)
}

/// Checks licences, bans and sources of all dependencies; known vulnerabilities as well when asked, from GitHub.
pub(crate) fn check_dependencies(workspace: &Workspace, advisories: bool) -> Result<(), Failure> {
    let mut command = Command::new(cargo_deny(workspace)?);
    command.current_dir(workspace.root());
    command.args(["--all-features", "check", "licenses", "bans", "sources"]);
    if advisories {
        command.arg("advisories");
    }
    pass_on(&mut command)
}

/// Returns the path of cargo-deny, built into the target folder if need be.
fn cargo_deny(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let root = workspace.target().join("xtask").join("tools");
    let binary = root.join("bin").join("cargo-deny");
    let version = Command::new(&binary).arg("--version").output();
    let present = version.is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout).trim() == format!("cargo-deny {CARGO_DENY}")
    });
    if !present {
        let mut command = cargo(workspace);
        // Without optimisation: it is built more often than it works.
        command.args([
            "install",
            "--quiet",
            "--locked",
            "--debug",
            "--no-default-features",
            "--force",
            "--root",
        ]);
        command.arg(&root).args(["cargo-deny", "--version", CARGO_DENY]);
        command.env("CARGO_TARGET_DIR", root.join("target")).env("CARGO_PROFILE_DEV_DEBUG", "0");
        run(&mut command)?;
        let built = root.join("target");
        fs::remove_dir_all(&built)
            .map_err(|error| Failure::Task(format!("cannot delete {}: {error}", built.display())))?;
    }
    Ok(binary)
}

/// The libraries whose public API is listed in `docs/public-api`; what only tests see (feature `testing`) is not.
const LIBRARIES: &[&str] = &[
    "agent-memory",
    "memory-core",
    "memory-recall",
    "memory-learn",
    "memory-storage-redb",
    "memory-storage-turso",
];

/// Runs `cargo xtask api`.
pub(crate) fn api(mut arguments: Arguments) -> Result<(), Failure> {
    let update = arguments.flag("--update");
    arguments.finish()?;
    compare_api(&Workspace::find()?, update)
}

/// Compares the public API of the libraries with the committed listings, or writes them.
pub(crate) fn compare_api(workspace: &Workspace, update: bool) -> Result<(), Failure> {
    // A folder of its own: with RUSTC_BOOTSTRAP set, cargo compiles dependencies again.
    let target = workspace.target().join("xtask").join("api");
    let documents = target.join("doc");
    let old = fs::read_dir(&documents).into_iter().flatten().flatten().map(|entry| entry.path());
    for file in old.filter(|path| path.is_file()) {
        fs::remove_file(&file)
            .map_err(|error| Failure::Task(format!("cannot delete {}: {error}", file.display())))?;
    }
    let mut command = cargo(workspace);
    command.args(["doc", "--quiet", "--lib", "--no-deps"]);
    command.args(["--features", "agent-memory/remote,agent-memory/config-file"]);
    for library in LIBRARIES {
        command.args(["--package", library]);
    }
    // The JSON output of rustdoc is unstable; this admits it on the stable toolchain.
    command.env("RUSTC_BOOTSTRAP", "1").env("RUSTDOCFLAGS", "-Z unstable-options --output-format json");
    command.env("CARGO_TARGET_DIR", &target);
    run(&mut command)?;
    let mut command = cargo(workspace);
    command.args(["run", "--quiet", "--package", "memory-public-api", "--"]);
    command.arg(&documents).arg(workspace.root().join("docs").join("public-api"));
    if update {
        command.arg("--update");
    }
    run(&mut command)
}

/// Fails with the command that installs a cargo subcommand, when it is missing.
fn require(workspace: &Workspace, subcommand: &str, package: &str) -> Result<(), Failure> {
    let mut command = cargo(workspace);
    command.args([subcommand, "--version"]);
    // Cargo's own answer to an unknown subcommand suggests other ones; this says what to do.
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err(Failure::Task(format!("{package} is not installed: cargo install --locked {package}"))),
    }
}
