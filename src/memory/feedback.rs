//! Feedback on completed episodes: what they are worth, and what they taught, is computed again.

use std::sync::Arc;

use memory_core::{
    Entity, Episode, EpisodeId, Error, ErrorKind, Feedback, Freshness, Kind, LimitViolation, Result,
};

use crate::memory::advisors::Advisors;
use crate::memory::backlog::Backlog;
use crate::memory::draft::Draft;
use crate::memory::forgetter::Forgetter;
use crate::memory::learner::ATTEMPTS;
use crate::memory::observed::Observed;
use crate::memory::recorder::Recorder;
use crate::memory::rules::Rules;
use crate::memory::writing::Writing;
use crate::memory::{Memory, unknown_steps};
use crate::redact::Redactor;

impl Memory {
    /// Takes feedback on a completed episode: a corrected outcome, acceptance, a review, tests that ran later.
    ///
    /// The reward is computed again, and what the episode taught is withdrawn and learned again. Feedback with the same key
    /// replaces the one before; the same feedback again changes nothing. Returns the episode as it is then. Feedback given on
    /// two machines at once, before either knows of the other, keeps the later one.
    ///
    /// # Errors
    /// `InvalidInput` for feedback over a limit, `NotFound` for an unknown episode, `Conflict` for one that is not
    /// completed, `QuotaExceeded` with more than [`Feedback::MAX`] keys, `RateLimitExceeded`, `Unavailable` if its steps are not
    /// known here and the durable tier does not answer.
    pub async fn feedback(&self, id: EpisodeId, feedback: Feedback) -> Result<Episode> {
        let inner = &self.inner;
        inner.backlog.active();
        inner.recorder.limits.check_feedback(&feedback)?;
        inner.recorder.take_token()?;
        let bytes = feedback.comment.len();
        let redact = Redactor::redact_feedback;
        let (mut feedback, found) = inner.recorder.redactor.run("feedback", bytes, feedback, redact).await?;
        inner.recorder.count_redactions(found);
        feedback.at = inner.records.engine.now();
        inner.reviser.take(id, feedback).await
    }
}

/// Changes completed episodes by what became known later.
pub(super) struct Reviser {
    pub(super) recorder: Arc<Recorder>,
    pub(super) backlog: Arc<Backlog>,
    pub(super) writing: Arc<Writing>,
    pub(super) forgetter: Arc<Forgetter>,
    pub(super) advisors: Arc<Advisors>,
    pub(super) rules: Arc<Rules>,
}

impl Reviser {
    async fn take(&self, id: EpisodeId, feedback: Feedback) -> Result<Episode> {
        let records = &self.recorder.records;
        let _gate = self.backlog.gate.lock().await;
        let _nobody_writes = self.writing.forget(id).await;
        let mut attempts = 1..=ATTEMPTS;
        let (draft, episode, again) = loop {
            let mut draft = Draft::new(records);
            let Some(Entity::Episode(mut episode)) = draft.get(Kind::Episode, id.to_string()).await? else {
                let error = Error::new(ErrorKind::NotFound, "feedback", "there is no such episode");
                return Err(error.with_context("episode", id.to_string()));
            };
            if !episode.is_completed() {
                let error = Error::new(ErrorKind::Conflict, "feedback", "the episode is not completed");
                return Err(error.with_context("episode", id.to_string()).with_hint("complete it first"));
            }
            if episode.feedback.iter().any(|held| held.says_the_same_as(&feedback)) {
                return Ok(episode);
            }
            if episode.feedback.iter().filter(|held| held.key != feedback.key).count() >= Feedback::MAX {
                let (limit, found) = (Feedback::MAX as u64, Feedback::MAX as u64 + 1);
                let violation =
                    LimitViolation { field: "episode.feedback".into(), limit, found, unit: "keys" };
                return Err(Error::limit(ErrorKind::QuotaExceeded, "feedback", violation));
            }
            episode.take_feedback(feedback.clone());
            let mut observed = self.observed(id).await?;
            episode.feedback.iter().for_each(|held| observed.quality(&held.quality));
            let reward = draft.get(Kind::Reward, id.to_string()).await?;
            let again = self.forgetter.withdraw(id, &mut draft).await?;
            if let Some(Entity::Reward(old)) = reward {
                let reward = observed.conclude_again(&old, &self.recorder.learning.reward, &mut episode);
                draft.put(id.to_string(), reward);
            }
            self.recorder.encoded_len("feedback", "episode", &records.version_of(&episode)?)?;
            draft.put(id.to_string(), episode.clone());
            if attempts.next().is_none() || draft.is_current().await? {
                break (draft, episode, again);
            }
        };
        self.forgetter.drop_kept(id);
        records.engine.commit(draft.into_records()).await?;
        again.into_iter().chain([id]).for_each(|id| self.backlog.due(id));
        self.rules.note(episode.task.domain.as_deref());
        self.advisors.note(episode.task.domain.as_deref(), id);
        Ok(episode)
    }

    /// Sums up an episode again from its records.
    async fn observed(&self, id: EpisodeId) -> Result<Observed> {
        let records = &self.recorder.records;
        let steps = records.owned_items(Kind::Step, id, Entity::as_step).await?;
        let artifacts = records.owned_items(Kind::Artifact, id, Entity::as_artifact).await?;
        if steps.freshness.or_staler(artifacts.freshness) != Freshness::Fresh
            && !records.holds_all(id, &steps)?
        {
            return Err(unknown_steps("feedback"));
        }
        let mut observed = Observed::default();
        steps.iter().for_each(|step| observed.action(&step.action));
        artifacts.iter().for_each(|artifact| observed.quality(&artifact.product.quality));
        Ok(observed)
    }
}
