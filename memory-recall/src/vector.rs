//! The vectors of one kind in one namespace, searched by cosine similarity.

mod rows;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use memory_core::{Error, Key, Result};

use crate::embedder::normalize;
use crate::vector::rows::{Query, Rows};

/// The most dimensions a vector may have.
const MAX_DIMENSIONS: usize = 8_192;
/// Rows that are estimated at once, so that the estimates stay in the first-level cache.
const BLOCK: usize = 512;

/// Finds the vectors most like another, exactly: an index of one shard (one kind in one namespace).
///
/// Vectors are kept as directions in 16 bits a component (an inner product is off by about 10⁻⁶), 2 bytes each
/// plus the key. A search scans 8-bit approximations with known error bounds and computes the rest for the few
/// rows that may be among the best, so its answer is that of a full scan. Answers do not depend on the history
/// of changes.
#[derive(Debug)]
pub struct VectorIndex {
    rows: Rows,
    keys: Vec<Key>,
    by_key: HashMap<Key, u32>,
}

impl VectorIndex {
    /// Creates an empty index for vectors of this many dimensions.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](memory_core::ErrorKind::InvalidInput) when there are none, or more than 8,192.
    pub fn new(dimensions: usize) -> Result<Self> {
        if dimensions == 0 || dimensions > MAX_DIMENSIONS {
            return Err(Error::invalid(
                "index vectors",
                "dimensions",
                format!("{dimensions} is not within 1 to {MAX_DIMENSIONS}"),
            ));
        }
        Ok(Self { rows: Rows::new(dimensions), keys: Vec::new(), by_key: HashMap::new() })
    }

    /// Returns the dimensions of every vector.
    pub fn dimensions(&self) -> usize {
        self.rows.dimensions()
    }

    /// Returns how many vectors there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns true when there is no vector.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns the keys, in no order.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Returns true when the key has a vector.
    pub fn contains(&self, key: &Key) -> bool {
        self.by_key.contains_key(key)
    }

    /// Returns the bytes held, without the text of the keys, which they share with other holders.
    pub fn bytes(&self) -> usize {
        self.rows.bytes()
            + self.keys.capacity() * size_of::<Key>()
            + self.by_key.capacity() * (size_of::<(Key, u32)>() + 1)
    }

    /// Adds a key's vector or replaces it; returns whether the key has one now. The length of the vector does not
    /// matter, its direction does; a vector of zeros has none and is not kept.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](memory_core::ErrorKind::InvalidInput), with the index as it was, when the vector has other
    /// dimensions, or a component that is not finite.
    pub fn upsert(&mut self, key: &Key, vector: &[f32]) -> Result<bool> {
        let Some(vector) = self.direction("index a vector", vector)? else {
            self.remove(key);
            return Ok(false);
        };
        if let Some(row) = self.by_key.get(key) {
            self.rows.set(*row as usize, &vector);
            return Ok(true);
        }
        let row = u32::try_from(self.keys.len())
            .map_err(|_| Error::invalid("index a vector", "key", "the index is full"))?;
        self.rows.push(&vector);
        self.keys.push(key.clone());
        self.by_key.insert(key.clone(), row);
        Ok(true)
    }

    /// Removes a key's vector; returns whether there was one.
    pub fn remove(&mut self, key: &Key) -> bool {
        let Some(row) = self.by_key.remove(key) else {
            return false;
        };
        self.rows.swap_remove(row as usize);
        self.keys.swap_remove(row as usize);
        if let Some(moved) = self.keys.get(row as usize) {
            self.by_key.insert(moved.clone(), row);
        }
        true
    }

    /// Computes the cosine similarity of a query to one key's vector, −1 to 1; `None` without such a vector, or
    /// for a query of zeros.
    ///
    /// # Errors
    ///
    /// As [`VectorIndex::search`].
    pub fn similarity(&self, query: &[f32], key: &Key) -> Result<Option<f32>> {
        let Some(query) = self.direction("compare vectors", query)? else {
            return Ok(None);
        };
        let query = self.rows.query(&query);
        Ok(self.by_key.get(key).map(|row| self.rows.exact(&query, *row as usize)))
    }

