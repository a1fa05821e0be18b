//! Values of several words: names of people and places.

use memory_recall::content_words::term;

/// The shape of such values, however many words they have.
pub(super) const SHAPE: &str = "Aa Aa";
/// The most words of one.
const MAX_WORDS: usize = 4;
/// Lower-case words within a name (`Jan de Wit`).
const PARTICLES: &[&str] = &[
    "al", "bin", "da", "das", "de", "del", "della", "den", "der", "di", "dos", "du", "el", "ibn", "la", "le",
    "ten", "ter", "van", "von", "zu", "zum", "zur",
];

/// Returns true for a name of several words, each with a capital except for particles within it.
pub(crate) fn is_name(value: &str) -> bool {
    let words: Vec<&str> = value.split(' ').collect();
    let [first, inner @ .., last] = &words[..] else { return false };
    words.len() <= MAX_WORDS
        && is_capitalised(first)
        && is_capitalised(last)
        && inner.iter().all(|word| is_capitalised(word) || PARTICLES.contains(word))
}

/// Returns the name at the place in a text where the title has the placeholder: after the same word, or
/// otherwise before the same word; `None` if there is none, or more than one.
pub(super) fn value<'t>(title: &str, placeholder: &str, text: &'t str) -> Option<&'t str> {
    let (before, behind) = title.split_once(&format!("{{{placeholder}}}"))?;
    // The first word of a sentence has a capital for that: it belongs to a name only where the title begins so,
    // too.
    let begins = begins_sentence(before);
    let found: Vec<(usize, usize)> = names(text)
        .into_iter()
        .filter_map(|(start, end)| {
            let name = &text[start..end];
            let (first, rest) = name.split_once(' ')?;
            let of_two = rest.split(' ').filter(|word| is_capitalised(word)).count() == 1;
            match (begins_sentence(&text[..start]), begins) {
                (false, _) => Some((start, end)),
                (true, true) => of_two.then_some((start, end)),
                (true, false) => is_name(rest).then_some((start + first.len() + 1, end)),
            }
        })
        .collect();
    let only = |stands: &dyn Fn(usize, usize) -> bool| {
        let mut found = found.iter().filter(|(start, end)| stands(*start, *end));
        found.next().filter(|_| found.next().is_none()).map(|(start, end)| &text[*start..*end])
    };
    let last = last_word(before);
    let next = behind.split_whitespace().next().filter(|_| behind.starts_with(' '));
    let same =
        |own: &str, theirs: Option<&str>| theirs.is_some_and(|theirs| theirs.eq_ignore_ascii_case(own));
    let preceded = last.and_then(|own| only(&|start, _| same(own, last_word(&text[..start]))));
    preceded.or_else(|| next.and_then(|own| only(&|_, end| same(own, text[end..].split_whitespace().next()))))
}

/// Returns the names of a text; the first word of a sentence, which has a capital for that, belongs to none.
pub(crate) fn names_in(text: &str) -> impl Iterator<Item = &str> {
    names(text).into_iter().filter_map(|(start, end)| {
        let name = &text[start..end];
        if !begins_sentence(&text[..start]) {
            return Some(name);
        }
        name.split_once(' ').map(|(_, rest)| rest).filter(|rest| is_name(rest))
    })
}

/// Returns where the names of a text are: the longest runs of words with a capital, with single spaces between
/// them, and particles within.
fn names(text: &str) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    let mut run: Option<(usize, usize)> = None;
    let mut at = 0;
    for word in text.split(' ') {
        let start = at;
        at += word.len() + 1;
        // Punctuation ends a run, and so does a possessive ending.
        let bare = word.trim_end_matches(|c: char| !c.is_alphanumeric());
        let bare = ["'s", "’s"].iter().find_map(|ending| bare.strip_suffix(ending)).unwrap_or(bare);
        let inner = bare.trim_start_matches(|c: char| !c.is_alphanumeric());
        let opens = inner.len() < bare.len();
        let joins = run.is_some() && PARTICLES.contains(&word);
        if opens || !is_capitalised(inner) && !joins {
            found.extend(run.take());
        }
        if is_capitalised(inner) {
            let from = start + bare.len() - inner.len();
            run = Some((run.map_or(from, |(first, _)| first), start + bare.len()));
            if bare.len() < word.len() {
                found.extend(run.take());
            }
        }
    }
    found.extend(run);
    found.retain(|(start, end)| is_name(&text[*start..*end]));
    found
}

