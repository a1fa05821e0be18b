//! The checker: reopens the memory and compares it, and the server, with what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent_memory::{EpisodeId, ItemId, Memory, Step};
use memory_test_support::Sqld;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::content;
use crate::tally::{Acknowledged, Forgetting, Round, Tally};

/// How long the outbox may take to drain.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Checker<'s> {
    runtime: Runtime,
    folder: PathBuf,
    sqld: Option<&'s Sqld>,
    /// Everything acknowledged in any round.
    all: Round,
}

impl<'s> Checker<'s> {
    pub(crate) fn new(folder: &Path, sqld: Option<&'s Sqld>) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
        Ok(Self { runtime, folder: folder.to_owned(), sqld, all: Round::new() })
    }

    /// Records something by a right clock. A local memory that has only known a clock which is behind cannot be told from one
    /// that nobody used for as long: what it holds has expired by then.
    pub(crate) fn begin(&self) -> Result<(), String> {
        self.runtime.block_on(async {
            let memory = self.open().await?;
            let begun = memory.start(content::description(0)).await;
            begun.map_err(|error| format!("start: {error:?}"))?;
            close(memory).await
        })
    }

    /// Checks the episodes of one round.
    pub(crate) fn check(&mut self, mut round: Round, tally: &mut Tally) -> Result<(), String> {
        self.runtime.block_on(async {
            let memory = self.open().await?;
            for (id, acknowledged) in &mut round {
                tally.acknowledged += 1 + acknowledged.steps.len() as u64 + u64::from(acknowledged.completed);
                check_episode(&memory, *id, acknowledged, tally).await?;
            }
            close(memory).await
        })?;
        if let Some(sqld) = self.sqld {
            check_server(sqld, &round, tally);
        }
        self.all.extend(round);
        Ok(())
    }

    /// Checks at the end that no later round harmed an earlier one, and that each episode was learned from once.
    pub(crate) fn check_all(&self, tally: &mut Tally) -> Result<(), String> {
        self.runtime.block_on(async {
            let memory = self.open().await?;
            for (id, acknowledged) in &self.all {
                let found = memory.steps(*id).await.map_err(|error| format!("steps: {error:?}"))?;
                let episode = memory.get(*id).await.map_err(|error| format!("get: {error:?}"))?;
                if acknowledged.forgetting == Forgetting::Done {
                    tally.returned += u64::from(episode.is_some()) + found.len() as u64;
                } else {
                    tally.lost += (acknowledged.steps.len() as u64).saturating_sub(found.len() as u64);
                    tally.lost += u64::from(episode.is_none());
                }
            }
            self.check_learning(&memory, tally).await.map_err(|error| format!("learning: {error:?}"))?;
            close(memory).await
        })
    }

    /// Checks that what the kills interrupted is learned, and that what was learned counts each episode once.
    async fn check_learning(&self, memory: &Memory, tally: &mut Tally) -> Result<(), agent_memory::Error> {
        memory.learn().await?;
        let knowledge = memory.knowledge();
        let taught = |it: &Acknowledged| it.completed && it.forgetting != Forgetting::Done;
        let completed = || self.all.iter().filter(|(_, it)| taught(it)).map(|(id, _)| *id);
        for id in completed() {
            if !knowledge.reward(id).await?.is_some_and(|reward| reward.learned) {
                eprintln!("episode {id} was not learned from");
                tally.lost += 1;
            }
        }
        let mut counts: Vec<(ItemId, u64)> = Vec::new();
        for pattern in knowledge.patterns().await?.items {
            let count = u64::from(pattern.tally.successes) + u64::from(pattern.tally.failures);
            counts.push((ItemId::Pattern(pattern.id), count));
        }
        for playbook in knowledge.playbooks().await?.items {
            let count = u64::from(playbook.tally.successes) + u64::from(playbook.tally.failures);
            counts.push((ItemId::Playbook(playbook.id), count));
        }
        let mut seen_by: BTreeSet<EpisodeId> = BTreeSet::new();
        for lesson in knowledge.failures().await?.items {
            let item = ItemId::Failure(lesson.id);
            counts.push((item, lesson.occurrences.into()));
            seen_by.extend(knowledge.evidence(item).await?.iter().map(|piece| piece.episode));
        }
        for (item, count) in &counts {
            let evidence = knowledge.evidence(*item).await?;
            let episodes: BTreeSet<EpisodeId> = evidence.iter().map(|piece| piece.episode).collect();
            if *count != episodes.len() as u64 {
                eprintln!("{item:?} counts {count} episodes, {} are its evidence", episodes.len());
                tally.corrupted += 1;
            }
        }
        let forgotten =
            |id: &&EpisodeId| self.all.get(*id).is_some_and(|it| it.forgetting == Forgetting::Done);
        for id in seen_by.iter().filter(forgotten) {
            eprintln!("what was learned names the forgotten episode {id}");
            tally.returned += 1;
        }
        // Each had the same error.
        for id in completed().filter(|id| !seen_by.contains(id)) {
            eprintln!("the error of episode {id} was not learned from");
            tally.lost += 1;
        }
        if completed().next().is_some() && counts.len() < 2 {
            eprintln!("nothing was learned: {counts:?}");
            tally.lost += 1;
        }
        Ok(())
    }

    async fn open(&self) -> Result<Memory, String> {
        let mut builder = content::builder(&self.folder);
        if let Some(sqld) = self.sqld {
            builder = builder.remote(sqld.url());
        }
        builder.open().await.map_err(|error| format!("open: {error:?}"))
    }
}