    /// Finds the `limit` keys that pass the filter and whose vectors have the highest cosine similarity to the
    /// query.
    ///
    /// Returns them with the similarity (−1 to 1), highest first, equal ones by key; none for a query of zeros.
    /// The filter is only called for keys that may be among the answers.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](memory_core::ErrorKind::InvalidInput) when the query has other dimensions, or a
    /// component that is not finite.
    pub fn search(
        &self,
        query: &[f32],
        limit: usize,
        filter: impl Fn(&Key) -> bool,
    ) -> Result<Vec<(Key, f32)>> {
        let direction = match self.direction("search vectors", query)? {
            Some(direction) if limit > 0 => direction,
            _ => return Ok(Vec::new()),
        };
        let query = self.rows.query(&direction);
        let candidates = self.candidates(&query, limit, filter);
        Ok(self.best(&query, limit, candidates.into_iter()))
    }

    /// Returns the best `limit` of these rows, which come with the most their similarity may be, highest first.
    fn best(
        &self,
        query: &Query,
        limit: usize,
        candidates: impl ExactSizeIterator<Item = (f32, u32)>,
    ) -> Vec<(Key, f32)> {
        let mut best: BinaryHeap<Found<'_>> = BinaryHeap::with_capacity(limit.min(candidates.len()) + 1);
        for (bound, row) in candidates {
            // From here on nothing can be better, or equal with a lower key.
            if best.len() == limit && best.peek().is_some_and(|worst| bound < worst.similarity) {
                break;
            }
            let row = row as usize;
            best.push(Found { similarity: self.rows.exact(query, row), key: &self.keys[row] });
            if best.len() > limit {
                best.pop();
            }
        }
        best.into_sorted_vec().into_iter().map(|found| (found.key.clone(), found.similarity)).collect()
    }

    /// Returns the rows that may be among the best `limit`, with the most their similarity may be, highest first.
    fn candidates(&self, query: &Query, limit: usize, filter: impl Fn(&Key) -> bool) -> Vec<(f32, u32)> {
        let mut candidates = Vec::new();
        // The highest lower bounds seen, the least of them on top: a row must be able to reach it.
        let mut floors: BinaryHeap<std::cmp::Reverse<Total>> = BinaryHeap::new();
        let mut floor = f32::NEG_INFINITY;
        let mut estimates = [0; BLOCK];
        for first in (0..self.rows.len()).step_by(BLOCK) {
            let estimates = &mut estimates[..BLOCK.min(self.rows.len() - first)];
            self.rows.estimate(query, first, estimates);
            for (row, estimate) in (first..).zip(estimates) {
                let (middle, slack) = self.rows.bounds(query, row, *estimate);
                if middle + slack < floor || !filter(&self.keys[row]) {
                    continue;
                }
                candidates.push((middle + slack, row as u32));
                floors.push(std::cmp::Reverse(Total(middle - slack)));
                if floors.len() > limit {
                    floors.pop();
                }
                if floors.len() == limit {
                    floor = floors.peek().map_or(floor, |least| least.0.0);
                }
            }
        }
        candidates.retain(|(bound, _)| *bound >= floor);
        candidates.sort_unstable_by(|one, other| other.0.total_cmp(&one.0));
        candidates
    }

    /// Checks a vector and scales it to unit length; `None` when it is zero.
    fn direction(&self, operation: &'static str, vector: &[f32]) -> Result<Option<Vec<f32>>> {
        if vector.len() != self.dimensions() {
            let problem = format!("it has {} dimensions, the index {}", vector.len(), self.dimensions());
            return Err(Error::invalid(operation, "vector", problem));
        }
        if vector.iter().any(|component| !component.is_finite()) {
            return Err(Error::invalid(operation, "vector", "a component is not finite"));
        }
        let mut vector = vector.to_vec();
        Ok(normalize(&mut vector).then_some(vector))
    }
}

/// A float in its total order.
#[derive(PartialEq)]
struct Total(f32);

impl Eq for Total {}

impl PartialOrd for Total {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Total {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// A row found; the greatest is the worst: the lowest similarity, then the highest key.
struct Found<'a> {
    similarity: f32,
    key: &'a Key,
}

impl Ord for Found<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.similarity.total_cmp(&self.similarity).then_with(|| self.key.cmp(other.key))
    }
}

impl PartialOrd for Found<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Found<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Found<'_> {}
