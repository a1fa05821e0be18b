//! `memory eval lift`: what memory is worth to an agent, measured in a simulation that needs no language model.
//!
//! **The world.** A seed makes a world with four kinds of work of three types each. A type of task needs a hidden
//! sequence of two to four tools, of the six that the agent has for that kind of work. Tasks are texts: one of three ways
//! to ask for the type, about one of four things, with an opening and an aside that say nothing (names, cities, figures,
//! ids). A tool that is not the next one needed refuses, with an error text that varies. At one place of the
//! sequence the right call is blocked in 35 % of the tasks, by one of six causes, each with its own error text
//! (with varying figures and ids); a hidden remedy (one of four repair tools, or one of two modes to repeat the call in)
//! helps against each. 3 % of the tasks cannot be done by anybody. Three calls are allowed for each tool needed.
//!
//! **The drift.** After half of the tasks the rules change: of every third type half of the tools (rounded up) are
//! others, and two causes of blocks swap their remedies.
//!
//! **The agent.** It follows the tools and fixes that it is advised, in their order. Where neither the next advised tool
//! nor the one after it works, it tries the tools at hand in an order that is its luck for this task, those that it was
//! warned of later, and goes on with the plan once one of them worked. It never repeats a call that failed since the
//! last one that worked, except after a repair. It knows a block from a refusal, and which tools and modes there are; it
//! knows none of the hidden rules and not how many calls it may make.
//!
//! **The arms.** All meet the same tasks with the same luck: *none* has no advice; *memory* starts empty, is asked
//! before each task and after each error, and learns from each episode; *stale* is the same but neither records nor
//! learns after the drift; *irrelevant* learned as many tasks as come before the drift in another world (servers instead
//! of a shop; other tools but for the five of [`words`] and the repairs, other errors, other rules) and records nothing
//! of this one; *oracle* knows the rules. A memory gets what an application would record (text, kind, domain,
//! calls with arguments, answers, outcome, which recalled items were followed) and nothing else. Ten minutes pass from
//! task to task on a clock of the simulation.

mod agent;
mod chart;
mod experience;
mod guide;
mod report;
mod rules;
mod task;
mod words;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

use super::arena::{Arena, Means};
use super::telling;
use crate::cli::EvalLiftArgs;
use crate::commands::stats::Junk;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::output::style::{self, paint};
use crate::table::{Cell, Column, layout};
use agent::Agent;
use experience::Experience;
use guide::Guide;
use report::{LiftReport, Run, Runs};
use rules::Rules;
use task::{Answer, Attempt, WorldTask};
use words::{SERVERS, SHOP, Words};

/// What keeps the other world's seed apart from this one's.
const ELSEWHERE: u64 = 0x5eed;

pub(super) async fn run(arguments: &EvalLiftArgs, by: Means<'_>, output: &mut Output) -> Result<(), Failure> {
    // Whether the file can be written shows before the work, not after.
    let drawing = arguments.svg.as_ref().map(|file| Drawing::create(file)).transpose()?;
    let (runs, junk, provider) = simulate(arguments.seed, arguments.tasks as usize, by).await?;
    let report = LiftReport::new(arguments.seed, &runs);
    if let Some(drawing) = drawing {
        drawing.write(&chart::svg(&report))?;
    }
    if output.is_json() {
        let mut object = json!(report);
        object["junk"] = json!(junk);
        object["provider"] = provider.into();
        return Ok(output.object(&object)?);
    }
    tell(&report, output)?;
    telling::provider(output, &provider)?;
    telling::junk(output, &junk)
}

/// The file that the curves are drawn into.
struct Drawing<'a> {
    path: &'a Path,
    file: File,
}

impl<'a> Drawing<'a> {
    fn create(path: &'a Path) -> Result<Self, Failure> {
        let file = File::create(path).map_err(|source| cannot_draw(path, &source))?;
        Ok(Self { path, file })
    }

