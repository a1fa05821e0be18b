use std::time::Instant;

use uuid::Uuid;

use super::*;
use crate::model::heuristic::Advice;

const NOW: Timestamp = Timestamp(1_000_000_000);

/// A lesson of which the episode succeeded.
pub(crate) fn lesson(n: u64, text: &str, tools: &[&str]) -> Lesson {
    Lesson {
        id: EpisodeId(Uuid::from_u128(u128::from(n))),
        text: text.into(),
        task_kind: "general".into(),
        tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
        failed_tools: Vec::new(),
        success: 1.0,
        at: Timestamp(n * 60_000),
    }
}

/// A lesson of which the episode failed with these tools.
pub(crate) fn failure(n: u64, text: &str, tools: &[&str]) -> Lesson {
    let failed_tools = tools.iter().map(|tool| (*tool).to_owned()).collect();
    Lesson { tools: Vec::new(), failed_tools, success: 0.0, ..lesson(n, text, &[]) }
}

pub(crate) fn learn(lessons: &[Lesson]) -> Associations {
    associate(Some("d"), lessons, NOW, &BeliefConfig::default())
}
