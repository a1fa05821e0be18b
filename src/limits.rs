//! Limits on what may be stored, checked at the edge before anything is written.

use memory_core::{
    Action, Error, ErrorKind, Feedback, Json, LimitViolation, MAX_RECORD_BYTES, Namespace, NewArtifact,
    Outcome, Result, Task, Timestamp,
};
use memory_recall::query::{FailedCall, RecallQuery};
use serde::{Deserialize, Serialize};

const MIB: u64 = 1024 * 1024;
/// Step ids carry the number in five digits; beyond them id order would not be step order.
const MAX_STEPS: u32 = 99_999;
/// Thirty days: a longer call is a measure in the wrong unit. So the sums over any number of episodes stay exact.
const MAX_DURATION_MS: u64 = 30 * 24 * 3_600 * 1_000;
/// More than a model reads in one call.
const MAX_TOKENS: u64 = 1_000_000_000;
/// The largest difference between clocks of machines, in milliseconds: a day.
const MAX_AHEAD_MS: u64 = 24 * 3_600 * 1_000;
/// JSON readers stop at 128 levels; a step wraps its arguments in a few more.
const MAX_ARGUMENT_DEPTH: usize = 100;
/// Attributes are read with every episode, as tags are; what is larger belongs into an artifact.
const MAX_ATTRIBUTE_BYTES: u64 = 16 * 1024;
const MAX_ATTRIBUTE_DEPTH: u64 = 16;
const MAX_MEASURES: u64 = 50;

/// Bounds the size of stored values. Characters are Unicode scalar values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// The longest description of a task or step, in characters; 10,000 by default.
    pub description_chars: usize,
    /// The most steps an episode may have; 1,000 by default, at most 99,999.
    pub steps: u32,
    /// The longest observation of a step, in characters; 10,000 by default.
    pub observation_chars: usize,
    /// The longest text of an outcome, in characters; 10,000 by default.
    pub outcome_chars: usize,
    /// The longest recall query, in characters; 10,000 by default.
    pub query_chars: usize,
    /// The longest label (kind, domain, language, framework, agent, tag, correlation id, tool, artifact name,
    /// media type), in characters; 200 by default.
    pub label_chars: usize,
    /// The most tags a task may have; 100 by default.
    pub tags: usize,
    /// How deeply the arguments of a step may nest; 64 by default, at most 100.
    pub argument_depth: usize,
    /// The largest arguments of a step, in bytes of JSON; 256 KiB by default.
    pub argument_bytes: usize,
    /// The largest content of an artifact, in bytes; 1 MiB by default.
    pub artifact_bytes: usize,
    /// The largest record, in bytes encoded; 4 MiB by default and at most.
    pub record_bytes: u64,
    /// The largest episode with all its steps, in bytes encoded; 10 MiB by default and at most.
    pub episode_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            description_chars: 10_000,
            steps: 1_000,
            observation_chars: 10_000,
            outcome_chars: 10_000,
            query_chars: 10_000,
            label_chars: 200,
            tags: 100,
            argument_depth: 64,
            argument_bytes: 256 * 1024,
            artifact_bytes: MIB as usize,
            record_bytes: MAX_RECORD_BYTES as u64,
            episode_bytes: 10 * MIB,
        }
    }
}

impl Limits {
    /// Checks the configuration itself.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if a limit other than that of tags is 0, or one that cannot be raised is
    /// above its bound.
    pub fn validate(&self) -> Result<()> {
        let defaults = Self::default();
        let bounds = [
            ("limits.description_chars", self.description_chars as u64, u64::MAX, "characters"),
            ("limits.steps", u64::from(self.steps), u64::from(MAX_STEPS), "steps"),
            ("limits.observation_chars", self.observation_chars as u64, u64::MAX, "characters"),
            ("limits.outcome_chars", self.outcome_chars as u64, u64::MAX, "characters"),
            ("limits.query_chars", self.query_chars as u64, u64::MAX, "characters"),
            ("limits.label_chars", self.label_chars as u64, u64::MAX, "characters"),
            ("limits.argument_depth", self.argument_depth as u64, MAX_ARGUMENT_DEPTH as u64, "levels"),
            ("limits.argument_bytes", self.argument_bytes as u64, u64::MAX, "bytes"),
            ("limits.artifact_bytes", self.artifact_bytes as u64, u64::MAX, "bytes"),
            ("limits.record_bytes", self.record_bytes, defaults.record_bytes, "bytes"),
            ("limits.episode_bytes", self.episode_bytes, defaults.episode_bytes, "bytes"),
        ];
        for (field, found, most, unit) in bounds {
            if found == 0 {
                return Err(Error::invalid("configure", field, format!("0 {unit}, at least 1 is needed")));
            }
            at_most("configure", field, found, most, unit)?;
        }
        Ok(())
    }

