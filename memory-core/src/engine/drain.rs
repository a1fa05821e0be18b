//! The drain: sends the outbox to the durable tier in order.
//!
//! A batch is one atomic, idempotent upsert, so after a lost answer the same batch is sent again. A batch that
//! does not get through is bisected down to single rows. A row that the durable tier refuses becomes a dead
//! letter, and the rest continues. A row that does not get through while the durable tier answers otherwise
//! (too large for a slow link, or refused on the way because of its content) is a suspect: rows after it are
//! sent first, and once they get through and the suspect has failed often enough, it becomes a dead letter,
//! too. As long as nothing gets through, the rows are not at fault.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::engine::cache_writer::CacheWork;
use crate::engine::{Ack, Shared, Task};
use crate::error::{Error, ErrorKind, Result};
use crate::id::lock;
use crate::store::record::Seq;
use crate::store::record::{Key, Record, Revision};
use crate::store::traits::OutboxRow;

/// How long the drain waits to batch rows after the first one that is appended.
const LINGER: Duration = Duration::from_millis(20);

/// The longest pause between attempts without another hint.
const PAUSE: Duration = Duration::from_secs(1);

/// How often a suspect is tried before it is a dead letter.
const TRIES: u32 = 3;

/// This many rows in a row may be refused for the same reason. After that the server itself may be at fault,
/// and further rows are suspects.
const REFUSED_ALIKE: u32 = 8;

/// With this many suspects and nothing delivered, further rows are not tried.
const MOST_SUSPECTS: usize = 64;

/// The least share of a full batch that is sent at once.
const LEAST_SHARE: u32 = 1 << 10;

/// Rows that did not get through while the durable tier answered.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    rows: BTreeMap<Seq, Suspect>,
    /// The reason of the last refusal, and how many rows in a row had it.
    refused: (String, u32),
    /// How many rows got through since opening.
    delivered: u64,
}

#[derive(Debug)]
struct Suspect {
    tries: u32,
    /// The value of [`Suspects::delivered`] when it first failed.
    since: u64,
    refused: bool,
}

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

