//! The storage trait, as the engine sees the outbox.

use memory_core::{DeadLetter, Key, Outbox, OutboxRow, OutboxUsage, Record, Result, Scan, Seq, Timestamp};

use super::{RedbOutbox, lock};

impl Outbox for RedbOutbox {
    fn append(&self, records: &[Record], now: Timestamp) -> Result<Seq> {
        self.append_rows(records, now)
    }

    fn reopen(&self) -> Result<()> {
        self.reopen_file("reopen outbox")
    }

    fn peek(&self, after: Seq, limit_rows: usize, limit_bytes: usize) -> Result<Vec<OutboxRow>> {
        self.peek_rows(after, limit_rows, limit_bytes)
    }

    fn ack(&self, seqs: &[Seq], now: Timestamp) -> Result<()> {
        if seqs.is_empty() { Ok(()) } else { self.acknowledge(seqs, now) }
    }

    fn refuse(&self, seq: Seq, reason: &str, now: Timestamp) -> Result<()> {
        self.bury(seq, reason, now)
    }

    fn dead_letters(&self, after: Seq, limit: usize) -> Result<Vec<DeadLetter>> {
        self.list_dead(after, limit)
    }

    fn retry_dead_letters(&self, seqs: Option<&[Seq]>, now: Timestamp) -> Result<u64> {
        self.retry_dead(seqs, now)
    }

    fn add_dead_letters(&self, letters: &[DeadLetter]) -> Result<()> {
        self.add_dead(letters)
    }

    fn drop_dead_letters(&self, seqs: &[Seq]) -> Result<u64> {
        self.drop_dead("drop dead letters", seqs)
    }

    fn replay_tail(&self, since: Timestamp, now: Timestamp) -> Result<u64> {
        self.replay(since, now)
    }

    fn sample_tail(&self, limit: usize) -> Result<Vec<Record>> {
        self.sample_of_tail(limit)
    }

    fn trim_tail(&self, before: Timestamp) -> Result<()> {
        self.trim(before)
    }

    fn pending(&self, keys: &[Key]) -> Result<Vec<Option<Record>>> {
        self.pending_records(keys)
    }

    fn pending_scan(&self, scan: &Scan, limit: usize) -> Result<Vec<Record>> {
        self.pending_of_kind(scan, limit)
    }

    fn usage(&self) -> OutboxUsage {
        *lock(&self.usage)
    }
}