    fn write(mut self, svg: &str) -> Result<(), Failure> {
        self.file.write_all(svg.as_bytes()).map_err(|source| cannot_draw(self.path, &source))
    }
}

fn cannot_draw(path: &Path, source: &io::Error) -> Failure {
    Failure::Command {
        exit: Exit::Failed,
        kind: "io",
        message: format!("cannot write {}: {source}", path.display()),
        hint: Some("give --svg a file in a folder that you may write to".into()),
    }
}

/// Runs all arms; also returns how much of what the memory learned is junk, and what it goes by.
async fn simulate(seed: u64, tasks: usize, by: Means<'_>) -> Result<(Runs, Junk, String), Failure> {
    let shop = World::new(&SHOP, seed, tasks / 2);
    let servers = World::new(&SERVERS, seed ^ ELSEWHERE, tasks);
    let none = shop.all(tasks, &mut Guide::Nobody).await?;
    let oracle = shop.all(tasks, &mut Guide::Oracle).await?;

    let own = Arena::open(seed, by).await?;
    let mut guide =
        Guide::Memory { arena: &own, domain: SHOP.domain, experience: Some(Experience::default()) };
    let memory = shop.all(tasks, &mut guide).await?;
    let junk = Junk::of(&own.memory).await?;
    let provider = own.provider();
    own.close().await?;

    // The same again up to the drift.
    let frozen = Arena::open(seed, by).await?;
    let mut guide =
        Guide::Memory { arena: &frozen, domain: SHOP.domain, experience: Some(Experience::default()) };
    let mut stale = shop.some(0..shop.drift_at, &mut guide).await?;
    let mut guide = Guide::Memory { arena: &frozen, domain: SHOP.domain, experience: None };
    stale.extend(shop.some(shop.drift_at..tasks, &mut guide).await?);
    frozen.close().await?;

    let foreign = Arena::open(seed, by).await?;
    let mut guide =
        Guide::Memory { arena: &foreign, domain: SERVERS.domain, experience: Some(Experience::default()) };
    servers.some(0..shop.drift_at, &mut guide).await?;
    let mut guide = Guide::Memory { arena: &foreign, domain: SHOP.domain, experience: None };
    let irrelevant = shop.all(tasks, &mut guide).await?;
    foreign.close().await?;
    Ok((Runs { none, memory, stale, irrelevant, oracle }, junk, provider))
}

/// A world before and after its drift.
struct World {
    words: &'static Words,
    seed: u64,
    drift_at: usize,
    before: Rules,
    after: Rules,
}

impl World {
    fn new(words: &'static Words, seed: u64, drift_at: usize) -> Self {
        let before = Rules::new(words, seed);
        let after = before.drifted(seed);
        Self { words, seed, drift_at, before, after }
    }

    async fn all(&self, tasks: usize, guide: &mut Guide<'_>) -> Result<Vec<Run>, Failure> {
        self.some(0..tasks, guide).await
    }

    async fn some(&self, tasks: std::ops::Range<usize>, guide: &mut Guide<'_>) -> Result<Vec<Run>, Failure> {
        let mut runs = Vec::with_capacity(tasks.len());
        for index in tasks {
            let rules = if index < self.drift_at { &self.before } else { &self.after };
            let task = WorldTask::new(self.words, rules, self.seed, index as u64);
            let attempt = Attempt::new(self.words, rules, &task, self.seed);
            let (success, steps) = work(&task, attempt, guide).await?;
            let changing = self.after.types[task.ordinal].drifted;
            runs.push(Run { success, steps, changing });
        }
        Ok(runs)
    }
}

