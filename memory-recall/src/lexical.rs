//! The recall index: an inverted index for each searchable kind of each namespace.

mod bytes;
mod census;
mod dictionary;
mod entries;
pub(crate) mod entry;
mod frozen;
mod labels;
pub(crate) mod shard;
mod snapshot;
mod tasks;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use memory_core::{Decision, Key, Kind, Namespace, Revision, Timestamp};

use crate::document::SearchDocument;
use crate::groups::EpisodeHits;
use crate::query::RecallQuery;
use crate::rank::{Hit, Reach};
use crate::tasks::TaskFigures;
use crate::tokenize::label_key;
use crate::{groups, rank};

use entry::{Entry, State};
use shard::Shard;
use tasks::Tasks;

/// An in-memory BM25 index over search documents; a change is visible to the next search.
///
/// Namespaces share nothing, and each kind has its own statistics: the frequency of a word among episodes says
/// nothing about patterns. Changes are guarded by revision: they may come in any order and repeatedly, and an
/// older version never replaces a newer one, nor brings back a removed document.
#[derive(Debug, Default)]
pub struct LexicalIndex {
    shards: HashMap<(Namespace, Kind), Shard>,
    tasks: HashMap<Namespace, Tasks>,
}

impl LexicalIndex {
    /// Creates an empty index.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a document; returns false if the index has this version or a newer one, or has removed it.
    pub fn upsert(&mut self, key: &Key, document: &SearchDocument) -> bool {
        let changed = self.shard(key).upsert(&key.id, document);
        if changed && key.kind == Kind::Episode {
            self.tasks.entry(key.namespace.clone()).or_default().upsert(&key.id, document);
        }
        changed
    }

    /// Removes a document as of a revision; returns false if the index has a newer version.
    ///
    /// The revision is remembered, so that a late older version stays out. This memory is bounded: beyond
    /// 65,536 removals of one kind the oldest are forgotten.
    pub fn remove(&mut self, key: &Key, revision: Revision) -> bool {
        let removed = self.shard(key).remove(&key.id, revision);
        if removed
            && key.kind == Kind::Episode
            && let Some(tasks) = self.tasks.get_mut(&key.namespace)
        {
            tasks.remove(&key.id);
        }
        removed
    }

    /// Takes a document out as if it had never been put in: any version may come again.
    pub(crate) fn forget(&mut self, key: &Key) {
        if let Some(shard) = self.shards.get_mut(&(key.namespace.clone(), key.kind)) {
            shard.forget(&key.id);
        }
        if key.kind == Kind::Episode
            && let Some(tasks) = self.tasks.get_mut(&key.namespace)
        {
            tasks.remove(&key.id);
        }
    }

    /// Removes the documents that have expired at `now`; returns how many. Searches never return them either way.
    pub fn purge_expired(&mut self, now: Timestamp) -> usize {
        let mut purged = 0;
        for ((namespace, kind), shard) in &mut self.shards {
            let ids = shard.purge_expired(now);
            purged += ids.len();
            if *kind == Kind::Episode
                && let Some(tasks) = self.tasks.get_mut(namespace)
            {
                ids.iter().for_each(|id| tasks.remove(id));
            }
        }
        purged
    }

    /// Forgets removals of revisions made before `before`.
    pub fn prune_tombstones(&mut self, before: Timestamp) {
        for shard in self.shards.values_mut() {
            shard.prune_tombstones(before);
        }
    }

    /// Forgets everything of a namespace.
    pub fn clear(&mut self, namespace: &Namespace) {
        self.shards.retain(|(space, _), _| space != namespace);
        self.tasks.remove(namespace);
    }

    /// Returns the revision of a document.
    pub fn revision(&self, key: &Key) -> Option<Revision> {
        self.held(&key.namespace, key.kind)?.revision(&key.id)
    }

