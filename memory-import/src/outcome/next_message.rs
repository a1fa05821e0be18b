//! What a user's next message says about the task before it.

/// Words before the ones that count.
const FILLERS: [&str; 9] = ["ok", "okay", "hm", "hmm", "oh", "sorry", "well", "yes", "and"];
/// How a message starts that corrects the agent. One that ends in a space needs a word behind it.
const CORRECTIONS: [&str; 52] = [
    "no that",
    "no this",
    "no it",
    "no you",
    "no not",
    "no i",
    "no we",
    "no don't",
    "no wait",
    "no stop",
    "no still",
    "nope",
    "wrong",
    "incorrect",
    "that's wrong",
    "thats wrong",
    "that is wrong",
    "that was wrong",
    "this is wrong",
    "it's wrong",
    "that's not",
    "thats not",
    "that is not",
    "this is not",
    "that isn't",
    "not what",
    "not quite",
    "not right",
    "not working",
    "it's not working",
    "it is not working",
    "still fail",
    "still fails",
    "still failing",
    "still not",
    "still broken",
    "still doesn't",
    "still does not",
    "still getting",
    "still the same",
    "it still",
    "doesn't work",
    "does not work",
    "didn't work",
    "did not work",
    "it doesn't work",
    "it didn't work",
    "that doesn't work",
    "that didn't work",
    "this doesn't work",
    "revert",
    "undo",
];
/// How a message starts that confirms what the agent did.
const CONFIRMATIONS: [&str; 23] = [
    "thanks",
    "thank you",
    "thx",
    "perfect",
    "works",
    "worked",
    "it works",
    "it worked",
    "that works",
    "that worked",
    "that's it",
    "this works",
    "great",
    "lgtm",
    "looks good",
    "looks great",
    "nice",
    "awesome",
    "excellent",
    "good job",
    "well done",
    "good work",
    "\u{1f44d}",
];
/// Words that take a confirmation back.
const RESERVATIONS: [&str; 5] = ["but", "however", "except", "although", "though"];

/// What a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    Corrects,
    Confirms,
    Nothing,
}

/// Judges a message by how it starts: what comes later is the next task more often than a word about the last
/// one.
pub(super) fn judge(message: &str) -> Says {
    let words = words(message);
    let mut start = words.as_slice();
    if start == ["no"] {
        return Says::Corrects;
    }
    while let Some((first, rest)) = start.split_first() {
        if rest.is_empty()
            || !FILLERS.contains(&first.trim_end_matches(END))
            || starts_with_any(start, &CONFIRMATIONS)
        {
            break;
        }
        start = rest;
    }
    // "No, …" and "no!", but not "no problem".
    let refuses = start.first().is_some_and(|first| first.starts_with("no") && first[2..].starts_with(END));
    if refuses || starts_with_any(start, &CORRECTIONS) {
        return Says::Corrects;
    }
    let reserved = start.iter().take(12).any(|word| RESERVATIONS.contains(&word.trim_end_matches(END)));
    if starts_with_any(start, &CONFIRMATIONS) && !reserved { Says::Confirms } else { Says::Nothing }
}

/// What ends a word and is left on it.
const END: [char; 7] = [',', '.', '!', ':', ';', '?', '-'];

/// Returns the first words in lower case, with plain apostrophes and their punctuation.
fn words(message: &str) -> Vec<String> {
    message.split_whitespace().take(20).map(|word| word.to_lowercase().replace('\u{2019}', "'")).collect()
}

/// Tells whether words start with one of these phrases; punctuation within a phrase does not count.
fn starts_with_any(words: &[String], phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| {
        let mut found = words.iter().map(|word| word.trim_end_matches(END));
        phrase.split(' ').all(|expected| found.next() == Some(expected))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_a_message_decides() {
        let check = |message: &str, expected: Says| assert_eq!(judge(message), expected, "{message}");
        for message in [
            "no",
            "No, use the other file",
            "no!",
            "no that is the old API",
            "That\u{2019}s wrong, the port is 80",
            "ok, still fails with the same error",
            "It doesn't work.",
            "Revert that",
            "undo",
            "hmm, not what I asked for",
        ] {
            check(message, Says::Corrects);
        }
        for message in
            ["thanks", "Perfect! Now add a test", "ok great", "works", "LGTM, merge it", "Well done."]
        {
            check(message, Says::Confirms);
        }
        for message in [
            "",
            "no problem, go on",
            "nothing else",
            "Now add a test",
            "great, but the header is gone",
            "Workspaces should be listed",
            "notes.md needs a title",
            "The test still fails in CI only, find out why",
        ] {
            check(message, Says::Nothing);
        }
    }
}
