//! The inverted index of one kind in one namespace, changed in place.
//!
//! Every change is exact at once: posting lists, document frequencies and the average length are those of the
//! live documents, so that any history of changes gives the answers of a newly built index. A document keeps
//! its slot when it changes, and only terms that differ touch their posting lists.

mod snapshot;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::mem::size_of;
use std::sync::atomic::{self, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock};

use super::census::Census;
use super::dictionary::Dictionary;
pub(crate) use super::entry::Posting;
use memory_core::{Key, Kind, Namespace, Revision, Timestamp};

use super::entries::Entries;
use super::entry::{Entry, State, TermRef, UsedTool};
use super::frozen::Frozen;
use super::labels::Labels;
use crate::Table;
use crate::document::{Field, SearchDocument};
use crate::tokenize::{label_key, normalize_label, stem};

/// Tombstones remembered a shard; beyond it the older half is dropped.
pub(super) const MAX_TOMBSTONES: usize = 65_536;

/// The index of one kind in one namespace.
#[derive(Debug)]
pub(crate) struct Shard {
    namespace: Namespace,
    kind: Kind,
    /// The snapshot's data, if the shard comes from one.
    frozen: Option<Arc<Frozen>>,
    dictionary: Dictionary,
    /// Stem to the ids of its forms, except those of the snapshot. The index holds words unstemmed; a search
    /// looks up the forms.
    forms: Table<Box<str>, Vec<u32>>,
    /// The slots of the documents, except for those that still have their slot of the snapshot.
    slots: Table<Arc<str>, u32>,
    entries: Entries,
    free_slots: Vec<u32>,
    /// How many documents there are.
    count: usize,
    /// By slot: when the documents that expire do.
    expiring: Table<u32, Timestamp>,
    /// By slot: the length weighed by field, in units.
    pub(crate) lengths: Vec<u32>,
    /// The sum of all lengths.
    pub(crate) total_length: u64,
    pub(super) tombstones: HashMap<Arc<str>, Revision>,
    pub(crate) census: Census,
    labels: Labels,
    /// Differs for any two states of any index of this process.
    pub(super) stamp: u64,
    /// Reused by one upsert after the other.
    weighed: Vec<(u32, Posting)>,
    likely: Vec<Option<u32>>,
    /// Score accumulators that searches reuse, all zero.
    pub(crate) scratch: Mutex<Vec<Vec<f32>>>,
}

fn next_stamp() -> u64 {
    static STAMPS: AtomicU64 = AtomicU64::new(1);
    STAMPS.fetch_add(1, atomic::Ordering::Relaxed)
}

impl Shard {
    /// Units of frequency and length to one, so that field weights of tenths stay exact integers.
    pub(crate) const UNITS: f32 = 10.0;

    /// The weight of a field in units: the factor by which BM25F (Robertson, Zaragoza, Taylor: "Simple BM25
    /// extension to multiple weighted fields", CIKM 2004) multiplies frequencies before saturation. Labels are
    /// few and chosen (1.5). An episode's tools, outcome and later messages differ from the text of a query
    /// (0.1 to 0.2). For learned items, the tools are the subject, and keywords complement the task (0.5).
    fn weight(&self, field: Field) -> u32 {
        match (field, self.kind) {
            (Field::Task, _) => 10,
            (Field::Labels, _) => 15,
            (Field::Tools | Field::Keywords, Kind::Episode) => 2,
            (Field::Outcome, Kind::Episode) => 1,
            (Field::Tools, _) => 10,
            (Field::Outcome | Field::Keywords, _) => 5,
        }
    }

    pub(super) fn new(namespace: Namespace, kind: Kind) -> Self {
        Self {
            namespace,
            kind,
            frozen: None,
            dictionary: Dictionary::default(),
            forms: Table::default(),
            slots: Table::default(),
            entries: Entries::default(),
            free_slots: Vec::new(),
            count: 0,
            expiring: Table::default(),
            lengths: Vec::new(),
            total_length: 0,
            tombstones: HashMap::new(),
            census: Census::default(),
            labels: Labels::default(),
            stamp: next_stamp(),
            weighed: Vec::new(),
            likely: Vec::new(),
            scratch: Mutex::default(),
        }
    }

