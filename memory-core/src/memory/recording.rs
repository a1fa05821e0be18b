//! Recording an episode that is over already, idempotently: import and backfill.

use serde::Serialize;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::engine::Read;
use crate::error::{Error, ErrorKind, Result};
use crate::id::EpisodeId;
use crate::learn::fingerprint::fingerprint;
use crate::memory::Memory;
use crate::memory::observed::Observed;
use crate::model::entity::Entity;
use crate::model::episode::{Episode, EpisodeStatus, add_call};
use crate::model::outcome::Outcome;
use crate::model::step::{Action, Step};
use crate::model::task::Task;
use crate::store::record::{Key, Record};

/// A finished episode to record as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Identifies the episode in its source, so that recording it again changes nothing: a file's name and line, a
    /// trace id, a hash of the content. 1 to 1,000 bytes.
    pub source_key: String,
    /// What was asked.
    pub task: Task,
    /// What was done, in order.
    pub actions: Vec<Action>,
    /// How it ended.
    pub outcome: Outcome,
    /// When it was done, at most a day ahead of the clock; now, if the source does not say.
    pub at: Option<Timestamp>,
}

/// What became of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Recorded {
    /// It was not known, as far as could be asked, and is stored now.
    New(EpisodeId),
    /// It was recorded before; nothing was changed.
    Known(EpisodeId),
    /// It was recorded before and then forgotten; nothing was changed.
    Forgotten(EpisodeId),
}

impl Memory {
    /// Records a finished episode atomically, unless its source key is known already.
    ///
    /// # Errors
    /// As [`Memory::start`] and [`crate::OpenEpisode::step`], before anything is stored.
    pub async fn record(&self, recording: Recording) -> Result<Recorded> {
        let inner = &self.inner;
        inner.learner.active();
        let id = derive_id(inner.engine.namespace().as_str(), &recording.source_key)?;
        let key = Key::episode(inner.engine.namespace(), id);
        match inner.engine.read(&key).await {
            Ok(Read { record: Some(record), .. }) => {
                return Ok(if record.is_tombstone() { Recorded::Forgotten(id) } else { Recorded::Known(id) });
            }
            Ok(_) => {}
            // Recording goes on while the durable tier is away; if it does know the episode, it keeps what it has.
            Err(error) if error.is_transient() || error.kind() == ErrorKind::Unauthorized => {}
            Err(error) => return Err(error),
        }
        inner.take_token()?;
        inner.check_quota()?;
        let Recording { mut task, mut actions, mut outcome, at, .. } = recording;
        inner.limits.check_task(&task)?;
        inner.limits.check_steps(actions.len() as u64)?;
        inner.limits.check_outcome(&outcome)?;
        let now = inner.engine.clock().now();
        at.map_or(Ok(()), |at| inner.limits.check_time(at, now))?;
        for (i, action) in actions.iter().enumerate() {
            inner
                .limits
                .check_action(action)
                .map_err(|error| error.with_context("step", (i + 1).to_string()))?;
        }
        let mut redactions =
            inner.redactor.redact_task(&mut task) + inner.redactor.redact_outcome(&mut outcome);
        for action in &mut actions {
            redactions += inner.redactor.redact_action(action);
        }
        let at = at.unwrap_or(now);
        let mut episode = Episode::open(id, task, at);
        episode.status = EpisodeStatus::Completed;
        episode.completed_at = Some(at);
        episode.outcome = Some(outcome);
        episode.redactions = redactions;
        sum_up(&mut episode, &actions);
        episode.fingerprint = fingerprint(&episode.task);
        let mut observed = Observed::default();
        actions.iter().for_each(|action| observed.action(action));
        let reward = observed.conclude(inner, &mut episode);
        let engine = &inner.engine;
        let head = first_version(inner.version_of(&episode)?);
        let mut bytes = inner.encoded_len("record", "episode", &head)?;
        let mut records = Vec::with_capacity(actions.len() + 1);
        for (number, action) in (1..).zip(actions) {
            // No writer in the key: recording twice at the same time is the same record twice.
            let step = Step::new(id, number, 0, at, action);
            let key = Key::step(engine.namespace(), &step);
            let record = first_version(engine.version(key, Some(Entity::Step(step))));
            bytes += inner.encoded_len("record", "step", &record)?;
            records.push(record);
        }
        inner.limits.check_episode_bytes("record", bytes)?;
        // The head behind its steps, and behind it what makes it due: rows may reach a server in several batches, and
        // nobody may see the later of these without the earlier.
        records.push(head);
        records.push(first_version(inner.version_of_reward(reward)));
        engine.commit(records).await?;
        inner.count_redactions(redactions);
        inner.learner.due(id);
        Ok(Recorded::New(id))
    }
}

/// Gives a record the lowest revision: any other version of it, a tombstone too, wins wherever the two meet.
fn first_version(mut record: Record) -> Record {
    record.revision.clock = 1;
    record
}

fn sum_up(episode: &mut Episode, actions: &[Action]) {
    episode.steps = u32::try_from(actions.len()).unwrap_or(u32::MAX);
    for action in actions {
        episode.step_duration_ms = episode.step_duration_ms.saturating_add(action.duration_ms.unwrap_or(0));
        episode.tokens = episode.tokens.saturating_add(action.tokens.unwrap_or(0));
        add_call(&mut episode.tools, &mut episode.course, action);
    }
}

/// Derives an episode's id from its source key: a UUIDv7 with a time of 0, so that it sorts before live ones and
/// is the same wherever the key is the same.
fn derive_id(namespace: &str, source_key: &str) -> Result<EpisodeId> {
    if source_key.is_empty() || source_key.len() > 1_000 {
        let problem = format!("{} bytes, the limit is 1 to 1000 bytes", source_key.len());
        return Err(Error::invalid("record", "source_key", problem));
    }
    let name = format!("{namespace}\0{source_key}");
    let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).as_u128();
    let random = hash & ((1 << 76) - 1);
    let high = (0x7 << 76) | (random >> 62 & 0xfff) << 64;
    let low = (0b10 << 62) | (random & 0x3fff_ffff_ffff_ffff);
    Ok(EpisodeId(Uuid::from_u128(high | low)))
}
