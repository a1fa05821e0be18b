//! The simulated agent: follows advice where it has some, tries the rest in the order of its own luck, and never repeats
//! a call that just failed.

use super::rules::Fix;
use super::task::{Answer, Call, WorldTask};

/// Advised tools that the agent tries for one place before it looks elsewhere: the next one, and one more in case that it
/// can be left out.
const LOOK_AHEAD: usize = 2;

/// What the agent is told before it chooses a call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Advice {
    /// Tools, in the order of use.
    pub(super) plan: Vec<&'static str>,
    /// What may help against the block at hand, the most promising first.
    pub(super) fixes: Vec<Fix>,
    /// What did not help against it the last time, to try last.
    pub(super) vain: Vec<Fix>,
    /// Tools to try last.
    pub(super) avoid: Vec<&'static str>,
}

/// Which advice a choice follows, by its place in [`Advice`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follows {
    Plan(usize),
    Fix(usize),
    /// Its own luck.
    Nothing,
}

/// An agent at a task.
#[derive(Debug)]
pub(super) struct Agent<'t> {
    task: &'t WorldTask,
    /// Tools that did their work, in order.
    done: Vec<&'static str>,
    /// What failed since then.
    failed: Vec<Call>,
    /// Advised tools in whose place another did the work.
    replaced: Vec<&'static str>,
    /// The call that is blocked.
    blocked: Option<Call>,
    /// Whether the cause of the block was removed by a repair.
    repaired: bool,
}

impl<'t> Agent<'t> {
    pub(super) fn new(task: &'t WorldTask) -> Self {
        Self {
            task,
            done: Vec::new(),
            failed: Vec::new(),
            replaced: Vec::new(),
            blocked: None,
            repaired: false,
        }
    }

