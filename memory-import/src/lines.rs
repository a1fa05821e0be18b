//! Reading lines of any bytes, one at a time, in bounded memory.

use std::io::{self, BufRead, Read};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Bytes(Vec<u8>),
    /// Longer than the limit; its bytes were skipped.
    TooLong,
}

/// Reads lines and counts them.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    reader: R,
    limit: u64,
    /// The number of the last line, from 1.
    pub(crate) number: u64,
    /// The bytes read so far.
    pub(crate) position: u64,
}

impl<R: BufRead> Lines<R> {
    /// Reads lines of at most `limit` bytes, including their ends.
    pub(crate) fn new(reader: R, limit: u64) -> Self {
        Self { reader, limit, number: 0, position: 0 }
    }

    /// Returns the reader, which stands behind the last line.
    pub(crate) fn into_reader(self) -> R {
        self.reader
    }

    /// Returns the next line; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        let read = self.reader.by_ref().take(self.limit).read_until(b'\n', &mut line)? as u64;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.position += read;
        if read == self.limit && line.last() != Some(&b'\n') && self.skip()? {
            return Ok(Some(Line::TooLong));
        }
        if self.number == 1 && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        while let Some(b'\n' | b'\r') = line.last() {
            line.pop();
        }
        Ok(Some(Line::Bytes(line)))
    }

    /// Skips the rest of the line; returns false if there is none.
    fn skip(&mut self) -> io::Result<bool> {
        let mut skipped = false;
        loop {
            let chunk = match self.reader.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(chunk.len(), |end| end + 1);
            skipped |= used > 0;
            self.reader.consume(used);
            self.position += used as u64;
            if end.is_some() || used == 0 {
                return Ok(skipped);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_any_bytes_are_read_and_long_ones_skipped() {
        let check = |bytes: &[u8], expected: &[Option<&[u8]>]| {
            // A small buffer, so that lines cross its edges.
            let mut lines = Lines::new(io::BufReader::with_capacity(3, bytes), 8);
            let mut found = Vec::new();
            while let Some(line) = lines.next().unwrap() {
                found.push(line);
            }
            let expected: Vec<Line> = expected
                .iter()
                .map(|line| line.map_or(Line::TooLong, |bytes| Line::Bytes(bytes.to_vec())))
                .collect();
            assert_eq!(found, expected);
            assert_eq!((lines.number, lines.position), (expected.len() as u64, bytes.len() as u64));
        };
        check(b"", &[]);
        check(b"a\r\n\nb", &[Some(b"a"), Some(b""), Some(b"b")]);
        check(b"\xef\xbb\xbf{}\n\xff\n", &[Some(b"{}"), Some(b"\xff")]);
        check(b"1234567\nx\n", &[Some(b"1234567"), Some(b"x")]);
        check(b"12345678", &[Some(b"12345678")]);
        check(b"12345678\nx\n", &[None, Some(b"x")]);
        check(b"123456789012345\nx\n123456789", &[None, Some(b"x"), None]);
    }
}
