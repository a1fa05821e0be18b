use async_trait::async_trait;

use super::*;
use crate::id::EpisodeId;
use crate::model::episode::Episode;
use crate::model::kind::Kind;
use crate::store::memory_store::MemoryStore;
use crate::store::query::{Page, Scan};
use crate::store::record::Namespace;
use crate::store::traits::{CacheUsage, CachedRecord, Documents, IndexImage, Store};

/// A cache that cannot store search documents.
struct WithoutDocuments(MemoryStore);

#[async_trait]
impl Store for WithoutDocuments {
    async fn commit(&self, records: &[Record]) -> Result<()> {
        self.0.commit(records).await
    }
    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>> {
        self.0.get(keys).await
    }
    async fn scan(&self, scan: &Scan) -> Result<Page> {
        self.0.scan(scan).await
    }
    async fn delete_expired(&self, now: Timestamp) -> Result<u64> {
        self.0.delete_expired(now).await
    }
    async fn health(&self) -> Result<()> {
        self.0.health().await
    }
}

#[async_trait]
impl Cache for WithoutDocuments {
    async fn lookup(&self, keys: &[Key]) -> Result<Vec<Option<CachedRecord>>> {
        self.0.lookup(keys).await
    }
    async fn remove(&self, keys: &[Key]) -> Result<()> {
        self.0.remove(keys).await
    }
    async fn cursor(&self) -> Result<Cursor> {
        self.0.cursor().await
    }
    async fn set_cursor(&self, cursor: &Cursor) -> Result<()> {
        self.0.set_cursor(cursor).await
    }
    async fn evict(&self) -> Result<u64> {
        self.0.evict().await
    }
    async fn usage(&self) -> Result<CacheUsage> {
        self.0.usage().await
    }
    async fn put_documents(&self, _: &[(Key, Option<SearchDocument>)]) -> Result<()> {
        Err(Error::new(ErrorKind::Io, "write search documents", "the disk is full"))
    }
    async fn documents(&self, space: &Namespace, after: Option<&Key>, limit: usize) -> Result<Documents> {
        self.0.documents(space, after, limit).await
    }
    async fn documents_of(&self, keys: &[Key]) -> Result<Documents> {
        self.0.documents_of(keys).await
    }
    async fn put_image(&self, space: &Namespace, image: &[u8]) -> Result<()> {
        self.0.put_image(space, image).await
    }
    async fn image(&self, space: &Namespace) -> Result<Option<IndexImage>> {
        self.0.image(space).await
    }
    async fn clear(&self) -> Result<()> {
        self.0.clear().await
    }
    async fn persist(&self) -> Result<()> {
        self.0.persist().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cursor_stays_behind_documents_that_are_missing() {
    let cache = Arc::new(WithoutDocuments(MemoryStore::new()));
    let filler = Filler::start(cache.clone(), Handle::current()).unwrap();
    let at = |seq| Cursor { database: "db".into(), seq };
    filler.push(Fill::Cursor(at(1)));
    filler.push(Fill::Documents(Vec::new()));
    filler.push(Fill::Cursor(at(2)));
    filler.settle().await;
    assert_eq!(cache.cursor().await.unwrap(), at(1), "what is missing is read once more on opening");
    assert_eq!(filler.failures().0, 1);
    filler.push(Fill::Clear);
    filler.push(Fill::Cursor(at(3)));
    filler.settle().await;
    assert_eq!(cache.cursor().await.unwrap(), at(3), "all is read once more anyway");
    filler.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_made_of_enough_documents_once_enough_have_changed() {
    let cache = Arc::new(MemoryStore::new());
    let filler = Filler::start(cache.clone(), Handle::current()).unwrap();
    let (index, space) = (Arc::new(RwLock::new(LexicalIndex::new())), Namespace::default());
    let key = |number: u64| Key::new(&Namespace::default(), Kind::Episode, number.to_string());
    let episode = Episode::open(EpisodeId(uuid::Uuid::nil()), "deploy".into(), Timestamp(0));
    let document = SearchDocument::of_episode(&episode, Revision { clock: 1, ..Revision::default() }, None);
    let put = |numbers: std::ops::Range<u64>| {
        numbers.for_each(|number| assert!(write(&index).upsert(&key(number), &document)));
    };
    // Writes documents and asks for an image; returns how many have changed since the one that there is then.
    let changed_after = async |count: u64| {
        filler.push(Fill::Documents((0..count).map(|number| (key(number), None)).collect()));
        filler.push(Fill::Image(index.clone(), space.clone()));
        filler.settle().await;
        cache.image(&space).await.unwrap().map(|image| image.changed.len())
    };
    put(0..1_999);
    assert_eq!(changed_after(1).await, None, "too few documents");
    put(1_999..2_000);
    assert_eq!(changed_after(0).await, Some(0));
    assert_eq!(changed_after(100).await, Some(100), "too few changes");
    assert_eq!(changed_after(1).await, Some(0));
    filler.set_apart();
    assert_eq!(changed_after(101).await, Some(101), "it would not be of these documents");
    filler.push(Fill::Clear);
    assert_eq!(changed_after(0).await, Some(0), "both have started over");
    filler.close();
}