    /// Returns true if there is a document that has not expired at `now`.
    pub fn is_live(&self, key: &Key, now: Timestamp) -> bool {
        let held = self.held(&key.namespace, key.kind).and_then(|shard| shard.find(&key.id));
        held.is_some_and(|(_, entry)| !entry.is_expired(now))
    }

    /// Returns the keys of the documents of a kind in a namespace that have not expired at `now`, in no order.
    pub fn live(&self, namespace: &Namespace, kind: Kind, now: Timestamp) -> impl Iterator<Item = Key> {
        self.held(namespace, kind).into_iter().flat_map(move |shard| {
            let live = shard.entries().filter(move |entry| !entry.is_expired(now));
            live.map(|entry| shard.key(entry))
        })
    }

    /// Returns how many documents of a kind a namespace has, expired ones that are not purged yet included.
    pub fn len(&self, namespace: &Namespace, kind: Kind) -> usize {
        self.held(namespace, kind).map_or(0, Shard::len)
    }

    /// Returns true if a namespace has no document of a kind.
    pub fn is_empty(&self, namespace: &Namespace, kind: Kind) -> bool {
        self.len(namespace, kind) == 0
    }

    /// Returns roughly how many bytes of memory the index takes.
    pub fn bytes(&self) -> usize {
        self.shards.values().map(Shard::bytes).sum()
    }

    /// Returns the most relevant documents of a kind in a namespace, best first; equals in order of newest key
    /// first.
    ///
    /// Scores are explained at [`Hit`]. A query of stop words alone, or of nothing the documents know, finds
    /// nothing. At most [`RecallQuery::MAX_LIMIT`] hits are returned.
    pub fn search(&self, namespace: &Namespace, kind: Kind, query: &RecallQuery, now: Timestamp) -> Vec<Hit> {
        self.search_within(Reach::All, namespace, kind, query, now)
    }

    /// Searches only the newest documents that contain the query's rarest words.
    pub fn search_newest(
        &self,
        namespace: &Namespace,
        kind: Kind,
        query: &RecallQuery,
        now: Timestamp,
    ) -> Vec<Hit> {
        self.search_within(Reach::Newest, namespace, kind, query, now)
    }

    fn search_within(
        &self,
        reach: Reach,
        namespace: &Namespace,
        kind: Kind,
        query: &RecallQuery,
        now: Timestamp,
    ) -> Vec<Hit> {
        let Some(shard) = self.held(namespace, kind) else { return Vec::new() };
        rank::search(shard, query, now, &self.rejected(namespace, kind), reach)
    }

    /// Returns the ids of the rejected documents of a kind.
    fn rejected(&self, namespace: &Namespace, kind: Kind) -> HashSet<&str> {
        let rulings = self.held(namespace, Kind::Ruling).into_iter().flat_map(Shard::entries);
        let of_kind = |entry: &'_ Entry| entry.id.split_once(':').is_some_and(|(of, _)| of == kind.name());
        rulings
            .filter(|entry| entry.state == State::Rejected && of_kind(entry))
            .filter_map(|entry| entry.id.split_once(':').map(|(_, id)| id))
            .collect()
    }

    /// Returns the rulings on learned items, by the id of the ruling.
    pub fn rulings(&self, namespace: &Namespace) -> impl Iterator<Item = (Arc<str>, Decision)> {
        let entries = self.held(namespace, Kind::Ruling).into_iter().flat_map(Shard::entries);
        let decided = |entry: &Entry| match entry.state {
            State::Pinned => Some((entry.id.clone(), Decision::Pinned)),
            State::Rejected => Some((entry.id.clone(), Decision::Rejected)),
            _ => None,
        };
        entries.filter_map(decided)
    }

    /// Returns who did an episode, and when it started; `None` if there is none that has not expired at `now`.
    pub fn origin(&self, key: &Key, now: Timestamp) -> Option<(Option<Arc<str>>, Timestamp)> {
        let (_, entry) = self.held(&key.namespace, key.kind)?.find(&key.id)?;
        (!entry.is_expired(now)).then(|| (entry.agent.clone(), entry.at))
    }

