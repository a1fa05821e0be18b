//! Tasks with the actions that solve them: `{id, user_id, instruction, actions: [{name, kwargs}], outputs}`.

use agent_memory::{Action, Outcome, Recording, Task};
use serde::Deserialize;
use serde_json::Value;

use super::line::{BadLine, Cutter, Defaults, Labels, Parsed, read_fields, scalar};

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

/// Reads a task as an episode that succeeded.
pub(super) fn read(line: Value, defaults: &Defaults) -> Result<Parsed, BadLine> {
    let (solved, labels): (Solved, Labels) = read_fields(line, "not a task")?;
    let mut cutter = Cutter::new(defaults);
    let mut task = labels.apply(Task::new(solved.instruction), KIND, defaults);
    if let Some(id) = scalar(&solved.id) {
        task = task.correlation_id(id);
    }
    if let Some(user) = scalar(&solved.user_id) {
        task = task.tag(format!("user:{user}"));
    }
    let actions =
        solved.actions.into_iter().map(|call| Action::tool(call.name).arguments(call.kwargs)).collect();
    let outputs: Vec<String> =
        solved.outputs.iter().map(|output| scalar(output).unwrap_or_else(|| output.to_string())).collect();
    let outcome = Outcome::success(cutter.outcome(outputs.join("; ")));
    let recording = Recording::new(String::new(), task, outcome).actions(actions);
    Ok(Parsed { recording, truncated: cutter.truncated })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn actions_become_steps() {
        let line = json!({
            "id": "retail-1", "user_id": "omar_1", "instruction": "Cancel order #W1.",
            "actions": [{"name": "cancel_order", "kwargs": {"order_id": "#W1"}}, {"name": "think"}],
            "outputs": ["54.04", 3],
        });
        let recording = read(line, &Defaults::default()).unwrap().recording;
        let task = Task::new("Cancel order #W1.").kind("task").tag("user:omar_1").correlation_id("retail-1");
        assert_eq!(recording.task, task);
        let calls = [
            Action::tool("cancel_order").arguments(json!({"order_id": "#W1"})),
            Action::tool("think").arguments(Value::Null),
        ];
        assert_eq!(recording.actions, calls);
        assert_eq!(recording.outcome, Outcome::success("54.04; 3"));
    }
}
