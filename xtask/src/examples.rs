//! Runs each example of the facade once.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::run::{program, run};
use crate::server::Server;
use crate::workspace::Workspace;

/// Runs every example, built before, in a fresh folder; one whose source names `TURSO_DATABASE_URL` gets a fresh server under that
/// name.
pub(crate) fn run_all(workspace: &Workspace, sqld: &Path) -> Result<(), Failure> {
    let examples = find(&workspace.root().join("examples"))?;
    if examples.is_empty() {
        return Err(Failure::Task("the folder examples holds no example".to_owned()));
    }
    for (name, source) in examples {
        let dir = workspace.fresh_dir(&format!("example-{name}"))?;
        let mut command = program(workspace, &format!("examples/{name}"));
        command.current_dir(&dir);
        command.env("MEMORY_DB_PATH", dir.join("memory"));
        let server = if source.contains("TURSO_DATABASE_URL") {
            let server = Server::start(sqld, &workspace.fresh_dir(&format!("example-{name}-sqld"))?)?;
            command.env("TURSO_DATABASE_URL", server.url());
            Some(server)
        } else {
            None
        };
        run(&mut command)?;
        drop(server);
    }
    Ok(())
}

/// Returns the name and the source of each example, in the order of their names.
fn find(dir: &Path) -> Result<Vec<(String, String)>, Failure> {
    let failed = |path: &Path, error| Failure::Task(format!("cannot read {}: {error}", path.display()));
    let mut examples = Vec::new();
    for entry in fs::read_dir(dir).map_err(|error| failed(dir, error))? {
        let path = entry.map_err(|error| failed(dir, error))?.path();
        let Some(source) = source_of(&path) else { continue };
        let text = fs::read_to_string(&source).map_err(|error| failed(&source, error))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        examples.push((name, text));
    }
    examples.sort();
    Ok(examples)
}

/// Returns the main file of the example at `path`, by the rules of cargo: `name.rs`, or `name/main.rs`.
fn source_of(path: &Path) -> Option<PathBuf> {
    if path.is_dir() {
        let main = path.join("main.rs");
        return main.is_file().then_some(main);
    }
    path.extension().is_some_and(|extension| extension == "rs").then(|| path.to_owned())
}
