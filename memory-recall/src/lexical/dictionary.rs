//! The terms of a shard with their postings.

use std::borrow::Cow;
use std::hash::BuildHasher;
use std::mem::size_of;
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::entry::Posting;
use super::frozen::Frozen;

/// A term and the documents that have it. Within one cache line: opening a memory of 100,000 episodes touches
/// terms some eight million times, in no order.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Term {
    /// Mostly short enough to be stored inline.
    text: SmolStr,
    /// Slots ascending. An empty list is a free id. Most terms are in one or two documents.
    postings: SmallVec<[Posting; 2]>,
    /// The last slot of the list; any while it is empty.
    last: u32,
}

/// A term in the table: bits of its hash, which distinguish nearly all terms without a look at the text, and
/// the id.
#[derive(Debug, Clone, Copy)]
struct Row {
    hash: u32,
    id: u32,
}

/// The postings of a term of a snapshot, once they were read or changed.
type Thawed = OnceLock<Box<Vec<Posting>>>;

/// Gives terms numbers, and keeps their postings.
///
/// The terms of a snapshot, if there is one, keep its numbers, whether or not a document still has them; other
/// terms are numbered after them.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    frozen: Option<Arc<Frozen>>,
    /// By number of the snapshot's terms.
    thawed: Vec<Thawed>,
    /// The terms in use that the snapshot does not have.
    table: HashTable<Row>,
    hasher: RandomState,
    terms: Vec<Term>,
    free: Vec<u32>,
}

impl Dictionary {
    /// Creates the dictionary of a snapshot.
    pub(super) fn of_snapshot(frozen: Arc<Frozen>) -> Self {
        let thawed = std::iter::repeat_with(Thawed::new).take(frozen.terms() as usize).collect();
        Self { frozen: Some(frozen), thawed, ..Self::default() }
    }

    /// Returns the terms in use, with how many documents have them; ids ascending.
    pub(super) fn terms(&self) -> impl Iterator<Item = (u32, &str, usize)> {
        let ids = 0..(self.thawed.len() + self.terms.len()) as u32;
        ids.map(|id| (id, self.text(id), self.frequency(id))).filter(|(_, _, frequency)| *frequency > 0)
    }

    /// Returns the hash for [`Dictionary::likely`].
    pub(super) fn hash(&self, text: &str) -> u64 {
        self.hasher.hash_one(text)
    }

    /// Returns the id that a term of this hash most likely has; [`Dictionary::is`] verifies it. This lookup
    /// does not read the texts, so that the processor waits for many of them at the same time. It does not find
    /// terms of a snapshot.
    pub(super) fn likely(&self, hash: u64) -> Option<u32> {
        self.table.find(hash, |row| row.hash == hash as u32).map(|row| row.id)
    }

    /// Returns true if this is the text of a term.
    pub(super) fn is(&self, id: u32, text: &str) -> bool {
        self.text(id) == text
    }

    /// Returns the id of a term that a document has.
    pub(super) fn id(&self, text: &str) -> Option<u32> {
        if let Some(id) = self.frozen.as_ref().and_then(|frozen| frozen.term(text)) {
            return (self.frequency(id) > 0).then_some(id);
        }
        let hash = self.hash(text);
        let same = |row: &Row| row.hash == hash as u32 && self.is(row.id, text);
        self.table.find(hash, same).map(|row| row.id)
    }

    /// Returns the ids of the snapshot's terms with a stem that a document has.
    pub(super) fn frozen_forms(&self, stem: &str) -> impl Iterator<Item = u32> {
        let forms = self.frozen.iter().flat_map(move |frozen| frozen.forms(stem));
        forms.filter(|id| self.frequency(*id) > 0)
    }

    /// Returns true for a term that the snapshot has.
    pub(super) fn is_frozen(&self, id: u32) -> bool {
        (id as usize) < self.thawed.len()
    }

    /// Returns the text of a term.
    pub(super) fn text(&self, id: u32) -> &str {
        match &self.frozen {
            Some(frozen) if self.is_frozen(id) => frozen.text(id),
            _ => self.terms.get(id as usize - self.thawed.len()).map_or("", |term| term.text.as_str()),
        }
    }

    /// Returns how many documents have a term.
    pub(super) fn frequency(&self, id: u32) -> usize {
        match self.thawed.get(id as usize) {
            Some(thawed) => thawed.get().map_or_else(|| self.read(id, Frozen::frequency), |list| list.len()),
            None => self.terms.get(id as usize - self.thawed.len()).map_or(0, |term| term.postings.len()),
        }
    }

    /// Returns the postings of a term, slots ascending.
    pub(super) fn postings(&self, id: u32) -> &[Posting] {
        match self.thawed.get(id as usize) {
            Some(thawed) => thawed.get_or_init(|| Box::new(self.read(id, Frozen::postings))),
            None => self.terms.get(id as usize - self.thawed.len()).map_or(&[], |term| &term.postings),
        }
    }

