//! The drain: sends the outbox to the durable tier in order.
//!
//! A batch is one atomic, idempotent upsert, so a lost answer only means the same batch again. A permanent
//! rejection is bisected down to the rows that cause it; these become dead letters and the rest goes on.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::engine::fill::Fill;
use crate::engine::{Ack, Shared, Task};
use crate::error::{Error, ErrorKind, Result};
use crate::id::lock;
use crate::store::record::{Key, Record, Revision};
use crate::store::traits::{OutboxRow, Seq};

/// How many rows set aside are remembered for callers that wait for a durable acknowledgement.
const REMEMBERED: usize = 1_024;

/// How long the drain waits for company for the first row that is appended.
const LINGER: Duration = Duration::from_millis(20);

/// The longest pause between attempts when nothing says how long to wait.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs until shutdown.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut shutdown = shared.shutdown.subscribe();
    loop {
        let pause = match shared.drain().await {
            Ok(()) => {
                shared.succeeded(Task::Drain);
                None
            }
            Err(error) => {
                shared.report(Task::Drain, &error);
                Some(error.retry_after().unwrap_or(PAUSE).max(Duration::from_millis(10)))
            }
        };
        let appended = tokio::select! {
            _ = shutdown.wait_for(|down| *down) => return,
            () = tokio::time::sleep(pause.unwrap_or(Duration::from_secs(30))) => false,
            // While the durable tier is away a new row is no reason to try again.
            () = shared.appended.notified(), if pause.is_none() => true,
            () = shared.kicked.notified() => false,
        };
        if appended {
            shared.linger().await;
        }
    }
}

/// One key's newest waiting version, and the older ones that it settles.
struct Send {
    newest: OutboxRow,
    older: Vec<OutboxRow>,
}

impl Send {
    fn seqs(&self) -> impl Iterator<Item = Seq> {
        std::iter::once(&self.newest).chain(&self.older).map(|row| row.seq)
    }
}

impl Shared {
    /// Waits a moment for more rows, unless somebody waits for these: a batch for each row would take the disk and the
    /// processor from those who write.
    async fn linger(&self) {
        if self.config.ack == Ack::Durable {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(LINGER) => {}
            () = self.kicked.notified() => {}
        }
    }

    /// Sends everything that waits.
    async fn drain(&self) -> Result<()> {
        let Some(outbox) = self.outbox().cloned() else { return Ok(()) };
        let mut rows = self.peek(0).await?;
        loop {
            let Some(last) = rows.last().map(|row| row.seq) else {
                let last = outbox.usage();
                if last.rows == 0 {
                    self.watermark.send_replace(last.last_seq);
                    return Ok(());
                }
                // Rows were appended since, or retried ones wait: look again.
                rows = self.peek(0).await?;
                if rows.is_empty() {
                    return Ok(());
                }
                continue;
            };
            let batch = coalesce(std::mem::take(&mut rows));
            // Reading the next rows overlaps with sending these.
            let (sent, next) = tokio::join!(self.send(batch), self.peek(last));
            sent?;
            self.watermark.send_if_modified(|reached| {
                let moved = last > *reached;
                *reached = last.max(*reached);
                moved
            });
            self.synced(Task::Drain);
            rows = next?;
        }
    }

    async fn peek(&self, after: Seq) -> Result<Vec<OutboxRow>> {
        let (rows, bytes) = (self.config.batch_rows, self.config.batch_bytes);
        let peeked = self.ask_outbox(move |outbox| outbox.peek(after, rows, bytes)).await?;
        Ok(peeked.unwrap_or_default())
    }

