//! What must hold once a fleet is quiet: everything is connected, everything was sent and read.

use std::collections::BTreeSet;
use std::sync::Arc;

use memory_core::{Engine, Entity, Key, Kind, Namespace, Outcome, Record};
use memory_recall::document::SearchDocument;
use memory_recall::query::RecallQuery;
use memory_recall::shared::SharedIndex;
use memory_storage_turso::{LocalOptions, LocalStore};

use super::fleet::{Fleet, Violation};
use super::ledger::{Fact, Known};
use super::server::live_records;

/// Rounds of sending and reading after which nothing may be left to send.
const ROUNDS: usize = 8;

impl Fleet {
    /// Heals everything, waits until nothing changes any more, and checks all promises.
    pub(crate) async fn check_when_quiet(&mut self) -> Result<(), Violation> {
        self.heal().await?;
        self.settle().await?;
        // What belonged to an episode and arrived before its tombstone goes with the next cycle.
        let memory = self.memory(0);
        let cycle = self.call(0, "consolidate", memory.consolidate(None)).await?;
        cycle.map_err(|error| format!("consolidate fails: {error:?}"))?;
        self.settle().await?;
        let store = self.durable().await;
        let space = Namespace::default();
        let live = live_records(store.as_ref(), &space).await.map_err(|error| format!("{error:?}"))?;
        for (episode, fact) in self.ledger.facts() {
            check_stored(episode, fact, &live)?;
        }
        for (episode, fact) in self.ledger.facts() {
            self.check_recall(episode % self.machines.len(), episode, fact).await?;
        }
        for on in 0..self.machines.len() {
            let memory = self.memory(on);
            self.check_reads(on, memory.engine(), &live).await?;
            check_index(on, memory.engine().namespace(), memory.index(), &live)?;
            for (episode, fact) in self.ledger.facts() {
                let found = self.call(on, "get", memory.get(fact.id)).await?;
                let found = found.map_err(|error| format!("get of {episode} fails on {on}: {error:?}"))?;
                if fact.is_gone() && found.is_some() {
                    return Err(format!("{on} still shows {episode}, which was forgotten"));
                }
                if fact.is_kept() && found.is_none() {
                    return Err(format!("{on} does not show {episode}, which was acknowledged"));
                }
            }
        }
        Ok(())
    }

    /// Connects all machines, frees their disks and starts all processes.
    pub(crate) async fn heal(&mut self) -> Result<(), Violation> {
        for on in 0..self.machines.len() {
            let machine = &mut self.machines[on];
            machine.network.cut(false);
            machine.network.lose_answers(0);
            machine.network.trusted();
            machine.ails = false;
            match &machine.process {
                Some(process) => process.journal.iter().for_each(|journal| journal.free_disk()),
                None => self.open(on).await?,
            }
        }
        Ok(())
    }

    /// Sends and reads in rounds until the change feed stands still and all outboxes are empty.
    pub(crate) async fn settle(&mut self) -> Result<(), Violation> {
        let mut last = None;
        let mut left = String::new();
        for _ in 0..ROUNDS {
            left.clear();
            for on in 0..self.machines.len() {
                let memory = self.memory(on);
                if !self.flush(on).await? {
                    left += &format!("flush fails on {on}; ");
                }
                let pulled = self.call(on, "pull", memory.engine().pull()).await?;
                if let Err(error) = pulled {
                    left += &format!("pull fails on {on}: {error}; ");
                }
            }
            let mut state = Vec::new();
            for on in 0..self.machines.len() {
                let memory = self.memory(on);
                let status = self.call(on, "status", memory.status()).await?;
                let sync = &status.engine.sync;
                state.push((sync.position, sync.head));
                if let Some(outbox) = status.engine.outbox.filter(|it| it.rows + it.dead_letters > 0) {
                    left += &format!(
                        "{} rows wait and {} are refused on {on}; ",
                        outbox.rows, outbox.dead_letters
                    );
                }
            }
            if left.is_empty() && last.as_ref() == Some(&state) {
                return Ok(());
            }
            last = Some(state);
        }
        Err(format!("it does not come to rest: {left}{last:?}"))
    }

    async fn durable(&self) -> Arc<LocalStore> {
        match &self.server {
            Some(server) => server.store().await.clone(),
            None => {
                let file = self.file.clone();
                let open = move || LocalStore::open(&file, LocalOptions::new().readers(1));
                Arc::new(tokio::task::spawn_blocking(open).await.unwrap().unwrap())
            }
        }
    }