    /// The same, without keeping the decoded postings.
    pub(super) fn postings_once(&self, id: u32) -> Cow<'_, [Posting]> {
        match self.thawed.get(id as usize) {
            Some(thawed) if thawed.get().is_none() => Cow::Owned(self.read(id, Frozen::postings)),
            _ => Cow::Borrowed(self.postings(id)),
        }
    }

    fn read<T: Default>(&self, id: u32, read: impl Fn(&Frozen, u32) -> T) -> T {
        self.frozen.as_ref().map_or_else(T::default, |frozen| read(frozen, id))
    }

    /// Adds a term that no document has.
    pub(super) fn add(&mut self, text: &str) -> u32 {
        if let Some(id) = self.frozen.as_ref().and_then(|frozen| frozen.term(text)) {
            return id;
        }
        let first = self.thawed.len() as u32;
        let term = Term { text: SmolStr::new(text), ..Term::default() };
        let place = match self.free.pop() {
            Some(place) => {
                self.terms[place as usize] = term;
                place
            }
            None => {
                self.terms.push(term);
                (self.terms.len() - 1) as u32
            }
        };
        let (hasher, terms) = (&self.hasher, &self.terms);
        let hash = |row: &Row| hasher.hash_one(terms[(row.id - first) as usize].text.as_str());
        let own = hasher.hash_one(text);
        self.table.insert_unique(own, Row { hash: own as u32, id: first + place }, hash);
        first + place
    }

    /// Forgets a term without postings that the snapshot does not have; returns its text.
    pub(super) fn remove(&mut self, id: u32) -> SmolStr {
        let place = id - self.thawed.len() as u32;
        let Term { text, postings, .. } = std::mem::take(&mut self.terms[place as usize]);
        debug_assert!(postings.is_empty());
        if let Ok(entry) = self.table.find_entry(self.hash(&text), |row| row.id == id) {
            entry.remove();
        }
        self.free.push(place);
        text
    }

    /// Adds or replaces a posting.
    pub(super) fn put(&mut self, id: u32, posting: Posting) {
        if self.is_frozen(id) {
            let postings = self.thaw(id);
            return match postings.binary_search_by_key(&posting.slot, |held| held.slot) {
                Ok(at) => postings[at] = posting,
                Err(at) => postings.insert(at, posting),
            };
        }
        let Term { postings, last, .. } = &mut self.terms[id as usize - self.thawed.len()];
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
        if self.is_frozen(id) {
            let postings = self.thaw(id);
            if let Ok(at) = postings.binary_search_by_key(&slot, |held| held.slot) {
                postings.remove(at);
            }
            return postings.is_empty();
        }
        let Term { postings, last, .. } = &mut self.terms[id as usize - self.thawed.len()];
        if let Ok(at) = postings.binary_search_by_key(&slot, |held| held.slot) {
            postings.remove(at);
        }
        if postings.capacity() > 4 * postings.len() + 16 {
            postings.shrink_to_fit();
        }
        *last = postings.last().map_or(0, |posting| posting.slot);
        postings.is_empty()
    }

    /// Returns the postings of a term of the snapshot, to be changed.
    #[expect(clippy::expect_used, reason = "the cell is set in the line before")]
    fn thaw(&mut self, id: u32) -> &mut Vec<Posting> {
        let Self { frozen, thawed, .. } = self;
        let read = || frozen.as_ref().map_or_else(Vec::new, |frozen| frozen.postings(id));
        let cell = &mut thawed[id as usize];
        let list = cell.take().unwrap_or_else(|| Box::new(read()));
        *cell = OnceLock::from(list);
        cell.get_mut().expect("it was just set")
    }

    /// Returns roughly how many bytes of memory it takes, without the snapshot.
    pub(super) fn bytes(&self) -> usize {
        // A heap block costs about 16 bytes.
        let lists = self.terms.iter().map(|term| {
            let text = if term.text.is_heap_allocated() { term.text.len() + 32 } else { 0 };
            let apart = term.postings.spilled();
            text + if apart { term.postings.capacity() * size_of::<Posting>() + 16 } else { 0 }
        });
        let thawed = self.thawed.iter().filter_map(OnceLock::get);
        let thawed =
            thawed.map(|list| size_of::<Vec<Posting>>() + list.capacity() * size_of::<Posting>() + 32);
        lists.sum::<usize>()
            + thawed.sum::<usize>()
            + self.thawed.capacity() * size_of::<Thawed>()
            + self.terms.capacity() * size_of::<Term>()
            + self.table.capacity() * (size_of::<Row>() + 2)
            + self.free.capacity() * size_of::<u32>()
    }

    /// Returns true if no trace is left of any term.
    #[cfg(test)]
    pub(super) fn is_blank(&self) -> bool {
        let thawed = (0..self.thawed.len() as u32).all(|id| self.frequency(id) == 0);
        thawed && self.table.is_empty() && self.terms.iter().all(|term| !term.postings.spilled())
    }
}