/// Closes the memory, which sends all that waits.
async fn close(memory: Memory) -> Result<(), String> {
    if let Err(error) = memory.flush(PATIENCE).await {
        let status = memory.status().await.engine;
        return Err(format!("flush: {error:?}; {:?}, {:?}", status.breaker, status.sync));
    }
    let left = memory.close(PATIENCE).await.map_err(|error| format!("close: {error:?}"))?;
    if left.rows + left.dead_letters > 0 { Err(format!("rows left after closing: {left:?}")) } else { Ok(()) }
}

async fn check_episode(
    memory: &Memory,
    id: EpisodeId,
    acknowledged: &mut Acknowledged,
    tally: &mut Tally,
) -> Result<(), String> {
    let nonce = acknowledged.nonce;
    let found = memory.get(id).await.map_err(|error| format!("get {id}: {error:?}"))?;
    if found.is_none() && acknowledged.forgetting != Forgetting::No {
        acknowledged.forgetting = Forgetting::Done;
    }
    if acknowledged.forgetting == Forgetting::Done {
        let steps = memory.steps(id).await.map_err(|error| format!("steps of {id}: {error:?}"))?;
        if found.is_some() || !steps.is_empty() {
            eprintln!("episode {id} was forgotten and is there again, or {} of its steps", steps.len());
            tally.returned += 1;
        }
        return Ok(());
    }
    let Some(episode) = found else {
        eprintln!("episode {id} is lost");
        tally.lost += 1;
        return Ok(());
    };
    if episode.task.description != content::description(nonce) {
        eprintln!("episode {id} has another description");
        tally.corrupted += 1;
    }
    let outcome = episode.outcome.as_ref().map(|outcome| outcome.text().to_owned());
    match outcome {
        None if acknowledged.completed => {
            eprintln!("the outcome of episode {id} is lost");
            tally.lost += 1;
        }
        Some(text) if text != content::outcome(nonce) => {
            eprintln!("episode {id} has another outcome");
            tally.corrupted += 1;
        }
        _ => {}
    }
    let steps = memory.steps(id).await.map_err(|error| format!("steps of {id}: {error:?}"))?;
    let found = steps.iter().map(|step: &Step| (step.number, step.action.observation.as_str()));
    compare(id, acknowledged, found, tally);
    Ok(())
}

/// Asks the server itself, past all of our own code.
fn check_server(sqld: &Sqld, round: &Round, tally: &mut Tally) {
    let (Some(first), Some(last)) = (round.keys().next(), round.keys().next_back()) else { return };
    let mut heads: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows(&sqld.sql(&format!(
        "SELECT id, json_extract(body, '$.task.description') FROM records \
         WHERE namespace = 'default' AND kind = 'episode' AND deleted = 0 AND id >= '{first}' AND id <= '{last}'"
    ))) {
        heads.entry(text(&row, 0)).or_default().push(text(&row, 1));
    }
    let mut steps: BTreeMap<String, Vec<(u32, String)>> = BTreeMap::new();
    for row in rows(&sqld.sql(&format!(
        "SELECT json_extract(body, '$.episode'), json_extract(body, '$.number'), \
                json_extract(body, '$.action.observation') FROM records \
         WHERE namespace = 'default' AND kind = 'step' AND deleted = 0 AND id >= '{first}:' AND id < '{last};' ORDER BY id"
    ))) {
        let step = (text(&row, 1).parse().unwrap_or(0), text(&row, 2));
        steps.entry(text(&row, 0)).or_default().push(step);
    }
    for (id, acknowledged) in round {
        if acknowledged.forgetting == Forgetting::Done {
            if heads.contains_key(&id.to_string()) || steps.contains_key(&id.to_string()) {
                eprintln!("the server has the forgotten episode {id}, or steps of it");
                tally.returned += 1;
            }
            continue;
        }
        match heads.get(&id.to_string()).map(Vec::as_slice) {
            None | Some([]) => {
                eprintln!("the server does not have episode {id}");
                tally.lost += 1;
            }
            Some([head]) if *head == content::description(acknowledged.nonce) => {}
            Some([_]) => tally.corrupted += 1,
            Some(more) => tally.duplicated += more.len() as u64 - 1,
        }
        let found = steps.get(&id.to_string()).map(Vec::as_slice).unwrap_or_default();
        compare(*id, acknowledged, found.iter().map(|(number, text)| (*number, text.as_str())), tally);
    }
}

fn compare<'a>(
    id: EpisodeId,
    acknowledged: &Acknowledged,
    found: impl Iterator<Item = (u32, &'a str)>,
    tally: &mut Tally,
) {
    let mut seen: BTreeMap<u32, u64> = BTreeMap::new();
    for (number, observation) in found {
        *seen.entry(number).or_default() += 1;
        if observation != content::observation(acknowledged.nonce, number) {
            eprintln!("step {number} of {id} has another content");
            tally.corrupted += 1;
        }
    }
    for number in &acknowledged.steps {
        if !seen.contains_key(number) {
            eprintln!("step {number} of {id} is lost");
            tally.lost += 1;
        }
    }
    tally.duplicated += seen.values().map(|times| times - 1).sum::<u64>();
}

fn rows(result: &Value) -> Vec<Vec<Value>> {
    let rows = result.as_array().cloned().unwrap_or_default();
    rows.into_iter().map(|row| row.as_array().cloned().unwrap_or_default()).collect()
}

fn text(row: &[Value], column: usize) -> String {
    match row.get(column) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
