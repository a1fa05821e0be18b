//! Distinguishes values that vary between texts of one kind (figures, ids, paths, quoted values) from the words
//! that stay.

/// Quoted text longer than this, in bytes, is text like any other.
const MAX_QUOTED_BYTES: usize = 80;

/// Endings that make a word with a dot a file name; sorted.
const FILE_ENDINGS: &[&str] = &[
    "c", "cfg", "conf", "cpp", "css", "csv", "db", "env", "gz", "h", "hpp", "html", "ini", "java", "jpg",
    "js", "json", "jsx", "lock", "log", "md", "pdf", "png", "py", "rb", "rs", "sh", "sql", "sqlite", "tar",
    "toml", "ts", "tsx", "txt", "xml", "yaml", "yml", "zip",
];

/// The shape of a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shape {
    /// A word or an identifier in words (`get_user`).
    Word,
    /// A figure, with or without a unit.
    Number,
    /// A calendar date or a time of day.
    Date,
    /// Letters with figures, as keys have (`#W6067464`, `card_4190576`, a UUID).
    Id,
    /// A file path or an address.
    Path,
    /// An e-mail address.
    Email,
    /// A short quoted text.
    Quoted,
}

impl Shape {
    /// Returns the placeholder for a varying part; `None` for a word.
    pub(crate) fn placeholder(self) -> Option<&'static str> {
        match self {
            Self::Word => None,
            Self::Number | Self::Date => Some("<n>"),
            Self::Id | Self::Email => Some("<id>"),
            Self::Path => Some("<path>"),
            Self::Quoted => Some("<text>"),
        }
    }
}

/// A piece of a text; between pieces there are only spaces and punctuation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece<'t> {
    /// Its shape.
    pub(crate) shape: Shape,
    /// The text, without quotes.
    pub(crate) text: &'t str,
    /// Where it starts in the text, quotes included.
    pub(crate) start: usize,
    /// Where it ends in the text, quotes included.
    pub(crate) end: usize,
}

/// Calls `emit` with each piece of a text, in order.
pub(crate) fn pieces<'t>(text: &'t str, mut emit: impl FnMut(Piece<'t>)) {
    let mut at = 0;
    let mut previous = ' ';
    while let Some(c) = text[at..].chars().next() {
        if let Some((inner, end)) = quoted(text, at, c, previous) {
            emit(Piece { shape: Shape::Quoted, text: &text[at + c.len_utf8()..inner], start: at, end });
            at = end;
            previous = '"';
        } else if c.is_alphanumeric() || matches!(c, '/' | '~' | '#' | '.' | '\\') {
            let end = at + chunk_len(&text[at..]);
            classify(text, at, end, &mut emit);
            at = end;
            previous = 'x';
        } else {
            at += c.len_utf8();
            previous = c;
        }
    }
}

/// Finds the end of a quoted text that starts here; returns where the inside and the whole end.
fn quoted(text: &str, at: usize, open: char, previous: char) -> Option<(usize, usize)> {
    let close = match open {
        '"' | '`' => open,
        '\'' if !previous.is_alphanumeric() => open,
        '“' => '”',
        '‘' => '’',
        _ => return None,
    };
    let inside = at + open.len_utf8();
    for (offset, c) in text[inside..].char_indices() {
        if offset > MAX_QUOTED_BYTES || c == '\n' {
            return None;
        }
        let end = inside + offset + c.len_utf8();
        let word_goes_on = close == '\'' && text[end..].chars().next().is_some_and(char::is_alphanumeric);
        if c == close && !word_goes_on {
            return (offset > 0).then_some((inside + offset, end));
        }
    }
    None
}

/// Returns true for separators between words and values: spaces, quotes other than the apostrophe, brackets,
/// and the signs of lists and assignments.
pub(crate) fn separates(c: char) -> bool {
    const SIGNS: &str = "\"`“”,;()[]{}<>|=…";
    c.is_whitespace() || SIGNS.contains(c)
}

/// Returns the length of the run up to the next space, quote or bracket, without punctuation at its end; the
/// whole run if it is only punctuation.
fn chunk_len(text: &str) -> usize {
    let run = &text[..text.find(separates).unwrap_or(text.len())];
    match run.trim_end_matches(['.', ':', '!', '?', '\'', '*']).len() {
        0 => run.len(),
        length => length,
    }
}

