//! Tasks with the actions that solve them: `{id, user_id, instruction, actions: [{name, kwargs}], outputs}`.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::fields::{read_fields, scalar};
use crate::outcome::Verdict;
use crate::trajectory::{Labels, Step, StepKind, ToolResult, Trajectory};
use crate::{stated, texts};

/// The kind of task unless the line names one.
const KIND: &str = "task";

#[derive(Deserialize)]
struct Solved {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    user_id: Value,
    instruction: String,
    actions: Vec<Call>,
    #[serde(default)]
    outputs: Vec<Value>,
}

#[derive(Deserialize)]
struct Call {
    name: String,
    #[serde(default)]
    kwargs: Value,
}

/// Tells whether a line is a task.
pub(crate) fn looks_like(line: &Value) -> bool {
    line.get("actions").is_some_and(Value::is_array) && line.get("instruction").is_some()
}

/// Reads a task, which was solved: its actions are those of a solution.
pub(crate) fn read(key: String, line: Value) -> Result<Trajectory, String> {
    let (solved, mut labels): (Solved, _) = read_fields(line, "not a task")?;
    labels.tags.extend(scalar(&solved.user_id).map(|user| format!("user:{user}")));
    let labels = Labels {
        kind: labels.kind.or_else(|| Some(KIND.to_owned())),
        domain: labels.domain,
        agent: labels.agent,
        tags: labels.tags,
        correlation_id: scalar(&solved.id),
        project: None,
    };
    let steps: Vec<Step> =
        solved.actions.into_iter().map(|call| worked(call.name, texts::clip_value(call.kwargs))).collect();
    let outputs: Vec<String> =
        solved.outputs.iter().map(|output| scalar(output).unwrap_or_else(|| output.to_string())).collect();
    let mut outcome = stated::of(&steps, Verdict::Success, Vec::new());
    outcome.summary = texts::clip(outputs.join("; "));
    let (prompt, attributes) = (texts::clip(solved.instruction), Map::new());
    Ok(Trajectory { key, parent: None, prompt, labels, at_ms: None, steps, outcome, attributes })
}

/// A call that is part of a solution: it worked, whatever it gave.
fn worked(tool: String, arguments: Value) -> Step {
    let mut step = Step::call(tool, arguments);
    if let StepKind::Call { result, .. } = &mut step.kind {
        *result = Some(ToolResult { text: String::new(), failed: false });
    }
    step
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn actions_become_steps() {
        let line = json!({
            "id": "retail-1", "user_id": "omar_1", "instruction": "Cancel order #W1.", "tags": ["t"],
            "actions": [{"name": "cancel_order", "kwargs": {"order_id": "#W1"}}, {"name": "think"}],
            "outputs": ["54.04", 3],
        });
        let found = read("k".into(), line).unwrap();
        let labels = Labels {
            kind: Some("task".into()),
            tags: vec!["t".into(), "user:omar_1".into()],
            correlation_id: Some("retail-1".into()),
            ..Labels::default()
        };
        assert_eq!((found.prompt.as_str(), found.labels), ("Cancel order #W1.", labels));
        let calls =
            [worked("cancel_order".into(), json!({"order_id": "#W1"})), worked("think".into(), Value::Null)];
        assert_eq!(found.steps, calls);
        assert_eq!(found.outcome.verdict, Some(Verdict::Success));
        assert_eq!((found.outcome.confidence, found.outcome.summary.as_str()), (1.0, "54.04; 3"));
    }
}