    /// Returns the key of a document.
    pub(crate) fn key(&self, entry: &Entry) -> Key {
        Key { namespace: self.namespace.clone(), kind: self.kind, id: entry.id.clone() }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Returns how many slots there are, free ones included.
    pub(crate) fn slots(&self) -> u32 {
        self.entries.slots()
    }

    /// Returns the document of a slot.
    pub(crate) fn entry(&self, slot: u32) -> Option<&Entry> {
        self.entries.get(slot)
    }

    /// Returns the state of the document of a slot; `None` for a free one.
    pub(crate) fn state(&self, slot: u32) -> Option<State> {
        self.entries.state(slot)
    }

    /// Returns true if the document of a slot has expired at `now`.
    pub(crate) fn is_expired(&self, slot: u32, now: Timestamp) -> bool {
        !self.expiring.is_empty() && self.expiring.get(&slot).is_some_and(|at| *at <= now)
    }

    /// Returns the documents, in order of slots.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(|(_, entry)| entry)
    }

    /// Returns the terms of the document of a slot, by ascending id.
    pub(crate) fn terms<'s>(&'s self, slot: u32, entry: &'s Entry) -> &'s [TermRef] {
        let read = || self.frozen.as_ref().map_or_else(Box::default, |frozen| frozen.terms_of(slot));
        entry.terms.get_or_init(read)
    }

    pub(crate) fn is_of_episodes(&self) -> bool {
        self.kind == Kind::Episode
    }

    /// Returns the one copy of a normalised label that the entries with it share; `None` if none has it.
    pub(crate) fn label(&self, label: &str) -> Option<&Arc<str>> {
        self.labels.find(label)
    }

    pub(crate) fn term(&self, term: &str) -> Option<u32> {
        self.dictionary.id(term)
    }

    /// Returns the ids of the forms of a word, itself included if the index has it; in no order.
    pub(crate) fn forms(&self, term: &str) -> Vec<u32> {
        let Some(stem) = stem(term) else { return Vec::new() };
        let others = self.forms.get(&*stem).into_iter().flatten().copied();
        self.dictionary.frozen_forms(&stem).chain(others).collect()
    }

    /// Returns the text of a term.
    pub(crate) fn text(&self, id: u32) -> &str {
        self.dictionary.text(id)
    }

    /// Returns how many documents have a term.
    pub(crate) fn frequency(&self, id: u32) -> usize {
        self.dictionary.frequency(id)
    }

    /// Returns the postings of a term, slots ascending.
    pub(crate) fn postings(&self, id: u32) -> &[Posting] {
        self.dictionary.postings(id)
    }

    pub(super) fn upsert(&mut self, id: &Arc<str>, document: &SearchDocument) -> bool {
        let removed = self.tombstones.get(id).is_some_and(|tombstone| *tombstone >= document.revision);
        let held = self.find(id);
        if removed || held.is_some_and(|(_, held)| held.revision >= document.revision) {
            return false;
        }
        let slot = held.map(|(slot, _)| slot);
        self.tombstones.remove(id);
        let slot = slot.unwrap_or_else(|| self.claim_slot(id));
        let old = self.take_entry(slot);
        let new = self.weigh(document);
        self.replace_postings(slot, &old, &new);
        let length = new.iter().map(|(_, posting)| u32::from(posting.frequency)).sum();
        self.set_length(slot, length);
        let of_episode = self.is_of_episodes();
        let tools = if of_episode { document.tools.as_slice() } else { &[] };
        let entry = Entry {
            id: id.clone(),
            revision: document.revision,
            expires_at: document.expires_at,
            state: document.state,
            kind: self.labels.share(&label_key(document.task_kind.as_deref())),
            domain: document.domain.as_deref().map(|domain| self.labels.share(&normalize_label(domain))),
            agent: document.agent.as_deref().map(|agent| self.labels.share(agent)),
            score: document.score,
            at: document.started_at,
            tools: tools
                .iter()
                .map(|tool| UsedTool {
                    name: self.census.name(tool),
                    failed: document.failed_tools.contains(tool),
                })
                .collect(),
            terms: OnceLock::from(
                new.iter().map(|(id, posting)| TermRef::new(*id, posting.fields)).collect::<Box<[_]>>(),
            ),
        };
        if let Some(expires_at) = entry.expires_at {
            self.expiring.insert(slot, expires_at);
        }
        self.entries.put(slot, entry);
        if of_episode {
            self.census.add(slot, |slot| self.entries.get(slot));
        }
        self.weighed = new;
        self.stamp = next_stamp();
        true
    }