/// Works at a task until it is done, the calls are used up or nothing is left to try; returns whether it is done, and the
/// calls made.
async fn work(
    task: &WorldTask,
    mut attempt: Attempt<'_>,
    guide: &mut Guide<'_>,
) -> Result<(bool, usize), Failure> {
    let mut agent = Agent::new(task);
    let mut understood = guide.begin(task, &attempt).await?;
    let (mut success, mut steps) = (false, 0);
    while !success && steps < task.budget {
        let Some(choice) = agent.choose(&understood.advice) else { break };
        let answer = attempt.call(choice.0);
        steps += 1;
        success = matches!(answer, Answer::Progress { done: true, .. });
        agent.observe(choice.0, &answer, &understood.advice);
        guide.observe(choice, &answer, &agent, &attempt, &mut understood).await?;
    }
    guide.end(success).await?;
    Ok((success, steps))
}

fn tell(report: &LiftReport, output: &mut Output) -> Result<(), Failure> {
    let head = format!(
        "{} tasks of a simulated agent, with a drift after {} (seed {})",
        report.tasks, report.drift_at, report.seed
    );
    telling::title(output, &head)?;
    let column = |heading, right| Column { heading, right, flexible: false };
    let headings = [
        column("arm", false),
        column("success", true),
        column("against none", true),
        column("calls", true),
        column("against none", true),
        column("changed rules", true),
    ];
    let rows: Vec<Vec<Cell>> = report
        .arms
        .iter()
        .map(|arm| {
            vec![
                Cell::new(arm.arm, style::NAME),
                Cell::new(telling::percent(arm.success), style::PLAIN),
                Cell::new(telling::percent(arm.success_difference), style::PLAIN),
                Cell::new(telling::plain(arm.steps), style::PLAIN),
                Cell::new(telling::plain(arm.steps_difference), style::PLAIN),
                Cell::new(telling::percent(arm.success_changed), style::PLAIN),
            ]
        })
        .collect();
    for line in layout(&headings, &rows, output.columns()) {
        output.line(line)?;
    }
    output.line("")?;
    telling::title(output, &format!("Success by {} tasks", report.window))?;
    for arm in &report.arms {
        let name = paint(style::NAME, format!("{:<10}", arm.arm));
        let (before, after) = arm.curve.split_at((report.drift_at / report.window).min(arm.curve.len()));
        output.line(format!("  {name}  {} {}", chart::blocks(before), chart::blocks(after)))?;
    }
    output.line("")?;
    let gap = |value: Option<f64>| value.map_or("-".into(), |value| format!("{:.1} %", value * 100.0));
    let closed = &report.gap_closed;
    telling::figure(
        output,
        "gap closed",
        &gap(closed.overall),
        "of the gap between none and oracle, over all tasks",
    )?;
    telling::figure(
        output,
        "  before drift",
        &gap(closed.before_drift),
        "second half of the tasks before it",
    )?;
    telling::figure(output, "  after drift", &gap(closed.after_drift), "second half of the tasks after it")?;
    let tasks = |tasks: Option<usize>| tasks.map_or("never".into(), |tasks| tasks.to_string());
    let meaning = format!("tasks until the last {} are within 5 points of the oracle again", report.window);
    telling::figure(output, "recovery", &tasks(report.recovery_tasks), &meaning)?;
    let meaning = format!(
        "tasks until they are, and stay so for {} more; stale memory: {}",
        report.window,
        tasks(report.stale_recovery_lasting_tasks)
    );
    telling::figure(output, "  for good", &tasks(report.recovery_lasting_tasks), &meaning)?;
    let cost = format!("{:.1}", report.irrelevant_cost_points);
    telling::figure(output, "irrelevant cost", &cost, "points of success against none")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn exploring_sometimes_fails_and_the_oracle_seldom() {
        let (mut none, mut oracle) = (0, 0);
        for seed in 1..=5 {
            let shop = World::new(&SHOP, seed, 200);
            let won = |runs: Vec<Run>| runs.iter().filter(|run| run.success).count();
            none += won(shop.all(400, &mut Guide::Nobody).await.unwrap());
            oracle += won(shop.all(400, &mut Guide::Oracle).await.unwrap());
        }
        assert!((600..=1_400).contains(&none), "{none} of 2,000");
        assert!((1_900..=1_980).contains(&oracle), "{oracle} of 2,000");
    }
}
