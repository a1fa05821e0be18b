//! Tests that are specific to the durable tier.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock, Timestamp};
use crate::model::entity::Entity;
use crate::model::kind::Kind;
use crate::store::conformance::Factory;
use crate::store::fixtures::{entities, episode, record, record_of};
use crate::store::record::{Key, Namespace, Record, WriterId};
use crate::store::traits::{Changes, ChangesQuery, Durable};

/// Runs every case of [`Durable`].
pub async fn check_durable(factory: &dyn Factory) {
    feed_is_complete_and_ordered(factory).await;
    feed_never_splits_a_commit(factory).await;
    feed_filters(factory).await;
    feed_without_own_records(factory).await;
    numbers_are_not_reused(factory).await;
    what_belongs_to_a_forgotten_episode_is_not_taken(factory).await;
    a_wrong_clock_purges_nothing(factory).await;
    positions_have_tokens(factory).await;
    counts(factory).await;
    closes(factory).await;
}

async fn open(factory: &dyn Factory, case: &str) -> (Arc<dyn Durable>, Namespace) {
    (factory.open(case).await.durable(), Namespace::new(case).unwrap_or_default())
}

async fn commit(store: &Arc<dyn Durable>, records: &[Record]) {
    store.commit(records).await.unwrap_or_else(|error| panic!("commit works: {error:?}"));
}

async fn changes(store: &Arc<dyn Durable>, space: &Namespace, after: u64, limit: usize) -> Changes {
    changes_of(store, space, after, limit, None).await
}

async fn changes_of(
    store: &Arc<dyn Durable>,
    space: &Namespace,
    after: u64,
    limit: usize,
    own: Option<WriterId>,
) -> Changes {
    let bodies = vec![Kind::Episode];
    let query = ChangesQuery { namespaces: vec![space.clone()], after, limit, bodies, own };
    let changes = store.changes(&query).await.unwrap_or_else(|error| panic!("changes work: {error:?}"));
    assert!(changes.next >= after && changes.head >= changes.next, "positions only grow");
    assert!(!changes.database.is_empty(), "the database has an identity");
    changes
}

fn ids(changes: &Changes) -> Vec<&str> {
    changes.changes.iter().map(|change| change.key.id.as_ref()).collect()
}

async fn feed_is_complete_and_ordered(factory: &dyn Factory) {
    let (store, space) = open(factory, "feed").await;
    let start = changes(&store, &space, 0, 10).await.next;
    for id in ["c", "a", "b"] {
        commit(&store, &[record(&space, id, 1, Some(episode(1)))]).await;
    }
    let seen = changes(&store, &space, start, 10).await;
    assert_eq!(ids(&seen), ["c", "a", "b"], "commit order, not key order");
    assert!(changes(&store, &space, seen.next, 10).await.changes.is_empty(), "nothing new behind next");
    commit(&store, &[record(&space, "a", 2, None)]).await;
    let later = changes(&store, &space, seen.next, 10).await;
    assert_eq!(ids(&later), ["a"], "a tombstone is a change");
    let record = later.changes[0].record.as_ref().expect("the body was asked for");
    assert!(record.is_tombstone());
    commit(&store, &[self::record(&space, "a", 1, Some(episode(1)))]).await;
    assert!(
        changes(&store, &space, later.next, 10).await.changes.is_empty(),
        "a write that loses is no change"
    );
    let all = changes(&store, &space, 0, 100).await;
    assert_eq!(
        ids(&all).iter().filter(|id| **id == "a").count(),
        1,
        "each record once, in its latest version"
    );
    assert_eq!(all.database, seen.database, "the identity does not change");
}

async fn feed_never_splits_a_commit(factory: &dyn Factory) {
    let (store, space) = open(factory, "split").await;
    let start = changes(&store, &space, 0, 10).await.head;
    let batch = |name: &str, n: u64| -> Vec<Record> {
        (0..n).map(|i| record(&space, &format!("{name}{i:03}"), 1, Some(episode(i)))).collect()
    };
    for (name, n) in [("a", 3), ("b", 250), ("c", 2), ("d", 1)] {
        commit(&store, &batch(name, n)).await;
    }
    let (mut position, mut seen) = (start, Vec::new());
    for _ in 0..100 {
        let page = changes(&store, &space, position, 4).await;
        if page.changes.is_empty() {
            break;
        }
        for name in ["a", "b", "c", "d"] {
            let there = ids(&page).iter().filter(|id| id.starts_with(name)).count();
            let whole = match name {
                "a" => 3,
                "b" => 250,
                "c" => 2,
                _ => 1,
            };
            assert!(there == 0 || there == whole, "commit {name} is whole in a page, {there} rows of it are");
        }
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        position = page.next;
    }
    assert_eq!(seen.len(), 256, "small pages see everything once");
}

