//! Text for people: harmless on a terminal, cut to a width, times and sizes in words.

use std::time::Duration;

use agent_memory::redaction::visible_chars;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Returns a text with every character that could steer a terminal or reorder the line made visible. Line ends
/// stay.
pub(crate) fn harmless(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for (c, visible) in visible_chars(text) {
        match c {
            '\n' => clean.push('\n'),
            '\t' => clean.push(' '),
            '\r' => {}
            c if !visible => clean.extend(c.escape_unicode()),
            c => clean.push(c),
        }
    }
    clean
}

/// Returns a text as one harmless line with single spaces.
pub(crate) fn one_line(text: &str) -> String {
    let mut words = text.split_whitespace();
    let Some(first) = words.next() else { return String::new() };
    harmless(&words.fold(first.to_owned(), |line, word| line + " " + word))
}

/// Returns how many columns a line takes.
pub(crate) fn width(line: &str) -> usize {
    line.width()
}

/// Cuts a line to at most `columns`, with an ellipsis where something is missing.
pub(crate) fn cut(line: &str, columns: usize) -> String {
    if width(line) <= columns {
        return line.to_owned();
    }
    let room = columns.saturating_sub(1);
    let mut kept = String::new();
    let mut used = 0;
    for c in line.chars() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        kept.push(c);
    }
    kept.truncate(kept.trim_end().len());
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// Wraps a line at spaces to at most `columns`; a longer word is broken.
pub(crate) fn wrap(line: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    let mut current = String::new();
    for mut word in line.split_whitespace() {
        if !current.is_empty() && width(&current) + 1 + width(word) > columns {
            lines.push(std::mem::take(&mut current));
        }
        while width(word) > columns {
            let end = fitting(word, columns);
            lines.push(word[..end].to_owned());
            word = &word[end..];
        }
        if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(word);
    }
    if !current.is_empty() {
        lines.push(current);
    }
    lines
}

/// Returns how many bytes of a word fit; at least one character, so that wrapping ends.
fn fitting(word: &str, columns: usize) -> usize {
    let mut used = 0;
    for (index, c) in word.char_indices() {
        used += c.width().unwrap_or(0);
        if used > columns && index > 0 {
            return index;
        }
    }
    word.len()
}

/// Renders how long ago something was.
pub(crate) fn ago(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..10 => "just now".into(),
        10..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        86_400..172_800 => "yesterday".into(),
        172_800..5_184_000 => format!("{} days ago", seconds / 86_400),
        5_184_000..63_072_000 => format!("{} months ago", seconds / 2_592_000),
        _ => format!("{} years ago", seconds / 31_536_000),
    }
}

/// Renders how long something took.
pub(crate) fn duration(taken: Duration) -> String {
    let micros = taken.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..100_000 => format!("{:.1} ms", taken.as_secs_f64() * 1e3),
        100_000..1_000_000 => format!("{:.0} ms", taken.as_secs_f64() * 1e3),
        1_000_000..60_000_000 => format!("{:.1} s", taken.as_secs_f64()),
        _ => format!("{} min {} s", taken.as_secs() / 60, taken.as_secs() % 60),
    }
}

/// Renders a size, in units of 1,000.
pub(crate) fn bytes(count: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    for (size, unit) in units {
        if count >= size {
            let scaled = count as f64 / size as f64;
            return if scaled < 100.0 {
                format!("{scaled:.1} {unit}")
            } else {
                format!("{scaled:.0} {unit}")
            };
        }
    }
    format!("{count} B")
}

/// Writes a number with a comma every three digits.
pub(crate) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Writes a number with its noun, which takes an `s` for any number but one.
pub(crate) fn count(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", number(count), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_gets_through() {
        let check = |text: &str, expected: &str| assert_eq!(harmless(text), expected);
        check("a\nb\tc\r\n", "a\nb c\n");
        check("\x1b[31mred\x1b]0;title\x07", "\\u{1b}[31mred\\u{1b}]0;title\\u{7}");
        check("\u{9b}2J\u{7f}", "\\u{9b}2J\\u{7f}");
        check("a\u{202e}b\u{200f}", "a\\u{202e}b\\u{200f}");
        check("ärger 日本 👍", "ärger 日本 👍");
        assert_eq!(one_line(" a \n\n b\u{1b} "), "a b\\u{1b}");
    }

    #[test]
    fn lines_are_cut_and_wrapped_by_columns() {
        let cut_to = |line: &str, columns, expected: &str| {
            assert_eq!(cut(line, columns), expected);
            assert!(width(expected) <= columns);
        };
        cut_to("abcdef", 6, "abcdef");
        cut_to("abcdef", 5, "abcd…");
        cut_to("ab cdef", 4, "ab…");
        cut_to("日本語", 5, "日本…");
        cut_to("日本語", 4, "日…");
        cut_to("a", 0, "");
        let wrap_to = |line: &str, columns, expected: &[&str]| assert_eq!(wrap(line, columns), expected);
        wrap_to("aa bb cc", 5, &["aa bb", "cc"]);
        wrap_to("aaaaaaa bb", 3, &["aaa", "aaa", "a", "bb"]);
        wrap_to("日本 語", 1, &["日", "本", "語"]);
        wrap_to("", 5, &[]);
    }

    #[test]
    fn figures_are_readable() {
        let check = |seconds, expected: &str| assert_eq!(ago(Duration::from_secs(seconds)), expected);
        check(3, "just now");
        check(59, "59 s ago");
        check(200, "3 min ago");
        check(7_300, "2 h ago");
        check(90_000, "yesterday");
        check(260_000, "3 days ago");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_054_867), "1.1 MB");
        assert_eq!(bytes(512_000_000), "512 MB");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(number(123), "123");
        assert_eq!(count(1, "step"), "1 step");
        assert_eq!(count(1_000, "step"), "1,000 steps");
        assert_eq!(duration(Duration::from_micros(1_500)), "1.5 ms");
    }
}
