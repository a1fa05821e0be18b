//! The lines of a file, of which every one must be good.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, Result};

/// The longest line, in bytes.
const MAX_LINE_BYTES: u64 = 32 << 20;

/// Reads each line that is not empty by a function. A line that it refuses, or no line at all, is an error.
pub(super) fn read<T>(path: &Path, row: impl Fn(&[u8]) -> Result<T, String>) -> Result<Vec<T>> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
    let mut rows = Vec::new();
    let mut bytes = Vec::new();
    let mut number = 0;
    loop {
        bytes.clear();
        let read = reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes).map_err(failed)?;
        if read == 0 {
            break;
        }
        number += 1;
        let line = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes).trim_ascii();
        if line.is_empty() {
            continue;
        }
        let whole = (read as u64) < MAX_LINE_BYTES || bytes.ends_with(b"\n");
        let row = if whole { row(line) } else { Err(format!("longer than {} MiB", MAX_LINE_BYTES >> 20)) };
        rows.push(row.map_err(|reason| Error::Line { path: path.to_owned(), line: number, reason })?);
    }
    if rows.is_empty() {
        return Err(Error::Empty { path: path.to_owned(), reason: "there are no lines in it" });
    }
    Ok(rows)
}

/// Reads a line as JSON.
pub(super) fn json(bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("not UTF-8 from byte {} on", error.valid_up_to() + 1))?;
    serde_json::from_str(text).map_err(|error| format!("not JSON: {}", without_line(&error)))
}

/// Reads the fields of a line; what is wrong is said with the field.
pub(super) fn fields<T: DeserializeOwned>(line: Value, what: &str) -> Result<T, String> {
    serde_path_to_error::deserialize(line).map_err(|error| {
        let field = error.path().to_string();
        let field = if field == "." { String::new() } else { format!("{field}: ") };
        format!("{what}: {field}{}", without_line(error.inner()))
    })
}

/// Tells what is wrong without "at line 1", which is not the line of the file.
fn without_line(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}
