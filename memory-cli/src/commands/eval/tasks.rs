//! `memory eval tasks`: recommending the tools of a task, their set and their order, from tasks that were solved.

use std::collections::BTreeSet;
use std::time::Instant;

use agent_memory::{Memory, RecallQuery, Recording, Task};
use serde::Serialize;
use serde_json::json;

use super::arena::{Arena, Means};
use super::figures::{f1, kendall, percentile};
use super::source::{Row, read};
use super::telling;
use crate::cli::{EvalTasksArgs, Format};
use crate::commands::stats::Junk;
use crate::failure::Failure;
use crate::output::Output;
use crate::text;

/// How well the tools of some tasks were recommended.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Scores {
    /// Tasks scored.
    tasks: usize,
    /// Tasks not scored, because they use no tool that was learned.
    left_out: usize,
    /// The mean F1 of the set of tools.
    tool_f1: Option<f64>,
    /// The share of tasks whose set of tools is right.
    exact: Option<f64>,
    /// The mean Kendall tau of the order, over the tasks of `ordered`.
    order_kendall: Option<f64>,
    /// Tasks with at least two tools both recommended and used.
    ordered: usize,
    /// Tasks scored for which no tool was recommended.
    abstained: usize,
    recall_p50_us: Option<u64>,
    recall_p99_us: Option<u64>,
}

pub(super) async fn run(
    arguments: &EvalTasksArgs,
    by: Means<'_>,
    output: &mut Output,
) -> Result<(), Failure> {
    let train = read(&arguments.train, Format::Tasks)?;
    let test = arguments.test.as_ref().map(|file| read(file, Format::Tasks)).transpose()?;
    let mut arena = Arena::open(arguments.seed, by).await?;
    let mut episodes = Vec::new();
    for row in &train {
        episodes.push(arena.record(&row.recording).await?);
    }
    arena.memory.learn().await?;
    arena.pass();
    let mut scored = Vec::new();
    if let Some(test) = &test {
        let known = tools_of(&train);
        let mut scorer = Scorer::default();
        for row in test {
            let found = recommend(&arena.memory, &row.recording.task, &mut scorer).await?;
            scorer.add(&found, &row.recording, &known);
        }
        scored.push(("test", scorer.finish()));
    }
    if arguments.leave_one_out {
        let mut scorer = Scorer::default();
        for (index, row) in train.iter().enumerate() {
            arena.memory.forget(episodes[index]).await?;
            arena.memory.learn().await?;
            let found = recommend(&arena.memory, &row.recording.task, &mut scorer).await?;
            let others = train.iter().enumerate().filter(|(other, _)| *other != index);
            let known: BTreeSet<&str> = others.flat_map(|(_, row)| tools(&row.recording)).collect();
            scorer.add(&found, &row.recording, &known);
            episodes[index] = arena.record(&row.recording).await?;
        }
        scored.push(("leave-one-out", scorer.finish()));
    }
    arena.memory.learn().await?;
    let junk = Junk::of(&arena.memory).await?;
    let provider = arena.provider();
    arena.close().await?;
    if output.is_json() {
        // The first is the answer; with both, leaving one out is beside it.
        let mut object = json!(scored[0].1);
        object["seed"] = arguments.seed.into();
        object["train"] = train.len().into();
        object["junk"] = json!(junk);
        object["provider"] = provider.into();
        object["leave_one_out"] =
            if scored.len() > 1 { json!(scored[1].1) } else { arguments.leave_one_out.into() };
        return Ok(output.object(&object)?);
    }
    for (what, scores) in &scored {
        tell(what, train.len(), scores, output)?;
    }
    telling::provider(output, &provider)?;
    telling::junk(output, &junk)
}

/// Returns the tools that some episodes used.
fn tools_of(rows: &[Row]) -> BTreeSet<&str> {
    rows.iter().flat_map(|row| tools(&row.recording)).collect()
}

/// Returns the tools that an episode used, each once, in order of first use.
fn tools(recording: &Recording) -> Vec<&str> {
    let mut tools: Vec<&str> = Vec::new();
    for action in &recording.actions {
        if !action.tool.is_empty() && !tools.contains(&action.tool.as_str()) {
            tools.push(&action.tool);
        }
    }
    tools
}

