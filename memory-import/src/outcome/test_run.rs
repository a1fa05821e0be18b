//! Which command runs tests, and whether they passed.

use serde_json::Value;

use crate::trajectory::ToolResult;

/// Parts of the names of tools that run a command of a shell.
const SHELLS: [&str; 6] = ["bash", "shell", "exec", "terminal", "command", "cmd"];
/// The arguments in which such a tool takes its command.
const COMMAND_FIELDS: [&str; 4] = ["command", "cmd", "script", "code"];
/// Words that only start the program behind them.
const LAUNCHERS: [&str; 13] = [
    "sudo", "time", "env", "nice", "nohup", "npx", "bunx", "exec", "command", "xvfb-run", "ionice", "stdbuf",
    "timeout",
];
/// Programs with a word behind them that start the program after that word.
const RUNNERS: [(&str, &[&str]); 9] = [
    ("uv", &["run"]),
    ("poetry", &["run"]),
    ("pipenv", &["run"]),
    ("hatch", &["run"]),
    ("pdm", &["run"]),
    ("bundle", &["exec"]),
    ("python", &["-m"]),
    ("python3", &["-m"]),
    ("pnpm", &["exec", "dlx"]),
];
/// Programs that do nothing but run tests.
const TEST_PROGRAMS: [&str; 18] = [
    "pytest",
    "py.test",
    "unittest",
    "jest",
    "vitest",
    "mocha",
    "ava",
    "ctest",
    "rspec",
    "phpunit",
    "pest",
    "tox",
    "nox",
    "bats",
    "cargo-nextest",
    "nosetests",
    "busted",
    "gotestsum",
];
/// Programs that run tests where one of these words follows.
const TEST_COMMANDS: [(&str, &[&str]); 29] = [
    ("cargo", &["test", "t", "nextest"]),
    ("npm", &["test", "t", "tst"]),
    ("pnpm", &["test", "t"]),
    ("yarn", &["test"]),
    ("bun", &["test"]),
    ("deno", &["test"]),
    ("node", &["--test"]),
    ("go", &["test"]),
    ("mvn", &["test", "verify"]),
    ("mvnw", &["test", "verify"]),
    ("gradle", &["test", "check"]),
    ("gradlew", &["test", "check"]),
    ("make", &["test", "tests", "check"]),
    ("ninja", &["test", "check"]),
    ("just", &["test", "check"]),
    ("task", &["test"]),
    ("dotnet", &["test"]),
    ("mix", &["test"]),
    ("swift", &["test"]),
    ("bazel", &["test"]),
    ("sbt", &["test"]),
    ("lein", &["test"]),
    ("stack", &["test"]),
    ("cabal", &["test"]),
    ("flutter", &["test"]),
    ("dart", &["test"]),
    ("rake", &["test", "spec"]),
    ("rails", &["test"]),
    ("playwright", &["test"]),
];

/// Returns the command that a call gives to a shell.
pub(super) fn shell_command(tool: &str, arguments: &Value) -> Option<String> {
    let tool = tool.to_lowercase();
    if !SHELLS.iter().any(|part| tool.contains(part)) {
        return None;
    }
    // A command that runs on in the background has not ended when its result is written.
    if arguments.get("run_in_background") == Some(&Value::Bool(true)) {
        return None;
    }
    let given = COMMAND_FIELDS.iter().find_map(|name| arguments.get(*name))?;
    match given {
        Value::String(command) => Some(command.clone()),
        Value::Array(words) => {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            // `["bash", "-lc", "cargo test"]`
            match words.as_slice() {
                [_, flag, script] if flag.starts_with('-') && flag.ends_with('c') => {
                    Some((*script).to_owned())
                }
                words => Some(words.join(" ")),
            }
        }
        _ => None,
    }
}

/// Returns whether the tests that a command runs passed; `None` if it runs none, or if nothing tells.
pub(super) fn verdict(command: &str, result: &ToolResult) -> Option<bool> {
    let parts = split(command);
    let last = parts.iter().rposition(|part| runs_tests(&part.text))?;
    // The status of a command is that of its last part: behind `|`, `||`, `;` and `&` another one decides.
    let status_tells = parts[last..].iter().all(|part| matches!(part.end, End::Last | End::And));
    match (stated(&result.text), result.failed, status_tells) {
        (Some(passed), ..) => Some(passed),
        (None, failed, true) => Some(!failed),
        (None, ..) => None,
    }
}

