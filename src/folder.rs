//! The folder of a memory, and the files in it.

use std::path::{Path, PathBuf};

use memory_core::{Error, ErrorKind, Namespace, Result};

/// The durable tier of a local memory in its folder.
pub(crate) const LOCAL_FILE: &str = "memory.db";

/// Refuses a folder without a local memory.
pub(crate) fn find_memory(root: &Path) -> Result<()> {
    // A path that cannot be read, or is no folder, causes its own error on opening.
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

/// Creates the folder, for its owner only: episodes may hold private data.
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
    // The first folder that is missing is an entry of one that exists, which must keep it through power loss.
    let parents: Vec<&Path> =
        root.ancestors().take_while(|path| !path.exists()).filter_map(Path::parent).collect();
    folder.create(root).map_err(fail)?;
    if cfg!(unix) {
        for parent in parents {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            std::fs::File::open(parent).and_then(|folder| folder.sync_all()).map_err(fail)?;
        }
    }
    Ok(())
}

/// The subfolder of a memory that has a database on a server.
const REMOTE_FOLDER: &str = "remote";

/// Returns where the instances of one database and namespace keep their caches and outboxes.
pub(crate) fn instances_folder(root: &Path, url: Option<&str>, namespace: &Namespace) -> Result<PathBuf> {
    let space = namespace_folder(namespace);
    let Some(url) = url else { return Ok(root.join("local").join(space)) };
    let name = folder_name(url.trim_end_matches('/'));
    if name.len() > NAME_BYTES {
        let problem = format!("{} bytes as a folder name, the limit is {NAME_BYTES}", name.len());
        return Err(Error::invalid("open", "url", problem));
    }
    Ok(root.join(REMOTE_FOLDER).join(name).join(space))
}

/// Escaped names up to this many bytes are used as they are; file systems take 255.
const NAME_BYTES: usize = 200;

/// Names the folder of a namespace: the name itself if it is short enough, otherwise in base 32, which takes
/// 205 bytes for 128.
fn namespace_folder(namespace: &Namespace) -> String {
    // Escaped, because some file systems take `A` and `a` for the same name.
    let name = folder_name(namespace.as_str());
    if name.len() <= NAME_BYTES { format!("ns-{name}") } else { format!("nb-{}", base32(namespace.as_str())) }
}

/// Encodes the bytes of a text in base 32 with small letters, without padding.
fn base32(text: &str) -> String {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digit = |value: u32| char::from(DIGITS[(value & 31) as usize]);
    let (mut encoded, mut held, mut bits) = (String::new(), 0_u32, 0);
    for byte in text.bytes() {
        held = (held << 8) | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            encoded.push(digit(held >> bits));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        encoded.push(digit(held << (5 - bits)));
    }
    encoded
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

    #[test]
    fn every_namespace_has_a_folder_name_that_file_systems_take() {
        let root = tempfile::tempdir().unwrap();
        for (name, starts) in
            [("A".repeat(128), "nb-"), ("A".repeat(60), "ns-_41"), ("a".repeat(128), "ns-a")]
        {
            let folder = instances_folder(root.path(), None, &Namespace::new(&name).unwrap()).unwrap();
            let last = folder.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(last.starts_with(starts) && last.len() <= 255, "{last}");
            std::fs::create_dir_all(&folder).unwrap();
        }
        let name = |name: &str| namespace_folder(&Namespace::new(name).unwrap());
        assert_ne!(name(&"A".repeat(127)), name(&"A".repeat(128)));
        assert_ne!(name(&("A".repeat(127) + "B")), name(&"A".repeat(128)));
        assert_eq!(base32("foobar"), "mzxw6ytboi", "RFC 4648");
    }
}
