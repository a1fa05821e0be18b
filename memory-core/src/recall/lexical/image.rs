//! The image of a namespace: its index in a dense form, from which it is loaded without its documents.
//!
//! ```text
//! FORMAT, ANALYSIS, number of shards
//! shard:     kind, the fields' weights, number of documents, documents, terms, postings
//! documents: length in bytes, labels, names of tools; of each in order of slot what its entry has
//! terms:     length in bytes, number of terms, their texts
//! postings:  length in bytes, how many each term has, shapes (frequency and fields);
//!            of each document how many, and of these how many terms are passed over, and the shape
//! ```
//!
//! Slots and ids of terms are counted anew, without the free ones; tombstones are left out. The bytes are those of one
//! state of an index, whoever encodes it. They come back from a file: what is read is checked, and nothing is allocated
//! that the length of the bytes does not justify.

mod bytes;

pub(super) use bytes::{Numbered, Reader, Writer};

use super::LexicalIndex;
use super::shard::Shard;
use crate::model::kind::Kind;
use crate::recall::document::SearchDocument;
use crate::store::record::Namespace;

/// Counts the forms that images have had, and the rules by which an entry of the index is made from a document: states,
/// normalised labels, what is counted of a task. An image of another number is none.
const FORMAT: u64 = 2;

impl LexicalIndex {
    /// Encodes what the index has of a namespace.
    pub(crate) fn image(&self, namespace: &Namespace) -> Vec<u8> {
        let held = |kind| self.held(namespace, kind).filter(|shard| shard.len() > 0);
        let shards: Vec<(Kind, &Shard)> =
            Kind::ALL.into_iter().filter_map(|kind| Some((kind, held(kind)?))).collect();
        let mut image = Writer::default();
        image.number(FORMAT);
        image.number(SearchDocument::ANALYSIS.into());
        image.number(shards.len() as u64);
        for (kind, shard) in shards {
            image.text(kind.name());
            let tasks = self.tasks.get(namespace).filter(|_| kind == Kind::Episode);
            shard.write_image(tasks, &mut image);
        }
        image.into_bytes()
    }

    /// Decodes an index of one namespace; `None` for anything but the bytes that [`LexicalIndex::image`] of this program
    /// made.
    ///
    /// It answers as one does that the same documents were put into.
    pub(crate) fn of_image(namespace: &Namespace, bytes: &[u8]) -> Option<Self> {
        let mut image = Reader::new(bytes);
        let known = image.number()? == FORMAT && image.number()? == u64::from(SearchDocument::ANALYSIS);
        let shards = known.then(|| image.number())??;
        let mut index = Self::new();
        for _ in 0..shards {
            let kind: Kind = image.text()?.parse().ok()?;
            let (shard, tasks) = Shard::read_image(namespace, kind, &mut image)?;
            if kind == Kind::Episode {
                index.tasks.insert(namespace.clone(), tasks);
            }
            if index.shards.insert((namespace.clone(), kind), shard).is_some() {
                return None;
            }
        }
        image.is_empty().then_some(index)
    }
}

#[cfg(test)]
mod tests;
