//! All data sets of a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::arena::Means;
use crate::baselines::baselines;
use crate::compare::{Compared, compare};
use crate::data::DataSet;
use crate::error::{Error, Result};
use crate::tools::Learned;

/// How deep folders are looked through.
const DEPTH: usize = 8;

/// How the memory did on one data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SuiteRow {
    /// The data set: its folder or the start of its files' names, below the folder of the suite.
    pub name: String,
    /// Tasks learned from.
    pub train: usize,
    /// Tasks scored.
    pub tasks: usize,
    /// The memory and the baselines.
    #[serde(flatten)]
    pub compared: Compared,
    /// The time of recording and learning, in seconds.
    pub learn_seconds: f64,
    /// Half of the recalls took no longer, in milliseconds.
    pub recall_p50_ms: Option<f64>,
    /// 99 of 100 recalls took no longer, in milliseconds.
    pub recall_p99_ms: Option<f64>,
}

/// A training file and the file to be advised on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The name of the data set.
    pub name: String,
    /// The tasks to learn from.
    pub train: PathBuf,
    /// The tasks to be advised on.
    pub test: PathBuf,
}

/// Finds the data sets of a folder and of the folders in it: `NAME/train.jsonl` with `NAME/dev.jsonl`, and
/// `NAME_train.jsonl` with `NAME_dev.jsonl`; in order of their names.
///
/// # Errors
/// A folder cannot be read, or there is no data set.
pub fn find_data_sets(folder: &Path) -> Result<Vec<Pair>> {
    let mut files = BTreeMap::new();
    walk(folder, folder, DEPTH, &mut files)?;
    let pairs: Vec<Pair> = files
        .iter()
        .filter_map(|(name, path)| {
            let stem = name
                .strip_suffix("train.jsonl")
                .filter(|stem| stem.is_empty() || stem.ends_with(['/', '_']))?;
            let test = files.get(&format!("{stem}dev.jsonl"))?;
            let stem = stem.trim_end_matches(['/', '_']);
            // The folder itself is a data set.
            let own = || {
                folder.file_name().map_or_else(|| ".".to_owned(), |name| name.to_string_lossy().into_owned())
            };
            let name = if stem.is_empty() { own() } else { stem.to_owned() };
            Some(Pair { name, train: path.clone(), test: test.clone() })
        })
        .collect();
    if pairs.is_empty() {
        return Err(Error::Empty { path: folder.to_owned(), reason: "there is no data set in it" });
    }
    Ok(pairs)
}

/// Collects files by their names below the root, with `/` between folders.
fn walk(root: &Path, folder: &Path, depth: usize, into: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    let failed = |source| Error::Read { path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        if entry.file_type().map_err(failed)?.is_dir() {
            if depth > 0 {
                walk(root, &path, depth - 1, into)?;
            }
        } else if let Ok(below) = path.strip_prefix(root) {
            let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
            into.insert(parts.join("/"), path);
        }
    }
    Ok(())
}

/// Evaluates the memory, and the baselines if wanted, on a data set.
///
/// # Errors
/// A file is bad, or the memory fails.
pub async fn evaluate(pair: &Pair, with_baselines: bool, seed: u64, by: &Means) -> Result<SuiteRow> {
    let data = DataSet::read(&pair.train, &pair.test)?;
    let learned = Learned::from_tasks(&data.train, seed, by).await?;
    let advised = learned.advise(&data.test).await?;
    let learn_seconds = learned.taken.as_secs_f64();
    learned.arena.close().await?;
    let baselines = if with_baselines { baselines(&data) } else { Vec::new() };
    let ms = |micros: Option<u64>| micros.map(|micros| micros as f64 / 1e3);
    Ok(SuiteRow {
        name: pair.name.clone(),
        train: data.train.len(),
        tasks: advised.scores.tasks,
        compared: compare(&advised.f1, &baselines),
        learn_seconds,
        recall_p50_ms: ms(advised.scores.recall_p50_us),
        recall_p99_ms: ms(advised.scores.recall_p99_us),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_sets_are_pairs_of_files() {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            "a/train.jsonl",
            "a/dev.jsonl",
            "b/x_train.jsonl",
            "b/x_dev.jsonl",
            "c/train.jsonl",
            "untrain.jsonl",
        ];
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let names: Vec<String> =
            find_data_sets(folder.path()).unwrap().into_iter().map(|pair| pair.name).collect();
        assert_eq!(names, ["a", "b/x"]);
        assert!(find_data_sets(&folder.path().join("c")).is_err());
    }
}