    /// Checks a task.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] that names the field, the limit and the size found.
    pub fn check_task(&self, task: &Task) -> Result<()> {
        const OPERATION: &str = "start";
        not_blank(OPERATION, "task.description", &task.description)?;
        chars(OPERATION, "task.description", &task.description, self.description_chars)?;
        let labels = [
            ("task.kind", &task.kind),
            ("task.domain", &task.domain),
            ("task.language", &task.language),
            ("task.framework", &task.framework),
            ("task.agent", &task.agent),
            ("task.correlation_id", &task.correlation_id),
        ];
        for (field, label) in labels {
            if let Some(label) = label {
                self.label(OPERATION, field, label)?;
            }
        }
        at_most(OPERATION, "task.tags", task.tags.len() as u64, self.tags as u64, "tags")?;
        task.tags.iter().try_for_each(|tag| self.label(OPERATION, "task.tags", tag))?;
        attributes(OPERATION, "task.attributes", &task.attributes)
    }

    /// Checks an action. Its tool, texts and arguments may be empty.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] that names the field, the limit and the size found.
    pub fn check_action(&self, action: &Action) -> Result<()> {
        const OPERATION: &str = "step";
        chars(OPERATION, "step.tool", &action.tool, self.label_chars)?;
        chars(OPERATION, "step.description", &action.description, self.description_chars)?;
        chars(OPERATION, "step.observation", &action.observation, self.observation_chars)?;
        at_most(OPERATION, "step.duration_ms", action.duration_ms.unwrap_or(0), MAX_DURATION_MS, "ms")?;
        at_most(OPERATION, "step.tokens", action.tokens.unwrap_or(0), MAX_TOKENS, "tokens")?;
        let depth = action.arguments.depth() as u64;
        at_most(OPERATION, "step.arguments", depth, self.argument_depth as u64, "levels")?;
        let bytes = action.arguments.0.to_string().len() as u64;
        at_most(OPERATION, "step.arguments", bytes, self.argument_bytes as u64, "bytes")?;
        attributes(OPERATION, "step.attributes", &action.attributes)
    }

    /// Checks the time of an action: at most a day ahead of this machine's clock. A time in the future would
    /// make everything else look old.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] that names the field, the limit and the time found.
    pub fn check_time(&self, at: Timestamp, now: Timestamp) -> Result<()> {
        if at.0 <= now.0.saturating_add(MAX_AHEAD_MS) {
            return Ok(());
        }
        let problem = format!("{} ms after 1970, the limit is a day after now, which is {} ms", at.0, now.0);
        Err(Error::invalid("record", "recording.at", problem)
            .with_hint("times are in milliseconds since 1970"))
    }

    /// Checks an outcome. Its text may be empty.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] that names the field, the limit and the size found.
    pub fn check_outcome(&self, outcome: &Outcome) -> Result<()> {
        const OPERATION: &str = "complete";
        if let Outcome::Partial { fraction, .. } = outcome {
            unit_interval(OPERATION, "outcome.fraction", *fraction)?;
        }
        chars(OPERATION, "outcome.text", outcome.text(), self.outcome_chars)?;
        let Outcome::Failure { last_error, last_message, .. } = outcome else { return Ok(()) };
        let last_error = last_error.as_deref().unwrap_or_default();
        chars(OPERATION, "outcome.last_error", last_error, self.outcome_chars)?;
        let last_message = last_message.as_deref().unwrap_or_default();
        chars(OPERATION, "outcome.last_message", last_message, self.outcome_chars)
    }

    /// Checks an artifact.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] that names the field, the limit and the size found.
    pub fn check_product(&self, product: &NewArtifact) -> Result<()> {
        const OPERATION: &str = "artifact";
        self.label(OPERATION, "artifact.name", &product.name)?;
        self.label(OPERATION, "artifact.media_type", &product.media_type)?;
        let bytes = product.content.len() as u64;
        at_most(OPERATION, "artifact.content", bytes, self.artifact_bytes as u64, "bytes")?;
        product.language.iter().try_for_each(|name| self.label(OPERATION, "artifact.language", name))?;
        attributes(OPERATION, "artifact.attributes", &product.attributes)?;
        let quality = &product.quality;
        let measures = quality.measures.len() as u64;
        at_most(OPERATION, "artifact.quality.measures", measures, MAX_MEASURES, "measures")?;
        for (name, value) in &quality.measures {
            self.label(OPERATION, "artifact.quality.measures", name)?;
            if !value.is_finite() {
                let problem = format!("{name} is {value}, a finite number is needed");
                return Err(Error::invalid(OPERATION, "artifact.quality.measures", problem));
            }
        }
        quality
            .review_score
            .map_or(Ok(()), |score| unit_interval(OPERATION, "artifact.quality.review_score", score))
    }