async fn feed_filters(factory: &dyn Factory) {
    let (store, space) = open(factory, "feedfilter").await;
    let other = Namespace::new("feedfilter-2").unwrap_or_default();
    let start = changes(&store, &space, 0, 10).await.head;
    let step = entities(1).swap_remove(1);
    commit(
        &store,
        &[
            record(&space, "mine", 1, Some(episode(1))),
            record(&other, "theirs", 1, Some(episode(2))),
            record(&space, "step", 1, Some(step)),
        ],
    )
    .await;
    let mut seen = changes(&store, &space, start, 10).await.changes;
    seen.sort_by(|a, b| a.key.id.cmp(&b.key.id));
    let seen: Vec<_> = seen.iter().map(|change| (change.key.id.as_ref(), change.record.is_some())).collect();
    assert_eq!(seen, [("mine", true), ("step", false)], "own namespace only; bodies of the kinds asked for");
}

async fn feed_without_own_records(factory: &dyn Factory) {
    let (store, space) = open(factory, "feedwriter").await;
    let start = changes(&store, &space, 0, 10).await.head;
    let by = |id: &str, clock, writer| {
        let mut record = record(&space, id, clock, Some(episode(1)));
        record.revision.writer = WriterId::new(writer);
        record
    };
    let (own, other) = (u64::MAX, 7);
    for n in 0..6 {
        let writer = if n % 3 == 2 { other } else { own };
        commit(&store, &[by(&format!("k{n}"), 1, writer)]).await;
    }
    commit(&store, &[by("k0", 2, other), by("k3", 2, own)]).await;
    commit(&store, &[by("k5", 2, own)]).await;
    let seen = changes_of(&store, &space, start, 10, Some(WriterId::new(own))).await;
    let seen: Vec<_> = seen
        .changes
        .iter()
        .map(|change| (change.key.id.as_ref(), change.revision.clock, change.record.is_some()))
        .collect();
    assert_eq!(
        seen,
        [
            ("k1", 1, false),
            ("k2", 1, true),
            ("k4", 1, false),
            ("k0", 2, true),
            ("k3", 2, false),
            ("k5", 2, false)
        ],
        "own versions by key and revision; who made the version that holds now counts"
    );
}

async fn numbers_are_not_reused(factory: &dyn Factory) {
    let (store, space) = open(factory, "purge").await;
    commit(&store, &[record(&space, "stays", 1, Some(episode(1)))]).await;
    let mut grave = record(&space, "grave", 1, None);
    grave.expires_at = Some(Timestamp(10));
    let mut brief = record(&space, "brief", 1, Some(episode(2)));
    brief.expires_at = Some(Timestamp(10));
    commit(&store, &[grave]).await;
    commit(&store, &[brief]).await;
    let before = changes(&store, &space, 0, 100).await;
    assert!(before.floor < before.head);
    store.delete_expired(Timestamp(10)).await.expect("delete_expired works");
    let after = changes(&store, &space, before.next, 100).await;
    assert!(after.head >= before.head, "purging does not lower the head");
    assert!(after.floor > before.floor, "purging a tombstone raises the floor");
    assert!(after.floor < before.next, "but not past the live record purged behind it");
    commit(&store, &[record(&space, "new", 1, Some(episode(3)))]).await;
    let seen = changes(&store, &space, before.next, 100).await;
    assert_eq!(ids(&seen), ["new"], "a reader at the old head sees the next commit");
}

async fn counts(factory: &dyn Factory) {
    let (store, space) = open(factory, "counts").await;
    let step = entities(1).swap_remove(1);
    commit(
        &store,
        &[
            record(&space, "a", 1, Some(episode(1))),
            record(&space, "b", 1, Some(episode(2))),
            record(&space, "c", 1, None),
            record_of(&space, Kind::Step, "s", 1, Some(step)),
        ],
    )
    .await;
    let mut counts = store.count(&space).await.expect("count works");
    counts.sort_unstable();
    assert_eq!(counts, [(Kind::Episode, 2), (Kind::Step, 1)]);
    store.maintain().await.expect("maintain works");
}

async fn closes(factory: &dyn Factory) {
    let (store, space) = open(factory, "closes").await;
    commit(&store, &[record(&space, "a", 1, Some(episode(1)))]).await;
    store.close().await.expect("close works");
    assert!(store.commit(&[record(&space, "b", 1, Some(episode(1)))]).await.is_err(), "closed is closed");
    assert!(store.health().await.is_err());
}

