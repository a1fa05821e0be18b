//! A shard of a snapshot, read in place: nothing is decoded before its first use.
//!
//! The parts are flat: offsets into bytes, and hash tables of numbers that are searched in place. Each read is
//! checked, since the bytes come from a file: a damaged part acts as an empty one, and never causes an access
//! out of bounds.

use std::ops::Range;
use std::sync::Arc;

use memory_core::{Revision, Timestamp, WriterId};

use super::bytes::Reader;
use super::entry::{Entry, Posting, State, TermRef, UsedTool};
use crate::tokenize::stem;

/// The documents, terms and postings of a shard as its snapshot has them.
#[derive(Debug)]
pub(super) struct Frozen {
    /// The bytes of the whole snapshot.
    pub(super) bytes: Arc<Vec<u8>>,
    pub(super) labels: Vec<Arc<str>>,
    pub(super) tools: Vec<Arc<str>>,
    /// Frequency and fields of postings, by number.
    pub(super) shapes: Vec<(u16, u8)>,
    /// By slot: the entry, and the task's statistics.
    pub(super) records: Slices,
    /// By id of the document, the slot.
    pub(super) slots: Lookup,
    /// By number.
    pub(super) texts: Slices,
    /// By text of the term, the number.
    pub(super) terms: Lookup,
    /// By stem, the place of the first of [`Frozen::groups`] with it.
    pub(super) stems: Lookup,
    /// For each stem how many terms have it, and which.
    pub(super) groups: Numbers,
    /// By number of the term.
    pub(super) postings: Slices,
    /// By slot: the terms of the document.
    pub(super) forward: Slices,
}

/// The statistics of an episode's task: fingerprint, steps, duration in milliseconds.
pub(super) type Counted<'b> = (&'b str, u32, u64);

impl Frozen {
    /// Returns the shard's size within the snapshot in bytes, without tables of labels and tools.
    pub(super) fn size(&self) -> usize {
        let slices = [&self.records, &self.texts, &self.postings, &self.forward];
        let numbers = [&self.slots.0, &self.terms.0, &self.stems.0, &self.groups];
        let slices = slices.map(|slices| slices.begins.0.len() + slices.bytes.len());
        slices.into_iter().chain(numbers.map(|numbers| numbers.0.len())).sum()
    }

    /// Returns how many documents there are.
    pub(super) fn documents(&self) -> u32 {
        self.records.len() as u32
    }

    /// Returns how many terms there are; they are numbered from 0.
    pub(super) fn terms(&self) -> u32 {
        self.texts.len() as u32
    }

    pub(super) fn text(&self, term: u32) -> &str {
        std::str::from_utf8(self.texts.get(&self.bytes, term)).unwrap_or_default()
    }

    /// Returns the number of a term.
    pub(super) fn term(&self, text: &str) -> Option<u32> {
        let same = |term: &u32| *term < self.terms() && self.texts.get(&self.bytes, *term) == text.as_bytes();
        self.terms.find(&self.bytes, hash(text.as_bytes()), same)
    }

    /// Returns the numbers of the terms with a stem, those that no document has any more included.
    pub(super) fn forms(&self, of: &str) -> impl Iterator<Item = u32> {
        let has = |place: &u32| {
            let first = self.groups.get(&self.bytes, *place + 1);
            first.is_some_and(|first| stem(self.text(first)).is_some_and(|stem| *stem == *of))
        };
        let place = self.stems.find(&self.bytes, hash(of.as_bytes()), has);
        let count = place.and_then(|place| self.groups.get(&self.bytes, place)).unwrap_or(0);
        let count = count.min(self.groups.len() as u32);
        let terms = (0..count)
            .map_while(move |at| self.groups.get(&self.bytes, place?.checked_add(at)?.checked_add(1)?));
        terms.filter(|term| *term < self.terms())
    }

    /// Returns how many documents have a term.
    pub(super) fn frequency(&self, term: u32) -> usize {
        let mut list = Reader::new(self.postings.get(&self.bytes, term));
        list.count(1).unwrap_or(0)
    }

    /// Returns which documents have a term, slots ascending.
    pub(super) fn postings(&self, term: u32) -> Vec<Posting> {
        let mut list = Reader::new(self.postings.get(&self.bytes, term));
        let mut postings = Vec::with_capacity(list.count(1).unwrap_or(0));
        let mut from = 0_u32;
        while let (Some(distance), Some(shape)) = (list.number(), list.number()) {
            let slot = u32::try_from(distance).ok().and_then(|distance| from.checked_add(distance));
            let Some((slot, (frequency, fields))) = slot.zip(self.shape(shape)) else { break };
            if slot >= self.documents() {
                break;
            }
            postings.push(Posting { slot, frequency, fields });
            from = slot + 1;
        }
        postings
    }

    fn shape(&self, number: u64) -> Option<(u16, u8)> {
        self.shapes.get(usize::try_from(number).ok()?).copied()
    }

    /// Returns the terms of a document, by ascending number.
    pub(super) fn terms_of(&self, slot: u32) -> Box<[TermRef]> {
        let mut list = Reader::new(self.forward.get(&self.bytes, slot));
        let mut terms = Vec::with_capacity(list.count(1).unwrap_or(0));
        let mut from = 0_u32;
        while let Some(number) = list.number() {
            let (distance, flags) = (number >> TermRef::FLAG_BITS, number as u32 & TermRef::FLAGS);
            let id = u32::try_from(distance).ok().and_then(|distance| from.checked_add(distance));
            let Some(id) = id.filter(|id| *id < self.terms()) else { break };
            terms.push(TermRef::of_parts(id, flags));
            from = id + 1;
        }
        terms.into()
    }

