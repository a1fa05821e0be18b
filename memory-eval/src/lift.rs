//! What memory is worth to an agent, measured in a simulation that needs no language model.
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
//! of a shop; other tools but for the five of `words` and the repairs, other errors, other rules) and records nothing
//! of this one; *oracle* knows the rules. A memory gets what an application would record (text, kind, domain,
//! calls with arguments, answers, outcome, which recalled items were followed) and nothing else. Ten minutes pass from
//! task to task on a clock of the simulation.

mod agent;
mod experience;
mod guide;
mod report;
mod rules;
mod task;
mod words;

pub use report::{Arm, GapClosed, LiftReport};

use crate::arena::{Arena, Means};
use crate::error::Result;
use agent::Agent;
use experience::Experience;
use guide::Guide;
use report::{Run, Runs};
use rules::Rules;
use task::{Answer, Attempt, WorldTask};
use words::{SERVERS, SHOP, Words};

/// What keeps the other world's seed apart from this one's.
const ELSEWHERE: u64 = 0x5eed;

/// Runs all arms over so many tasks, at least four. Also returns the memory that learned from all of them.
///
/// # Errors
/// A memory fails.
pub async fn lift(seed: u64, tasks: usize, by: &Means) -> Result<(LiftReport, Arena)> {
    let (runs, own) = simulate(seed, tasks, by).await?;
    Ok((LiftReport::new(seed, &runs), own))
}

async fn simulate(seed: u64, tasks: usize, by: &Means) -> Result<(Runs, Arena)> {
    let shop = World::new(&SHOP, seed, tasks / 2);
    let servers = World::new(&SERVERS, seed ^ ELSEWHERE, tasks);
    let none = shop.all(tasks, &mut Guide::Nobody).await?;
    let oracle = shop.all(tasks, &mut Guide::Oracle).await?;

    let own = Arena::open(seed, by).await?;
    let mut guide =
        Guide::Memory { arena: &own, domain: SHOP.domain, experience: Some(Experience::default()) };
    let memory = shop.all(tasks, &mut guide).await?;

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
    Ok((Runs { none, memory, stale, irrelevant, oracle }, own))
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

    async fn all(&self, tasks: usize, guide: &mut Guide<'_>) -> Result<Vec<Run>> {
        self.some(0..tasks, guide).await
    }

    async fn some(&self, tasks: std::ops::Range<usize>, guide: &mut Guide<'_>) -> Result<Vec<Run>> {
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
async fn work(task: &WorldTask, mut attempt: Attempt<'_>, guide: &mut Guide<'_>) -> Result<(bool, usize)> {
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
