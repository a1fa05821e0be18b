//! What the command keeps to itself: its token, and what is in its folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use memory_test_support::{Access, JwtKeys, Sqld, SqldOptions, Witness};

use crate::command::{LINES, Run, World, finish};

/// Runs the command against a database with a token, with everything logged that there is to log.
fn traced(world: &World, url: &str, token: &str, arguments: &[&str]) -> Run {
    let mut command = world.command();
    command.env("TURSO_DATABASE_URL", url).env("TURSO_AUTH_TOKEN", token).env("RUST_LOG", "trace");
    finish(command.args(arguments))
}

/// Returns every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

/// Checks that neither what a run said nor what it left on the disk has the token.
fn tells_nothing(world: &World, run: &Run, token: &str) {
    assert!(!run.stdout.contains(token), "stdout: {}", run.stdout);
    let line = run.stderr.lines().find(|line| line.contains(token));
    assert_eq!(line, None, "standard error has the token");
    for file in files(&world.path("memory")) {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(token.len()).any(|window| window == token.as_bytes());
        assert!(!found, "{} has the token", file.display());
    }
}

#[test]
fn the_token_is_in_no_log_whatever_the_server_does() {
    let keys = JwtKeys::generate();
    let sqld = Sqld::start(SqldOptions::new().jwt(&keys));
    let (valid, expired) = (keys.token(Access::ReadWrite), keys.expired_token(Access::ReadWrite));
    let gone = Witness::http("").url();
    let refusing = Witness::http("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n");
    let moved = Witness::http("HTTP/1.1 308 Permanent Redirect\r\nlocation: /\r\ncontent-length: 0\r\n\r\n");
    let stranger = Witness::https("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    let check = |url: &str, token: &str, code: i32, logged: &str| {
        let world = World::new();
        let lines = world.file("lines.jsonl", LINES);
        for arguments in [&["import", lines.to_str().unwrap()][..], &["status"], &["sync", "--timeout", "1"]]
        {
            let run = traced(&world, url, token, arguments);
            assert!(run.stderr.contains("TRACE") || run.stderr.contains("DEBUG"), "{}", run.stderr);
            tells_nothing(&world, &run, token);
            if arguments[0] == "sync" {
                assert_eq!(run.code, code, "{}", run.stderr);
                assert!(run.stderr.contains(logged), "{logged}: {}", run.stderr);
            }
        }
    };
    check(&sqld.url(), &valid, 0, "");
    check(&sqld.url(), &expired, 4, "401");
    check(&gone, &valid, 4, "");
    check(&refusing.url(), &valid, 4, "500");
    check(&moved.url(), &valid, 4, "308");
    check(&stranger.url(), &valid, 4, "");
    assert!(refusing.read().contains(&valid), "the token was sent where it belongs");
    assert_eq!(stranger.read(), "");
}

/// The other half of `remote_trust.rs` in `memory-storage-turso`: trust alone decides.
#[test]
fn a_server_is_told_everything_once_its_certificate_is_trusted() {
    let witness = Witness::https("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n");
    let world = World::new();
    let roots = world.file("roots.pem", witness.certificate_pem());
    let token = "aaaa.bbbb.cccc";
    let mut command = world.command();
    command.env("TURSO_DATABASE_URL", witness.url()).env("TURSO_AUTH_TOKEN", token);
    finish(command.args(["sync", "--timeout", "1"]));
    assert_eq!(witness.read(), "");
    finish(command.env("SSL_CERT_FILE", roots));
    assert!(witness.read().contains(token), "{}", witness.read());
}

/// Runs the command with a mask that keeps nothing from anybody.
#[cfg(unix)]
fn unmasked(world: &World, url: Option<&str>, arguments: &[&str]) -> Run {
    let plain = world.command();
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "umask 000; exec \"$0\" \"$@\""])
        .arg(plain.get_program())
        .args(arguments)
        .env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(plain.get_current_dir().unwrap()).stdin(std::process::Stdio::null());
    command.envs(url.map(|url| ("TURSO_DATABASE_URL", url)));
    finish(&mut command)
}

#[cfg(unix)]
#[test]
fn a_new_memory_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let sqld = Sqld::start(SqldOptions::new());
    for url in [None, Some(sqld.url())] {
        let world = World::new();
        let lines = world.file("lines.jsonl", LINES);
        let run = unmasked(&world, url.as_deref(), &["import", lines.to_str().unwrap()]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert_eq!(mode(&world.path("memory")), 0o700, "{url:?}");
        assert!(!files(&world.path("memory")).is_empty());
    }
}

#[cfg(unix)]
#[test]
fn a_token_that_others_may_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;

    let world = World::empty();
    let file = world.file("memory.toml", "token = 'eyJ.eyJ.c2ln'\n");
    let warned = |mode: u32| {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let status = world.run(["status", "--config", file.to_str().unwrap(), "--json"]).object();
        status["warnings"].to_string().contains("chmod 600")
    };
    assert_eq!((warned(0o644), warned(0o600)), (true, false));
}
