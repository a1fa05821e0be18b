//! What holds the house together: the named tests exist, and no modules use each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_test_that_an_invariant_names_exists() {
    let text = fs::read_to_string(root().join("docs/invariants.md")).unwrap();
    let named: Vec<(&str, &str)> = text.split('`').filter_map(|quoted| quoted.split_once(".rs::")).collect();
    assert!(named.len() > 100, "only {} tests are named", named.len());
    for (file, test) in named {
        let path = format!("{file}.rs");
        let source = fs::read_to_string(root().join(&path)).unwrap_or_default();
        assert!(source.contains(&format!("fn {test}(")), "docs/invariants.md names {path}::{test}");
    }
}

#[test]
fn every_setting_is_documented() {
    let text = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let named: BTreeSet<&str> =
        text.split('`').skip(1).step_by(2).map(|name| name.split('(').next().unwrap()).collect();
    let builder = fs::read_to_string(root().join("src/builder.rs")).unwrap();
    let methods = builder.lines().filter_map(|line| line.trim().strip_prefix("pub fn "));
    let methods: Vec<&str> = methods.filter_map(|rest| rest.split_once("(mut self")).map(|it| it.0).collect();
    let settings = fs::read_to_string(root().join("src/settings.rs")).unwrap();
    let keys = settings.lines().filter_map(|line| line.trim().strip_prefix("pub(crate) "));
    let keys: Vec<&str> = keys.filter_map(|rest| rest.split_once(": Option<")).map(|it| it.0).collect();
    assert!(methods.len() > 30 && keys.len() > 20, "{methods:?} {keys:?}");
    // A warning comes from the file; it is no setting.
    for name in methods.into_iter().chain(keys).filter(|name| *name != "warning") {
        assert!(named.contains(name), "docs/configuration.md does not have {name}");
    }
}

#[test]
fn dependencies_point_one_way() {
    let below: [(&str, &[&str]); 6] = [
        ("memory-core", &[]),
        ("memory-recall", &["memory-core"]),
        ("memory-learn", &["memory-core", "memory-recall"]),
        ("memory-embed", &["memory-core", "memory-recall"]),
        ("memory-storage-redb", &["memory-core"]),
        ("memory-storage-turso", &["memory-core"]),
    ];
    for (name, allowed) in below {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        let (_, rest) = manifest.split_once("[dependencies]").unwrap();
        let dependencies = rest.split("\n[").next().unwrap().lines();
        let names = dependencies.filter_map(|line| line.split(['.', ' ', '=']).next());
        let names: Vec<&str> = names.filter(|name| !name.is_empty() && !name.starts_with('#')).collect();
        let ours = names.iter().filter(|name| name.starts_with("memory-") || **name == "agent-memory");
        for other in ours {
            assert!(allowed.contains(other), "{name} depends on {other}");
        }
        let is_pure = ["memory-recall", "memory-learn"].contains(&name);
        assert!(!is_pure || !names.contains(&"tokio"), "{name} is pure, and depends on tokio");
        assert!(names.len() > 3, "{name}: {names:?}");
    }
}

/// The crates of the default build, those of the workspace among them.
const MOST_CRATES: usize = 79;

#[test]
fn the_default_build_stays_small() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tree = ["tree", "--package", "agent-memory", "--edges", "normal", "--prefix", "none", "--offline"];
    let output = std::process::Command::new(cargo).args(tree).current_dir(root()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let crates: BTreeSet<&str> = text.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    assert!(crates.len() > 20, "{}", String::from_utf8_lossy(&output.stderr));
    assert!(crates.len() <= MOST_CRATES, "{} crates, at most {MOST_CRATES}: {crates:#?}", crates.len());
}

#[test]
fn no_modules_use_each_other_in_a_circle() {
    let crates = [
        "memory-core",
        "memory-recall",
        "memory-learn",
        "memory-embed",
        "memory-storage-redb",
        "memory-storage-turso",
        ".",
        "memory-cli",
        "memory-eval",
        "memory-benches",
        "xtask",
    ];
    for name in crates {
        let modules = Modules::read(&root().join(name).join("src"));
        assert!(modules.0.len() > 3, "{name} has {} modules", modules.0.len());
        let circle = circle(&modules.uses());
        assert!(circle.is_empty(), "modules of {name} use each other in a circle: {}", circle.join(" → "));
    }
}

