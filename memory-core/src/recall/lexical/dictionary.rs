//! The terms of a shard with their postings.

use std::hash::BuildHasher;
use std::mem::size_of;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use smallvec::SmallVec;
use smol_str::SmolStr;

/// A document that has a term.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Posting {
    pub(crate) slot: u32,
    /// The frequency weighed by field, in units of [`Shard::UNITS`](super::shard::Shard::UNITS) to one.
    pub(crate) frequency: u16,
    /// One bit a [`Field`](crate::recall::document::Field).
    pub(crate) fields: u8,
}

/// A term and the documents that have it. Within one cache line: opening a memory of 100,000 episodes touches terms some
/// eight million times, in no order.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Term {
    /// Mostly short enough to lie here itself.
    text: SmolStr,
    /// Slots ascending. An empty list is a free id. Most terms are in one or two documents.
    postings: SmallVec<[Posting; 2]>,
    /// The last slot of the list; any while it is empty.
    last: u32,
}

/// A term as the table has it: what tells nearly all others apart without a look at the text, and the id.
#[derive(Debug, Clone, Copy)]
struct Row {
    hash: u32,
    id: u32,
}

/// Gives terms numbers, and keeps their postings.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    /// The terms in use.
    table: HashTable<Row>,
    hasher: RandomState,
    terms: Vec<Term>,
    free: Vec<u32>,
}

impl Dictionary {
    /// Creates a dictionary with room for so many terms.
    pub(super) fn with_capacity(terms: usize) -> Self {
        Self { table: HashTable::with_capacity(terms), terms: Vec::with_capacity(terms), ..Self::default() }
    }

    /// Returns the terms in use with their postings, ids ascending.
    pub(super) fn terms(&self) -> impl Iterator<Item = (u32, &str, &[Posting])> {
        let terms = (0..).zip(&self.terms).filter(|(_, term)| !term.postings.is_empty());
        terms.map(|(id, term)| (id, term.text.as_str(), term.postings.as_slice()))
    }

    /// Gives all terms their postings, by id, slots ascending; `None` if these are not as many.
    pub(super) fn fill(&mut self, postings: Vec<SmallVec<[Posting; 2]>>) -> Option<()> {
        if postings.len() != self.terms.len() {
            return None;
        }
        for (term, postings) in self.terms.iter_mut().zip(postings) {
            term.last = postings.last().map_or(0, |posting| posting.slot);
            term.postings = postings;
        }
        Some(())
    }

    /// Returns the hash that a term is looked up by.
    pub(super) fn hash(&self, text: &str) -> u64 {
        self.hasher.hash_one(text)
    }

    /// Returns the id that a term of this hash most likely has; [`Dictionary::is`] tells. Looked up apart from the texts,
    /// so that the processor waits for many of them at the same time.
    pub(super) fn likely(&self, hash: u64) -> Option<u32> {
        self.table.find(hash, |row| row.hash == hash as u32).map(|row| row.id)
    }

    /// Returns true if this is the text of a term.
    pub(super) fn is(&self, id: u32, text: &str) -> bool {
        self.terms[id as usize].text == text
    }

    /// Returns the id of a term.
    pub(super) fn id(&self, text: &str) -> Option<u32> {
        let hash = self.hash(text);
        let same = |row: &Row| row.hash == hash as u32 && self.is(row.id, text);
        self.table.find(hash, same).map(|row| row.id)
    }

    /// Returns a term by id with its postings, slots ascending.
    pub(super) fn term(&self, id: u32) -> (&str, &[Posting]) {
        let term = &self.terms[id as usize];
        (&term.text, &term.postings)
    }

    /// Adds a term without postings.
    pub(super) fn add(&mut self, text: &str) -> u32 {
        let term = Term { text: SmolStr::new(text), ..Term::default() };
        let id = match self.free.pop() {
            Some(id) => {
                self.terms[id as usize] = term;
                id
            }
            None => {
                self.terms.push(term);
                (self.terms.len() - 1) as u32
            }
        };
        let (hasher, terms) = (&self.hasher, &self.terms);
        let hash = |row: &Row| hasher.hash_one(terms[row.id as usize].text.as_str());
        let own = hasher.hash_one(text);
        self.table.insert_unique(own, Row { hash: own as u32, id }, hash);
        id
    }

    /// Forgets a term without postings; returns its text.
    pub(super) fn remove(&mut self, id: u32) -> SmolStr {
        let Term { text, postings, .. } = std::mem::take(&mut self.terms[id as usize]);
        debug_assert!(postings.is_empty());
        if let Ok(entry) = self.table.find_entry(self.hash(&text), |row| row.id == id) {
            entry.remove();
        }
        self.free.push(id);
        text
    }

    /// Adds or replaces a posting.
    pub(super) fn put(&mut self, id: u32, posting: Posting) {
        let Term { postings, last, .. } = &mut self.terms[id as usize];
        if postings.is_empty() || *last < posting.slot {
            *last = posting.slot;
            return postings.push(posting);
        }
        match postings.binary_search_by_key(&posting.slot, |held| held.slot) {
            Ok(at) => postings[at] = posting,
            Err(at) => postings.insert(at, posting),
        }
    }

    /// Removes the posting of a slot; returns true if the term has no more.
    pub(super) fn take(&mut self, id: u32, slot: u32) -> bool {
        let Term { postings, last, .. } = &mut self.terms[id as usize];
        if let Ok(at) = postings.binary_search_by_key(&slot, |held| held.slot) {
            postings.remove(at);
        }
        if postings.capacity() > 4 * postings.len() + 16 {
            postings.shrink_to_fit();
        }
        *last = postings.last().map_or(0, |posting| posting.slot);
        postings.is_empty()
    }

    /// Returns roughly how many bytes of memory it takes.
    pub(super) fn bytes(&self) -> usize {
        // A heap block costs about 16 bytes.
        let lists = self.terms.iter().map(|term| {
            let text = if term.text.is_heap_allocated() { term.text.len() + 32 } else { 0 };
            let apart = term.postings.spilled();
            text + if apart { term.postings.capacity() * size_of::<Posting>() + 16 } else { 0 }
        });
        lists.sum::<usize>()
            + self.terms.capacity() * size_of::<Term>()
            + self.table.capacity() * (size_of::<Row>() + 2)
            + self.free.capacity() * size_of::<u32>()
    }

    /// Returns true if no trace is left of any term.
    #[cfg(test)]
    pub(super) fn is_blank(&self) -> bool {
        self.table.is_empty() && self.terms.iter().all(|term| !term.postings.spilled())
    }
}