    /// Checks that a machine recalls an episode by its word if it is there, and not if it is gone.
    async fn check_recall(&self, on: usize, episode: usize, fact: &Fact) -> Result<(), Violation> {
        let memory = self.memory(on);
        let query = RecallQuery::new(&*fact.word).include_open(true);
        let recall = self.call(on, "recall", memory.recall(query)).await?;
        let recall = recall.map_err(|error| format!("recall fails on {on}: {error:?}"))?;
        let found = recall.episodes.iter().any(|recalled| recalled.episode.id == fact.id);
        if fact.is_gone() && found {
            return Err(format!("{on} recalls {episode}, which was forgotten"));
        }
        if fact.is_kept() && !found {
            return Err(format!("{on} does not recall {episode} by its word"));
        }
        Ok(())
    }

    /// Checks that a machine reads each record as the durable tier has it.
    async fn check_reads(&self, on: usize, engine: &Engine, live: &[Record]) -> Result<(), Violation> {
        let now = engine.clock().now();
        for record in live.iter().filter(|record| !record.is_expired(now)) {
            let read = self.call(on, "read", engine.read(&record.key)).await?;
            let read = read.map_err(|error| format!("{} cannot be read on {on}: {error:?}", record.key))?;
            if read.record.as_ref() != Some(record) {
                let (found, expected) = (read.record.map(|it| it.revision), record.revision);
                return Err(format!("{on} reads {} as {found:?}, not {expected:?}", record.key));
            }
        }
        Ok(())
    }
}

/// Checks that the recall index of a machine has what the durable tier has to search, and nothing else.
fn check_index(on: usize, space: &Namespace, index: &SharedIndex, live: &[Record]) -> Result<(), Violation> {
    for kind in Kind::ALL.into_iter().filter(|kind| kind.spec().searchable) {
        let of_kind = live.iter().filter(|it| it.key.kind == kind && SearchDocument::of_record(it).is_some());
        let mut expected = 0;
        for record in of_kind {
            expected += 1;
            let indexed = index.with(|index| index.revision(&record.key));
            if indexed != Some(record.revision) {
                let (key, revision) = (&record.key, record.revision);
                return Err(format!("the index of {on} has {key} as {indexed:?}, not {revision:?}"));
            }
        }
        let indexed = index.with(|index| index.len(space, kind));
        if indexed != expected {
            return Err(format!("the index of {on} has {indexed} documents of {kind}, not {expected}"));
        }
    }
    Ok(())
}

/// Checks what the durable tier has of one episode.
fn check_stored(episode: usize, fact: &Fact, live: &[Record]) -> Result<(), Violation> {
    let of = |kind: Kind, id: &str| live.iter().find(|it| it.key.kind == kind && &*it.key.id == id);
    let id = fact.id.to_string();
    let head = of(Kind::Episode, &id).and_then(|record| record.entity.as_ref()?.as_episode());
    if fact.is_gone() {
        let of_it = |key: &Key| *key.id == *id || key.id.starts_with(&format!("{id}:"));
        return match live.iter().find(|record| of_it(&record.key)) {
            Some(record) => Err(format!("{} is there, and {episode} was forgotten", record.key)),
            None => Ok(()),
        };
    }
    if !fact.is_kept() {
        return Ok(());
    }
    let Some(head) = head else { return Err(format!("{episode} was started and is not there")) };
    let stored: BTreeSet<String> = live
        .iter()
        .filter(|record| record.key.kind == Kind::Step && record.key.id.starts_with(&id))
        .filter_map(|record| match record.entity.as_deref()? {
            Entity::Step(step) => Some(step.action.observation.clone()),
            _ => None,
        })
        .collect();
    for (text, known) in &fact.steps {
        if *known == Known::Acknowledged && !stored.contains(text) {
            return Err(format!("the step {text:?} of {episode} was acknowledged and is not there"));
        }
    }
    if let Some(unknown) = stored.iter().find(|text| !fact.steps.contains_key(*text)) {
        return Err(format!("{episode} has the step {unknown:?}, which nobody logged"));
    }
    match &head.outcome {
        None if fact.is_completed() => Err(format!("{episode} was completed and is open")),
        None => Ok(()),
        Some(Outcome::Success { summary: said } | Outcome::Failure { error: said, .. })
            if fact.outcomes.contains_key(said) =>
        {
            Ok(())
        }
        Some(outcome) => Err(format!("{episode} ended as {outcome:?}, which nobody said")),
    }
}
