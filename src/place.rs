//! Problems with the location of the files, as text for people.

use std::path::{Path, PathBuf};

/// File systems without the locks or mappings that the files need, or with them only among clients of some
/// servers.
const NETWORK: [&str; 9] = ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "fuse.sshfs", "fuse.s3fs"];

/// Returns a warning if a folder is on a network file system, as far as the system reports it.
pub(crate) fn network_warning(folder: &Path) -> Option<String> {
    // Linux alone has it.
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let kind = file_system(&folder.canonicalize().ok()?, &mounts)?;
    NETWORK.contains(&kind).then(|| {
        format!(
            "{} is on a network file system ({kind}): locks may not hold there, and acknowledged writes may be lost; \
             keep the folder on a local disk",
            folder.display()
        )
    })
}

/// Returns the type of the file system that a path is on: that of the mount with the longest path above it, the
/// last of several at one place.
fn file_system<'m>(path: &Path, mounts: &'m str) -> Option<&'m str> {
    let mount = |line: &'m str| {
        let (before, behind) = line.split_once(" - ")?;
        let place = PathBuf::from(unescaped(before.split(' ').nth(4)?));
        path.starts_with(&place).then_some((place.components().count(), behind.split(' ').next()?))
    };
    mounts.lines().filter_map(mount).max_by_key(|(depth, _)| *depth).map(|(_, kind)| kind)
}

/// Undoes the octal escapes of blanks, tabs, line ends and backslashes.
fn unescaped(text: &str) -> String {
    let pairs = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    pairs.iter().fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

/// Returns a warning if others than the owner may read a file.
#[cfg(unix)]
#[cfg(feature = "config-file")]
pub(crate) fn readable_warning(file: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        let file = file.display();
        format!("{file} holds the token and has mode {mode:04o}: other users may read it; chmod 600 {file}")
    })
}

/// Returns nothing: other systems have no modes.
#[cfg(not(unix))]
#[cfg(feature = "config-file")]
pub(crate) fn readable_warning(_file: &Path) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_on_the_file_system_of_the_innermost_mount() {
        let mounts = "22 1 0:20 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
                      30 22 0:30 / /srv rw - nfs4 server:/srv rw,vers=4.2\n\
                      31 30 0:31 / /srv/local\\040disk rw - xfs /dev/vdb rw\n\
                      32 22 0:32 / /mnt rw - tmpfs none rw\n\
                      33 22 0:33 / /mnt rw - fuse.sshfs host: rw\n";
        let check =
            |path: &str, kind: &str| assert_eq!(file_system(Path::new(path), mounts), Some(kind), "{path}");
        check("/home/agent", "ext4");
        check("/srv/agent/memory", "nfs4");
        check("/srv/local disk/memory", "xfs");
        check("/srvother", "ext4");
        check("/mnt/memory", "fuse.sshfs");
        assert_eq!(file_system(Path::new("/x"), "nonsense"), None);
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(network_warning(folder.path()), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_warned_of() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("memory.toml");
        std::fs::write(&file, "").unwrap();
        let mut warned = |mode: u32| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            readable_warning(&file).is_some()
        };
        assert_eq!([0o600, 0o400, 0o640, 0o604].map(&mut warned), [false, false, true, true]);
    }
}
