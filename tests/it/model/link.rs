//! The network between one machine and the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use async_trait::async_trait;
use memory_core::{
    Changes, ChangesQuery, Durable, Error, ErrorKind, Key, Kind, Namespace, Page, Purged, Record, Result,
    Scan, Store, Timestamp,
};

use super::server::Server;

/// What is wrong with the network of one machine, and how often it was used.
#[derive(Debug, Default)]
pub(crate) struct Network {
    calls: AtomicU64,
    cut: AtomicBool,
    /// A call failed, and its process may wait before it tries again.
    troubled: AtomicBool,
    lost_answers: AtomicU32,
}

impl Network {
    /// Cuts the machine off, or connects it again.
    pub(crate) fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }

    /// Returns true if nothing is wrong with it, and nobody holds against it that something was.
    pub(crate) fn is_well(&self) -> bool {
        let loses_answers = self.lost_answers.load(Ordering::SeqCst) > 0;
        !self.is_cut() && !loses_answers && !self.troubled.load(Ordering::SeqCst)
    }

    /// Notes that its process has seen it work again.
    pub(crate) fn trusted(&self) {
        self.troubled.store(false, Ordering::SeqCst);
    }

    fn fails(&self, how: &str) -> Error {
        self.troubled.store(true, Ordering::SeqCst);
        Error::new(ErrorKind::Unavailable, "call the server", how)
    }

    /// Returns a number that changes with each call that is begun or answered.
    pub(crate) fn activity(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// Lets the next writes through and loses their answers.
    pub(crate) fn lose_answers(&self, count: u32) {
        self.lost_answers.store(count, Ordering::SeqCst);
    }
}

/// One process's way to the server. It ends with the process, however long its threads take to notice.
pub(crate) struct Link {
    server: Arc<Server>,
    network: Arc<Network>,
    dead: Arc<AtomicBool>,
}

impl Link {
    pub(crate) fn new(server: Arc<Server>, network: Arc<Network>, dead: Arc<AtomicBool>) -> Self {
        Self { server, network, dead }
    }

    /// Lets a call through; what it returns is to be held until the answer is there.
    fn pass(&self) -> Result<Call<'_>> {
        let call = Call(&self.network);
        call.0.calls.fetch_add(1, Ordering::SeqCst);
        if self.dead.load(Ordering::SeqCst) || self.network.is_cut() {
            return Err(self.network.fails("the machine is cut off"));
        }
        Ok(call)
    }

    fn answer<T>(&self, answer: T) -> Result<T> {
        let lost = &self.network.lost_answers;
        match lost.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Err(self.network.fails("the answer was lost")),
            Err(_) => Ok(answer),
        }
    }
}

/// A call that is under way.
struct Call<'a>(&'a Network);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for Link {
    async fn commit(&self, records: &[Record]) -> Result<()> {
        let _call = self.pass()?;
        let answer = self.server.store().await.commit(records).await?;
        self.answer(answer)
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>> {
        let _call = self.pass()?;
        self.server.store().await.get(keys).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        let _call = self.pass()?;
        self.server.store().await.scan(scan).await
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<Purged> {
        let _call = self.pass()?;
        self.server.store().await.delete_expired(now).await
    }

    async fn health(&self) -> Result<()> {
        let _call = self.pass()?;
        self.server.store().await.health().await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Durable for Link {
    async fn changes(&self, query: &ChangesQuery) -> Result<Changes> {
        let _call = self.pass()?;
        self.server.store().await.changes(query).await
    }

    async fn count(&self, namespace: &Namespace) -> Result<Vec<(Kind, u64)>> {
        let _call = self.pass()?;
        self.server.store().await.count(namespace).await
    }

    async fn maintain(&self) -> Result<()> {
        let _call = self.pass()?;
        self.server.store().await.maintain().await
    }

    async fn close(&self) -> Result<()> {
        // The server goes on.
        Ok(())
    }
}
