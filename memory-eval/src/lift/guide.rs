//! Who advises the agent: nobody, a memory, or an oracle.

use agent_memory::learning::{ArgumentChange, ArgumentValue, Failure as Lesson, Recalled, Remedy};
use agent_memory::{ItemId, Recall, RecallQuery, Timestamp};

use super::agent::{Advice, Agent, Follows};
use super::experience::Experience;
use super::rules::Fix;
use super::task::{Answer, Attempt, Call, WorldTask};
use super::words::{MODES, REPAIRS};
use crate::arena::Arena;
use crate::error::Error;

/// An advisor of the agent.
pub(super) enum Guide<'a> {
    /// The agent is on its own.
    Nobody,
    /// A memory; without an experience it is asked and learns nothing.
    Memory { arena: &'a Arena, domain: &'static str, experience: Option<Experience> },
    /// Somebody who knows the rules.
    Oracle,
}

/// What the memory answered, as the agent understands it, and the items behind each piece of advice.
#[derive(Debug, Default)]
pub(super) struct Understood {
    pub(super) advice: Advice,
    plan_items: Vec<Vec<ItemId>>,
    fix_items: Vec<Vec<ItemId>>,
}

impl Understood {
    /// Reads an answer: tools that are at hand, in the order advised, else those of the playbook; what helped against like
    /// errors, and what did not; tools that warnings name and nothing advises.
    fn from_recall(recall: &Recall, task: &WorldTask) -> Self {
        let mut understood = Self::default();
        for advised in &recall.tools {
            understood.plan(task, &advised.tool, &advised.items);
        }
        if let Some(playbook) = recall.playbook.as_ref().filter(|_| understood.advice.plan.is_empty()) {
            for step in &playbook.steps {
                understood.plan(task, &step.tool, &[ItemId::Playbook(playbook.playbook.id)]);
            }
        }
        understood.remedies(&recall.fixes);
        for tool in recall.warnings.iter().flat_map(|warning| &warning.tools) {
            let at_hand = task.tools.iter().find(|at_hand| *at_hand == tool);
            understood.advice.avoid.extend(at_hand.filter(|tool| !understood.advice.plan.contains(tool)));
        }
        understood
    }

    /// Takes in what remedies of like errors call: of each remedy it counts how it went the last time.
    fn remedies(&mut self, fixes: &[Recalled<Lesson>]) {
        let mut last: Vec<(Fix, ItemId, &Remedy)> = Vec::new();
        for lesson in fixes {
            let item = ItemId::Failure(lesson.item.id);
            for resolution in &lesson.item.remedies {
                for remedy in fixes_of(resolution) {
                    match last.iter_mut().find(|(known, ..)| *known == remedy) {
                        Some(held) if at(resolution) > at(held.2) => *held = (remedy, item, resolution),
                        Some(_) => {}
                        None => last.push((remedy, item, resolution)),
                    }
                }
            }
        }
        for (remedy, item, resolution) in last {
            if resolution.works() {
                self.advice.fixes.push(remedy);
                self.fix_items.push(vec![item]);
            } else {
                self.advice.vain.push(remedy);
            }
        }
    }

    fn plan(&mut self, task: &WorldTask, tool: &str, items: &[ItemId]) {
        let Some(tool) = task.tools.iter().copied().find(|at_hand| *at_hand == tool) else { return };
        if !self.advice.plan.contains(&tool) {
            self.advice.plan.push(tool);
            self.plan_items.push(items.to_vec());
        }
    }

    /// Returns the items behind the advice that a choice follows.
    fn items(&self, follows: Follows) -> &[ItemId] {
        match follows {
            Follows::Plan(place) => self.plan_items.get(place).map_or(&[], Vec::as_slice),
            Follows::Fix(place) => self.fix_items.get(place).map_or(&[], Vec::as_slice),
            Follows::Nothing => &[],
        }
    }
}

/// Returns when a remedy was last tried.
fn at(resolution: &Remedy) -> Option<Timestamp> {
    resolution.worked_at.max(resolution.failed_at)
}

/// Returns the repairs that a remedy calls and the modes that it sets, in its order.
fn fixes_of(remedy: &Remedy) -> Vec<Fix> {
    let mut fixes = Vec::new();
    for call in &remedy.calls {
        fixes.extend(REPAIRS.into_iter().find(|repair| *repair == call.tool).map(Fix::Repair));
        for argument in &call.arguments {
            let (ArgumentChange::Replaced { to: value, .. }
            | ArgumentChange::Set { value: ArgumentValue::Word(value), .. }) = argument
            else {
                continue;
            };
            fixes.extend(MODES.into_iter().find(|mode| mode == value).map(Fix::Mode));
        }
    }
    fixes
}