/// What stands behind a part of a command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Last,
    And,
    Other,
}

struct Part {
    text: String,
    end: End,
}

/// Splits a command at its operators outside of quotes.
fn split(command: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut quote = None;
    let mut characters = command.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            // `2>&1` and `&>` are redirections.
            (None, '&') if text.ends_with('>') || characters.peek() == Some(&'>') => text.push('&'),
            (None, '&' | '|' | ';' | '\n') => {
                let doubled = characters.next_if_eq(&character).is_some();
                let end = if character == '&' && doubled { End::And } else { End::Other };
                parts.push(Part { text: std::mem::take(&mut text), end });
                continue;
            }
            _ => {}
        }
        text.push(character);
    }
    parts.push(Part { text, end: End::Last });
    parts.retain(|part| !part.text.trim().is_empty());
    // A trailing `;` or line end decides nothing.
    if let Some(last) = parts.last_mut() {
        last.end = End::Last;
    }
    parts
}

/// Tells whether a simple command runs tests.
fn runs_tests(command: &str) -> bool {
    let mut words: Vec<&str> =
        command.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect();
    loop {
        let Some(first) = words.first().copied() else { return false };
        let name = program(first);
        let second = words.get(1).copied().unwrap_or("");
        let is_assignment = first.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        });
        let opens = matches!(first, "(" | "{");
        if is_assignment || opens {
            words.remove(0);
        } else if LAUNCHERS.contains(&name) {
            words.remove(0);
            // Their options and numbers: `timeout -k 5 600`, `nice -n 10`.
            while words.first().is_some_and(|word| {
                word.starts_with('-') || word.chars().next().is_some_and(|first| first.is_ascii_digit())
            }) {
                words.remove(0);
            }
        } else if RUNNERS.iter().any(|(runner, by)| *runner == name && by.contains(&second)) {
            words.drain(..2);
        } else {
            break;
        }
    }
    let name = program(words[0]);
    if TEST_PROGRAMS.contains(&name) {
        return !words.iter().any(|word| matches!(*word, "--version" | "--help"));
    }
    let Some((_, commands)) = TEST_COMMANDS.iter().find(|(program, _)| *program == name) else {
        // `python manage.py test`
        return name == "manage.py" && words.get(1) == Some(&"test")
            || words.get(1).is_some_and(|script| program(script) == "manage.py")
                && words.get(2) == Some(&"test");
    };
    if words.contains(&"--no-run") {
        return false;
    }
    let is_test =
        |word: &str| commands.contains(&word) || word.starts_with("test:") || word.ends_with(":test");
    let mut behind = words[1..].iter().copied().filter(|word| *word != "run");
    match name {
        // Their targets stand behind options and among others.
        "make" | "ninja" | "gradle" | "gradlew" | "mvn" | "mvnw" | "sbt" | "node" => behind.any(is_test),
        _ => behind.find(|word| !word.starts_with(['-', '+'])).is_some_and(is_test),
    }
}

/// Returns the name of a program without its path.
fn program(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word).trim_start_matches('(')
}

/// Texts of test runners that say that tests failed.
const FAILED: [&str; 6] =
    ["test result: FAILED", "--- FAIL", "\nFAIL\t", "BUILD FAILURE", "FAILURES!", "error: could not compile"];
/// Texts of test runners that say that all passed.
const PASSED: [&str; 4] = ["test result: ok", "100% tests passed", "BUILD SUCCESS", "\nOK ("];

/// Returns what the text of a test runner says: passed, failed or nothing.
fn stated(text: &str) -> Option<bool> {
    let counted = |word: &str| count_before(text, word);
    let failures: Option<u64> =
        [" failed", " failing", " failures", " failure"].iter().filter_map(|word| counted(word)).max();
    if FAILED.iter().any(|mark| text.contains(mark)) || failures.is_some_and(|count| count > 0) {
        return Some(false);
    }
    let passes = [" passed", " passing"].iter().filter_map(|word| counted(word)).max();
    (PASSED.iter().any(|mark| text.contains(mark)) || passes.is_some_and(|count| count > 0)).then_some(true)
}