async fn what_belongs_to_a_forgotten_episode_is_not_taken(factory: &dyn Factory) {
    let (store, space) = open(factory, "forgotten").await;
    let belongings: Vec<Record> = entities(1)
        .into_iter()
        .filter_map(|entity| {
            let (kind, id) = (entity.kind(), entity_id(&entity)?);
            kind.owner_of(&id)?;
            Some(record_of(&space, kind, &id, 5, Some(entity)))
        })
        .collect();
    let owners: HashSet<String> = belongings
        .iter()
        .filter_map(|record| record.key.kind.owner_of(&record.key.id).map(str::to_owned))
        .collect();
    assert_eq!((belongings.len(), owners.len()), (5, 1), "step, artifact, reward, reflection and evidence");
    let owner = owners.into_iter().next().unwrap_or_default();
    let head = |clock, entity| record(&space, &owner, clock, entity);
    let mut end = head(2, None);
    end.revision = end.revision.into_final();
    end.expires_at = None;
    commit(&store, &[head(1, Some(episode(1))), end.clone()]).await;
    // Completed by a process that did not know, with a later clock; and with records that have no owner.
    let mut batch = belongings.clone();
    batch.push(head(9, Some(episode(1))));
    batch.push(record(&space, "other", 9, Some(episode(2))));
    commit(&store, &batch).await;
    let keys: Vec<Key> = batch.iter().map(|record| record.key.clone()).collect();
    let found = store.get(&keys).await.expect("get works");
    let (other, rest) = found.split_last().expect("a batch");
    let (head, belongings) = rest.split_last().expect("a batch");
    assert!(other.is_some(), "the rest of the batch is taken");
    assert_eq!(head.as_ref(), Some(&end), "a final tombstone wins over later versions");
    assert!(belongings.iter().all(Option::is_none), "{belongings:?}");
    store.delete_expired(Timestamp(u64::MAX >> 1)).await.expect("delete_expired works");
    let found = store.get(&[end.key.clone()]).await.expect("get works");
    assert_eq!(found, [Some(end)], "a final tombstone is kept for ever");
}

async fn a_wrong_clock_purges_nothing(factory: &dyn Factory) {
    let (store, space) = open(factory, "wrongclock").await;
    let day = Duration::from_secs(86_400);
    let now = SystemClock::new().now();
    let expiring = |id: &str, at| Record { expires_at: Some(at), ..record(&space, id, 1, Some(episode(1))) };
    let (gone, kept) = (expiring("gone", now.minus(day)), expiring("kept", now.plus(300 * day)));
    commit(&store, &[gone.clone(), kept.clone()]).await;
    let purged = store.delete_expired(now.plus(400 * day)).await.expect("delete_expired works");
    assert!(purged.records >= 1 && purged.until < now.plus(day), "{purged:?}");
    let found = store.get(&[gone.key, kept.key.clone()]).await.expect("get works");
    assert_eq!(found, [None, Some(kept)]);
    let (early, late) = (expiring("early", Timestamp(7)), expiring("late", Timestamp(8)));
    commit(&store, &[early.clone(), late.clone()]).await;
    let before = store.delete_expired(Timestamp(7)).await.expect("delete_expired works");
    assert_eq!(before.until, Timestamp(7), "nor is more purged than was asked for");
    assert_eq!(store.get(&[early.key, late.key.clone()]).await.expect("get works"), [None, Some(late)]);
}

async fn positions_have_tokens(factory: &dyn Factory) {
    let (store, space) = open(factory, "tokens").await;
    let mut seen = Vec::new();
    for n in 0..5 {
        commit(&store, &[record(&space, &format!("k{n}"), 1, Some(episode(n)))]).await;
        let there = changes(&store, &space, 0, 100).await;
        assert!(there.token.is_some(), "a commit has a token");
        seen.push((there.next, there.token));
    }
    for (position, token) in &seen {
        let behind = changes(&store, &space, *position, 100).await;
        assert_eq!(behind.anchor, *token, "it stays that of the position");
    }
    let first = changes(&store, &space, seen[0].0 - 1, 1).await;
    assert_eq!((first.next, first.token), seen[0], "also at the end of a page");
    let end = changes(&store, &space, seen[4].0, 100).await;
    assert_eq!((end.next, end.token), seen[4], "and where there is nothing new");
}

/// Returns the record's id of an entity that belongs to an episode.
fn entity_id(entity: &Entity) -> Option<String> {
    Some(match entity {
        Entity::Step(step) => Key::step(&Namespace::default(), step).id.to_string(),
        Entity::Artifact(artifact) => format!("{}{}", Key::episode_prefix(artifact.episode), artifact.id),
        Entity::Reward(reward) => reward.episode.to_string(),
        Entity::Reflection(reflection) => reflection.episode.to_string(),
        Entity::Evidence(evidence) => evidence.record_id(),
        _ => return None,
    })
}
