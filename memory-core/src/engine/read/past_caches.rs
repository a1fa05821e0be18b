//! Reads from the durable tier, bypassing the caches.

use super::{TOGETHER, means_away};
use crate::engine::{Engine, Shared};
use crate::error::Result;
use crate::store::record::{Key, Record, Revision};

impl Engine {
    /// Returns the record as the durable tier has it, whatever the caches hold; the outer `None` while it is away.
    ///
    /// # Errors
    /// Whatever the durable tier reports but that it is away.
    pub async fn durable_version(&self, key: &Key) -> Result<Option<Option<Record>>> {
        let found = self.shared.past_the_caches(std::slice::from_ref(key), |_, _| true).await?;
        Ok(found.map(|mut found| found.pop().flatten()))
    }

    /// Returns true if the durable tier has newer versions than these, bypassing the caches; the next read
    /// finds them, unless the change feed is about to deliver them. While the tier is away, the answer is
    /// false.
    ///
    /// # Errors
    /// Whatever the durable tier reports but that it is away.
    pub async fn has_newer(&self, known: &[(Key, Option<Revision>)]) -> Result<bool> {
        let now = self.shared.now();
        let mut newer = false;
        for known in known.chunks(TOGETHER) {
            let keys: Vec<Key> = known.iter().map(|(key, _)| key.clone()).collect();
            let is_newer = |place: usize, record: &Record| {
                let known = known[place].1;
                // An expired record that is not purged yet did not exist for its reader.
                let is_newer = Some(record.revision) > known && (known.is_some() || !record.is_expired(now));
                newer |= is_newer;
                is_newer
            };
            if self.shared.past_the_caches(&keys, is_newer).await?.is_none() {
                break;
            }
        }
        Ok(newer)
    }
}

impl Shared {
    /// Requests from the durable tier, bypassing the caches, and caches the records that `kept` selects by
    /// place; `None` while it is away.
    async fn past_the_caches(
        &self,
        keys: &[Key],
        mut kept: impl FnMut(usize, &Record) -> bool,
    ) -> Result<Option<Vec<Option<Record>>>> {
        let generation = self.generation();
        let found = match self.durable.get(keys).await {
            Ok(found) => found,
            Err(error) if self.outbox().is_some() && means_away(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        for (place, (key, record)) in keys.iter().zip(&found).enumerate() {
            self.stored(record.clone())?;
            if let Some(record) = record.as_ref().filter(|record| kept(place, record)) {
                self.note_read(Some(record));
                self.landed(key, Some(record), generation);
            }
        }
        Ok(Some(found))
    }
}
