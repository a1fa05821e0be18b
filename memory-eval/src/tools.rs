//! Advising on the tools of a task, their set and their order, from tasks that were solved.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use agent_memory::{EpisodeId, Memory, RecallQuery};
use serde::Serialize;

use crate::arena::{Arena, Means};
use crate::data::SolvedTask;
use crate::error::Result;
use crate::figures::{f1, kendall, percentile};

/// How well the tools of some tasks were recommended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToolScores {
    /// Tasks scored.
    pub tasks: usize,
    /// Tasks not scored, because they use no tool that was learned.
    pub left_out: usize,
    /// The mean F1 of the set of tools.
    pub tool_f1: Option<f64>,
    /// The share of tasks whose set of tools is right.
    pub exact: Option<f64>,
    /// The mean Kendall tau of the order, over the tasks of `ordered`.
    pub order_kendall: Option<f64>,
    /// Tasks with at least two tools both recommended and used.
    pub ordered: usize,
    /// Tasks scored for which no tool was recommended.
    pub abstained: usize,
    /// Tasks scored for which a playbook was suggested.
    pub playbooks: usize,
    /// The share of the playbooks that have the very tools of the task.
    pub playbook_exact: Option<f64>,
    /// The share of those that have some of them and no other: a part of the task.
    pub playbook_part: Option<f64>,
    /// Half of the recalls took no longer, in microseconds.
    pub recall_p50_us: Option<u64>,
    /// 99 of 100 recalls took no longer, in microseconds.
    pub recall_p99_us: Option<u64>,
}

/// A memory that learned from tasks.
pub struct Learned {
    /// The memory.
    pub arena: Arena,
    /// What it learned from.
    train: Vec<SolvedTask>,
    ids: Vec<EpisodeId>,
    /// The time of recording and of learning.
    pub taken: Duration,
}

/// How advice on some tasks went.
#[derive(Debug, Clone, PartialEq)]
pub struct Advised {
    /// The figures.
    pub scores: ToolScores,
    /// The F1 of each task that was scored, in order.
    pub f1: Vec<f64>,
    /// The tools advised for each task, scored or not, in order of the advice.
    pub tools: Vec<Vec<String>>,
}

impl Learned {
    /// Records tasks in a fresh memory and has it learn from them. The seed makes the ids.
    ///
    /// # Errors
    /// The memory fails.
    pub async fn from_tasks(train: &[SolvedTask], seed: u64, by: &Means) -> Result<Self> {
        let mut arena = Arena::open(seed, by).await?;
        let recordings: Vec<_> = train.iter().map(SolvedTask::recording).collect();
        let start = Instant::now();
        let ids = arena.record_all(&recordings).await?;
        arena.memory.learn().await?;
        let taken = start.elapsed();
        arena.pass();
        Ok(Self { arena, train: train.to_vec(), ids, taken })
    }

    /// Recalls for each test task and scores the advice. Tools that training never uses are not wanted; tasks without
    /// any other are left out of the figures.
    ///
    /// # Errors
    /// The memory fails.
    pub async fn advise(&self, test: &[SolvedTask]) -> Result<Advised> {
        let known = self.train.iter().flat_map(SolvedTask::tools).collect();
        self.advise_knowing(test, &known).await
    }

    /// As [`Self::advise`], with the tools that may be wanted.
    pub(crate) async fn advise_knowing(
        &self,
        test: &[SolvedTask],
        known: &BTreeSet<&str>,
    ) -> Result<Advised> {
        let mut scorer = Scorer::default();
        let mut tools = Vec::with_capacity(test.len());
        for task in test {
            let found = recommend(&self.arena.memory, task, &mut scorer).await?;
            scorer.add(&found, task, known);
            tools.push(found.tools);
        }
        let f1 = scorer.f1.clone();
        Ok(Advised { scores: scorer.finish(), f1, tools })
    }

    /// Recalls for each training task with the others learned. The memory has learned from all of them afterwards.
    ///
    /// # Errors
    /// The memory fails.
    pub async fn leave_one_out(&mut self) -> Result<Advised> {
        let mut scorer = Scorer::default();
        let mut tools = Vec::with_capacity(self.train.len());
        for (index, task) in self.train.iter().enumerate() {
            self.arena.memory.forget(self.ids[index]).await?;
            self.arena.memory.learn().await?;
            let found = recommend(&self.arena.memory, task, &mut scorer).await?;
            let others = self.train.iter().enumerate().filter(|(other, _)| *other != index);
            let known: BTreeSet<&str> = others.flat_map(|(_, other)| other.tools()).collect();
            scorer.add(&found, task, &known);
            tools.push(found.tools);
            self.ids[index] = self.arena.record(&task.recording()).await?;
        }
        self.arena.memory.learn().await?;
        let f1 = scorer.f1.clone();
        Ok(Advised { scores: scorer.finish(), f1, tools })
    }
}

/// What a recall recommended.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The tools advised, in order.
    tools: Vec<String>,
    /// The tools of the playbook, if one was suggested.
    playbook: Option<BTreeSet<String>>,
}

async fn recommend(memory: &Memory, solved: &SolvedTask, scorer: &mut Scorer) -> Result<Found> {
    let task = solved.task();
    let start = Instant::now();
    let recall = memory.recall(RecallQuery::for_task(&task)).await?;
    scorer.taken.push(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
    Ok(Found {
        tools: recall.tools.into_iter().map(|advice| advice.tool).collect(),
        playbook: recall.playbook.map(|found| found.steps.into_iter().map(|step| step.tool).collect()),
    })
}

/// Sums scores up.
#[derive(Debug, Default)]
pub(crate) struct Scorer {
    /// The F1 of each task that was scored.
    pub(crate) f1: Vec<f64>,
    exact: usize,
    kendall: Vec<f64>,
    abstained: usize,
    left_out: usize,
    playbooks: usize,
    playbook_exact: usize,
    playbook_part: usize,
    pub(crate) taken: Vec<u64>,
}

impl Scorer {
    /// Adds a task: what was recommended for it, and what it took.
    pub(crate) fn add(&mut self, recommended: &Found, solved: &SolvedTask, known: &BTreeSet<&str>) {
        let mut wanted = solved.tools();
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

    pub(crate) fn finish(mut self) -> ToolScores {
        let tasks = self.f1.len();
        let average =
            |values: &[f64]| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
        let share = |some: usize, of: usize| (of > 0).then(|| some as f64 / of as f64);
        ToolScores {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn solved(tools: &[&str]) -> SolvedTask {
        let actions: Vec<_> = tools.iter().map(|tool| json!({"name": tool})).collect();
        serde_json::from_value(json!({"instruction": "x", "actions": actions})).unwrap()
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