    /// Checks feedback.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] that names the field, the limit and the size found.
    pub fn check_feedback(&self, feedback: &Feedback) -> Result<()> {
        const OPERATION: &str = "feedback";
        self.label(OPERATION, "feedback.key", &feedback.key)?;
        chars(OPERATION, "feedback.comment", &feedback.comment, self.outcome_chars)?;
        feedback.outcome.as_ref().map_or(Ok(()), |outcome| self.check_outcome(outcome))?;
        self.check_confidence(feedback.confidence)?;
        let said = NewArtifact::new("feedback", "").quality(feedback.quality.clone());
        self.check_product(&said)
    }

    /// Checks how sure an outcome is.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if that is not in `0.0..=1.0`.
    pub fn check_confidence(&self, confidence: f64) -> Result<()> {
        unit_interval("complete", "outcome.confidence", confidence)
    }

    /// Checks a recall query.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] that names the field, the limit and the size found.
    pub fn check_query(&self, query: &RecallQuery) -> Result<()> {
        const OPERATION: &str = "recall";
        if query.tags.is_empty() {
            not_blank(OPERATION, "query.text", &query.text)?;
        }
        chars(OPERATION, "query.text", &query.text, self.query_chars)?;
        for (field, label) in [("query.kind", &query.kind), ("query.domain", &query.domain)] {
            if let Some(label) = label {
                self.label(OPERATION, field, label)?;
            }
        }
        at_most(OPERATION, "query.done", query.done.len() as u64, u64::from(self.steps), "tools")?;
        query.done.iter().try_for_each(|tool| self.label(OPERATION, "query.done", tool))?;
        if let Some(FailedCall { tool, error, .. }) = &query.failed {
            tool.iter().try_for_each(|tool| self.label(OPERATION, "query.failed.tool", tool))?;
            chars(OPERATION, "query.failed.error", error, self.observation_chars)?;
        }
        at_most(OPERATION, "query.tags", query.tags.len() as u64, self.tags as u64, "tags")?;
        query.tags.iter().try_for_each(|tag| self.label(OPERATION, "query.tags", tag))?;
        if query.limit == 0 {
            return Err(Error::invalid(OPERATION, "query.limit", "0 items, at least 1 is needed"));
        }
        at_most(OPERATION, "query.limit", query.limit as u64, RecallQuery::MAX_LIMIT as u64, "items")?;
        unit_interval(OPERATION, "query.min_relevance", query.min_relevance)
    }

    /// Checks the number of steps an episode would have.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if that is above [`Limits::steps`].
    pub fn check_steps(&self, steps: u64) -> Result<()> {
        at_most("step", "episode.steps", steps, u64::from(self.steps), "steps")
    }

    /// Checks the encoded size of one record; `field` names it (`step`, `artifact`).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it is above [`Limits::record_bytes`].
    pub fn check_record_bytes(&self, operation: &'static str, field: &str, bytes: u64) -> Result<()> {
        at_most(operation, field, bytes, self.record_bytes, "bytes encoded")
    }

    /// Checks the encoded size an episode with all its steps would have.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it is above [`Limits::episode_bytes`].
    pub fn check_episode_bytes(&self, operation: &'static str, bytes: u64) -> Result<()> {
        at_most(operation, "episode", bytes, self.episode_bytes, "bytes encoded")
    }

    fn label(&self, operation: &'static str, field: &str, label: &str) -> Result<()> {
        not_blank(operation, field, label)?;
        chars(operation, field, label, self.label_chars)
    }
}

/// Bounds how much a namespace may hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Quotas {
    /// The most episodes a namespace may hold; unbounded by default.
    pub max_episodes: Option<u64>,
}

impl Quotas {
    /// Sets the most episodes a namespace may hold.
    #[must_use]
    pub fn max_episodes(mut self, max_episodes: u64) -> Self {
        self.max_episodes = Some(max_episodes);
        self
    }