/// Returns the largest number that stands right before a word.
fn count_before(text: &str, word: &str) -> Option<u64> {
    text.match_indices(word)
        .filter(|(at, _)| {
            // A longer word is another one: "1 failure" in "1 failures".
            !text[at + word.len()..].starts_with(|next: char| next.is_alphanumeric())
        })
        .filter_map(|(at, _)| {
            let before = &text[..at];
            let digits = before.len() - before.trim_end_matches(|letter: char| letter.is_ascii_digit()).len();
            before[before.len() - digits..].parse().ok()
        })
        .max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn commands_that_run_tests() {
        let check = |command: &str, expected: bool| {
            let found = split(command).iter().any(|part| runs_tests(&part.text));
            assert_eq!(found, expected, "{command}");
        };
        for command in [
            "cargo test",
            "cargo +nightly test -p core",
            "RUST_BACKTRACE=1 timeout 600 nice -n 10 cargo test -j1",
            "cd app && npm test -- --ci",
            "npm run test:unit",
            "pnpm -s test",
            "yarn test",
            "python3 -m pytest -q",
            "uv run pytest tests",
            "python manage.py test",
            "./gradlew --info test",
            "mvn -q clean verify",
            "go test ./...",
            "make -j4 check",
            "npx vitest run",
            "vendor/bin/phpunit",
            "bundle exec rspec",
            "pytest | tail -5",
        ] {
            check(command, true);
        }
        for command in [
            "cargo build",
            "npm install",
            "git commit -m \"fix; cargo test passes\"",
            "grep -rn 'cargo test' .",
            "cat tests/test.py",
            "make install",
            "pytest --version",
            "cargo test --no-run",
            "go vet ./test",
            "ls",
            "",
        ] {
            check(command, false);
        }
    }

    #[test]
    fn the_text_decides_before_the_status_and_a_hidden_status_tells_nothing() {
        let check = |command: &str, failed: bool, text: &str, expected: Option<bool>| {
            let result = ToolResult { text: text.into(), failed };
            assert_eq!(verdict(command, &result), expected, "{command}: {text}");
        };
        check("cargo test", false, "", Some(true));
        check("cargo test", true, "error", Some(false));
        check("cargo test 2>&1 | tail -3", false, "test result: FAILED. 1 passed; 2 failed", Some(false));
        check("cargo test 2>&1 | tail -3", false, "test result: ok. 3 passed; 0 failed", Some(true));
        check("cargo test 2>&1 | tail -3", false, "warning: unused", None);
        check("cargo test; echo done", false, "done", None);
        check("cargo test || true", false, "", None);
        check("cd a && cargo test;\n", false, "", Some(true));
        check("pytest && ./deploy", true, "12 passed in 1s", Some(true));
        check("pytest", true, "1 failed, 11 passed in 1s", Some(false));
        check("npm test", true, "Tests:       2 failed, 3 passed", Some(false));
        check("go test ./...", false, "ok  \texample/a\t0.1s", Some(true));
        check("ls", false, "12 passed", None);
    }

    #[test]
    fn commands_are_found_in_the_arguments_of_shells() {
        let check = |tool: &str, arguments: Value, expected: Option<&str>| {
            assert_eq!(shell_command(tool, &arguments).as_deref(), expected, "{tool}");
        };
        check("Bash", json!({"command": "ls"}), Some("ls"));
        check("exec_command", json!({"cmd": "ls"}), Some("ls"));
        check("local_shell", json!({"command": ["bash", "-lc", "cargo test"]}), Some("cargo test"));
        check("shell", json!({"command": ["cargo", "test"]}), Some("cargo test"));
        check("Bash", json!({"command": "cargo test", "run_in_background": true}), None);
        check("Read", json!({"command": "cargo test"}), None);
        check("Bash", json!("cargo test"), None);
    }
}
