//! Eviction: least recently used first, down to a mark, and out of the file.

use std::sync::atomic::{AtomicU64, Ordering};

use memory_core::Result;
use redb::{Durability, ReadableTable};

use super::room::record_charge;
use super::write::{Writer, remove_one};
use super::{LEDGER, RECORDS, RedbCache, add, lock};
use crate::failure::{Failure, Outcome};

impl RedbCache {
    /// Evicts until the file is under its limit with some room to spare; returns how many.
    pub(super) fn evict_in_background(&self) -> Result<u64> {
        let mut writer = lock(&self.writer);
        self.evict_as_needed(&mut writer).map_err(|failure| self.error("evict", failure))
    }

    fn evict_as_needed(&self, writer: &mut Writer) -> Outcome<u64> {
        self.open_if_closed(writer)?;
        let Some(target) = self.room(writer).in_background() else { return Ok(0) };
        let mut evicted = self.evict_to(writer, target)?;
        let limit = self.limit_bytes();
        if self.size.bytes() > limit {
            self.compact(writer)?;
        }
        if self.size.bytes() > limit {
            // The estimate was far off. A cache may lose anything; a bound on the disk must hold.
            evicted += self.evict_to(writer, 0)?;
            self.compact(writer)?;
        }
        Ok(evicted)
    }

    /// Makes room after the file has hit its limit in the middle of a commit.
    pub(super) fn make_room(&self, writer: &mut Writer) -> Outcome<()> {
        self.open_if_closed(writer)?;
        let half = writer.figures.charge / 2;
        match self.evict_to(writer, half) {
            Err(Failure::Io(full)) if full.kind() == std::io::ErrorKind::QuotaExceeded => {
                // Not even the eviction fits.
                let generation = self.generation.load(Ordering::Acquire);
                let reason = "the file was too full to evict from".to_owned();
                self.recover(writer, generation, &Failure::Damaged(reason));
                self.open_if_closed(writer)
            }
            other => other.and_then(|_| self.compact(writer)),
        }
    }

    /// Evicts least recently used records until the charge is at most `target`; returns how many. Search
    /// documents stay.
    pub(super) fn evict_to(&self, writer: &mut Writer, target: u64) -> Outcome<u64> {
        let evicted = AtomicU64::new(0);
        // Durable, because only a durable commit frees the pages.
        self.transact(writer, Durability::Immediate, |change| {
            evicted.store(0, Ordering::Release);
            let mut table = change.transaction.open_table(RECORDS)?;
            let mut ledger = change.transaction.open_table(LEDGER)?;
            let surplus = change.charge.saturating_sub(target);
            let horizon = horizon(&ledger, surplus)?;
            let mut oldest = Vec::new();
            for row in ledger.iter()? {
                let (key, row) = row?;
                if row.value().0 < horizon {
                    oldest.push(key.value().to_vec());
                }
            }
            for key in &oldest {
                remove_one(&mut table, &mut ledger, change, key)?;
            }
            evicted.store(oldest.len() as u64, Ordering::Release);
            Ok(())
        })?;
        let evicted = evicted.into_inner();
        add(&self.counts.evicted, evicted);
        Ok(evicted)
    }
}

/// Finds the time of use before which records must go to free `surplus` bytes of charge.
fn horizon(ledger: &impl ReadableTable<&'static [u8], (u64, u64, u64)>, surplus: u64) -> Outcome<u64> {
    let mut uses = Vec::new();
    for row in ledger.iter()? {
        let (key, row) = row?;
        let (tick, size, _) = row.value();
        uses.push((tick, record_charge(key.value().len(), size)));
    }
    uses.sort_unstable();
    let mut freed = 0;
    for (tick, charge) in uses {
        if freed >= surplus {
            return Ok(tick);
        }
        freed += charge;
    }
    Ok(u64::MAX)
}