    /// Sends a batch; on return each of its rows is acknowledged or set aside.
    async fn send(&self, batch: Vec<Send>) -> Result<()> {
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            let records: Vec<Record> = part.iter().map(|send| send.newest.record.clone()).collect();
            // No page of the change feed from before they arrive may come into the caches behind that.
            let _turn = if self.recovered(&part).is_empty() { None } else { Some(self.pulling.lock().await) };
            match self.durable.commit(&records).await {
                Ok(()) => {
                    self.outdate_recovered(&part).await;
                    self.acknowledge(part.iter().flat_map(Send::seqs).collect()).await?;
                }
                Err(error) if !blames_rows(&error) => return Err(error),
                Err(error) if part.len() == 1 => {
                    for send in part {
                        self.set_row_aside(&send, &error).await?;
                        if !send.older.is_empty() {
                            // What it would have settled was accepted, too, and may be fit to be kept.
                            parts.push(coalesce(send.older));
                        }
                    }
                }
                Err(_) => {
                    let rest = part.split_off(part.len() / 2);
                    parts.push(rest);
                    parts.push(part);
                }
            }
        }
        Ok(())
    }

    /// Returns the rows that this instance did not append.
    fn recovered(&self, sent: &[Send]) -> Vec<(Key, Revision)> {
        let all = self.recovering.load(Ordering::Acquire) > 0;
        let recovered = if all { Seq::MAX } else { self.recovered.load(Ordering::Acquire) };
        sent.iter()
            .filter(|send| send.seqs().any(|seq| seq <= recovered))
            .map(|send| (send.newest.record.key.clone(), send.newest.record.revision))
            .collect()
    }

    /// Takes what is older than rows that this instance did not append out of the caches before they leave the outbox: a read
    /// must not fall through to an older version that a killed instance's cache file was left with, or that the durable
    /// tier was asked for before it had the rows.
    async fn outdate_recovered(&self, sent: &[Send]) {
        let sent = self.recovered(sent);
        if sent.is_empty() {
            return;
        }
        // Not put in: the durable tier may have kept a newer version, which the change feed has brought already.
        self.filler.push(Fill::Outdate(sent.clone()));
        self.filler.settle().await;
        // As when the feed was applied: first below, then above, and nothing that was read before comes in between.
        self.feed_generation.fetch_add(1, Ordering::AcqRel);
        for (key, revision) in &sent {
            self.missing.invalidate(key);
            self.hot.outdate(key, *revision);
        }
    }

    async fn acknowledge(&self, seqs: Vec<Seq>) -> Result<()> {
        let now = self.clock.now();
        self.ask_outbox(move |outbox| outbox.ack(&seqs, now)).await.map(drop)
    }

    async fn set_row_aside(&self, send: &Send, error: &Error) -> Result<()> {
        let reason = error.to_string();
        tracing::warn!(key = %send.newest.record.key, reason, "the durable tier refuses a row; it is a dead letter now");
        {
            let mut progress = lock(&self.progress);
            let excess = (progress.set_aside.len() + 1).saturating_sub(REMEMBERED);
            let forgotten = excess.min(progress.set_aside.len());
            progress.set_aside.drain(..forgotten);
            progress.set_aside.push((send.newest.seq, reason.clone()));
        }
        let (now, seq) = (self.clock.now(), send.newest.seq);
        self.ask_outbox(move |outbox| outbox.refuse(seq, &reason, now)).await.map(drop)
    }
}

fn blames_rows(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Rejected | ErrorKind::InvalidInput | ErrorKind::Corrupt)
}

/// Keeps the newest version of each key, in order of its first row.
fn coalesce(rows: Vec<OutboxRow>) -> Vec<Send> {
    let mut places: HashMap<Key, usize> = HashMap::with_capacity(rows.len());
    let mut sends: Vec<Send> = Vec::with_capacity(rows.len());
    for row in rows {
        let place = *places.entry(row.record.key.clone()).or_insert(sends.len());
        match sends.get_mut(place) {
            None => sends.push(Send { newest: row, older: Vec::new() }),
            Some(send) if send.newest.record.supersedes(&row.record) => send.older.push(row),
            Some(send) => send.older.push(std::mem::replace(&mut send.newest, row)),
        }
    }
    sends
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::store::fixtures::{episode, record};
    use crate::store::record::Namespace;

    #[test]
    fn coalescing_keeps_the_newest_and_settles_all() {
        let row = |seq, id: &str, clock| OutboxRow {
            seq,
            appended_at: Timestamp(0),
            record: record(&Namespace::default(), id, clock, Some(episode(1))),
        };
        let sends = coalesce(vec![row(1, "a", 5), row(2, "b", 1), row(3, "a", 4), row(4, "a", 6)]);
        let got: Vec<_> = sends
            .iter()
            .map(|send| (send.newest.record.revision.clock, send.newest.seq, send.seqs().collect::<Vec<_>>()))
            .collect();
        assert_eq!(got, [(6, 4, vec![4, 3, 1]), (1, 2, vec![2])]);
    }
}
