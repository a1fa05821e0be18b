//! The weights of the features: a table that changes, or the bytes that one was stored in, which only answer.
//!
//! A query for one task needs about a hundred of a hundred thousand rows: bisection finds them in the bytes,
//! and the others are not read.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// A tool's place in the model.
pub(super) type Tool = u16;

/// The statistics of a feature.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Row {
    /// Episodes that have it.
    pub(super) episodes: u32,
    /// By tool, sorted.
    pub(super) weights: Vec<(Tool, f32)>,
}

/// A table that changes.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    /// By feature: the place of its row.
    places: HashMap<u32, u32, FixedState>,
    rows: Vec<Row>,
    /// Rows that no feature has.
    free: Vec<u32>,
}

impl Table {
    /// Returns a feature's row, made if there is none.
    pub(super) fn entry(&mut self, bucket: u32) -> &mut Row {
        let Self { places, rows, free } = self;
        let place = *places.entry(bucket).or_insert_with(|| {
            free.pop().unwrap_or_else(|| {
                rows.push(Row::default());
                rows.len() as u32 - 1
            })
        });
        &mut rows[place as usize]
    }

    /// Removes an episode from a feature's count; a feature without episodes is dropped.
    pub(super) fn uncount(&mut self, bucket: u32) {
        let Some(place) = self.places.get(&bucket).copied() else { return };
        let row = &mut self.rows[place as usize];
        row.episodes = row.episodes.saturating_sub(1);
        if row.episodes == 0 {
            *row = Row::default();
            self.free.push(place);
            self.places.remove(&bucket);
        }
    }

    /// Returns the weights of a row.
    pub(super) fn weights(&mut self, place: u32) -> &mut Vec<(Tool, f32)> {
        &mut self.rows[place as usize].weights
    }
}

/// The weights of the features.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    table: Table,
    /// In place of the table, until something changes.
    stored: Option<Stored>,
}

impl From<Stored> for Rows {
    fn from(stored: Stored) -> Self {
        Self { table: Table::default(), stored: Some(stored) }
    }
}

impl PartialEq for Rows {
    /// Whatever they are held in.
    fn eq(&self, other: &Self) -> bool {
        self.sorted() == other.sorted()
    }
}

impl Rows {
    /// Returns the place of a feature's row, if it has one.
    pub(super) fn place(&self, bucket: u32) -> Option<u32> {
        match &self.stored {
            None => self.table.places.get(&bucket).copied(),
            Some(stored) => stored.place(bucket),
        }
    }

    /// Returns how many episodes have the feature of a row.
    pub(super) fn episodes(&self, place: u32) -> u32 {
        match &self.stored {
            None => self.table.rows[place as usize].episodes,
            Some(stored) => stored.number(EPISODES, place as usize),
        }
    }

    /// Calls back with each weight of a row, by tool, sorted.
    pub(super) fn each_weight(&self, place: u32, mut f: impl FnMut(Tool, f32)) {
        match &self.stored {
            None => {
                self.table.rows[place as usize].weights.iter().for_each(|(tool, weight)| f(*tool, *weight))
            }
            Some(stored) => stored.weights(place).for_each(|(tool, weight)| f(tool, weight)),
        }
    }

    /// Returns the table, made of the bytes if need be.
    pub(super) fn table(&mut self) -> &mut Table {
        if self.stored.is_some() {
            let rows = self.sorted();
            self.stored = None;
            rows.into_iter().for_each(|(bucket, row)| *self.table.entry(bucket) = row);
        }
        &mut self.table
    }

    /// Returns the features with the places of their rows, sorted.
    fn places(&self) -> Vec<(u32, u32)> {
        if let Some(stored) = &self.stored {
            return (0..stored.count as u32)
                .map(|place| (stored.number(BUCKETS, place as usize), place))
                .collect();
        }
        let mut places: Vec<(u32, u32)> =
            self.table.places.iter().map(|(bucket, place)| (*bucket, *place)).collect();
        places.sort_unstable();
        places
    }

