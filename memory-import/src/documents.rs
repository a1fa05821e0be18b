//! Inputs that are one JSON document, however it is spaced, or one document a line.

use std::io::{self, BufRead, Read};
use std::ops::ControlFlow;

use serde::de::DeserializeOwned;

use crate::lines::{Line, Lines};
use crate::{MAX_DOCUMENT_BYTES, Sink, fields};

/// Gives each document of an input to `read`, with the number of its last line. Bad ones go to the sink.
///
/// A first line that is a document of its own makes the rest one document a line; else all is one document.
pub(crate) fn each<T: DeserializeOwned>(
    input: &mut dyn BufRead,
    sink: &mut dyn Sink,
    read: &mut dyn FnMut(u64, T, &mut dyn Sink) -> ControlFlow<()>,
) -> io::Result<()> {
    limited(input, sink, read, MAX_DOCUMENT_BYTES)
}

fn limited<T: DeserializeOwned>(
    input: &mut dyn BufRead,
    sink: &mut dyn Sink,
    read: &mut dyn FnMut(u64, T, &mut dyn Sink) -> ControlFlow<()>,
    limit: u64,
) -> io::Result<()> {
    let mut lines = Lines::new(input, limit);
    let first = loop {
        match lines.next()? {
            None => return Ok(()),
            Some(Line::Bytes(line)) if line.trim_ascii().is_empty() => {}
            Some(line) => break line,
        }
    };
    let Line::Bytes(first) = first else {
        sink.progress(lines.position);
        let flow = sink.bad(lines.number, too_long(limit));
        return if flow.is_continue() { rest(&mut lines, sink, read, limit) } else { Ok(()) };
    };
    if let Ok(document) = fields::parse(&first) {
        drop(first);
        sink.progress(lines.position);
        if read(lines.number, document, sink).is_continue() {
            rest(&mut lines, sink, read, limit)?;
        }
        return Ok(());
    }
    let (mut whole, start, position) = (first, lines.number, lines.position);
    whole.push(b'\n');
    let before = position.saturating_sub(whole.len() as u64);
    let mut more = lines.into_reader().take(limit.saturating_sub(position) + 1);
    let length = position + more.read_to_end(&mut whole)? as u64;
    let newlines = whole.trim_ascii_end().iter().filter(|byte| **byte == b'\n').count() as u64;
    let parsed = if length > limit { Err(too_long(limit)) } else { fields::parse(&whole) };
    match parsed {
        Ok(document) => {
            sink.progress(length);
            let _ = read(start + newlines, document, sink);
        }
        // The first of several lines is bad, not all of them.
        Err(_) if later_lines(&whole).any(|line| fields::parse::<T>(line).is_ok()) => {
            let mut lines = Lines::new(whole.as_slice().chain(more.into_inner()), limit);
            (lines.number, lines.position) = (start - 1, before);
            rest(&mut lines, sink, read, limit)?;
        }
        Err(reason) => {
            sink.progress(length);
            let _ = sink.bad(start, reason);
        }
    }
    Ok(())
}

/// Reads one document a line.
fn rest<R: BufRead, T: DeserializeOwned>(
    lines: &mut Lines<R>,
    sink: &mut dyn Sink,
    read: &mut dyn FnMut(u64, T, &mut dyn Sink) -> ControlFlow<()>,
    limit: u64,
) -> io::Result<()> {
    while let Some(line) = lines.next()? {
        let flow = match line {
            Line::Bytes(line) if line.trim_ascii().is_empty() => ControlFlow::Continue(()),
            Line::Bytes(line) => match fields::parse(&line) {
                Ok(document) => read(lines.number, document, sink),
                Err(reason) => sink.bad(lines.number, reason),
            },
            Line::TooLong => sink.bad(lines.number, too_long(limit)),
        };
        sink.progress(lines.position);
        if flow.is_break() {
            break;
        }
    }
    Ok(())
}

/// Returns the lines after the first that may be documents of their own.
fn later_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').skip(1).filter(|line| line.starts_with(b"{"))
}

fn too_long(limit: u64) -> String {
    if limit < 1 << 20 {
        format!("longer than {limit} bytes")
    } else {
        format!("longer than {} MiB", limit >> 20)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::Trajectory;

    #[derive(Default)]
    struct Bad(Vec<(u64, String)>);

    impl Sink for Bad {
        fn trajectory(&mut self, _: u64, _: Trajectory) -> ControlFlow<()> {
            ControlFlow::Continue(())
        }
        fn bad(&mut self, line: u64, reason: String) -> ControlFlow<()> {
            self.0.push((line, reason));
            ControlFlow::Continue(())
        }
        fn skipped(&mut self, _: &str) {}
        fn progress(&mut self, _: u64) {}
    }

    #[test]
    fn documents_are_whole_inputs_or_lines() {
        let check = |text: &str, documents: &[(u64, &str)], bad: &[(u64, &str)]| {
            let (mut sink, mut found) = (Bad::default(), Vec::new());
            let mut read = |line, value: Value, _: &mut dyn Sink| {
                found.push((line, value.to_string()));
                ControlFlow::Continue(())
            };
            limited(&mut text.as_bytes(), &mut sink, &mut read, 40).unwrap();
            let documents: Vec<_> =
                documents.iter().map(|(line, text)| (*line, (*text).to_owned())).collect();
            assert_eq!(found, documents, "{text:?}");
            let bad: Vec<_> = bad.iter().map(|(line, reason)| (*line, (*reason).to_owned())).collect();
            assert_eq!(sink.0, bad, "{text:?}");
        };
        check("", &[], &[]);
        check("\n{\n \"a\":\n 1\n}\n\n", &[(5, "{\"a\":1}")], &[]);
        check(
            "{\"a\":1}\n\n{\"b\":\n{\"c\":2}\n",
            &[(1, "{\"a\":1}"), (4, "{\"c\":2}")],
            &[(3, "not JSON: EOF while parsing a value at column 5")],
        );
        check(
            "{\"a\":\n{\"c\":2}",
            &[(2, "{\"c\":2}")],
            &[(1, "not JSON: EOF while parsing a value at column 5")],
        );
        check(
            "{\"a\":\nx\n{\"c\":2}",
            &[(3, "{\"c\":2}")],
            &[
                (1, "not JSON: EOF while parsing a value at column 5"),
                (2, "not JSON: expected value at column 1"),
            ],
        );
        let many = "{\"c\":2}\n".repeat(9);
        let found: Vec<_> = (2..11).map(|line| (line, "{\"c\":2}")).collect();
        check(&format!("x\n{many}"), &found, &[(1, "not JSON: expected value at column 1")]);
        check("{\n\"a\":]\n}", &[], &[(1, "not JSON: expected value at line 2 column 5")]);
        check(&format!("{{\n{}}}", " ".repeat(40)), &[], &[(1, "longer than 40 bytes")]);
        check(&" x".repeat(40), &[], &[(1, "longer than 40 bytes")]);
    }
}
