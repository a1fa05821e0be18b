//! The recall index of a memory: its engine changes it, and searches read it.

use std::any::Any;
use std::sync::{PoisonError, RwLock};

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use memory_core::{
    IndexDocument, IndexWriter, Key, Kind, Namespace, Record, Revision, SearchIndex, StoredDocument,
    Timestamp,
};

use crate::document::SearchDocument;
use crate::lexical::LexicalIndex;

/// The most bytes that a stored document may claim, in all its fields together.
const DOCUMENT_LIMIT: usize = 16 << 20;

const ENCODING: Configuration<LittleEndian, Varint, Limit<DOCUMENT_LIMIT>> =
    bincode::config::standard().with_limit::<DOCUMENT_LIMIT>();

/// A [`LexicalIndex`] that threads share.
#[derive(Debug, Default)]
pub struct SharedIndex(RwLock<LexicalIndex>);

impl SharedIndex {
    /// Reads the index; no change is made meanwhile.
    pub fn with<T>(&self, ask: impl FnOnce(&LexicalIndex) -> T) -> T {
        ask(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SearchIndex for SharedIndex {
    fn analysis(&self) -> u16 {
        SearchDocument::ANALYSIS
    }

    fn document(&self, record: &Record) -> Option<Box<dyn IndexDocument>> {
        Some(Box::new(SearchDocument::of_record(record)?))
    }

    fn decode(&self, stored: &StoredDocument) -> Option<Box<dyn IndexDocument>> {
        let (document, used) = bincode::serde::decode_from_slice(&stored.bytes, ENCODING).ok()?;
        let document = SearchDocument { revision: stored.revision, ..document };
        (used == stored.bytes.len()).then(|| Box::new(document) as Box<dyn IndexDocument>)
    }

    fn change(&self, change: &mut dyn FnMut(&mut dyn IndexWriter)) {
        change(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn snapshot(&self, namespace: &Namespace) -> Option<Vec<u8>> {
        self.with(|index| index.snapshot(namespace))
    }

    fn restore(&self, namespace: &Namespace, snapshot: Vec<u8>) -> bool {
        let Some(restored) = LexicalIndex::of_snapshot(namespace, snapshot) else { return false };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = restored;
        true
    }

    fn count(&self, namespace: &Namespace, kind: Kind) -> usize {
        self.with(|index| index.len(namespace, kind))
    }

    fn bytes(&self) -> usize {
        self.with(LexicalIndex::bytes)
    }
}

impl IndexWriter for LexicalIndex {
    fn upsert(&mut self, key: &Key, document: &dyn IndexDocument) -> bool {
        let document: &dyn Any = document;
        document.downcast_ref().is_some_and(|document| self.upsert(key, document))
    }

    fn remove(&mut self, key: &Key, revision: Revision) -> bool {
        self.remove(key, revision)
    }

    fn revision(&self, key: &Key) -> Option<Revision> {
        self.revision(key)
    }

    fn forget(&mut self, key: &Key) {
        self.forget(key);
    }

    fn clear(&mut self) {
        *self = Self::new();
    }

    fn purge_expired(&mut self, now: Timestamp) {
        self.purge_expired(now);
    }

    fn prune_tombstones(&mut self, before: Timestamp) {
        self.prune_tombstones(before);
    }
}

impl IndexDocument for SearchDocument {
    fn revision(&self) -> Revision {
        self.revision
    }

    fn encode(&self) -> Option<Vec<u8>> {
        let bytes = bincode::serde::encode_to_vec(self, ENCODING).ok()?;
        (bytes.len() <= DOCUMENT_LIMIT).then_some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use memory_core::{Task, WriterId};
    use proptest::prelude::*;

    use super::*;
    use crate::document::{DocumentState, Field};

    fn revision() -> Revision {
        Revision { clock: 9, writer: WriterId::new(3) }
    }

    fn document() -> SearchDocument {
        let task = Task::new("fix the timeout").domain("web").tag("ci");
        let mut episode =
            memory_core::Episode::open(memory_core::EpisodeId(uuid::Uuid::nil()), task, Timestamp(5));
        episode.steps = 3;
        episode.fingerprint = "00ff".into();
        SearchDocument::of_episode(&episode, revision(), Some(Timestamp(7)))
    }

    fn decoded(bytes: &[u8]) -> Option<SearchDocument> {
        let stored = StoredDocument { revision: revision(), bytes: bytes.to_vec() };
        let document: Box<dyn Any> = SharedIndex::default().decode(&stored)?;
        document.downcast().ok().map(|document| *document)
    }

    /// Other bytes here require another number in `SearchDocument::ANALYSIS`: stored documents are then
    /// rebuilt.
    #[test]
    fn golden_bytes_of_a_document() {
        let bytes = document().encode().unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            (SearchDocument::ANALYSIS, hex.as_str()),
            (
                11,
                "010702000a66697874696d656f7574080300010007000100010563697765620802000100030001000000010377656200010263690500000000000003000430306666"
            )
        );
        assert_eq!(decoded(&bytes), Some(document()));
    }

    /// Lengths that no document may claim: near 2^64, and one above the limit; in the place of each byte.
    #[test]
    fn forged_lengths_are_survived_wherever_they_stand() {
        let valid = document().encode().unwrap();
        let huge = [&[253_u8][..], &[0xff; 8]].concat();
        let above = [&[252_u8][..], &(DOCUMENT_LIMIT as u32 + 1).to_le_bytes()].concat();
        let mut accepted = 0;
        for forged in [&huge, &above] {
            for at in 0..valid.len() {
                // In the place of one of the last numbers it is that number.
                accepted += usize::from(decoded(&[&valid[..at], forged].concat()).is_some());
            }
        }
        assert!(accepted * 10 < valid.len() * 2, "{accepted} of {} are content", valid.len() * 2);
    }

    proptest! {
        #[test]
        fn documents_round_trip(
            terms in proptest::collection::vec((".*", any::<u16>()), 0..20),
            state in proptest::sample::select(DocumentState::ALL.to_vec()),
            domain in proptest::option::of(".*"),
            agent in proptest::option::of(".*"),
            tags in proptest::collection::vec(".*", 0..5),
            expiry: Option<u64>,
        ) {
            let counts = terms.iter().map(|(term, count)| (term.as_str(), *count)).collect();
            let document = SearchDocument {
                terms: vec![(Field::Labels, counts)],
                state, domain, agent, tags, expires_at: expiry.map(Timestamp), ..document()
            };
            prop_assert_eq!(decoded(&document.encode().unwrap()), Some(document));
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _ = decoded(&bytes);
        }
    }
}
