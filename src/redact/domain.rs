//! Redaction of input from applications, and of stored records.

use memory_core::{Action, Entity, Episode, Feedback, NewArtifact, Outcome, Quality, RemedyCall, Task};

use crate::redact::Redactor;

impl Redactor {
    /// Replaces the secrets in every text of a task; returns how many.
    pub fn redact_task(&self, task: &mut Task) -> u32 {
        let labels = [
            &mut task.kind,
            &mut task.domain,
            &mut task.language,
            &mut task.framework,
            &mut task.agent,
            &mut task.correlation_id,
        ];
        std::iter::once(&mut task.description)
            .chain(labels.into_iter().flatten())
            .chain(&mut task.tags)
            .map(|text| self.redact_text(text))
            .sum::<u32>()
            + self.redact_json(&mut task.attributes.0)
    }

    /// Replaces the secrets in every text, the arguments and the attributes of an action; returns how many.
    pub fn redact_action(&self, action: &mut Action) -> u32 {
        let texts = [&mut action.tool, &mut action.description, &mut action.observation];
        let count: u32 = texts.into_iter().map(|text| self.redact_text(text)).sum();
        count + self.redact_json(&mut action.arguments.0) + self.redact_json(&mut action.attributes.0)
    }

    /// Replaces the secrets in every text of an outcome; returns how many.
    pub fn redact_outcome(&self, outcome: &mut Outcome) -> u32 {
        self.redact_texts(outcome.texts_mut())
    }

    /// Replaces the secrets in every text of an artifact; returns how many.
    pub fn redact_product(&self, product: &mut NewArtifact) -> u32 {
        let texts = [&mut product.name, &mut product.media_type, &mut product.content];
        let texts = texts.into_iter().chain(product.language.as_mut());
        let count: u32 = texts.map(|text| self.redact_text(text)).sum();
        count + self.redact_json(&mut product.attributes.0) + self.redact_quality(&mut product.quality)
    }

    /// Replaces the secrets in every text of feedback; returns how many.
    pub(crate) fn redact_feedback(&self, feedback: &mut Feedback) -> u32 {
        self.redact_texts(feedback.texts_mut()) + self.redact_quality(&mut feedback.quality)
    }

    /// Replaces the secrets in the names of measures; returns how many.
    fn redact_quality(&self, quality: &mut Quality) -> u32 {
        let mut count = 0;
        let measures = std::mem::take(&mut quality.measures);
        quality.measures = measures
            .into_iter()
            .map(|(mut name, value)| {
                count += self.redact_text(&mut name);
                (name, value)
            })
            .collect();
        count
    }

    /// Replaces the secrets in the texts of a stored episode's head; returns how many.
    pub(crate) fn redact_episode(&self, episode: &mut Episode) -> u32 {
        let outcome = episode.outcome.as_mut().map_or(0, |outcome| self.redact_outcome(outcome));
        let tools = episode.tools.iter_mut().map(|used| &mut used.tool);
        let stated = episode.stated.iter_mut().flat_map(|stated| stated.outcome.texts_mut());
        let later: u32 = episode.feedback.iter_mut().map(|held| self.redact_feedback(held)).sum();
        let outcome = outcome + later + self.redact_texts(stated);
        self.redact_task(&mut episode.task) + outcome + self.redact_texts(tools.chain(&mut episode.keywords))
    }

    /// Replaces the secrets in every text of a stored record; returns how many. Identifiers of this and other
    /// records stay.
    pub(crate) fn redact_entity(&self, entity: &mut Entity) -> u32 {
        match entity {
            Entity::Episode(episode) => self.redact_episode(episode),
            Entity::Step(step) => self.redact_action(&mut step.action),
            Entity::Artifact(artifact) => self.redact_product(&mut artifact.product),
            Entity::Reflection(told) => {
                let insights = [&mut told.worked, &mut told.failed, &mut told.improve];
                self.redact_texts(insights.into_iter().flatten().map(|insight| &mut insight.text))
            }
            Entity::Pattern(pattern) => {
                let labels = pattern.domain.iter_mut().chain(&mut pattern.task_kind);
                self.redact_texts(labels.chain(&mut pattern.terms).chain(pattern.body.texts_mut()))
            }
            Entity::Evidence(evidence) => self.redact_text(&mut evidence.context),
            Entity::Heuristic(rule) => {
                let condition = &mut rule.condition;
                let labels = condition.task_kind.iter_mut().chain(&mut condition.after_tool);
                let texts = [&mut rule.tool, &mut rule.action];
                self.redact_texts(labels.chain(&mut condition.terms).chain(&mut rule.domain).chain(texts))
            }
            Entity::Playbook(playbook) => {
                let steps =
                    playbook.steps.iter_mut().flat_map(|step| [&mut step.tool, &mut step.instruction]);
                let labels = [&mut playbook.title].into_iter().chain(&mut playbook.task_kind);
                let labels = labels.chain(&mut playbook.domain);
                let lists = playbook.placeholders.iter_mut().chain(&mut playbook.shapes);
                self.redact_texts(labels.chain(steps).chain(lists).chain(&mut playbook.terms))
            }
            Entity::Failure(failure) => {
                let texts = [&mut failure.error, &mut failure.example, &mut failure.tool];
                let labels = failure.domain.iter_mut().chain(&mut failure.task_kind);
                let calls = failure.remedies.iter_mut().flat_map(|remedy| &mut remedy.calls);
                let texts = texts.into_iter().chain(labels).chain(&mut failure.root_cause);
                self.redact_texts(texts.chain(calls.flat_map(RemedyCall::texts_mut)))
            }
            Entity::Metric(metric) => {
                let labels = [&mut metric.agent, &mut metric.task_kind, &mut metric.domain];
                self.redact_texts(labels.into_iter().flatten())
            }
            Entity::Cycle(cycle) => self.redact_texts(&mut cycle.notes),
            // Figures, and vectors of texts that are redacted themselves.
            Entity::Reward(_) | Entity::Embedding(_) | Entity::Ruling(_) => 0,
        }
    }

    fn redact_texts<'t>(&self, texts: impl IntoIterator<Item = &'t mut String>) -> u32 {
        texts.into_iter().map(|text| self.redact_text(text)).sum()
    }
}