    /// Returns the task.
    pub(super) fn task(&self) -> &'t WorldTask {
        self.task
    }

    /// Returns the tools that did their work, in order.
    pub(super) fn done(&self) -> &[&'static str] {
        &self.done
    }

    /// Returns the next call; `None` when nothing is left to try.
    pub(super) fn choose(&self, advice: &Advice) -> Option<(Call, Follows)> {
        match self.blocked {
            Some(call) if self.repaired => Some((call, Follows::Nothing)),
            Some(call) => self.unblock(call, advice).or_else(|| self.proceed(advice)),
            None => self.proceed(advice),
        }
    }

    /// Takes in what a call came to, that was made under some advice.
    pub(super) fn observe(&mut self, call: Call, answer: &Answer, advice: &Advice) {
        match answer {
            Answer::Progress { .. } => {
                let next = self.advised(advice).next().map(|(_, tool)| tool);
                let failed = |tool: &&'static str| self.failed.iter().any(|call| call.tool == *tool);
                if !advice.plan.contains(&call.tool) {
                    self.replaced.extend(next.filter(failed));
                }
                self.done.push(call.tool);
                self.failed.clear();
                (self.blocked, self.repaired) = (None, false);
            }
            Answer::Repaired(_) => self.repaired = true,
            Answer::Refused(_) => self.failed.push(call),
            Answer::Blocked(_) => {
                self.failed.push(call);
                let plain = Call { mode: None, ..call };
                (self.blocked, self.repaired) = (Some(plain), false);
            }
        }
    }

    /// Returns the advised tools that are still to do, with their places in the advice.
    fn advised<'a>(&'a self, advice: &'a Advice) -> impl Iterator<Item = (usize, &'static str)> + 'a {
        let open = |tool: &&'static str| !self.done.contains(tool) && !self.replaced.contains(tool);
        advice.plan.iter().copied().enumerate().filter(move |(_, tool)| open(tool))
    }

    /// Chooses a remedy for a blocked call.
    fn unblock(&self, blocked: Call, advice: &Advice) -> Option<(Call, Follows)> {
        let call = |fix: Fix| match fix {
            Fix::Repair(tool) => Call { tool, mode: None },
            Fix::Mode(mode) => Call { mode: Some(mode), ..blocked },
        };
        let advised = advice.fixes.iter().enumerate().map(|(place, fix)| (call(*fix), Follows::Fix(place)));
        let mut own = self.task.remedies.clone();
        own.sort_by_key(|fix| advice.vain.contains(fix));
        let own = own.into_iter().map(|fix| (call(fix), Follows::Nothing));
        advised.chain(own).find(|(call, _)| self.is_open(*call))
    }

    /// Chooses a tool that may be the one needed now: the next advised ones; those that nobody speaks for or against;
    /// those warned of, and the other advised ones; those that did their work already.
    fn proceed(&self, advice: &Advice) -> Option<(Call, Follows)> {
        let plain = |tool| Call { tool, mode: None };
        let advised = self.advised(advice).map(|(place, tool)| (plain(tool), Follows::Plan(place)));
        let rank = |tool: &&'static str| match () {
            () if self.done.contains(tool) => 2,
            () if advice.avoid.contains(tool) || advice.plan.contains(tool) => 1,
            () => 0,
        };
        let mut own = self.task.tools.clone();
        own.sort_by_key(rank);
        let own = own.into_iter().map(|tool| (plain(tool), Follows::Nothing));
        advised.take(LOOK_AHEAD).chain(own).find(|(call, _)| self.is_open(*call))
    }

    fn is_open(&self, call: Call) -> bool {
        !self.failed.contains(&call)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::Rules;
    use super::super::words::SHOP;
    use super::*;

    fn plain(tool: &'static str) -> Call {
        Call { tool, mode: None }
    }

    fn progress() -> Answer {
        Answer::Progress { text: String::new(), done: false }
    }

    #[test]
    fn advice_comes_first_then_luck_then_what_is_warned_of() {
        let rules = Rules::new(&SHOP, 3);
        let task = WorldTask::new(&SHOP, &rules, 3, 0);
        let [first, second, third, ..] = task.tools[..] else { panic!("a toolbox") };
        let advice = Advice { plan: vec![third], avoid: vec![first], ..Advice::default() };
        let mut agent = Agent::new(&task);
        let refused = Answer::Refused(String::new());
        assert_eq!(agent.choose(&advice), Some((plain(third), Follows::Plan(0))));
        agent.observe(plain(third), &refused, &advice);
        assert_eq!(agent.choose(&advice), Some((plain(second), Follows::Nothing)));
        agent.observe(plain(second), &progress(), &advice);
        assert_eq!(agent.done(), [second]);
        // The second did the work of the third, which is not followed again.
        assert_eq!(agent.choose(&advice), Some((plain(task.tools[3]), Follows::Nothing)));
        for tool in &task.tools {
            agent.observe(plain(tool), &refused, &advice);
        }
        assert_eq!(agent.choose(&advice), None);
    }

    #[test]
    fn a_plan_is_followed_around_what_does_not_work() {
        let rules = Rules::new(&SHOP, 3);
        let task = WorldTask::new(&SHOP, &rules, 3, 0);
        let [a, b, c, d, e, _] = task.tools[..] else { panic!("a toolbox") };
        let advice = Advice { plan: vec![c, d, e], ..Advice::default() };
        let mut agent = Agent::new(&task);
        // The second advised tool works at once: the first is not needed yet, and comes next.
        agent.observe(plain(c), &Answer::Refused(String::new()), &advice);
        assert_eq!(agent.choose(&advice), Some((plain(d), Follows::Plan(1))));
        agent.observe(plain(d), &progress(), &advice);
        assert_eq!(agent.choose(&advice), Some((plain(c), Follows::Plan(0))));
        // Neither it nor the one after: whatever else there is, then back to the plan.
        agent.observe(plain(c), &Answer::Refused(String::new()), &advice);
        agent.observe(plain(e), &Answer::Refused(String::new()), &advice);
        assert_eq!(agent.choose(&advice), Some((plain(a), Follows::Nothing)));
        agent.observe(plain(a), &Answer::Refused(String::new()), &advice);
        agent.observe(plain(b), &progress(), &advice);
        assert_eq!(agent.choose(&advice), Some((plain(e), Follows::Plan(2))));
    }

    #[test]
    fn a_blocked_call_is_repeated_once_its_cause_is_gone() {
        let rules = Rules::new(&SHOP, 3);
        let task = WorldTask::new(&SHOP, &rules, 3, 0);
        let tool = task.tools[0];
        let blocked = Answer::Blocked(String::new());
        let advice =
            Advice { fixes: vec![Fix::Mode("batch"), Fix::Repair("raise_limit")], ..Advice::default() };
        let mut agent = Agent::new(&task);
        agent.observe(plain(tool), &blocked, &advice);
        let batch = Call { tool, mode: Some("batch") };
        assert_eq!(agent.choose(&advice), Some((batch, Follows::Fix(0))));
        agent.observe(batch, &blocked, &advice);
        assert_eq!(agent.choose(&advice), Some((plain("raise_limit"), Follows::Fix(1))));
        agent.observe(plain("raise_limit"), &Answer::Repaired(String::new()), &advice);
        assert_eq!(agent.choose(&advice), Some((plain(tool), Follows::Nothing)));
        agent.observe(plain(tool), &progress(), &advice);
        assert_ne!(agent.choose(&advice).unwrap().0, plain(tool));
    }
}
