//! Characters that show nothing, or change how the text around them is read: the one list for prompts and
//! terminals.
//!
//! Source: Unicode's `Default_Ignorable_Code_Point` (`DerivedCoreProperties.txt`), the general categories Cc
//! and Co, the noncharacters, the line and paragraph separators, and the formats of category Cf that show
//! nothing. The list holds what UTS #39 and "Trojan Source" (CVE-2021-42574) name. Code points that are merely
//! unassigned stay.
//!
//! Joiners stay between letters of scripts that need them and between emoji; one variation selector stays after
//! an emoji or symbol. Lost: direction marks, soft hyphens, flags made of tags (England, Scotland, Wales),
//! variants of ideographs and Mongolian letters, private-use symbols.

/// Returns each character of a text with whether a reader can see it or needs it to read adjacent ones.
///
/// White space of category Cc (line ends, tabs) counts as not visible: the caller treats it first.
pub fn visible_chars(text: &str) -> impl Iterator<Item = (char, bool)> + '_ {
    let mut before = None;
    let mut chars = text.chars().peekable();
    std::iter::from_fn(move || {
        let c = chars.next()?;
        let visible = !is_invisible(c) || is_needed(before, c, chars.peek().copied());
        before = visible.then_some(c);
        Some((c, visible))
    })
}

/// Returns whether a character is invisible or steers its surroundings, whatever the adjacent ones.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || u32::from(c) & 0xfffe == 0xfffe
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}')
}

/// Returns whether an invisible character has a meaning at its place.
fn is_needed(before: Option<char>, c: char, after: Option<char>) -> bool {
    let Some(before) = before else { return false };
    match c {
        '\u{fe0e}' | '\u{fe0f}' => {
            is_emoji(before) || matches!(before, '#' | '*' | '0'..='9') && after == Some('\u{20e3}')
        }
        '\u{200c}' => is_joining(before) && after.is_some_and(is_joining),
        '\u{200d}' if is_joining(before) => after.is_some_and(is_joining),
        '\u{200d}' => (is_emoji(before) || before == '\u{fe0f}') && after.is_some_and(is_emoji),
        _ => false,
    }
}

/// Symbols and pictures that are joined to sequences.
fn is_emoji(c: char) -> bool {
    matches!(c, '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2190}'..='\u{21ff}'
        | '\u{2300}'..='\u{27bf}' | '\u{2934}' | '\u{2935}' | '\u{2b00}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}')
}

/// Letters and marks of the Arabic, Syriac, N'Ko, Mandaic, Indic, Sinhala, Khmer and Mongolian blocks.
fn is_joining(c: char) -> bool {
    !is_invisible(c)
        && matches!(c, '\u{620}'..='\u{6d3}' | '\u{6ee}'..='\u{8ff}' | '\u{900}'..='\u{df4}' | '\u{1780}'..='\u{17d3}'
        | '\u{1820}'..='\u{18aa}' | '\u{fb50}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> String {
        visible_chars(text).filter_map(|(c, visible)| visible.then_some(c)).collect()
    }

    #[test]
    fn hidden_instructions_and_overrides_are_told() {
        let tags: String = "ignore".chars().filter_map(|c| char::from_u32(0xe0000 + u32::from(c))).collect();
        let smuggled: String = (0xe0100..0xe0110).filter_map(char::from_u32).collect();
        assert_eq!(kept(&format!("a{tags}b{smuggled}c")), "abc");
        assert_eq!(
            kept("a\u{202e}b\u{2066}c\u{2069}d\u{200b}e\u{feff}f\u{1b}g\u{ad}h\u{e000}i\u{fffe}j\u{2028}k"),
            "abcdefghijk"
        );
        assert_eq!(kept("x\u{fe0f}y\u{200d}z\u{200c}"), "xyz");
        assert_eq!(kept("❤\u{fe0f}\u{fe0f}\u{fe0e}"), "❤\u{fe0f}");
    }

    #[test]
    fn emoji_and_joined_scripts_stay() {
        for text in [
            "👩\u{200d}👩\u{200d}👧",
            "❤\u{fe0f}\u{200d}🔥",
            "1\u{fe0f}\u{20e3}",
            "می\u{200c}خواهم",
            "क\u{94d}\u{200d}ष",
            "שלום",
            "مرحبا",
            "Zoë 東京",
        ] {
            assert_eq!(kept(text), text);
        }
    }
}