    pub(super) fn remove(&mut self, id: &Arc<str>, revision: Revision) -> bool {
        if self.find(id).is_some_and(|(_, held)| held.revision > revision) {
            return false;
        }
        self.forget(id);
        let tombstone = self.tombstones.entry(id.clone()).or_insert(revision);
        *tombstone = revision.max(*tombstone);
        if self.tombstones.len() > MAX_TOMBSTONES {
            let mut revisions: Vec<Revision> = self.tombstones.values().copied().collect();
            let (_, middle, _) = revisions.select_nth_unstable(MAX_TOMBSTONES / 2);
            let middle = *middle;
            self.tombstones.retain(|_, revision| *revision >= middle);
        }
        true
    }

    pub(super) fn forget(&mut self, id: &Arc<str>) {
        if let Some((slot, _)) = self.find(id) {
            self.drop_slot(id, slot);
        }
    }

    pub(super) fn revision(&self, id: &str) -> Option<Revision> {
        self.find(id).map(|(_, entry)| entry.revision)
    }

    /// Forgets removals of revisions made before `before`.
    pub(super) fn prune_tombstones(&mut self, before: Timestamp) {
        self.tombstones.retain(|_, revision| revision.at() >= before);
        self.tombstones.shrink_to(2 * self.tombstones.len());
    }

    /// Removes an entry from its slot and from the statistics; returns its terms, whose postings still exist.
    fn take_entry(&mut self, slot: u32) -> Box<[TermRef]> {
        let Some(entry) = self.entries.get(slot) else { return Box::default() };
        let terms = self.terms(slot, entry).into();
        if self.is_of_episodes() {
            self.census.subtract(slot, |slot| self.entries.get(slot));
        }
        self.expiring.remove(&slot);
        if let Some(entry) = self.entries.take(slot) {
            self.labels.release(entry.kind);
            entry.domain.into_iter().chain(entry.agent).for_each(|label| self.labels.release(label));
        }
        terms
    }

    fn drop_slot(&mut self, id: &Arc<str>, slot: u32) {
        let old = self.take_entry(slot);
        self.replace_postings(slot, &old, &[]);
        self.set_length(slot, 0);
        self.slots.remove(id);
        self.free_slots.push(slot);
        self.count -= 1;
        self.stamp = next_stamp();
    }

    /// Removes the documents that have expired at `now`; returns the ids.
    pub(super) fn purge_expired(&mut self, now: Timestamp) -> Vec<Arc<str>> {
        let expired = self.expiring.iter().filter(|(_, at)| **at <= now);
        let expired: Vec<(Arc<str>, u32)> =
            expired.filter_map(|(slot, _)| Some((self.entries.get(*slot)?.id.clone(), *slot))).collect();
        for (id, slot) in &expired {
            self.drop_slot(id, *slot);
        }
        expired.into_iter().map(|(id, _)| id).collect()
    }

    /// Returns a document with its slot.
    pub(crate) fn find(&self, id: &str) -> Option<(u32, &Entry)> {
        let slot = match self.slots.get(id) {
            Some(slot) => *slot,
            // It may have left its slot of the snapshot since.
            None => self.frozen.as_ref()?.slot(id)?,
        };
        self.entries.get(slot).filter(|entry| *entry.id == *id).map(|entry| (slot, entry))
    }

