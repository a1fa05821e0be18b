//! Standard output and standard error: one JSON object, or text for people.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use serde_json::Value;

use crate::cli::Color;
use crate::failure::Report;
use crate::text;

/// The style of the parts of a text. Text is made harmless before it is styled.
pub(crate) mod style {
    use super::{AnsiColor, Style, text};

    pub(crate) const PLAIN: Style = Style::new();
    pub(crate) const TITLE: Style = Style::new().bold();
    pub(crate) const FAINT: Style = Style::new().dimmed();
    pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
    pub(crate) const BAD: Style = AnsiColor::Red.on_default();
    pub(crate) const UNSURE: Style = AnsiColor::Yellow.on_default();
    pub(crate) const NAME: Style = AnsiColor::Cyan.on_default();

    /// Returns a text in a style, for a terminal or not: the stream takes the style out where it is not wanted.
    pub(crate) fn paint(style: Style, plain: impl AsRef<str>) -> String {
        format!("{style}{}{style:#}", text::harmless(plain.as_ref()))
    }
}

/// Columns of text when the width of the output is unknown.
const DEFAULT_COLUMNS: usize = 120;

/// Where answers go.
pub(crate) struct Output {
    stdout: AutoStream<io::Stdout>,
    stderr: AutoStream<io::Stderr>,
    json: bool,
    terminal: bool,
    columns: usize,
}

impl Output {
    /// Inspects standard output.
    pub(crate) fn new(json: bool, color: Color) -> Self {
        let (out, err) = match color {
            // Honours NO_COLOR, CLICOLOR and TERM.
            Color::Auto => (AutoStream::choice(&io::stdout()), AutoStream::choice(&io::stderr())),
            Color::Always => (anstream::ColorChoice::Always, anstream::ColorChoice::Always),
            Color::Never => (anstream::ColorChoice::Never, anstream::ColorChoice::Never),
        };
        let terminal = io::stdout().is_terminal();
        let size = terminal.then(terminal_size::terminal_size).flatten();
        let columns = size.map_or(DEFAULT_COLUMNS, |(width, _)| usize::from(width.0).max(40));
        Self {
            stdout: AutoStream::new(io::stdout(), out),
            stderr: AutoStream::new(io::stderr(), err),
            json,
            terminal,
            columns,
        }
    }

    /// Returns true if the answer is to be one JSON object.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Returns true if a person watches.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Returns how many columns a line has.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Writes one line; its parts must be harmless already.
    pub(crate) fn line(&mut self, line: impl Display) -> io::Result<()> {
        writeln!(self.stdout, "{line}")
    }

    /// Writes the answer as one object: on one line, or indented for a person.
    pub(crate) fn object(&mut self, value: &Value) -> io::Result<()> {
        let text = if self.terminal { format!("{value:#}") } else { value.to_string() };
        writeln!(self.stdout, "{}", escape(&text))
    }

    /// Writes a remark for people to standard error.
    pub(crate) fn note(&mut self, name: &str, style: Style, remark: impl AsRef<str>) -> io::Result<()> {
        let head = style::paint(style.bold(), format!("{name}:"));
        writeln!(self.stderr, "{head} {}", text::harmless(remark.as_ref()))
    }

    /// Reports why the command failed. Standard error is the last resort: errors in writing to it are ignored.
    pub(crate) fn fail(&mut self, report: &Report) {
        let _nobody_listens = if self.json {
            writeln!(self.stderr, "{}", escape(&report.json().to_string()))
        } else {
            self.note("error", style::BAD, &report.message).and_then(|()| match &report.hint {
                Some(hint) => self.note("hint", style::NAME, hint),
                None => Ok(()),
            })
        };
    }

    /// Makes sure that everything is written.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }
}

/// Escapes characters that JSON allows in strings but that control a terminal (C1 controls, direction
/// overrides). Outside strings JSON is ASCII.
fn escape(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        let acts = matches!(c, '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}');
        if acts {
            escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_the_same_value_after_escaping() {
        let value = Value::from("a\u{9b}2J\u{7f}\u{202e}\x1bä日");
        let escaped = escape(&value.to_string());
        assert!(escaped.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{escaped}");
        assert_eq!(serde_json::from_str::<Value>(&escaped).unwrap(), value);
    }
}
