//! The namespace of a working directory: one a repository, whichever of its work trees the agent is in.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use uuid::Uuid;

/// Returns the namespace: `MEMORY_NAMESPACE`, else the repository's remote `origin`, else its common git directory, else the
/// folder.
pub(crate) fn namespace(folder: Option<&Path>) -> String {
    if let Some(named) = env::var("MEMORY_NAMESPACE").ok().filter(|name| !name.is_empty()) {
        return named;
    }
    let Some(folder) = folder else { return "default".to_owned() };
    let remote = git(folder, &["config", "--get", "remote.origin.url"]).map(|url| normalized(&url));
    let common = || git(folder, &["rev-parse", "--path-format=absolute", "--git-common-dir"]);
    let identity = remote.or_else(common).unwrap_or_else(|| folder.display().to_string());
    name(&identity)
}

/// Asks git; `None` if it is not there or knows nothing.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Returns a remote's host and path, however the URL says them: without scheme, user, port and `.git`.
fn normalized(url: &str) -> String {
    let (host, path) = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/').unwrap_or((rest, "")),
        // The form of scp: `git@host:path`.
        None => match url.split_once(':') {
            Some((host, path)) if !host.contains('/') => (host, path),
            _ => return url.trim_end_matches('/').trim_end_matches(".git").to_owned(),
        },
    };
    let host = host.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let path = path.trim_matches('/').trim_end_matches(".git");
    format!("{host}/{path}")
}

/// Returns a name that the memory takes: what can be read of the identity, and a digest that keeps two apart.
fn name(identity: &str) -> String {
    const READABLE: usize = 80;
    let readable: String = identity
        .trim_start_matches('/')
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
        .collect();
    // The end of a path says more than its start.
    let readable = &readable[readable.len().saturating_sub(READABLE)..];
    let digest = Uuid::new_v5(&Uuid::NAMESPACE_OID, identity.as_bytes()).simple().to_string();
    format!("{readable}-{}", &digest[..12])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_remote_is_one_however_it_is_written() {
        let check = |url: &str, expected: &str| assert_eq!(normalized(url), expected, "{url}");
        for url in [
            "git@github.com:owner/repo.git",
            "https://github.com/owner/repo",
            "https://user:token@GitHub.com/owner/repo.git",
            "ssh://git@github.com:22/owner/repo.git/",
        ] {
            check(url, "github.com/owner/repo");
        }
        check("/srv/git/repo.git", "/srv/git/repo");
        check("https://git.example.org/Group/Sub/repo", "git.example.org/Group/Sub/repo");
    }

    #[test]
    fn names_are_short_readable_and_distinct() {
        assert!(name("github.com/owner/repo").starts_with("github.com-owner-repo-"));
        assert_ne!(name("/a/b"), name("/a-b"));
        let long = name(&"/x".repeat(500));
        assert!(agent_memory::Namespace::new(&long).is_ok(), "{long}");
        assert!(agent_memory::Namespace::new(&name("/tmp/ünïcode/漢字")).is_ok());
    }

    #[test]
    fn work_trees_share_and_folders_do_not_mix() {
        let folder = tempfile::tempdir().unwrap();
        let run = |arguments: &[&str]| {
            let done = Command::new("git").arg("-C").arg(folder.path()).args(arguments).output().unwrap();
            assert!(done.status.success(), "{arguments:?}: {done:?}");
        };
        let own = |name: &str| namespace(Some(&folder.path().join(name)));
        run(&["init", "-q", "one"]);
        run(&["init", "-q", "two"]);
        let commit =
            ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "a"];
        run(&[&["-C", "one"], &commit[..]].concat());
        run(&["-C", "one", "worktree", "add", "-q", "../tree"]);
        std::fs::create_dir_all(folder.path().join("one/deep/er")).unwrap();
        assert_eq!(own("one"), own("tree"));
        assert_eq!(own("one"), own("one/deep/er"));
        assert_ne!(own("one"), own("two"));
        run(&["-C", "two", "remote", "add", "origin", "git@example.org:o/r.git"]);
        assert!(own("two").starts_with("example.org-o-r-"), "{}", own("two"));
    }
}
