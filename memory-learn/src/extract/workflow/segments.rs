//! Values within words: where they stand, and the words cut at them.

/// Returns the place of a value in a text as a separate word: not as a part of a longer word or figure. A
/// figure may follow a letter, as in `v3.2.1`.
pub(super) fn place_in(text: &str, value: &str) -> Option<usize> {
    let joins =
        |a: char, b: char| a.is_ascii_digit() && b.is_ascii_digit() || a.is_alphabetic() && b.is_alphabetic();
    let (first, last) = (value.chars().next()?, value.chars().next_back()?);
    text.match_indices(value).map(|(at, _)| at).find(|at| {
        let mut before = text[..*at].chars().rev();
        let mut behind = text[at + value.len()..].chars();
        let (left, right) = (before.next(), behind.next());
        // `3.2` is not in `3.2.1`.
        let figure_goes_on =
            last.is_ascii_digit() && right == Some('.') && behind.next().is_some_and(|c| c.is_ascii_digit());
        let figure_began =
            first.is_ascii_digit() && left == Some('.') && before.next().is_some_and(|c| c.is_ascii_digit());
        !left.is_some_and(|c| joins(c, first))
            && !right.is_some_and(|c| joins(last, c))
            && !figure_goes_on
            && !figure_began
    })
}

/// A part of a piece.
#[derive(Clone, Copy)]
pub(super) enum Segment<'p> {
    Stays(&'p str),
    Value(&'p str),
}

/// Cuts a piece at the values in it, the first ones first.
pub(super) fn segments<'p, 'v>(
    piece: &'p str,
    values: impl IntoIterator<Item = &'v String>,
) -> Vec<Segment<'p>> {
    let mut segments = vec![Segment::Stays(piece)];
    for value in values {
        let mut cut = Vec::with_capacity(segments.len());
        for segment in segments {
            match segment {
                Segment::Stays(text) => match place_in(text, value) {
                    Some(at) => {
                        let (before, rest) = text.split_at(at);
                        let (found, behind) = rest.split_at(value.len());
                        let parts = [Segment::Stays(before), Segment::Value(found), Segment::Stays(behind)];
                        let empty = |part: &Segment<'_>| matches!(part, Segment::Stays(""));
                        cut.extend(parts.into_iter().filter(|part| !empty(part)));
                    }
                    None => cut.push(segment),
                },
                Segment::Value(_) => cut.push(segment),
            }
        }
        segments = cut;
    }
    segments
}

/// Returns true for a text with the fixed segments in place and some text for each value.
pub(super) fn alike(segments: &[Segment<'_>], text: &str) -> bool {
    let mut rest = text;
    let mut value = false;
    for segment in segments {
        match segment {
            Segment::Value(_) => value = true,
            Segment::Stays(part) => {
                let found = if value { rest.get(1..).and_then(|rest| rest.find(part)) } else { Some(0) };
                let Some(at) = found.map(|at| at + usize::from(value)) else { return false };
                let Some(behind) = rest.get(at..).and_then(|rest| rest.strip_prefix(part)) else {
                    return false;
                };
                (rest, value) = (behind, false);
            }
        }
    }
    value != rest.is_empty()
}

/// Replaces a value in a text, but not in the names of placeholders.
pub(super) fn outside_braces(text: &str, value: &str, with: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        told.push_str(&before.replace(value, with));
        let end = behind.find('}').map_or(behind.len(), |end| end + 1);
        told.push('{');
        told.push_str(&behind[..end]);
        rest = &behind[end..];
    }
    told.push_str(&rest.replace(value, with));
    told
}
