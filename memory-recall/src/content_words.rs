//! Content words, as opposed to function words.

use std::borrow::Cow;

use crate::tokenize::stem;

/// English function words and greetings, which say nothing about the needs of a task; sorted.
const FUNCTION_WORDS: &[&str] = &[
    "a", "about", "above", "after", "again", "all", "am", "an", "and", "any", "are", "as", "at", "be",
    "been", "before", "being", "below", "between", "both", "but", "by", "ca", "can", "could", "did", "do",
    "does", "doing", "down", "during", "each", "few", "for", "from", "further", "had", "has", "have",
    "having", "he", "hello", "her", "here", "hers", "hi", "him", "his", "how", "i", "if", "in", "into", "is",
    "it", "its", "itself", "just", "me", "more", "most", "my", "no", "nor", "not", "now", "of", "off", "on",
    "once", "only", "or", "other", "our", "out", "over", "own", "please", "same", "she", "should", "so",
    "some", "such", "than", "thank", "thanks", "that", "the", "their", "them", "then", "there", "these",
    "they", "this", "those", "through", "to", "too", "under", "until", "up", "very", "was", "we", "were",
    "what", "when", "where", "which", "while", "who", "whom", "why", "will", "with", "wo", "would", "you",
    "your",
];

/// Returns the term of one word: its stem, lower case and without accents; `None` for function words.
pub fn term(word: &str) -> Option<String> {
    let word = fold(word);
    (word.chars().nth(1).is_some() && FUNCTION_WORDS.binary_search(&word.as_ref()).is_err())
        .then(|| stem(&word).map_or_else(|| word.to_string(), Cow::into_owned))
}

fn fold(word: &str) -> Cow<'_, str> {
    if word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(word.to_lowercase())
    }
}