    /// Checks that a namespace with `held` episodes may take one more.
    ///
    /// # Errors
    /// [`ErrorKind::QuotaExceeded`] with the limit and the number found.
    pub fn check_episodes(&self, namespace: &Namespace, held: u64) -> Result<()> {
        let Some(limit) = self.max_episodes else { return Ok(()) };
        let found = held.saturating_add(1);
        if found <= limit {
            return Ok(());
        }
        let violation = LimitViolation { field: "episodes".into(), limit, found, unit: "rows" };
        Err(Error::limit(ErrorKind::QuotaExceeded, "start", violation)
            .with_context("namespace", namespace.as_str())
            .with_hint("forget episodes that are no longer needed, or raise the quota of the namespace"))
    }
}

fn not_blank(operation: &'static str, field: &str, text: &str) -> Result<()> {
    if text.trim().is_empty() {
        return Err(Error::invalid(operation, field, "empty, text is needed"));
    }
    Ok(())
}

fn chars(operation: &'static str, field: &str, text: &str, limit: usize) -> Result<()> {
    // A text has at most as many characters as bytes, so most need no counting.
    let found = if text.len() <= limit { text.len() } else { text.chars().count() };
    at_most(operation, field, found as u64, limit as u64, "characters")
}

fn at_most(operation: &'static str, field: &str, found: u64, limit: u64, unit: &'static str) -> Result<()> {
    if found <= limit {
        return Ok(());
    }
    let violation = LimitViolation { field: field.into(), limit, found, unit };
    Err(Error::limit(ErrorKind::InvalidInput, operation, violation))
}

fn attributes(operation: &'static str, field: &str, attributes: &Json) -> Result<()> {
    if attributes.is_null() {
        return Ok(());
    }
    if !attributes.0.is_object() {
        return Err(Error::invalid(operation, field, "not a JSON object"));
    }
    at_most(operation, field, attributes.depth() as u64, MAX_ATTRIBUTE_DEPTH, "levels")?;
    at_most(operation, field, attributes.0.to_string().len() as u64, MAX_ATTRIBUTE_BYTES, "bytes")
}

fn unit_interval(operation: &'static str, field: &str, value: f64) -> Result<()> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::invalid(operation, field, format!("{value} is not in 0.0 to 1.0")))
}

#[cfg(test)]
mod tests {
    use memory_core::Quality;
    use serde_json::{Value, json};

    use super::*;

    fn violation(result: Result<()>) -> Option<(String, u64, u64)> {
        let error = result.err()?;
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        error.violation().map(|found| (found.field.clone(), found.limit, found.found))
    }

