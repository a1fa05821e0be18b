//! Contests: the same work by the memory and by a raw comparator.

pub(crate) mod drain;
pub(crate) mod filled;
pub(crate) mod process;
pub(crate) mod reads;
pub(crate) mod recall;
pub(crate) mod retrieval;
pub(crate) mod writes;

use std::time::Duration;

use crate::Result;

/// A measured operation and its raw comparator.
///
/// Each side does its preparations (making records, values, keys) before its clock starts.
pub trait Contest {
    /// Returns how long the memory takes for so many operations.
    ///
    /// # Errors
    /// Whatever fails.
    fn ours(&mut self, operations: u64) -> Result<Duration>;

    /// Returns how long the comparator takes for as many.
    ///
    /// # Errors
    /// Whatever fails.
    fn baseline(&mut self, operations: u64) -> Result<Duration>;
}