/// Emits the pieces of a run without spaces.
fn classify<'t>(text: &'t str, start: usize, end: usize, emit: &mut impl FnMut(Piece<'t>)) {
    let run = &text[start..end];
    let whole = if is_email(run) {
        Some(Shape::Email)
    } else if is_path(run) {
        Some(Shape::Path)
    } else if is_date(run) {
        Some(Shape::Date)
    } else {
        None
    };
    if let Some(shape) = whole {
        return emit(Piece { shape, text: run, start, end });
    }
    // A run such as `std::fmt` or `and/or` has several parts.
    let connects =
        |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '%' | '\u{300}'..='\u{36f}');
    let mut at = start;
    while at < end {
        let Some(skip) = text[at..end].find(|c: char| c.is_alphanumeric() || c == '#') else { break };
        at += skip;
        let rest = &text[at..end];
        let sign = usize::from(rest.starts_with('#'));
        let part = &rest[..rest[sign..].find(|c| !connects(c)).map_or(rest.len(), |length| sign + length)];
        let part = part.trim_end_matches(['-', '.', '_']);
        if part.chars().any(char::is_alphanumeric) {
            let shape = shape_of(part);
            // `#1234` is an id; the sign of `#topic` is meaningless.
            let sign = if shape == Shape::Word { sign } else { 0 };
            emit(Piece { shape, text: &part[sign..], start: at + sign, end: at + part.len() });
        }
        at += part.len().max(1);
    }
}

/// Returns the shape of a run of letters, figures and connectors.
pub(crate) fn shape_of(part: &str) -> Shape {
    if is_date(part) {
        return Shape::Date;
    }
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    let letters = part.chars().filter(|c| c.is_alphabetic()).count();
    if digits == 0 {
        return Shape::Word;
    }
    let starts_with_digit = part.starts_with(|c: char| c.is_ascii_digit());
    if letters == 0 {
        return if part.starts_with('#') { Shape::Id } else { Shape::Number };
    }
    // `30s`, `250ms`, `5GB`, `2nd`: a figure with its unit.
    if starts_with_digit && letters <= 2 && part.ends_with(char::is_alphabetic) {
        return Shape::Number;
    }
    let uppercase_code = letters + digits >= 5 && !part.chars().any(char::is_lowercase);
    let numbered = part.rsplit_once(['_', '-']).is_some_and(|(_, tail)| {
        let figures = tail.bytes().filter(u8::is_ascii_digit).count();
        // A figure, a hash (`pod-a8f3c`), a figure with a letter (`eu-west-1b`).
        figures >= 1
            && tail.len() >= 2
            && (figures == tail.len() || tail.len() >= 4 || !tail.starts_with(char::is_alphabetic))
    });
    if part.starts_with('#') || digits >= 3 || uppercase_code || numbered { Shape::Id } else { Shape::Word }
}

fn is_email(run: &str) -> bool {
    run.split_once('@').is_some_and(|(user, host)| {
        !user.is_empty() && host.contains('.') && !host.contains('@') && !host.contains('/')
    })
}

fn is_path(run: &str) -> bool {
    if !run.contains(char::is_alphanumeric) {
        return false;
    }
    let rooted = ["/", "./", "../", "~/", "\\"].iter().any(|root| run.starts_with(root));
    let drive = run.as_bytes().get(1..3).is_some_and(|at| at == b":\\" || at == b":/");
    let slashes = run.bytes().filter(|byte| matches!(byte, b'/' | b'\\')).count();
    rooted || drive || run.contains("://") || slashes >= 2 || is_file(run)
}

fn is_file(run: &str) -> bool {
    // `main.rs:17:5` names a place in a file.
    let name = run.split(':').next().unwrap_or(run);
    name.rsplit_once('.').is_some_and(|(stem, ending)| {
        stem.contains(char::is_alphanumeric) && FILE_ENDINGS.binary_search(&ending).is_ok()
    })
}

fn is_date(run: &str) -> bool {
    if !run.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        return false;
    }
    let figures = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let of_three = |separator: char| {
        let mut parts = run.split(separator);
        let (Some(a), Some(b), Some(c), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return false;
        };
        figures(a, 4..=4) && figures(b, 1..=2) && figures(c.get(..2).unwrap_or(c), 1..=2)
            || figures(a, 1..=2) && figures(b, 1..=2) && figures(c, 4..=4)
    };
    let clock = run.split_once(':').is_some_and(|(hours, rest)| {
        figures(hours, 1..=2) && rest.split(':').all(|part| figures(part.get(..2).unwrap_or(part), 2..=2))
    });
    of_three('-') || of_three('/') || of_three('.') || clock
}

