//! Splits a text into words.

/// Iterates over the words of a text in order: maximal runs of letters, digits and underscores, as the pattern
/// `\w+` of regular expressions finds them.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_digits_and_underscores() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(words(text).collect::<Vec<_>>(), expected, "{text:?}");
        };
        check("", &[]);
        check(" ,.; ", &[]);
        check("Don't call get_user(id=7)!", &["Don", "t", "call", "get_user", "id", "7"]);
        check("Straße, 東京", &["Straße", "東京"]);
    }
}
