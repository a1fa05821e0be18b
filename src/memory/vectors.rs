//! Vectors of episodes: made in the background, kept as records, searched in memory.
//!
//! A vector represents the text of a task and is stored under the hash of that text and the model: equal texts
//! are embedded once, and vectors of another model are not used. A failing provider delays vectors, never
//! recording or recall: recall then matches words only, and reports that.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use memory_core::{
    Embedding, Entity, EpisodeId, Error, ErrorKind, Key, Kind, Namespace, Result, Scan, Timestamp, Vector,
    content_hash, lock,
};
use memory_recall::embedder::Embedder;
use memory_recall::lexical::LexicalIndex;
use memory_recall::vector::VectorIndex;

use crate::memory::Memory;
use crate::memory::backlog::Backlog;
use crate::memory::records::Records;

/// Texts embedded at once.
const BATCH: usize = 64;
const PAGE: usize = 500;

/// The vectors of a memory with a model.
pub(super) struct Vectors {
    records: Arc<Records>,
    backlog: Arc<Backlog>,
    embedder: Arc<dyn Embedder>,
    index: RwLock<VectorIndex>,
    /// Why vectors are incomplete, for people.
    gap: Mutex<Option<String>>,
    /// Held while vectors are made.
    making: tokio::sync::Mutex<()>,
}