    /// Returns the slot of the document with an id.
    pub(super) fn slot(&self, id: &str) -> Option<u32> {
        let same = |slot: &u32| Reader::new(self.records.get(&self.bytes, *slot)).text() == Some(id);
        self.slots.find(&self.bytes, hash(id.as_bytes()), same)
    }

    /// Decodes a document, without its terms; `None` if that cannot be read.
    pub(super) fn entry(&self, slot: u32) -> Option<Entry> {
        self.record(slot).map(|(entry, _)| entry)
    }

    /// The same with the task's statistics, if it is counted.
    pub(super) fn record(&self, slot: u32) -> Option<(Entry, Option<Counted<'_>>)> {
        let record = &mut Reader::new(self.records.get(&self.bytes, slot));
        let label = |number: u64| self.labels.get(usize::try_from(number).ok()?).cloned();
        let id = record.text()?.into();
        let clock = u64::from_le_bytes(record.fixed()?);
        let writer = WriterId::new(u64::from_le_bytes(record.fixed()?));
        let expires_at = record.optional()?.map(Timestamp);
        let state = *State::ALL.get(usize::try_from(record.number()?).ok()?)?;
        let kind = label(record.number()?)?;
        let mut optional = || match record.optional()? {
            Some(number) => label(number).map(Some),
            None => Some(None),
        };
        let (domain, agent) = (optional()?, optional()?);
        let score = f32::from_bits(u32::from_le_bytes(record.fixed()?));
        let at = Timestamp(record.number()?);
        let used = (0..record.count(1)?).map(|_| {
            let number = record.number()?;
            let name = self.tools.get(usize::try_from(number >> 1).ok()?)?.clone();
            Some(UsedTool { name, failed: number & 1 == 1 })
        });
        let tools = used.collect::<Option<_>>()?;
        let counted = match record.number()? {
            0 => None,
            _ => Some((record.text()?, u32::try_from(record.number()?).ok()?, record.number()?)),
        };
        let revision = Revision { clock, writer };
        let terms = std::sync::OnceLock::new();
        Some((
            Entry { id, revision, expires_at, state, kind, domain, agent, score, at, tools, terms },
            counted,
        ))
    }
}

/// Numbers of four bytes each, the lowest first, somewhere in a snapshot.
#[derive(Debug, Clone, Default)]
pub(super) struct Numbers(pub(super) Range<usize>);

impl Numbers {
    const BYTES: usize = 4;

    pub(super) fn len(&self) -> usize {
        self.0.len() / Self::BYTES
    }

    #[inline]
    pub(super) fn get(&self, bytes: &[u8], at: u32) -> Option<u32> {
        let bytes = bytes.get(self.0.clone())?.get(at as usize * Self::BYTES..)?;
        bytes.first_chunk().map(|number| u32::from_le_bytes(*number))
    }

    /// Decodes all of them.
    pub(super) fn all(&self, bytes: &[u8]) -> Vec<u32> {
        bytes.get(self.0.clone()).map_or_else(Vec::new, |bytes| Reader::new(bytes).numbers())
    }
}

/// Consecutive byte strings, with the start of each and the end of the last one.
#[derive(Debug, Clone, Default)]
pub(super) struct Slices {
    pub(super) begins: Numbers,
    pub(super) bytes: Range<usize>,
}

impl Slices {
    pub(super) fn len(&self) -> usize {
        self.begins.len().saturating_sub(1)
    }

    /// Returns one of them; empty if there is none.
    #[inline]
    pub(super) fn get<'b>(&self, bytes: &'b [u8], at: u32) -> &'b [u8] {
        let ends = || Some((self.begins.get(bytes, at)?, self.begins.get(bytes, at.checked_add(1)?)?));
        let slice =
            ends().and_then(|(begin, end)| bytes.get(self.bytes.clone())?.get(begin as usize..end as usize));
        slice.unwrap_or_default()
    }
}

/// A hash table with linear probing over a power of two of places, of which at most half are used: 0 for a free
/// place, otherwise one more than the number.
#[derive(Debug, Clone, Default)]
pub(super) struct Lookup(pub(super) Numbers);

impl Lookup {
    /// Makes the table of numbers with these hashes.
    pub(super) fn make(numbers: impl Iterator<Item = (u64, u32)>, count: usize) -> Vec<u32> {
        if count == 0 {
            return Vec::new();
        }
        let mut places = vec![0_u32; (2 * count).next_power_of_two()];
        let mask = places.len() - 1;
        for (hash, number) in numbers {
            let mut place = hash as usize & mask;
            while places[place] != 0 {
                place = (place + 1) & mask;
            }
            places[place] = number + 1;
        }
        places
    }

    /// Returns the number with this hash that is the right one.
    pub(super) fn find(&self, bytes: &[u8], hash: u64, is: impl Fn(&u32) -> bool) -> Option<u32> {
        let places = self.0.len();
        if !places.is_power_of_two() {
            return None;
        }
        let mut place = hash as usize & (places - 1);
        for _ in 0..places {
            let number = self.0.get(bytes, place as u32)?.checked_sub(1)?;
            if is(&number) {
                return Some(number);
            }
            place = (place + 1) & (places - 1);
        }
        None
    }
}

/// FNV-1a (Fowler, Noll, Vo) of 64 bits, with the high bits folded into the low ones that tables go by; the
/// same in every process and on every machine.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash ^ hash >> 32
}
