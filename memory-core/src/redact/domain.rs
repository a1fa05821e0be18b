//! Redaction of what applications hand in.

use crate::model::artifact::Product;
use crate::model::outcome::Outcome;
use crate::model::step::Action;
use crate::model::task::Task;
use crate::redact::Redactor;

impl Redactor {
    /// Replaces the secrets in every text of a task; returns how many.
    pub fn redact_task(&self, task: &mut Task) -> u32 {
        let labels = [
            &mut task.domain,
            &mut task.language,
            &mut task.framework,
            &mut task.agent,
            &mut task.correlation_id,
        ];
        [&mut task.description, &mut task.kind]
            .into_iter()
            .chain(labels.into_iter().flatten())
            .chain(&mut task.tags)
            .map(|text| self.redact_text(text))
            .sum()
    }

    /// Replaces the secrets in every text and in the arguments of an action; returns how many.
    pub fn redact_action(&self, action: &mut Action) -> u32 {
        let texts = [&mut action.tool, &mut action.description, &mut action.observation];
        let count: u32 = texts.into_iter().map(|text| self.redact_text(text)).sum();
        count + self.redact_json(&mut action.arguments.0)
    }

    /// Replaces the secrets in the text of an outcome; returns how many.
    pub fn redact_outcome(&self, outcome: &mut Outcome) -> u32 {
        self.redact_text(outcome.text_mut())
    }

    /// Replaces the secrets in every text of an artifact; returns how many.
    pub fn redact_product(&self, product: &mut Product) -> u32 {
        let texts = [&mut product.name, &mut product.media_type, &mut product.content];
        texts.into_iter().map(|text| self.redact_text(text)).sum()
    }
}