impl Vectors {
    /// # Errors
    /// `InvalidInput` for a model without dimensions.
    pub(super) fn new(
        embedder: Arc<dyn Embedder>,
        records: Arc<Records>,
        backlog: Arc<Backlog>,
    ) -> Result<Self> {
        Ok(Self {
            records,
            backlog,
            index: RwLock::new(VectorIndex::new(embedder.dimensions())?),
            embedder,
            gap: Mutex::new(Some("vectors are being loaded".into())),
            making: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn model(&self) -> &str {
        self.embedder.model()
    }

    pub(super) fn gap(&self) -> Option<String> {
        lock(&self.gap).clone()
    }

    /// Returns the episodes whose tasks mean most nearly the same as a text, with the cosine similarity.
    ///
    /// # Errors
    /// Errors of the provider.
    pub(super) async fn search(&self, text: &str, limit: usize) -> Result<Vec<(Key, f32)>> {
        let vectors = self.embedder.embed(&[text.to_owned()]).await?;
        let vector = vectors.into_iter().next().ok_or_else(no_vector)?;
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.search(&vector, limit, |_| true)
    }

    pub(super) fn remove(&self, key: &Key) {
        self.index.write().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    fn put(&self, key: &Key, vector: &[f32]) -> Result<bool> {
        self.index.write().unwrap_or_else(PoisonError::into_inner).upsert(key, vector)
    }

    fn has(&self, key: &Key) -> bool {
        self.index.read().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    /// Drops the vectors of episodes that the recall index does not have (any more): they would take the places of
    /// others among the nearest. Returns the live episodes without a vector.
    fn compare(&self, episodes: &LexicalIndex, space: &Namespace, now: Timestamp) -> Vec<EpisodeId> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<Key> = index.keys().iter().filter(|key| !episodes.is_live(key, now)).cloned().collect();
        let live = episodes.live(space, Kind::Episode, now);
        let missing = live.filter(|key| !index.contains(key)).filter_map(|key| key.id.parse().ok()).collect();
        drop(index);
        gone.iter().for_each(|key| self.remove(key));
        missing
    }
}

pub(super) fn no_vector() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "embed",
        "the provider did not answer with one vector of its length for each text",
    )
}

impl Memory {
    /// Waits until every episode has its vector; returns at once without a model. Vectors are also computed in
    /// the background.
    ///
    /// # Errors
    /// Errors of the provider or the tiers; recall then matches words only where vectors are missing, and
    /// reports that.
    pub async fn complete_vectors(&self) -> Result<()> {
        match &self.inner.vectors {
            Some(vectors) => vectors.keep_in_step().await,
            None => Ok(()),
        }
    }
}

impl Vectors {
    /// Loads the stored vectors, and computes missing ones, of these episodes or of all.
    pub(super) async fn complete(&self, only: Option<&[EpisodeId]>) -> Result<()> {
        let _making = self.making.lock().await;
        let made = self.make(only).await;
        match &made {
            // Success of some says nothing about the others.
            Ok(()) if only.is_some() => {}
            Ok(()) => *lock(&self.gap) = None,
            Err(error) => *lock(&self.gap) = Some(format!("some vectors could not be made: {error}")),
        }
        made
    }

    /// Loads and computes all vectors, if that is not done. Then keeps them consistent with the recall index:
    /// new episodes of others get vectors, and those of deleted or expired episodes are dropped.
    ///
    /// # Errors
    /// As [`Memory::complete_vectors`].
    pub(super) async fn keep_in_step(&self) -> Result<()> {
        if self.gap().is_some() {
            return self.complete(None).await;
        }
        let now = self.records.engine.now();
        let missing =
            self.records.index.with(|index| self.compare(index, self.records.engine.namespace(), now));
        match missing.len() {
            0 => Ok(()),
            // Many are read faster in one scan than one by one.
            PAGE.. => self.complete(None).await,
            _ => self.complete(Some(&missing)).await,
        }
    }

    async fn make(&self, only: Option<&[EpisodeId]>) -> Result<()> {
        let mut missing = match only {
            Some(ids) => self.of_these_without(ids).await?,
            None => self.episodes_without().await?,
        };
        // Recall cannot show an episode that the index does not have (yet); its vector follows later.
        let now = self.records.engine.now();
        self.records.index.with(|index| missing.retain(|(key, _)| index.is_live(key, now)));
        if missing.is_empty() {
            return Ok(());
        }
        let mut stored = self.stored(&missing).await?;
        let mut to_make: Vec<(String, String)> = Vec::new();
        let mut waiting: HashMap<String, Vec<Key>> = HashMap::new();
        for (key, text) in missing {
            let hash = content_hash(&text);
            match stored.get(&hash) {
                Some(vector) => {
                    self.put(&key, &vector.0)?;
                }
                None => {
                    let keys = waiting.entry(hash.clone()).or_default();
                    if keys.is_empty() {
                        to_make.push((hash, text));
                    }
                    keys.push(key);
                }
            }
        }
        stored.clear();
        for batch in to_make.chunks(BATCH) {
            let texts: Vec<String> = batch.iter().map(|(_, text)| text.clone()).collect();
            let made = self.embedder.embed(&texts).await?;
            if made.len() != texts.len() {
                return Err(no_vector());
            }
            // The provider took time: episodes forgotten meanwhile must not keep a vector. Forgetting holds the
            // lock.
            let _gate = self.backlog.gate.lock().await;
            let now = self.records.engine.now();
            let mut records = Vec::with_capacity(made.len());
            for ((hash, _), vector) in batch.iter().zip(made) {
                let mut keys = waiting.remove(hash).unwrap_or_default();
                self.records.index.with(|index| keys.retain(|key| index.is_live(key, now)));
                if keys.is_empty() {
                    continue;
                }
                for key in keys {
                    self.put(&key, &vector)?;
                }
                let embedding = Embedding {
                    model: self.embedder.model().to_owned(),
                    content: hash.clone(),
                    vector: Vector(vector),
                };
                let key = Key::new(self.records.engine.namespace(), Kind::Embedding, embedding.record_id());
                records.push(self.records.engine.version(key, Some(Entity::Embedding(embedding))));
            }
            self.records.engine.commit(records).await?;
        }
        Ok(())
    }

    async fn of_these_without(&self, ids: &[EpisodeId]) -> Result<Vec<(Key, String)>> {
        let mut missing = Vec::new();
        for id in ids {
            let key = Key::episode(self.records.engine.namespace(), *id);
            if self.has(&key) {
                continue;
            }
            let read = self.records.engine.read(&key).await?;
            if let Some(episode) =
                read.record.as_ref().and_then(|record| record.entity.as_ref()?.as_episode())
            {
                missing.push((key, episode.task.description.clone()));
            }
        }
        Ok(missing)
    }

    async fn episodes_without(&self) -> Result<Vec<(Key, String)>> {
        let mut missing = Vec::new();
        let mut scan = Scan::new(self.records.engine.namespace(), Kind::Episode).limit(PAGE);
        loop {
            let (page, _) = self.records.engine.scan_fresh(&scan).await?;
            for record in page.records {
                if !self.has(&record.key)
                    && let Some(episode) = record.entity.as_ref().and_then(|entity| entity.as_episode())
                {
                    missing.push((record.key.clone(), episode.task.description.clone()));
                }
            }
            match page.next {
                Some(next) => scan.after = Some(next),
                None => return Ok(missing),
            }
        }
    }

    /// Returns the stored vectors of this model for the texts that need one.
    async fn stored(&self, missing: &[(Key, String)]) -> Result<HashMap<String, Vector>> {
        if missing.len() <= BATCH {
            return self.stored_of(missing).await;
        }
        let wanted: HashSet<String> = missing.iter().map(|(_, text)| content_hash(text)).collect();
        let (model, dimensions) = (self.embedder.model(), self.embedder.dimensions());
        let mut stored = HashMap::new();
        let mut scan =
            Scan::new(self.records.engine.namespace(), Kind::Embedding).equals("model", model).limit(PAGE);
        loop {
            let (page, _) = self.records.engine.scan_fresh(&scan).await?;
            for record in page.records {
                if let Some(embedding) = record.entity.as_ref().and_then(|entity| entity.as_embedding())
                    && embedding.vector.0.len() == dimensions
                    && wanted.contains(&embedding.content)
                {
                    stored.insert(embedding.content.clone(), embedding.vector.clone());
                }
            }
            match page.next {
                Some(next) => scan.after = Some(next),
                None => return Ok(stored),
            }
        }
    }

    async fn stored_of(&self, texts: &[(Key, String)]) -> Result<HashMap<String, Vector>> {
        let mut stored = HashMap::new();
        for (_, text) in texts {
            let hash = content_hash(text);
            let id = Embedding::id_of(&hash, self.embedder.model());
            let read = self
                .records
                .engine
                .read(&Key::new(self.records.engine.namespace(), Kind::Embedding, id))
                .await?;
            if let Some(embedding) =
                read.record.as_ref().and_then(|record| record.entity.as_ref()?.as_embedding())
                && embedding.vector.0.len() == self.embedder.dimensions()
            {
                stored.insert(hash, embedding.vector.clone());
            }
        }
        Ok(stored)
    }

    /// Removes the vectors of other models, once this model has computed all of its own; returns how many.
    pub(super) async fn drop_foreign(&self) -> Result<u32> {
        if self.gap().is_some() {
            return Ok(0);
        }
        let mut tombstones = Vec::new();
        let mut scan = Scan::new(self.records.engine.namespace(), Kind::Embedding).limit(PAGE);
        loop {
            let (page, _) = self.records.engine.scan_fresh(&scan).await?;
            for record in page.records {
                let embedding = record.entity.as_ref().and_then(|entity| entity.as_embedding());
                if embedding.is_some_and(|embedding| embedding.model != self.embedder.model()) {
                    tombstones.push(self.records.engine.version(record.key, None));
                }
            }
            match page.next {
                Some(next) => scan.after = Some(next),
                None => break,
            }
        }
        let dropped = u32::try_from(tombstones.len()).unwrap_or(u32::MAX);
        for batch in tombstones.chunks(PAGE) {
            self.records.engine.commit(batch.to_vec()).await?;
        }
        Ok(dropped)
    }
}

#[cfg(test)]
mod tests;