    /// Returns the episodes that help most with a task, a forecast of its outcome, and the problems of similar
    /// tasks.
    ///
    /// `semantic` has the cosines of the record ids nearest in meaning; empty without a model.
    pub fn search_episodes(
        &self,
        namespace: &Namespace,
        query: &RecallQuery,
        now: Timestamp,
        semantic: &HashMap<Arc<str>, f32>,
    ) -> EpisodeHits {
        self.held(namespace, Kind::Episode)
            .map_or_else(EpisodeHits::default, |shard| groups::search(shard, query, now, semantic))
    }

    /// Returns the record ids of the completed episodes of a domain, or of those without one: newest first,
    /// among equals the newer key; at most `newest`, and only those whose agent is admitted.
    pub fn episodes_of(
        &self,
        namespace: &Namespace,
        domain: Option<&str>,
        newest: usize,
        admits: impl Fn(Option<&str>) -> bool,
    ) -> Vec<Arc<str>> {
        let Some(shard) = self.held(namespace, Kind::Episode) else { return Vec::new() };
        let domain = label_key(domain);
        let entries = shard.census.newest(&domain).filter_map(|slot| shard.entry(slot));
        let asked = entries.filter(|entry| admits(entry.agent.as_deref())).take(newest);
        asked.map(|entry| entry.id.clone()).collect()
    }

    /// Returns how many completed episodes a domain has, or how many have none.
    pub fn count_of(&self, namespace: &Namespace, domain: Option<&str>) -> usize {
        self.held(namespace, Kind::Episode).map_or(0, |shard| shard.census.count(&label_key(domain)))
    }

    /// Returns the domains of completed episodes in the form in which they are compared; `None` for those
    /// without one.
    pub fn domains(&self, namespace: &Namespace) -> Vec<Option<String>> {
        let named = |domain: &str| (!domain.is_empty()).then(|| domain.to_owned());
        self.held(namespace, Kind::Episode)
            .map_or_else(Vec::new, |shard| shard.census.domains().map(named).collect())
    }

    /// Returns a number that is another one after every change of the documents of a kind; 0 while there are none.
    pub fn stamp(&self, namespace: &Namespace, kind: Kind) -> u64 {
        self.held(namespace, kind).map_or(0, |shard| shard.stamp)
    }

    /// Returns the learned items of a kind for a domain, or for tasks without one, by key, including rejected
    /// ones.
    pub fn learned_of(&self, namespace: &Namespace, kind: Kind, domain: Option<&str>) -> Vec<Key> {
        let Some(shard) = self.held(namespace, kind) else { return Vec::new() };
        let domain = label_key(domain);
        let same = |entry: &&Entry| entry.domain.as_deref().unwrap_or_default() == domain;
        let mut keys: Vec<Key> = shard.entries().filter(same).map(|entry| shard.key(entry)).collect();
        keys.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        keys
    }

    /// Returns the usual effort of tasks of a namespace.
    pub fn tasks(&self, namespace: &Namespace) -> Option<&TaskFigures> {
        self.tasks.get(namespace).map(Tasks::figures)
    }

    #[cfg(test)]
    pub(crate) fn shard_of_episodes(&self, namespace: &Namespace) -> Option<&Shard> {
        self.held(namespace, Kind::Episode)
    }

    fn held(&self, namespace: &Namespace, kind: Kind) -> Option<&Shard> {
        self.shards.get(&(namespace.clone(), kind))
    }

    fn shard(&mut self, key: &Key) -> &mut Shard {
        self.shards
            .entry((key.namespace.clone(), key.kind))
            .or_insert_with(|| Shard::new(key.namespace.clone(), key.kind))
    }
}

#[cfg(test)]
mod tests;
