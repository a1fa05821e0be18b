//! The folder of a memory, and what is where in it.

use std::path::{Path, PathBuf};

use memory_core::{Error, ErrorKind, Namespace, Result};

/// The durable tier of a local memory in its folder.
pub(crate) const LOCAL_FILE: &str = "memory.db";

/// Refuses a folder without a local memory.
pub(crate) fn find_memory(root: &Path) -> Result<()> {
    // What cannot be looked at, or is no folder, has an error of its own on opening.
    if root.join(LOCAL_FILE).try_exists().unwrap_or(true) || root.is_file() {
        return Ok(());
    }
    let hint = if root.join(REMOTE_FOLDER).is_dir() {
        "the folder was used with a database: give its URL"
    } else {
        "check the folder's name; `memory import`, or an application that records, makes one"
    };
    let message = format!("there is no memory in {}", root.display());
    Err(Error::new(ErrorKind::NotFound, "open", message).with_hint(hint))
}

/// Creates the folder, for its owner only: episodes may hold what nobody else should read.
pub(crate) fn create_folder(root: &Path) -> Result<()> {
    let fail = |source: std::io::Error| {
        Error::new(ErrorKind::Io, "open", format!("cannot use the folder {}: {source}", root.display()))
            .with_hint("give a folder that you may create or write to")
            .with_source(source)
    };
    if root.exists() && !root.is_dir() {
        let message = format!("{} is a file, a folder is needed", root.display());
        return Err(Error::invalid("open", "path", message)
            .with_hint("the memory keeps several files; give the folder that holds (or shall hold) them"));
    }
    let mut folder = std::fs::DirBuilder::new();
    folder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder.create(root).map_err(fail)
}

/// What a memory with a database keeps in its folder.
const REMOTE_FOLDER: &str = "remote";

/// Returns where the instances of one database and namespace keep their caches and outboxes.
pub(crate) fn instances_folder(root: &Path, url: Option<&str>, namespace: &Namespace) -> Result<PathBuf> {
    // Escaped, because some file systems take `A` and `a` for the same name.
    let space = format!("ns-{}", folder_name(namespace.as_str()));
    let Some(url) = url else { return Ok(root.join("local").join(space)) };
    let name = folder_name(url.trim_end_matches('/'));
    if name.len() > 200 {
        let problem = format!("{} bytes as a folder name, the limit is 200", name.len());
        return Err(Error::invalid("open", "url", problem));
    }
    Ok(root.join(REMOTE_FOLDER).join(name).join(space))
}

/// Escapes a URL so that different URLs have different names that any file system takes.
fn folder_name(url: &str) -> String {
    url.bytes().fold(String::new(), |mut name, byte| {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => name.push(char::from(byte)),
            b'.' if !name.is_empty() => name.push('.'),
            _ => name.push_str(&format!("_{byte:02x}")),
        }
        name
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_names_are_distinct_and_harmless() {
        let check = |url: &str, expected: &str| assert_eq!(folder_name(url), expected);
        check("http://127.0.0.1:8080", "http_3a_2f_2f127.0.0.1_3a8080");
        check("..", "_2e.");
        assert_ne!(folder_name("http://a_b"), folder_name("http://a.b"));
        assert_ne!(folder_name("http://A"), folder_name("http://a"));
    }
}