    /// Returns all rows, sorted by feature, without weights of 0.
    pub(super) fn sorted(&self) -> Vec<(u32, Row)> {
        let row = |(bucket, place): (u32, u32)| {
            let mut weights = Vec::new();
            self.each_weight(place, |tool, weight| weights.push((tool, weight)));
            weights.retain(|(_, weight)| *weight != 0.0);
            (bucket, Row { episodes: self.episodes(place), weights })
        };
        self.places().into_iter().map(row).collect()
    }

    /// Appends the rows to bytes, as [`Stored::new`] reads them.
    pub(super) fn append_to(&self, bytes: &mut Vec<u8>) {
        let places = self.places();
        let (mut ends, mut numbers, mut tools) = (Vec::with_capacity(places.len()), Vec::new(), Vec::new());
        for (_, place) in &places {
            self.each_weight(*place, |tool, weight| {
                if weight != 0.0 {
                    numbers.push(weight.to_bits());
                    tools.extend_from_slice(&tool.to_le_bytes());
                }
            });
            ends.push(numbers.len() as u32);
        }
        let mut number = |number: u32| bytes.extend_from_slice(&number.to_le_bytes());
        number(places.len() as u32);
        number(numbers.len() as u32);
        places.iter().for_each(|(bucket, _)| number(*bucket));
        places.iter().for_each(|(_, place)| number(self.episodes(*place)));
        ends.into_iter().chain(numbers).for_each(number);
        bytes.extend_from_slice(&tools);
    }
}

/// The columns of numbers of stored rows.
const BUCKETS: usize = 0;
const EPISODES: usize = 1;
const ENDS: usize = 2;

/// Rows as they are stored: how many rows and weights; the columns of the rows' features, sorted, their
/// episodes, and where their weights end; then the columns of the weights and their tools.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    bytes: Vec<u8>,
    /// Where the columns begin.
    start: usize,
    count: usize,
    weights: usize,
    tools: usize,
}

impl Stored {
    /// Makes it of bytes in which the rows start at a place, with the tools that there are; returns where they
    /// end as well. `None` if the bytes are too few.
    pub(super) fn new(bytes: Vec<u8>, at: usize, tools: usize) -> Option<Self> {
        let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
        let (count, weights) = (number(at)?, number(at + 4)?);
        let stored = Self { bytes, start: at + 8, count, weights, tools };
        (stored.end()? <= stored.bytes.len()).then_some(stored)
    }

    /// Returns where the rows end.
    pub(super) fn end(&self) -> Option<usize> {
        let rows = self.count.checked_mul(12)?;
        self.weights.checked_mul(6)?.checked_add(rows)?.checked_add(self.start)
    }

    fn number(&self, column: usize, place: usize) -> u32 {
        self.number_at(self.start + 4 * (column * self.count + place))
    }

    fn number_at(&self, at: usize) -> u32 {
        let bytes = self.bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    }

    fn place(&self, bucket: u32) -> Option<u32> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            match self.number(BUCKETS, middle).cmp(&bucket) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle as u32),
            }
        }
        None
    }

    /// Returns the weights of a row; none of a tool that there is not, nor one that is no number.
    fn weights(&self, place: u32) -> impl Iterator<Item = (Tool, f32)> {
        let place = place as usize;
        let first = place.checked_sub(1).map_or(0, |before| self.number(ENDS, before) as usize);
        let end = (self.number(ENDS, place) as usize).min(self.weights);
        let numbers = self.start + 12 * self.count;
        (first..end).filter_map(move |at| {
            let weight = f32::from_bits(self.number_at(numbers + 4 * at));
            let tool = numbers + 4 * self.weights + 2 * at;
            let tool = Tool::from_le_bytes(self.bytes.get(tool..tool + 2)?.try_into().ok()?);
            (usize::from(tool) < self.tools && weight.is_finite()).then_some((tool, weight))
        })
    }
}
