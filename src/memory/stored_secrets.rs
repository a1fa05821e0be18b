//! Redacts stored records with the current rules.
//!
//! A pass reads every record once, kind by kind. If any record of an episode has a secret, the whole episode is
//! redacted in one commit: its words are in its head, too, and everything learned from it is withdrawn and
//! learned again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use memory_core::{Entity, Episode, EpisodeId, Error, ErrorKind, Freshness, Key, Kind, Record, Result, Scan};
use memory_learn::fingerprint::fingerprint;
use memory_learn::keywords::Keywords;
use serde::Serialize;

use crate::memory::advisors::Advisors;
use crate::memory::backlog::Backlog;
use crate::memory::draft::Draft;
use crate::memory::forgetter::Forgetter;
use crate::memory::learner::ATTEMPTS;
use crate::memory::records::Records;
use crate::memory::rules::{Refresh, Rules};
use crate::memory::writing::Writing;
use crate::memory::{Memory, unknown_steps};
use crate::redact::{Redactor, marks};

/// Records read at a time.
const PAGE: usize = 200;

/// The treatment of secrets found by a pass over stored records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RedactionPass {
    /// Reports them, and changes nothing.
    DryRun,
    /// Replaces them.
    Apply,
}

/// A stored record in which secrets were found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SecretsFound {
    /// The kind of record.
    pub kind: Kind,
    /// Its id; a secret in it is replaced.
    pub id: String,
    /// How many secrets each rule found, by the rule's name.
    pub rules: BTreeMap<String, u64>,
}

/// A part of a pass over stored records; [`Memory::redact_stored`] returns it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct RedactedPage {
    /// Records that were read.
    pub checked: u64,
    /// Those with secrets. With [`RedactionPass::Apply`] these are replaced.
    pub found: Vec<SecretsFound>,
    /// The keys of records that do not decode, so their content is unknown. They can be forgotten.
    pub unreadable: Vec<String>,
    /// Where the next part begins; `None` after the last.
    pub next: Option<String>,
}

impl Memory {
    /// Redacts one part of the stored records with the rules of this memory: from the beginning, or from
    /// [`RedactedPage::next`]. Repeat until there is no next part. A pass may be interrupted and resumed
    /// anywhere, and a repeated part changes nothing more.
    ///
    /// With [`RedactionPass::Apply`] an episode with secrets is redacted as a whole, and is learned from again.
    /// Copies remain in old pages and backups of the durable tier, in the caches of machines that have not
    /// received the change yet, and in dead letters.
    ///
    /// # Errors
    /// `InvalidInput` for a place that no pass returned, `Unavailable` while the durable tier does not answer;
    /// records redacted until then stay redacted.
    pub async fn redact_stored(&self, pass: RedactionPass, from: Option<&str>) -> Result<RedactedPage> {
        let inner = &self.inner;
        inner.backlog.active();
        let (kind, after) = from.map_or(Ok((Kind::ALL[0], None)), place)?;
        let scan = Scan::new(inner.records.engine.namespace(), kind).limit(PAGE).after(after);
        let (read, freshness) = inner.records.engine.scan_fresh(&scan).await?;
        if freshness != Freshness::Fresh {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "redact stored",
                "the durable tier is away, so it is not known what is stored",
            )
            .with_hint("try again when `memory status` shows the server as reachable"));
        }
        let name = |id: &Arc<str>| format!("{kind}:{id}");
        let mut page = RedactedPage {
            checked: (read.records.len() + read.unreadable.len()) as u64,
            unreadable: read.unreadable.iter().map(name).collect(),
            ..RedactedPage::default()
        };
        for record in read.records {
            let Some(found) = inner.secrets.secrets_in(&record).await? else { continue };
            if pass == RedactionPass::Apply {
                inner.secrets.redact_record(record).await?;
            }
            page.found.push(found);
        }
        page.next = match read.next {
            Some(next) => Some(format!("{kind}:{next}")),
            None => {
                let later = Kind::ALL.into_iter().skip_while(|other| *other != kind).nth(1);
                later.map(|kind| format!("{kind}:"))
            }
        };
        if pass == RedactionPass::Apply && page.next.is_none() {
            let _gate = inner.backlog.gate.lock().await;
            inner.advisors.learn_noted().await?;
            inner.rules.refresh_heuristics(Refresh::Changed).await?;
        }
        Ok(page)
    }
}

/// Replaces secrets in stored records.
pub(super) struct StoredSecrets {
    pub(super) records: Arc<Records>,
    pub(super) backlog: Arc<Backlog>,
    pub(super) writing: Arc<Writing>,
    pub(super) forgetter: Arc<Forgetter>,
    pub(super) advisors: Arc<Advisors>,
    pub(super) rules: Arc<Rules>,
    pub(super) redactor: Redactor,
}

impl StoredSecrets {
    /// Returns the secrets in a record by these rules; `None` if there are none.
    async fn secrets_in(&self, record: &Record) -> Result<Option<SecretsFound>> {
        let Some(entity) = &record.entity else { return Ok(None) };
        let (redacted, count) = self
            .redactor
            .run("redact stored", entity.weight(), Entity::clone(entity), |redactor, entity| {
                redactor.redact_entity(entity)
            })
            .await?;
        if count == 0 {
            return Ok(None);
        }
        let mut rules = marks(&redacted.to_json()?);
        for (rule, before) in marks(&entity.to_json()?) {
            rules.entry(rule).and_modify(|found| *found = found.saturating_sub(before));
        }
        rules.retain(|_, found| *found > 0);
        let mut id = record.key.id.to_string();
        self.redactor.redact_text(&mut id);
        Ok(Some(SecretsFound { kind: record.key.kind, id, rules }))
    }

