//! Limits of what is kept of a source.

/// The longest key of a trajectory, in bytes.
const MAX_KEY_BYTES: usize = 1_000;

/// Joins ids to the key of a trajectory.
pub(crate) fn key(format: &str, session: &str, task: &str) -> String {
    let mut key = format!("{format}:{session}:{task}");
    if key.len() > MAX_KEY_BYTES {
        let end = (0..=MAX_KEY_BYTES).rev().find(|end| key.is_char_boundary(*end)).unwrap_or(0);
        key.truncate(end);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bounded() {
        assert_eq!(key("codex", "s", "1"), "codex:s:1");
        assert_eq!(key("codex", &"ä".repeat(600), "1").len(), 1_000);
    }
}
