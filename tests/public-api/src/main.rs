//! Compares the public API of each library with the listing in `docs/public-api`.
//!
//! `cargo xtask api` makes the rustdoc JSON files and runs this program on them.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The release whose rustdoc JSON the pinned `public-api` reads.
const COMPILER: &str = "Rust 1.95";

const USAGE: &str = "usage: memory-public-api JSON_FOLDER LISTING_FOLDER [--update]";

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let update = arguments.last().is_some_and(|last| last == "--update");
    if update {
        arguments.pop();
    }
    let [json, listings] = arguments.as_slice() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(Path::new(json), Path::new(listings), update) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!(
                "the public API has changed: if that is meant, run `cargo xtask api --update` and commit"
            );
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Compares or writes one listing a JSON file; returns whether all are as committed.
fn run(json: &Path, listings: &Path, update: bool) -> Result<bool, Box<dyn Error>> {
    let mut documents: Vec<PathBuf> = fs::read_dir(json)?
        .map(|entry| Ok(entry?.path()))
        .filter(|path: &std::io::Result<PathBuf>| {
            path.as_ref().map_or(true, |path| path.extension().is_some_and(|extension| extension == "json"))
        })
        .collect::<std::io::Result<_>>()?;
    documents.sort();
    if documents.is_empty() {
        return Err(format!("no JSON file in {}", json.display()).into());
    }
    let mut same = true;
    for document in documents {
        let name = document.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let api = listing(&document)?;
        let path = listings.join(&name).with_extension("txt");
        if update {
            fs::create_dir_all(listings)?;
            fs::write(&path, api)?;
            continue;
        }
        let committed = fs::read_to_string(&path).map_err(|error| {
            format!("cannot read {}: {error} (cargo xtask api --update writes it)", path.display())
        })?;
        for change in changes(&committed, &api) {
            println!("{name}: {change}");
            same = false;
        }
    }
    Ok(same)
}

/// Returns the public items of one crate, one a line.
fn listing(document: &Path) -> Result<String, Box<dyn Error>> {
    let api = public_api::Builder::from_rustdoc_json(document)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .map_err(|error| {
            format!(
                "{}: {error}\nhint: the format of rustdoc JSON changes with the compiler; listings are made with {COMPILER}",
                document.display(),
            )
        })?;
    Ok(format!("{api}\n"))
}

/// Returns the lines that one listing has and the other has not, as a diff shows them.
fn changes(committed: &str, now: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (committed.lines().collect(), now.lines().collect());
    let gone = old.iter().filter(|line| !new.contains(line)).map(|line| format!("- {line}"));
    let added = new.iter().filter(|line| !old.contains(line)).map(|line| format!("+ {line}"));
    gone.chain(added).collect()
}

#[cfg(test)]
mod tests {
    use super::changes;

    #[test]
    fn a_changed_line_is_shown_before_and_after() {
        let found = changes("pub fn a()\npub fn b()\n", "pub fn a()\npub fn b(u8)\n");
        assert_eq!(found, ["- pub fn b()", "+ pub fn b(u8)"]);
        assert!(changes("pub fn a()\n", "pub fn a()\n").is_empty());
    }
}