/// Returns the mask of a value: figures are `9`, capitals `A`, runs of small letters one `a`; the rest stays.
/// Values of one kind share a mask: `#W6067464` and `#W1234567` are `#A9999999`, `mia_li_3668` and
/// `omar_davis_3817` `a_a_9999`.
pub(crate) fn mask(value: &str) -> String {
    let mut mask = String::with_capacity(value.len());
    for c in value.chars() {
        if c.is_numeric() {
            mask.push('9');
        } else if c.is_uppercase() {
            mask.push('A');
        } else if !c.is_alphabetic() {
            mask.push(c);
        } else if !mask.ends_with('a') {
            mask.push('a');
        }
    }
    mask
}

/// Returns a wider mask for codes that mix figures and capitals at random (`JG7FMM`, `4WQ150`: `XXXXXX`).
pub(crate) fn wide_mask(value: &str) -> String {
    let code = value.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase());
    if code && value.len() >= 4 { "X".repeat(value.len()) } else { mask(value) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shapes(text: &str) -> String {
        let mut found = Vec::new();
        pieces(text, |piece| match piece.shape {
            Shape::Word => found.push(piece.text.to_owned()),
            shape => found.push(format!("{shape:?}({})", piece.text)),
        });
        found.join(" ")
    }

    #[test]
    fn tells_words_from_what_varies() {
        let check = |text: &str, expected: &str| assert_eq!(shapes(text), expected, "{text:?}");
        check("", "");
        check("Return order #W6067464.", "Return order Id(#W6067464)");
        check("pay with credit_card_4190576, please", "pay with Id(credit_card_4190576) please");
        check("book HAT139 on 2024-05-20 at 06:00", "book Id(HAT139) on Date(2024-05-20) at Date(06:00)");
        check("reservation JG7FMM", "reservation Id(JG7FMM)");
        check("waited 30s, 250ms or 1.5 hours", "waited Number(30s) Number(250ms) or Number(1.5) hours");
        check("mail a.b@example.com now", "mail Email(a.b@example.com) now");
        check("in /usr/lib/x.so: bad", "in Path(/usr/lib/x.so) bad");
        check("see https://example.com/a?b=c", "see Path(https://example.com/a?b) c");
        check("error at src/main.rs:17:5", "error at Path(src/main.rs:17:5)");
        check("edit main.rs or C:\\tmp\\x", "edit Path(main.rs) or Path(C:\\tmp\\x)");
        check("and/or std::fmt utf8 http2", "and or std fmt utf8 http2");
        check(
            "field 'user id' isn't \"set\"",
            "field Quoted(user id) isn't Quoted(set)".replace("isn't", "isn t").as_str(),
        );
        check("don't say `x`", "don t say Quoted(x)");
        check("the end...", "the end");
        check("id 550e8400-e29b-41d4-a716-446655440000", "id Id(550e8400-e29b-41d4-a716-446655440000)");
        check("0x7ffe12ab crash", "Id(0x7ffe12ab) crash");
        check("all done.###STOP### #topic", "all done STOP topic");
        check("get_user_details failed", "get_user_details failed");
        check("pod-a8f3c in eu-west-1b died", "Id(pod-a8f3c) in Id(eu-west-1b) died");
        check("utf-8, base64-decode, python3-dev", "utf-8 base64-decode python3-dev");
    }

    #[test]
    fn values_of_one_kind_share_a_mask() {
        let check = |a: &str, b: &str, expected: &str| {
            assert_eq!(mask(a), expected);
            assert_eq!(mask(b), expected);
        };
        check("#W6067464", "#W1234567", "#A9999999");
        check("mia_li_3668", "omar_davis_3817", "a_a_9999");
        check("2024-05-20", "1999-12-31", "9999-99-99");
        assert_eq!(wide_mask("JG7FMM"), wide_mask("4WQ150"));
        assert_ne!(wide_mask("economy"), wide_mask("JG7FMM"));
    }

    #[test]
    fn endings_are_sorted() {
        assert!(FILE_ENDINGS.is_sorted());
    }

    proptest! {
        #[test]
        fn pieces_are_in_order_and_inside_the_text(text in "\\PC{0,120}") {
            let mut last = 0;
            pieces(&text, |piece| {
                assert!(piece.start >= last && piece.end <= text.len() && piece.start < piece.end);
                assert!(text[piece.start..piece.end].contains(piece.text));
                last = piece.end;
            });
        }
    }
}