/// One key's newest pending version, and the older ones that it replaces.
#[derive(Clone)]
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
    /// Waits briefly for more rows, unless a caller waits for these: a batch for each row would take the disk
    /// and the processor from writers.
    async fn linger(&self) {
        if self.config.ack == Ack::Durable {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(LINGER) => {}
            () = self.kicked.notified() => {}
        }
    }

    /// Sends all pending rows.
    async fn drain(&self) -> Result<()> {
        let Some(outbox) = self.outbox().cloned() else { return Ok(()) };
        let mut rows = self.peek(0).await?;
        let mut renewed = false;
        loop {
            let Some(last) = rows.last().map(|row| row.seq) else {
                let last = outbox.usage();
                if last.rows == 0 {
                    lock(&self.suspects).rows.clear();
                    self.watermark.send_replace(last.last_seq);
                    return Ok(());
                }
                // Rows were appended since, or retried ones wait: look again, after the suspects.
                rows = self.peek(0).await?;
                let suspects = rows.iter().take_while(|row| self.is_suspect(row.seq)).count();
                if suspects < rows.len() {
                    rows.drain(..suspects);
                } else if suspects > 0 {
                    self.try_suspects(std::mem::take(&mut rows)).await?;
                } else {
                    return Ok(());
                }
                continue;
            };
            // Expired rows may be purged as soon as they arrive. Once in a pass: older versions of renewed rows
            // wait, too.
            let now = self.now();
            let expired = |row: &OutboxRow| row.record.is_expired(now) && !row.record.is_tombstone();
            if !renewed && rows.iter().any(expired) {
                renewed = true;
                self.renew_waiting().await?;
                rows = self.peek(0).await?;
                continue;
            }
            // None has expired by this machine's clock; the server's time is not known yet. It also becomes the
            // time at which the rows count as sent.
            if !self.reads_by_server() {
                self.ask_time().await?;
                if self.reads_by_server() {
                    rows = self.peek(0).await?;
                    continue;
                }
            }
            let (_, fine): (Vec<_>, Vec<_>) =
                std::mem::take(&mut rows).into_iter().partition(|row| self.is_suspect(row.seq));
            let batch = coalesce(fine);
            // Reading the next rows overlaps with sending these.
            let (sent, next) = tokio::join!(self.send(batch), self.peek(last));
            sent?;
            self.reach(last);
            self.synced(Task::Drain);
            rows = next?;
        }
    }

    /// Moves the watermark to a row after which only suspects are pending; it does not pass those.
    fn reach(&self, last: Seq) {
        let first_suspect = lock(&self.suspects).rows.first_key_value().map(|(seq, _)| *seq);
        let last = first_suspect.map_or(last, |seq| last.min(seq - 1));
        self.watermark.send_if_modified(|reached| {
            let moved = last > *reached;
            *reached = last.max(*reached);
            moved
        });
    }

    fn is_suspect(&self, seq: Seq) -> bool {
        lock(&self.suspects).rows.contains_key(&seq)
    }

    /// Tries rows that are all suspects again, each alone.
    async fn try_suspects(&self, rows: Vec<OutboxRow>) -> Result<()> {
        let mut failed = None;
        for send in coalesce(rows) {
            let seq = send.newest.seq;
            match self.deliver(std::slice::from_ref(&send)).await {
                Ok(()) => {}
                Err(error) if blames_rows(&error) || self.answers(&error).await => {
                    if self.suspect(seq, &error) {
                        let reason = format!("not accepted in {TRIES} tries while other rows are: {error}");
                        self.bury(&send, &reason).await?;
                    } else {
                        failed = Some(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        match failed {
            // The error has its own time to retry; the durable tier is there.
            Some(error) => Err(Error::new(ErrorKind::Busy, "send the outbox", error.to_string())),
            None => Ok(()),
        }
    }

    /// Notes that a row failed alone; returns true once it must become a dead letter.
    fn suspect(&self, seq: Seq, error: &Error) -> bool {
        let mut suspects = lock(&self.suspects);
        let (since, refused) = (suspects.delivered, blames_rows(error));
        let suspect = suspects.rows.entry(seq).or_insert(Suspect { tries: 0, since, refused });
        suspect.tries += 1;
        suspect.refused |= refused;
        let done = (suspect.tries >= TRIES || suspect.refused) && suspect.since < since;
        if done {
            suspects.rows.remove(&seq);
        }
        done
    }

    async fn peek(&self, after: Seq) -> Result<Vec<OutboxRow>> {
        let share = self.shrunk.load(Ordering::Relaxed) as usize;
        let (rows, bytes) = (self.config.batch_rows / share, self.config.batch_bytes / share);
        let peeked = self.ask_outbox(move |outbox| outbox.peek(after, rows.max(1), bytes.max(1))).await?;
        Ok(peeked.unwrap_or_default())
    }

    /// Sends a batch; on return each of its rows is acknowledged, a dead letter or a suspect.
    async fn send(&self, batch: Vec<Send>) -> Result<()> {
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            let error = match self.deliver(&part).await {
                Ok(()) => continue,
                Err(error) => error,
            };
            let refused = blames_rows(&error);
            if !refused && !self.answers(&error).await {
                return Err(error);
            }
            if part.len() > 1 {
                if !refused {
                    let share = self.shrunk.load(Ordering::Relaxed);
                    self.shrunk.store((share * 2).min(LEAST_SHARE), Ordering::Relaxed);
                }
                let rest = part.split_off(part.len() / 2);
                parts.push(rest);
                parts.push(part);
                continue;
            }
            for send in part {
                if refused && self.refused_alike(&error) <= REFUSED_ALIKE {
                    self.bury(&send, &error.to_string()).await?;
                    if !send.older.is_empty() {
                        // The older versions that it would have replaced were accepted, too, and may be valid.
                        parts.push(coalesce(send.older));
                    }
                } else {
                    tracing::debug!(key = %send.newest.record.key, %error, "a row does not get through");
                    for seq in send.seqs() {
                        // Nothing was sent since, so that it stays one.
                        let _done = self.suspect(seq, &error);
                    }
                }
                let suspects = lock(&self.suspects);
                let hopeless = suspects.rows.values().all(|suspect| suspect.since == suspects.delivered);
                if suspects.rows.len() >= MOST_SUSPECTS && hopeless {
                    return Err(Error::new(ErrorKind::Unavailable, "send the outbox", error.to_string())
                        .with_hint(
                            "nothing gets through: the fault is the server's or the way's, not the rows'",
                        ));
                }
            }
        }
        Ok(())
    }

    /// Sends rows as one commit.
    async fn deliver(&self, part: &[Send]) -> Result<()> {
        if part.is_empty() {
            return Ok(());
        }
        let records: Vec<Record> = part.iter().map(|send| send.newest.record.clone()).collect();
        // No page of the change feed from before their arrival may enter the caches after this.
        let _turn = if self.recovered(part).is_empty() { None } else { Some(self.pulling.lock().await) };
        self.durable.commit(&records).await?;
        self.outdate_recovered(part).await;
        let seqs: Vec<Seq> = part.iter().flat_map(Send::seqs).collect();
        {
            let mut suspects = lock(&self.suspects);
            suspects.delivered += seqs.len() as u64;
            suspects.refused = Default::default();
            suspects.rows.retain(|seq, _| !seqs.contains(seq));
        }
        let share = self.shrunk.load(Ordering::Relaxed);
        self.shrunk.store((share - (share / 4).max(1)).max(1), Ordering::Relaxed);
        self.acknowledge(seqs).await?;
        // Only now: rows that are found to be lost are sent again from the acknowledged rows.
        lock(&self.sent).note(records.iter());
        Ok(())
    }

    /// Returns true if the durable tier answers although it did not take a batch, or return a page: the content
    /// may be the reason. If the tier is busy, the content is not.
    pub(super) async fn answers(&self, error: &Error) -> bool {
        if !matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Unauthorized) {
            return false;
        }
        let Some(breaker) = &self.breaker else { return false };
        // Around the breaker, which the batch may have opened.
        let asked = tokio::time::timeout(self.config.deadlines.read, self.tiers.durable.health()).await;
        let answers = matches!(asked, Ok(Ok(())));
        if answers {
            breaker.close();
        }
        answers
    }

    /// Counts refusals for the same reason in a row.
    fn refused_alike(&self, error: &Error) -> u32 {
        let mut suspects = lock(&self.suspects);
        if suspects.refused.0 == error.message() {
            suspects.refused.1 += 1;
        } else {
            suspects.refused = (error.message().to_owned(), 1);
        }
        suspects.refused.1
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

    /// Removes older versions of rows that this instance did not append from the caches before the rows leave
    /// the outbox. Otherwise a read could return an older version that a killed instance left in its cache
    /// file, or that was requested from the durable tier before it had the rows.
    async fn outdate_recovered(&self, sent: &[Send]) {
        let sent = self.recovered(sent);
        if sent.is_empty() {
            return;
        }
        // Not put in: the durable tier may have kept a newer version, which the change feed has brought already.
        self.next_generation();
        self.cache_writer.push(CacheWork::Outdate(sent.clone()));
        self.cache_writer.settle().await;
        // As when the feed was applied: first below, then above, and nothing that was read before comes in
        // between.
        self.next_generation();
        for (key, revision) in &sent {
            self.missing.invalidate(key);
            self.hot.outdate(key, *revision);
        }
    }

    async fn acknowledge(&self, seqs: Vec<Seq>) -> Result<()> {
        let now = self.now();
        self.ask_outbox(move |outbox| outbox.ack(&seqs, now)).await.map(drop)
    }

    async fn bury(&self, send: &Send, reason: &str) -> Result<()> {
        tracing::warn!(key = %send.newest.record.key, reason, "a row is a dead letter");
        let (now, seq, reason) = (self.clock.now(), send.newest.seq, reason.to_owned());
        let kept = reason.clone();
        self.ask_outbox(move |outbox| outbox.refuse(seq, &kept, now)).await?;
        self.verdicts.refuse(seq, &reason);
        Ok(())
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
