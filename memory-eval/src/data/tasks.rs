//! Tasks with the calls that solve them: `{id, user_id, instruction, actions: [{name, kwargs}], outputs}`.

use std::collections::BTreeSet;
use std::path::Path;

use agent_memory::{Action, Limits, Outcome, Recording, Task};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::lines;
use crate::error::Result;

/// The kind of task unless the line names one.
const KIND: &str = "task";

/// A task and the calls that solve it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SolvedTask {
    /// What tells the task from others: text or a number.
    #[serde(default)]
    pub id: Value,
    /// Who asked: text or a number.
    #[serde(default)]
    pub user_id: Value,
    /// What was asked, in words.
    pub instruction: String,
    /// The calls, in order.
    pub actions: Vec<Call>,
    /// What the task was to find out.
    #[serde(default)]
    pub outputs: Vec<Value>,
    /// The kind of work [default: `task`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The subject area.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The tool.
    pub name: String,
    /// Its arguments.
    #[serde(default)]
    pub kwargs: Value,
}

impl SolvedTask {
    /// Returns the tools that the task takes, each once, in order of first use. Calls without a name are passed over.
    pub fn tools(&self) -> Vec<&str> {
        let mut tools: Vec<&str> = Vec::new();
        for call in &self.actions {
            if !call.name.is_empty() && !tools.contains(&call.name.as_str()) {
                tools.push(&call.name);
            }
        }
        tools
    }

    /// Returns the task as it is described to the memory.
    pub fn task(&self) -> Task {
        let mut task = Task::new(&self.instruction).kind(self.kind.as_deref().unwrap_or(KIND));
        if let Some(domain) = &self.domain {
            task = task.domain(domain);
        }
        if let Some(agent) = &self.agent {
            task = task.agent(agent);
        }
        if let Some(id) = scalar(&self.id) {
            task = task.correlation_id(id);
        }
        let user = scalar(&self.user_id).map(|user| format!("user:{user}"));
        self.tags.iter().cloned().chain(user).fold(task, Task::tag)
    }

    /// Returns the task as an episode that succeeded.
    pub fn recording(&self) -> Recording {
        let actions =
            self.actions.iter().map(|call| Action::tool(&call.name).arguments(call.kwargs.clone())).collect();
        let outputs: Vec<String> =
            self.outputs.iter().map(|output| scalar(output).unwrap_or_else(|| output.to_string())).collect();
        let outcome = outputs.join("; ").chars().take(Limits::default().outcome_chars).collect::<String>();
        let source_key = scalar(&self.id).unwrap_or_else(|| "task".to_owned());
        let source_key: String = source_key.chars().take(100).collect();
        Recording::new(source_key, self.task(), Outcome::success(outcome)).actions(actions)
    }
}

/// Returns a scalar as text: ids are numbers in one source and strings in another.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Tasks to learn from and tasks to be advised on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DataSet {
    /// The tasks to learn from.
    pub train: Vec<SolvedTask>,
    /// The tasks to be advised on.
    pub test: Vec<SolvedTask>,
}

impl DataSet {
    /// Reads both files.
    ///
    /// # Errors
    /// As [`read_tasks`].
    pub fn read(train: &Path, test: &Path) -> Result<Self> {
        Ok(Self { train: read_tasks(train)?, test: read_tasks(test)? })
    }

    /// Returns the tools that training uses, in order of their names.
    pub fn tools(&self) -> BTreeSet<&str> {
        self.train.iter().flat_map(SolvedTask::tools).collect()
    }

    /// Returns the test tasks that use a tool of the training tasks, with those of their tools that training uses. The
    /// others cannot be scored.
    pub fn scored(&self) -> Vec<(&SolvedTask, BTreeSet<&str>)> {
        let known = self.tools();
        let wanted = |task: &'_ SolvedTask| -> BTreeSet<&str> {
            task.tools().into_iter().filter_map(|tool| known.get(tool).copied()).collect()
        };
        self.test.iter().map(|task| (task, wanted(task))).filter(|(_, wanted)| !wanted.is_empty()).collect()
    }
}

/// Reads the tasks of a file.
///
/// # Errors
/// The file cannot be read, a line is no task, or there is no line.
pub fn read_tasks(path: &Path) -> Result<Vec<SolvedTask>> {
    lines::read(path, |bytes| lines::fields(lines::json(bytes)?, "not a task"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_task_becomes_an_episode_with_its_calls() {
        let line = json!({
            "id": "retail-1", "user_id": "omar_1", "instruction": "Cancel order #W1.",
            "actions": [{"name": "cancel_order", "kwargs": {"order_id": "#W1"}}, {"name": "think"},
                {"name": "cancel_order"}],
            "outputs": ["54.04", 3],
        });
        let task: SolvedTask = lines::fields(line, "not a task").unwrap();
        assert_eq!(task.tools(), ["cancel_order", "think"]);
        let recording = task.recording();
        let described =
            Task::new("Cancel order #W1.").kind("task").tag("user:omar_1").correlation_id("retail-1");
        assert_eq!(recording.task, described);
        assert_eq!(recording.actions[0], Action::tool("cancel_order").arguments(json!({"order_id": "#W1"})));
        assert_eq!(recording.outcome, Outcome::success("54.04; 3"));
    }

    #[test]
    fn lines_of_another_shape_say_why() {
        let check = |line: &str, expected: &str| {
            let found = lines::json(line.as_bytes()).and_then(|line| {
                lines::fields::<SolvedTask>(line, "not a task").map(|task| task.instruction)
            });
            assert_eq!(found.unwrap_err(), expected);
        };
        check(r#"{"reward": 1}"#, "not a task: missing field `instruction`");
        check(
            r#"{"instruction": "x", "actions": [{"name": 3}]}"#,
            "not a task: actions[0].name: invalid type: integer `3`, expected a string",
        );
        check("{", "not JSON: EOF while parsing an object at column 1");
    }

    #[test]
    fn tools_that_training_never_uses_are_not_wanted() {
        let task = |instruction: &str, tools: &[&str]| -> SolvedTask {
            let actions: Vec<Value> = tools.iter().map(|tool| json!({"name": tool})).collect();
            serde_json::from_value(json!({"instruction": instruction, "actions": actions})).unwrap()
        };
        let data = DataSet {
            train: vec![task("1", &["a", "b"])],
            test: vec![task("2", &["c"]), task("3", &["c", "b"]), task("4", &[])],
        };
        let scored: Vec<_> =
            data.scored().into_iter().map(|(task, wanted)| (task.instruction.clone(), wanted)).collect();
        assert_eq!(scored, [("3".to_owned(), BTreeSet::from(["b"]))]);
    }
}
