//! A graph over the vectors, for indexes so large that a full scan takes too long.
//!
//! Malkov & Yashunin, "Efficient and robust approximate nearest neighbor search using hierarchical navigable small
//! world graphs" (HNSW, 2018), by the crate `hnsw_rs`. The graph has copies of the high bytes alone: it proposes rows,
//! and their order comes from all bits, as everywhere. It only grows, so a row that changes or goes leaves a dead node,
//! and too many of these have it built anew.

use std::collections::BTreeSet;
use std::fmt;

use hnsw_rs::anndists::dist::distances::Distance;
use hnsw_rs::hnsw::Hnsw;
use pulp::{Arch, Simd, WithSimd};

use crate::recall::vector::rows::Rows;

/// Neighbours of a node, twice as many on the lowest layer; the paper's advice for many dimensions is 12 to 48.
const NEIGHBOURS: usize = 16;
/// Candidates kept while a node finds its neighbours: more make a better graph, more slowly.
const BUILD_BREADTH: usize = 100;
/// Candidates kept by a search, at least; all of them are then compared by all their bits.
const SEARCH_BREADTH: usize = 96;
const LAYERS: usize = 16;
/// Above so many rows outside the graph a full scan costs less than looking at each of them.
const MAX_UNLINKED: usize = 8_192;
/// No node or no row.
const NONE: u32 = u32::MAX;

/// Which rows are in the graph, and the graph.
pub(super) struct Graph {
    /// From how many rows on there is a graph.
    pub(super) from: usize,
    hnsw: Option<Hnsw<'static, i8, Distant>>,
    /// By node: its row, or `NONE` when it is dead.
    rows: Vec<u32>,
    /// By row: its node, or `NONE` while it is in `unlinked`.
    nodes: Vec<u32>,
    unlinked: BTreeSet<u32>,
}

impl Graph {
    pub(super) fn new(from: usize) -> Self {
        Self { from, hnsw: None, rows: Vec::new(), nodes: Vec::new(), unlinked: BTreeSet::new() }
    }

    /// Takes note of a new row, which is the last.
    pub(super) fn added(&mut self) {
        self.unlinked.insert(self.nodes.len() as u32);
        self.nodes.push(NONE);
    }

    /// Takes note that a row has another vector.
    pub(super) fn changed(&mut self, row: u32) {
        let node = std::mem::replace(&mut self.nodes[row as usize], NONE);
        if let Some(linked) = self.rows.get_mut(node as usize) {
            *linked = NONE;
        }
        self.unlinked.insert(row);
    }

    /// Takes note that a row is gone and that the last one has its number.
    pub(super) fn removed(&mut self, row: u32) {
        self.changed(row);
        self.unlinked.remove(&row);
        let last = (self.nodes.len() - 1) as u32;
        self.nodes.swap_remove(row as usize);
        if last != row {
            if let Some(linked) = self.rows.get_mut(self.nodes[row as usize] as usize) {
                *linked = row;
            }
            if self.unlinked.remove(&last) {
                self.unlinked.insert(row);
            }
        }
    }

    /// Brings up to `limit` rows into the graph; returns how many are still outside.
    pub(super) fn link(&mut self, rows: &Rows, limit: usize) -> usize {
        if rows.len() < self.from {
            return 0;
        }
        let live = self.nodes.len() - self.unlinked.len();
        let dead = self.rows.len() - live;
        if dead > self.nodes.len() / 2 {
            *self = Self {
                nodes: vec![NONE; rows.len()],
                unlinked: (0..rows.len() as u32).collect(),
                ..Self::new(self.from)
            };
        }
        let hnsw = self.hnsw.get_or_insert_with(|| {
            Hnsw::new(NEIGHBOURS, rows.len().max(self.from), LAYERS, BUILD_BREADTH, Distant)
        });
        for _ in 0..limit {
            let Some(row) = self.unlinked.pop_first() else {
                break;
            };
            let node = self.rows.len();
            hnsw.insert((&rows.point(row as usize), node));
            self.rows.push(row);
            self.nodes[row as usize] = node as u32;
        }
        self.unlinked.len()
    }

    /// Returns rows among which the best `limit` most probably are, or `None` when only a full scan can tell.
    pub(super) fn search(
        &self,
        rows: &Rows,
        query: &[f32],
        limit: usize,
        passes: impl Fn(u32) -> bool,
    ) -> Option<Vec<u32>> {
        let hnsw = self.hnsw.as_ref()?;
        if self.unlinked.len() > MAX_UNLINKED || rows.len() < self.from {
            return None;
        }
        let row = |node: usize| self.rows.get(node).copied().filter(|row| *row != NONE);
        let filter = |node: &usize| row(*node).is_some_and(&passes);
        let breadth = SEARCH_BREADTH.max(limit.saturating_mul(2));
        let near = hnsw.search_filter(&Rows::of(query).point(0), breadth, breadth, Some(&filter));
        // A filter that passes little can leave the graph with less than there is.
        if near.len() < limit {
            return None;
        }
        let linked = near.into_iter().filter_map(|near| row(near.d_id)).filter(|row| passes(*row));
        Some(linked.chain(self.unlinked.iter().copied().filter(|row| passes(*row))).collect())
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph")
            .field("nodes", &self.rows.len())
            .field("unlinked", &self.unlinked.len())
            .finish_non_exhaustive()
    }
}

/// One less the inner product of two points, each the high bytes of a row and the four bytes of their unit.
struct Distant;

impl Distance<i8> for Distant {
    fn eval(&self, one: &[i8], other: &[i8]) -> f32 {
        let ((one, one_unit), (other, other_unit)) = (split(one), split(other));
        let product = Arch::new().dispatch(Product { one, other });
        // Rounding may take equal vectors past 1, and the graph has no use for less than no distance.
        (1.0 - product as f32 * (one_unit * other_unit)).max(0.0)
    }
}

/// Splits a point into its bytes and the value of one unit.
fn split(point: &[i8]) -> (&[i8], f32) {
    match point.split_last_chunk::<4>() {
        Some((bytes, unit)) => (bytes, f32::from_le_bytes(unit.map(|byte| byte as u8))),
        None => (&[], 0.0),
    }
}

struct Product<'a> {
    one: &'a [i8],
    other: &'a [i8],
}

impl WithSimd for Product<'_> {
    type Output = i32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> i32 {
        let products = self.one.iter().zip(self.other).map(
            #[inline(always)]
            |(one, other)| i32::from(*one) * i32::from(*other),
        );
        products.sum()
    }
}