    fn claim_slot(&mut self, id: &Arc<str>) -> u32 {
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.lengths.push(0);
            self.entries.add()
        });
        self.slots.insert(id.clone(), slot);
        self.count += 1;
        slot
    }

    fn set_length(&mut self, slot: u32, length: u32) {
        let held = &mut self.lengths[slot as usize];
        self.total_length = self.total_length - u64::from(*held) + u64::from(length);
        *held = length;
    }

    /// Adds up the weighed frequencies of a document's terms over its fields; ids ascending.
    fn weigh(&mut self, document: &SearchDocument) -> Vec<(u32, Posting)> {
        let mut weighed = std::mem::take(&mut self.weighed);
        let mut likely = std::mem::take(&mut self.likely);
        weighed.clear();
        likely.clear();
        let texts = document.terms.iter().flat_map(|(_, terms)| terms.iter().map(|(term, _)| term));
        likely.extend(texts.map(|term| self.dictionary.likely(self.dictionary.hash(term))));
        let mut likely_ids = likely.iter();
        for (field, terms) in &document.terms {
            for ((term, count), likely) in terms.iter().zip(&mut likely_ids) {
                let id = likely.filter(|id| self.dictionary.is(*id, term));
                let frequency = saturate(u32::from(count) * self.weight(*field));
                let posting = Posting { slot: 0, frequency, fields: 1 << *field as u8 };
                weighed.push((id.unwrap_or_else(|| self.intern(term)), posting));
            }
        }
        self.likely = likely;
        weighed.sort_unstable_by_key(|(id, _)| *id);
        weighed.dedup_by(|(id, posting), (kept_id, kept)| {
            let same = id == kept_id;
            if same {
                kept.frequency = saturate(u32::from(kept.frequency) + u32::from(posting.frequency));
                kept.fields |= posting.fields;
            }
            same
        });
        weighed
    }

    fn intern(&mut self, term: &str) -> u32 {
        if let Some(id) = self.dictionary.id(term) {
            return id;
        }
        let id = self.dictionary.add(term);
        if !self.dictionary.is_frozen(id)
            && let Some(stem) = stem(term)
        {
            self.forms.entry(stem.into()).or_default().push(id);
        }
        id
    }

    /// Forgets a term that no document has any more; one of the snapshot stays there.
    fn free_term(&mut self, id: u32) {
        if self.dictionary.is_frozen(id) {
            return;
        }
        let term = self.dictionary.remove(id);
        if let Some(stem) = stem(&term)
            && let Some(forms) = self.forms.get_mut(&*stem)
        {
            forms.retain(|form| *form != id);
            if forms.is_empty() {
                self.forms.remove(&*stem);
            }
        }
    }

    /// Moves the postings of a slot from its old terms to its new ones; both ascending.
    fn replace_postings(&mut self, slot: u32, old: &[TermRef], new: &[(u32, Posting)]) {
        let (mut old, mut new) = (old.iter().map(|term| term.id()).peekable(), new.iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some((new, _))) => old.cmp(new),
            };
            if order.is_le() {
                let id = old.next();
                if let (Ordering::Less, Some(id)) = (order, id) {
                    self.take_posting(id, slot);
                }
            }
            if order.is_ge()
                && let Some((id, posting)) = new.next()
            {
                self.dictionary.put(*id, Posting { slot, ..*posting });
            }
        }
    }

    fn take_posting(&mut self, id: u32, slot: u32) {
        if self.dictionary.take(id, slot) {
            self.free_term(id);
        }
    }

    /// Returns true if no trace is left of any document.
    #[cfg(test)]
    pub(super) fn is_blank(&self) -> bool {
        let counted = self.total_length == 0 && self.census.is_blank() && self.labels.is_blank();
        self.dictionary.is_blank() && self.forms.is_empty() && counted
    }

    pub(super) fn bytes(&self) -> usize {
        // A hash table keeps about 8/7 of its entries plus a byte each; a heap block costs about 16 bytes.
        let entry = |entry: &Entry| {
            let terms = entry.terms.get().map_or(0, |terms| terms.len() * size_of::<TermRef>());
            terms + entry.tools.len() * size_of::<UsedTool>() + entry.id.len() + 64
        };
        let entries: usize = self.entries.decoded().map(entry).sum();
        entries
            + self.dictionary.bytes()
            + self.entries.bytes()
            + self.frozen.as_ref().map_or(0, |frozen| frozen.size())
            + self.expiring.capacity() * (size_of::<(u32, Timestamp)>() + 1)
            + self.forms.capacity() * (size_of::<(Box<str>, Vec<u32>)>() + 2 + 48)
            + self.slots.capacity() * (size_of::<(Arc<str>, u32)>() + 2)
            + self.tombstones.capacity() * (size_of::<(Arc<str>, Revision)>() + 2)
            + self.lengths.capacity() * size_of::<u32>()
            + self.census.bytes()
            + self.labels.bytes()
    }
}

fn saturate(frequency: u32) -> u16 {
    u16::try_from(frequency).unwrap_or(u16::MAX)
}