async fn recommend(memory: &Memory, task: &Task, scorer: &mut Scorer) -> Result<Vec<String>, Failure> {
    let mut query = RecallQuery::new(&task.description).kind(&task.kind);
    if let Some(domain) = &task.domain {
        query = query.domain(domain);
    }
    let start = Instant::now();
    let recall = memory.recall(query).await?;
    scorer.taken.push(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
    Ok(recall.tools.into_iter().map(|advice| advice.tool).collect())
}

/// Sums scores up.
#[derive(Debug, Default)]
struct Scorer {
    f1: Vec<f64>,
    exact: usize,
    kendall: Vec<f64>,
    abstained: usize,
    left_out: usize,
    taken: Vec<u64>,
}

impl Scorer {
    /// Adds a task: what was recommended for it, and what it took.
    fn add(&mut self, recommended: &[String], solved: &Recording, known: &BTreeSet<&str>) {
        let mut wanted = tools(solved);
        wanted.retain(|tool| known.contains(tool));
        if wanted.is_empty() {
            self.left_out += 1;
            return;
        }
        let mut found: Vec<&str> = Vec::new();
        for tool in recommended {
            if !found.contains(&tool.as_str()) {
                found.push(tool);
            }
        }
        let (found_set, wanted_set) = (found.iter().copied().collect(), wanted.iter().copied().collect());
        self.f1.push(f1(&found_set, &wanted_set));
        self.exact += usize::from(found_set == wanted_set);
        self.kendall.extend(kendall(&found, &wanted));
        self.abstained += usize::from(found.is_empty());
    }

    fn finish(mut self) -> Scores {
        let tasks = self.f1.len();
        let average =
            |values: &[f64]| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
        Scores {
            tasks,
            left_out: self.left_out,
            tool_f1: average(&self.f1),
            exact: (tasks > 0).then(|| self.exact as f64 / tasks as f64),
            order_kendall: average(&self.kendall),
            ordered: self.kendall.len(),
            abstained: self.abstained,
            recall_p50_us: percentile(&mut self.taken, 0.50),
            recall_p99_us: percentile(&mut self.taken, 0.99),
        }
    }
}

fn tell(what: &str, train: usize, scores: &Scores, output: &mut Output) -> Result<(), Failure> {
    let head = format!(
        "Tools for {} ({what}), learned from {}",
        text::count(scores.tasks as u64, "task"),
        text::count(train as u64, "task")
    );
    telling::title(output, &head)?;
    let ordered =
        format!("Kendall's tau of their order, over {}", text::count(scores.ordered as u64, "task"));
    let left_out = format!("tasks more without any tool that was learned, left out: {}", scores.left_out);
    let micros = |value: Option<u64>| value.map_or("-".into(), |value| format!("{value} µs"));
    telling::figure(output, "tool_f1", &telling::decimal(scores.tool_f1), "mean F1 of the set of tools")?;
    telling::figure(output, "exact", &telling::decimal(scores.exact), "share of tasks whose set is right")?;
    telling::figure(output, "order_kendall", &telling::decimal(scores.order_kendall), &ordered)?;
    telling::figure(output, "abstained", &scores.abstained.to_string(), "tasks without a recommendation")?;
    telling::figure(output, "tasks", &scores.tasks.to_string(), &left_out)?;
    telling::figure(output, "recall_p50_us", &micros(scores.recall_p50_us), "half the recalls are faster")?;
    telling::figure(output, "recall_p99_us", &micros(scores.recall_p99_us), "99 of 100 recalls are faster")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use agent_memory::{Action, Outcome};

    use super::*;

    fn solved(tools: &[&str]) -> Recording {
        Recording {
            source_key: String::new(),
            task: Task::new("x"),
            actions: tools.iter().map(|tool| Action::tool(*tool)).collect(),
            outcome: Outcome::success(""),
            at: None,
        }
    }

    #[test]
    fn scores_count_known_tools_once_and_leave_tasks_without_them_out() {
        let known = BTreeSet::from(["a", "b", "c"]);
        let mut scorer = Scorer::default();
        let mut add = |found: &[&str], used: &[&str]| {
            let found: Vec<String> = found.iter().map(|tool| (*tool).to_owned()).collect();
            scorer.add(&found, &solved(used), &known);
        };
        add(&["a", "b"], &["a", "x", "b", "a"]);
        add(&["b", "a"], &["a", "b"]);
        add(&["a"], &["a", "b", "c"]);
        add(&[], &["c"]);
        add(&["a"], &["x"]);
        add(&[], &[]);
        let scores = scorer.finish();
        assert_eq!((scores.tasks, scores.left_out, scores.abstained, scores.ordered), (4, 2, 1, 2));
        assert_eq!(scores.tool_f1, Some(2.5 / 4.0));
        assert_eq!((scores.exact, scores.order_kendall), (Some(0.5), Some(0.0)));
    }

    #[test]
    fn nothing_scored_has_no_figures() {
        let scores = Scorer::default().finish();
        assert_eq!((scores.tool_f1, scores.exact, scores.recall_p50_us), (None, None, None));
    }
}