/// Returns true if a sentence begins after a text.
fn begins_sentence(before: &str) -> bool {
    let before = before.trim_end();
    before.is_empty() || before.ends_with(['.', '!', '?', ':'])
}

/// Returns the last word of a text, without final punctuation.
fn last_word(text: &str) -> Option<&str> {
    let text = text.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '}');
    text.split_whitespace().next_back()
}

/// Returns true for a word that begins with a capital, and is neither a greeting nor a function word.
fn is_capitalised(word: &str) -> bool {
    let mut letters = word.chars().peekable();
    let mut is_name = word.chars().count() > 1 && letters.next().is_some_and(char::is_uppercase);
    while let Some(c) = letters.next() {
        // O'Hara, but not I'm.
        let joins = c == '-' || matches!(c, '\'' | '’') && letters.peek().is_some_and(|c| c.is_uppercase());
        is_name &= c.is_alphabetic() || joins;
    }
    is_name && term(word).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_where_the_title_has_it() {
        let check = |title: &str, text: &str, expected: Option<&str>| {
            assert_eq!(value(title, "name", text), expected, "{text}");
        };
        check("I'm {name}, I need a seat", "I'm Ann Bolt. I need two seats", Some("Ann Bolt"));
        check(
            "Add bags for {name}",
            "Add bags for Ann-Marie O'Hara (gold), as ever",
            Some("Ann-Marie O'Hara"),
        );
        check("Cancel it please ({name})", "Cancel it please (Ann Bolt)", Some("Ann Bolt"));
        check("Write to {name}", "Hello Ann Bolt, write to Tom Brandt", Some("Tom Brandt"));
        check("Write to {name}", "Cancel Ann Bolt's booking and write to Tom Brandt", Some("Tom Brandt"));
        check("{name} needs a seat", "Ann Bolt needs a seat", Some("Ann Bolt"));
        check("{name} needs a seat", "Luca van den Berg needs a seat", Some("Luca van den Berg"));
        check("Write to {name}", "Write to Ruth Ellen Carver la la", Some("Ruth Ellen Carver"));
        check("Mail {name} the report", "Mail Ann Bolt's boss the report", Some("Ann Bolt"));
        check("Ask if {name} needs a seat", "Ann Bolt needs a seat", None);
        check("{name} needs a seat", "Today Ann Bolt needs a seat", None);
        // Half a name, a sentence that begins, two that fit.
        check("Add bags for {name}", "Add bags for Ann. Bolt the door", None);
        check("Add bags for {name}", "Add bags for Ann", None);
        check("Add bags for {name}", "Bags for Ann Bolt, seats for Tom Brandt", None);
        check("Add bags", "Add bags for Ann Bolt", None);
    }

    #[test]
    fn any_text_has_slices_for_names() {
        for text in ["", " ", "Ä Ö", "(Ann  Bolt)", "Übel Ölig", "日本 Ann Bolt’s", "Ann\nBolt Tom Brandt"]
        {
            for (start, end) in names(text) {
                assert!(is_name(&text[start..end]), "{text}");
            }
        }
        assert_eq!(names("Übel Ölig’s"), [(0, 11)]);
        let told = "Cancel New York. Ask Ann Bolt, Tom. Ann Bolt pays for San Juan de Oro";
        assert_eq!(names_in(told).collect::<Vec<_>>(), ["New York", "Ann Bolt", "San Juan de Oro"]);
        assert_eq!(names("Jan de, Wit de"), []);
    }
}
