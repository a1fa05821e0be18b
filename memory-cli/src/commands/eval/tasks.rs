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
    /// Tasks scored for which a playbook was suggested.
    playbooks: usize,
    /// The share of the playbooks that have the very tools of the task.
    playbook_exact: Option<f64>,
    /// The share of those that have some of them and no other: a part of the task.
    playbook_part: Option<f64>,
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
        // The first is the answer; with both, leaving one out is beside it, as `left_one_out`.
        let mut object = json!(scored[0].1);
        object["seed"] = arguments.seed.into();
        object["train"] = train.len().into();
        object["junk"] = json!(junk);
        object["provider"] = provider.into();
        object["leave_one_out"] = arguments.leave_one_out.into();
        if let [_, (_, beside)] = &scored[..] {
            object["left_one_out"] = json!(beside);
        }
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

/// What a recall recommended.
#[derive(Debug, Default)]
struct Found {
    /// The tools advised, in order.
    tools: Vec<String>,
    /// The tools of the playbook, if one was suggested.
    playbook: Option<BTreeSet<String>>,
}

async fn recommend(memory: &Memory, task: &Task, scorer: &mut Scorer) -> Result<Found, Failure> {
    let mut query = RecallQuery::new(&task.description).kind(&task.kind);
    if let Some(domain) = &task.domain {
        query = query.domain(domain);
    }
    let start = Instant::now();
    let recall = memory.recall(query).await?;
    scorer.taken.push(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
    Ok(Found {
        tools: recall.tools.into_iter().map(|advice| advice.tool).collect(),
        playbook: recall.playbook.map(|found| found.steps.into_iter().map(|step| step.tool).collect()),
    })
}

/// Sums scores up.
#[derive(Debug, Default)]
struct Scorer {
    f1: Vec<f64>,
    exact: usize,
    kendall: Vec<f64>,
    abstained: usize,
    left_out: usize,
    playbooks: usize,
    playbook_exact: usize,
    playbook_part: usize,
    taken: Vec<u64>,
}

impl Scorer {
    /// Adds a task: what was recommended for it, and what it took.
    fn add(&mut self, recommended: &Found, solved: &Recording, known: &BTreeSet<&str>) {
        let mut wanted = tools(solved);
        wanted.retain(|tool| known.contains(tool));
        if wanted.is_empty() {
            self.left_out += 1;
            return;
        }
        let mut found: Vec<&str> = Vec::new();
        for tool in &recommended.tools {
            if !found.contains(&tool.as_str()) {
                found.push(tool);
            }
        }
        let (found_set, wanted_set) = (found.iter().copied().collect(), wanted.iter().copied().collect());
        self.f1.push(f1(&found_set, &wanted_set));
        self.exact += usize::from(found_set == wanted_set);
        self.kendall.extend(kendall(&found, &wanted));
        self.abstained += usize::from(found.is_empty());
        if let Some(playbook) = &recommended.playbook {
            let playbook: BTreeSet<&str> = playbook.iter().map(String::as_str).collect();
            self.playbooks += 1;
            self.playbook_exact += usize::from(playbook == wanted_set);
            self.playbook_part += usize::from(playbook != wanted_set && playbook.is_subset(&wanted_set));
        }
    }

    fn finish(mut self) -> Scores {
        let tasks = self.f1.len();
        let average =
            |values: &[f64]| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
        let share = |some: usize, of: usize| (of > 0).then(|| some as f64 / of as f64);
        Scores {
            tasks,
            left_out: self.left_out,
            tool_f1: average(&self.f1),
            exact: share(self.exact, tasks),
            order_kendall: average(&self.kendall),
            ordered: self.kendall.len(),
            abstained: self.abstained,
            playbooks: self.playbooks,
            playbook_exact: share(self.playbook_exact, self.playbooks),
            playbook_part: share(self.playbook_part, self.playbooks),
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
    telling::figure(output, "playbooks", &scores.playbooks.to_string(), "tasks with a suggested playbook")?;
    let exact = telling::decimal(scores.playbook_exact);
    telling::figure(output, "playbook_exact", &exact, "share of those that have the task's tools")?;
    let part = telling::decimal(scores.playbook_part);
    telling::figure(output, "playbook_part", &part, "share that have some of them and no other")?;
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
            let tools = found.iter().map(|tool| (*tool).to_owned()).collect();
            scorer.add(&Found { tools, playbook: None }, &solved(used), &known);
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
    fn playbooks_count_by_what_they_have_of_the_task() {
        let known = BTreeSet::from(["a", "b", "c"]);
        let mut scorer = Scorer::default();
        for playbook in [Some(&["a", "b"][..]), Some(&["b"]), Some(&["b", "c"]), Some(&["a", "b", "c"]), None]
        {
            let playbook = playbook.map(|tools| tools.iter().map(|tool| (*tool).to_owned()).collect());
            scorer.add(&Found { playbook, ..Found::default() }, &solved(&["a", "b", "a"]), &known);
        }
        let scores = scorer.finish();
        let shares = (scores.playbook_exact, scores.playbook_part);
        assert_eq!((scores.playbooks, shares), (4, (Some(0.25), Some(0.25))));
    }

    #[test]
    fn nothing_scored_has_no_figures() {
        let scores = Scorer::default().finish();
        assert_eq!((scores.tool_f1, scores.exact, scores.recall_p50_us), (None, None, None));
        assert_eq!((scores.playbook_exact, scores.playbook_part), (None, None));
    }
}