#[test]
fn a_circle_is_found() {
    let uses = |pairs: &[(&str, &str)]| -> BTreeMap<String, BTreeSet<String>> {
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in pairs {
            uses.entry((*from).into()).or_default().insert((*to).into());
        }
        uses
    };
    assert!(circle(&uses(&[("a", "b"), ("b", "c"), ("a", "c")])).is_empty());
    assert_eq!(circle(&uses(&[("a", "b"), ("b", "c"), ("c", "b")])), ["b", "c", "b"]);
    let source =
        "use crate::rank::{plan, Hit};\nuse super::frozen::Frozen;\n/// [`x`](super::doc)\nfn f() {}\n";
    let modules = ["lexical", "lexical/shard", "lexical/frozen", "rank", "rank/plan"].map(str::to_owned);
    let found = used(source, "lexical/shard", &modules.into_iter().collect());
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["lexical/frozen", "rank", "rank/plan"]);
}

/// The modules of a crate, one a file, by their path without extension; with their code, tests and comments left out.
struct Modules(BTreeMap<String, String>);

impl Modules {
    fn read(src: &Path) -> Self {
        let (mut modules, mut folders) = (BTreeMap::new(), vec![src.to_owned()]);
        while let Some(folder) = folders.pop() {
            let entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
            for path in entries {
                let module = path.strip_prefix(src).unwrap().with_extension("");
                let name = module.to_str().unwrap().to_owned();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|it| it == "rs") && !["lib", "main"].contains(&&*name)
                {
                    modules.insert(name, fs::read_to_string(&path).unwrap());
                }
            }
        }
        modules.retain(|name, _| !name.split('/').any(|part| ["tests", "fixtures"].contains(&part)));
        Self(modules)
    }

    /// Returns which modules each one uses, but for those that it is part of: a part may use the types of the whole.
    fn uses(&self) -> BTreeMap<String, BTreeSet<String>> {
        let names: BTreeSet<String> = self.0.keys().cloned().collect();
        let used = self.0.iter().map(|(name, source)| {
            let mut used = used(source, name, &names);
            used.retain(|other| other != name && !name.starts_with(&format!("{other}/")));
            (name.clone(), used)
        });
        used.collect()
    }
}

/// Returns the modules that a source names behind `crate::` or `super::`.
fn used(source: &str, module: &str, names: &BTreeSet<String>) -> BTreeSet<String> {
    let code: String = source
        .split("#[cfg(test)]")
        .next()
        .unwrap_or_default()
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut used = BTreeSet::new();
    for (at, _) in code.match_indices("::") {
        let before = code[..at].rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        let rest = &code[at + 2..];
        let base: Vec<&str> = match before {
            "crate" => Vec::new(),
            "super" if !code[..at - 5].ends_with("::") => {
                let ups = 1 + rest.split("::").take_while(|part| *part == "super").count();
                let parts: Vec<&str> = module.split('/').collect();
                parts[..parts.len().saturating_sub(ups)].to_vec()
            }
            _ => continue,
        };
        let path: String = rest.chars().take_while(|c| c.is_alphanumeric() || "_:".contains(*c)).collect();
        let parts: Vec<&str> = base
            .into_iter()
            .chain(path.split("::").filter(|part| !part.is_empty() && *part != "super"))
            .collect();
        // `use a::{b, c}` may name modules in the braces.
        let group = rest[path.len()..].strip_prefix('{').and_then(|group| group.split_once('}'));
        let leaves = group.map_or_else(Vec::new, |(group, _)| group.split(',').collect());
        let leaves = leaves.iter().map(|leaf| leaf.trim().split("::").next().unwrap_or_default());
        for leaf in leaves.chain([""]) {
            let whole = parts.iter().copied().chain([leaf]).filter(|part| !part.is_empty());
            let whole: Vec<&str> = whole.collect();
            let known = (1..=whole.len()).rev().map(|length| whole[..length].join("/"));
            used.extend(known.into_iter().find(|name| names.contains(name)));
        }
    }
    used
}

/// Returns modules that use each other in a circle, the first one again at the end; none if there is no circle.
fn circle(uses: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    fn visit(
        name: &str,
        uses: &BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Option<Vec<String>> {
        if let Some(at) = way.iter().position(|held| held == name) {
            return Some(way[at..].iter().cloned().chain([name.to_owned()]).collect());
        }
        if !done.insert(name.to_owned()) {
            return None;
        }
        way.push(name.to_owned());
        let found = uses.get(name).into_iter().flatten().find_map(|next| visit(next, uses, way, done));
        way.pop();
        found
    }
    let mut done = BTreeSet::new();
    uses.keys().find_map(|name| visit(name, uses, &mut Vec::new(), &mut done)).unwrap_or_default()
}