impl Guide<'_> {
    /// Advises on a task before its first call.
    pub(super) async fn begin(
        &mut self,
        task: &WorldTask,
        attempt: &Attempt<'_>,
    ) -> Result<Understood, Error> {
        match self {
            Self::Nobody => Ok(Understood::default()),
            Self::Oracle => Ok(oracle(attempt)),
            Self::Memory { arena, domain, experience } => {
                let recall = arena.memory.recall(question(task, domain)).await?;
                if let Some(experience) = experience {
                    experience.begin(arena, task, domain, &recall).await?;
                }
                Ok(Understood::from_recall(&recall, task))
            }
        }
    }

    /// Takes in a call with its answer; after an error there may be new advice.
    pub(super) async fn observe(
        &mut self,
        (call, follows): (Call, Follows),
        answer: &Answer,
        agent: &Agent<'_>,
        attempt: &Attempt<'_>,
        understood: &mut Understood,
    ) -> Result<(), Error> {
        let Self::Memory { arena, domain, experience } = self else {
            if let Self::Oracle = self {
                *understood = oracle(attempt);
            }
            return Ok(());
        };
        if let Some(experience) = experience {
            experience.observe(call, answer, understood.items(follows)).await?;
        }
        let (Answer::Refused(error) | Answer::Blocked(error)) = answer else { return Ok(()) };
        let done = agent.done().iter().copied();
        let query = question(agent.task(), domain).done(done).failed(call.tool, error.as_str());
        let recall = arena.memory.recall(query).await?;
        if let Some(experience) = experience {
            experience.recalled(&recall).await?;
        }
        let new = Understood::from_recall(&recall, agent.task());
        if new.advice.plan.is_empty() {
            // What was advised before still stands.
            understood.advice.fixes = new.advice.fixes;
            understood.advice.vain = new.advice.vain;
            understood.fix_items = new.fix_items;
        } else {
            *understood = new;
        }
        Ok(())
    }

    /// Takes in how a task ended.
    pub(super) async fn end(&mut self, success: bool) -> Result<(), Error> {
        if let Self::Memory { arena, experience: Some(experience), .. } = self {
            experience.end(arena, success).await?;
        }
        Ok(())
    }
}

/// Asks for what helps with a task, as an application would.
fn question(task: &WorldTask, domain: &str) -> RecallQuery {
    RecallQuery::new(&task.description).kind(task.kind).domain(domain)
}

fn oracle(attempt: &Attempt<'_>) -> Understood {
    let (sequence, fix) = attempt.solution();
    let advice = Advice { plan: sequence.to_vec(), fixes: fix.into_iter().collect(), ..Advice::default() };
    Understood { advice, ..Understood::default() }
}

#[cfg(test)]
mod tests {
    use agent_memory::learning::RemedyCall;

    use super::*;

    #[test]
    fn a_remedy_names_the_repairs_it_calls_and_the_modes_it_sets() {
        let set = |value: &str| ArgumentChange::Set {
            name: "mode".to_owned(),
            value: ArgumentValue::Word(value.to_owned()),
        };
        let replaced = ArgumentChange::Replaced {
            name: "mode".to_owned(),
            from: "batch".to_owned(),
            to: "force".to_owned(),
        };
        let check = |calls: &[(&str, &[ArgumentChange])], expected: &[Fix]| {
            let calls = calls.iter().map(|(tool, arguments)| {
                let mut call = RemedyCall::new(*tool);
                call.arguments = arguments.to_vec();
                call.note = "as raise_limit with force".to_owned();
                call
            });
            let calls = calls.collect();
            let remedy =
                Remedy { calls, worked: 1, failed: 0, worked_at: None, failed_at: None, ruling: None };
            assert_eq!(fixes_of(&remedy), expected);
        };
        check(&[("raise_limit", &[]), ("pay", &[])], &[Fix::Repair("raise_limit")]);
        check(&[("pay", &[set("batch")])], &[Fix::Mode("batch")]);
        check(&[("pay", &[replaced])], &[Fix::Mode("force")]);
        check(&[("pay", &[set("raise_limit")])], &[]);
    }
}
