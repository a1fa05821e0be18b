//! Finds the sqld binary.

use std::env;
use std::path::{Path, PathBuf};

/// Returns the path of the sqld binary: `$SQLD_BIN`, else `sqld/sqld` in the target folder.
///
/// # Panics
///
/// If there is no such file, with the command that fetches it.
pub(crate) fn sqld_binary() -> PathBuf {
    let candidates = candidates();
    match candidates.iter().find(|path| path.is_file()) {
        Some(path) => path.clone(),
        None => panic!(
            "no sqld binary at {}: run `cargo xtask sqld` once (or `cargo xtask test`), or set SQLD_BIN",
            candidates.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" or ")
        ),
    }
}

fn candidates() -> Vec<PathBuf> {
    // A path that was named on purpose is the only one looked at.
    if let Some(path) = env::var_os("SQLD_BIN") {
        return vec![PathBuf::from(path)];
    }
    // tests/support is two levels below the workspace root.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().unwrap_or(root);
    let mut targets = Vec::new();
    // Cargo resolves a relative target folder against the directory it was started in; tests run in their package's
    // folder, so the workspace root is the best base there is.
    if let Some(target) = env::var_os("CARGO_TARGET_DIR") {
        targets.push(root.join(target));
    }
    targets.push(root.join("target"));
    targets.into_iter().map(|target| target.join("sqld").join("sqld")).collect()
}