    /// Redacts a record, and with a part of an episode all of it.
    async fn redact_record(&self, record: Record) -> Result<()> {
        let owner = match record.entity.as_deref() {
            Some(Entity::Episode(episode)) => Some(episode.id),
            Some(Entity::Step(step)) => Some(step.episode),
            Some(Entity::Artifact(artifact)) => Some(artifact.episode),
            _ => None,
        };
        // A record of an episode whose head is gone, or unreachable, is redacted on its own.
        if let Some(owner) = owner
            && self.redact_episode(owner).await?
        {
            return Ok(());
        }
        let Key { kind, id, .. } = record.key;
        let _gate = self.backlog.gate.lock().await;
        let mut attempts = 1..=ATTEMPTS;
        let draft = loop {
            let mut draft = Draft::new(&self.records);
            let Some(mut entity) = draft.get(kind, &*id).await? else { return Ok(()) };
            self.redactor.redact_entity(&mut entity);
            match kind {
                // Their ids contain their subject; they are recomputed.
                Kind::Metric => draft.remove(kind, &*id),
                _ => draft.put(&*id, entity),
            }
            if attempts.next().is_none() || draft.is_current().await? {
                break draft;
            }
        };
        self.records.engine.commit(draft.into_records()).await
    }

    /// Redacts an episode with all its records. Items learned from it are withdrawn, and it is due to be
    /// learned from again. Returns false if there is no such episode.
    async fn redact_episode(&self, id: EpisodeId) -> Result<bool> {
        let _gate = self.backlog.gate.lock().await;
        // Concurrent writers have finished by now, or wait.
        let _nobody_writes = self.writing.forget(id).await;
        let mut attempts = 1..=ATTEMPTS;
        let (draft, old, again) = loop {
            let mut draft = Draft::new(&self.records);
            let Some(Entity::Episode(old)) = draft.get(Kind::Episode, id.to_string()).await? else {
                return Ok(false);
            };
            let again = self.draft_redacted(&old, &mut draft).await?;
            if attempts.next().is_none() || draft.is_current().await? {
                break (draft, old, again);
            }
        };
        self.forgetter.drop_kept(id);
        self.records.engine.commit(draft.into_records()).await?;
        self.forgetter.drop_vector(id);
        let due = old.is_completed().then_some(id);
        again.into_iter().chain(due).for_each(|id| self.backlog.due(id));
        self.rules.note(old.task.domain.as_deref());
        self.advisors.note(old.task.domain.as_deref(), id);
        Ok(true)
    }

    /// Drafts an episode and its parts as the rules leave them; returns the other episodes to learn from again.
    async fn draft_redacted(&self, old: &Episode, draft: &mut Draft<'_>) -> Result<BTreeSet<EpisodeId>> {
        let id = old.id;
        let mut episode = old.clone();
        let mut count = self.redactor.redact_episode(&mut episode);
        let mut keywords = Keywords::default();
        for kind in [Kind::Step, Kind::Artifact] {
            let owned = self.records.owned(kind, id).await?;
            if owned.freshness != Freshness::Fresh {
                return Err(unknown_steps("redact stored"));
            }
            for record in owned.records {
                let Some(entity) = record.entity else { continue };
                let weight = entity.weight();
                let (entity, found) = self
                    .redactor
                    .run("redact stored", weight, Arc::unwrap_or_clone(entity), |redactor, entity| {
                        redactor.redact_entity(entity)
                    })
                    .await?;
                if let Entity::Step(step) = &entity {
                    keywords.add(&step.action);
                }
                if found > 0 {
                    draft.put(record.key.id.to_string(), entity);
                }
                count += found;
            }
        }
        episode.redactions = episode.redactions.saturating_add(count);
        episode.fingerprint = fingerprint(&episode.task);
        let mut again = BTreeSet::new();
        if episode.is_completed() {
            episode.keywords = keywords.finish();
            let reward = draft.get(Kind::Reward, id.to_string()).await?;
            again = self.forgetter.withdraw(id, draft).await?;
            if let Some(Entity::Reward(mut reward)) = reward {
                reward.learned = false;
                draft.put(id.to_string(), reward);
            }
        }
        if episode.task.description != old.task.description {
            self.forgetter.withdraw_vector(id, &old.task.description, draft).await?;
        }
        draft.put(id.to_string(), episode);
        Ok(again)
    }
}

/// Reads where a part of a pass begins.
fn place(text: &str) -> Result<(Kind, Option<Arc<str>>)> {
    let bad = || {
        Error::invalid("redact stored", "from", format!("{text:?} is not where a part of a pass begins"))
            .with_hint("a place is what the part before returned as its next one, for example \"step:\"")
    };
    let (kind, after) = text.split_once(':').ok_or_else(bad)?;
    let kind = kind.parse().map_err(|_| bad())?;
    Ok((kind, (!after.is_empty()).then(|| after.into())))
}

#[cfg(test)]
mod tests;