    #[test]
    fn sizes_are_checked_with_field_limit_and_size() {
        let limits = Limits::default();
        let check = |result: Result<()>, expected: Option<(&str, u64, u64)>| {
            assert_eq!(violation(result), expected.map(|(field, limit, found)| (field.into(), limit, found)));
        };
        let text = |n: usize| "ä".repeat(n);
        check(limits.check_task(&Task::new(text(10_000))), None);
        check(limits.check_task(&Task::new(text(10_001))), Some(("task.description", 10_000, 10_001)));
        check(limits.check_task(&Task::new("a\0b").kind(text(201))), Some(("task.kind", 200, 201)));
        check(limits.check_task(&Task::new("a").domain(text(201))), Some(("task.domain", 200, 201)));
        check(limits.check_task(&Task::new("a").agent(text(201))), Some(("task.agent", 200, 201)));
        check(limits.check_task(&Task::new("a").tag(text(201))), Some(("task.tags", 200, 201)));
        let tagged = |n: usize| (0..n).fold(Task::new("a"), |task, _| task.tag("same"));
        check(limits.check_task(&tagged(100)), None);
        check(limits.check_task(&tagged(101)), Some(("task.tags", 100, 101)));
        check(limits.check_action(&Action::default()), None);
        check(limits.check_action(&Action::tool(text(201))), Some(("step.tool", 200, 201)));
        check(limits.check_action(&Action::note(text(10_001))), Some(("step.description", 10_000, 10_001)));
        let observed = Action::tool("t").observation(text(10_001));
        check(limits.check_action(&observed), Some(("step.observation", 10_000, 10_001)));
        let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!([inner]));
        check(limits.check_action(&Action::tool("t").arguments(nested(64))), None);
        check(
            limits.check_action(&Action::tool("t").arguments(nested(65))),
            Some(("step.arguments", 64, 65)),
        );
        let long = Action::tool("t").arguments(Value::String("x".repeat(262_144)));
        check(limits.check_action(&long), Some(("step.arguments", 262_144, 262_146)));
        let took = |ms| Action::tool("t").duration_ms(ms);
        check(limits.check_action(&took(MAX_DURATION_MS)), None);
        let too_long = Some(("step.duration_ms", 2_592_000_000, 2_592_000_001));
        check(limits.check_action(&took(MAX_DURATION_MS + 1)), too_long);
        let cost = Action::tool("t").tokens(u64::MAX);
        check(limits.check_action(&cost), Some(("step.tokens", 1_000_000_000, u64::MAX)));
        let now = Timestamp(1_700_000_000_000);
        assert!(limits.check_time(Timestamp(now.0 + 86_400_000), now).is_ok());
        // Nanoseconds passed as milliseconds.
        let error = limits.check_time(Timestamp(now.0 * 1_000_000), now).unwrap_err().to_string();
        assert!(error.contains("recording.at"), "{error}");
        check(limits.check_outcome(&Outcome::failure(text(10_001))), Some(("outcome.text", 10_000, 10_001)));
        let artifact = NewArtifact::new("n", "x".repeat(1_048_577));
        check(limits.check_product(&artifact), Some(("artifact.content", 1_048_576, 1_048_577)));
        check(limits.check_query(&RecallQuery::new(text(10_001))), Some(("query.text", 10_000, 10_001)));
        check(limits.check_query(&RecallQuery::new("a").limit(101)), Some(("query.limit", 100, 101)));
        check(limits.check_steps(1_001), Some(("episode.steps", 1_000, 1_001)));
        check(limits.check_record_bytes("step", "step", 4_194_305), Some(("step", 4_194_304, 4_194_305)));
        check(limits.check_episode_bytes("step", 10_485_761), Some(("episode", 10_485_760, 10_485_761)));
    }

    #[test]
    fn values_without_meaning_are_refused_by_name() {
        let limits = Limits::default();
        let check = |result: Result<()>, field: &str| {
            let error = result.expect_err(field);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.context().contains(&("field", field.to_owned())), "{error:?}");
        };
        check(limits.check_task(&Task::new(" \n\t")), "task.description");
        check(limits.check_task(&Task::new("a").kind("")), "task.kind");
        check(limits.check_task(&Task::new("a").language(" ")), "task.language");
        check(limits.check_task(&Task::new("a").tag("")), "task.tags");
        check(
            limits.check_outcome(&Outcome::Partial { fraction: f64::NAN, summary: String::new() }),
            "outcome.fraction",
        );
        check(
            limits.check_outcome(&Outcome::Partial { fraction: -0.1, summary: String::new() }),
            "outcome.fraction",
        );
        check(
            limits.check_outcome(&Outcome::Partial { fraction: 1.1, summary: String::new() }),
            "outcome.fraction",
        );
        let scored = NewArtifact::new("n", "").quality(Quality::default().review_score(f64::INFINITY));
        check(limits.check_product(&scored), "artifact.quality.review_score");
        check(limits.check_product(&NewArtifact::new("", "x")), "artifact.name");
        check(limits.check_query(&RecallQuery::new(" ")), "query.text");
        check(limits.check_query(&RecallQuery::new("a").limit(0)), "query.limit");
        check(limits.check_query(&RecallQuery::new("a").min_relevance(f64::NAN)), "query.min_relevance");
        assert!(limits.check_outcome(&Outcome::Partial { fraction: 1.0, summary: String::new() }).is_ok());
        assert!(limits.check_query(&RecallQuery::new("").tag("billing")).is_ok());
    }

    #[test]
    fn encoded_sizes_go_only_downwards() {
        let check = |change: fn(&mut Limits), valid: bool| {
            let mut limits = Limits::default();
            change(&mut limits);
            assert_eq!(limits.validate().is_ok(), valid, "{limits:?}");
        };
        check(|_| {}, true);
        check(|limits| limits.record_bytes -= 1, true);
        check(|limits| limits.record_bytes += 1, false);
        check(|limits| limits.episode_bytes += 1, false);
        check(|limits| limits.description_chars = 1_000_000, true);
        check(|limits| limits.description_chars = 0, false);
        check(|limits| limits.steps = 100_000, false);
        check(|limits| limits.argument_depth = 101, false);
        check(|limits| limits.tags = 0, true);
    }

    #[test]
    fn quotas_give_figures() {
        let namespace = Namespace::default();
        assert!(Quotas::default().check_episodes(&namespace, u64::MAX).is_ok());
        let quotas = Quotas::default().max_episodes(3);
        assert!(quotas.check_episodes(&namespace, 2).is_ok());
        let error = quotas.check_episodes(&namespace, 3).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
        assert_eq!(error.violation().map(|found| (found.limit, found.found)), Some((3, 4)));
    }
}
