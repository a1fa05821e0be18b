//! The numbers and texts that snapshots are made of.

use crate::Table;

/// Appends numbers and texts.
#[derive(Debug, Default)]
pub(in crate::lexical) struct Writer(Vec<u8>);

impl Writer {
    /// Appends a number, seven bits a byte, the lowest first (LEB128).
    pub(in crate::lexical) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// Appends 0 for none, otherwise 1 and the number.
    pub(in crate::lexical) fn optional(&mut self, number: Option<u64>) {
        self.number(number.is_some().into());
        number.into_iter().for_each(|number| self.number(number));
    }

    /// Appends bytes as they are.
    pub(in crate::lexical) fn fixed(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Appends a text preceded by its length.
    pub(in crate::lexical) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.fixed(text.as_bytes());
    }

    /// Appends the content of another writer.
    pub(in crate::lexical) fn append(&mut self, other: &Self) {
        self.fixed(&other.0);
    }

    /// The same, preceded by its length.
    pub(in crate::lexical) fn section(&mut self, section: &Self) {
        self.number(section.0.len() as u64);
        self.fixed(&section.0);
    }

    /// Appends numbers of four bytes each, preceded by their length in bytes.
    pub(in crate::lexical) fn numbers(&mut self, numbers: impl ExactSizeIterator<Item = u32>) {
        self.number(4 * numbers.len() as u64);
        numbers.for_each(|number| self.fixed(&number.to_le_bytes()));
    }

    /// Appends byte strings: where each begins and the last one ends, and the strings themselves. `None` if
    /// they are too large for that.
    pub(in crate::lexical) fn slices(&mut self, slices: impl ExactSizeIterator<Item = Self>) -> Option<()> {
        let (mut begins, mut all) = (Vec::with_capacity(slices.len() + 1), Self::default());
        begins.push(0);
        for slice in slices {
            all.append(&slice);
            begins.push(u32::try_from(all.0.len()).ok()?);
        }
        self.numbers(begins.into_iter());
        self.section(&all);
        Some(())
    }

    pub(in crate::lexical) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Texts in the order in which they were first met.
#[derive(Debug, Default)]
pub(in crate::lexical) struct Numbered<'t>(Table<&'t str, u64>);

impl<'t> Numbered<'t> {
    /// Returns the number of a text.
    pub(in crate::lexical) fn of(&mut self, text: &'t str) -> u64 {
        let next = self.0.len() as u64;
        *self.0.entry(text).or_insert(next)
    }
}

/// Reads the output of a [`Writer`]; `None` where it is invalid.
#[derive(Debug)]
pub(in crate::lexical) struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    pub(in crate::lexical) fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    #[inline]
    pub(in crate::lexical) fn number(&mut self) -> Option<u64> {
        let (&first, rest) = self.0.split_first()?;
        if first < 0x80 {
            self.0 = rest;
            return Some(first.into());
        }
        self.long_number()
    }

    fn long_number(&mut self) -> Option<u64> {
        let mut number = 0;
        for (at, byte) in self.0.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                self.0 = &self.0[at + 1..];
                return Some(number);
            }
        }
        None
    }

    /// Reads how many things of at least `bytes` each come next; `None` if there is no room for them.
    pub(in crate::lexical) fn count(&mut self, bytes: usize) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.0.len() / bytes).then_some(count)
    }

    pub(in crate::lexical) fn optional(&mut self) -> Option<Option<u64>> {
        match self.number()? {
            0 => Some(None),
            1 => self.number().map(Some),
            _ => None,
        }
    }

    pub(in crate::lexical) fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (fixed, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*fixed)
    }

    pub(in crate::lexical) fn text(&mut self) -> Option<&'b str> {
        std::str::from_utf8(self.section()?.0).ok()
    }

    /// Returns the remaining bytes as numbers of four bytes each.
    pub(in crate::lexical) fn numbers(&self) -> Vec<u32> {
        let (numbers, _) = self.0.as_chunks();
        numbers.iter().map(|number| u32::from_le_bytes(*number)).collect()
    }

    /// Reads length-prefixed bytes as a separate reader.
    pub(in crate::lexical) fn section(&mut self) -> Option<Self> {
        let length = self.count(1)?;
        let (section, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Self(section))
    }

    pub(in crate::lexical) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how many bytes are left.
    pub(in crate::lexical) fn len(&self) -> usize {
        self.0.len()
    }
}
