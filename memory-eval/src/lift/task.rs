//! The tasks of a world: what the agent reads, and what happens when it calls a tool.

use super::rules::{Fix, Rules};
use super::words::{ASIDES, CITIES, NAMES, OPENINGS, Words};
use crate::dice::Dice;

/// How often a call is blocked where it may be.
const BLOCKED: f64 = 0.35;
/// How often a task cannot be done by anybody.
const HOPELESS: f64 = 0.03;
/// Calls allowed for each tool needed.
const BUDGET: usize = 3;

/// A task with the chance that goes with it: every arm meets the same.
#[derive(Debug, Clone)]
pub(super) struct WorldTask {
    pub(super) index: u64,
    pub(super) description: String,
    pub(super) kind: &'static str,
    /// Which type of task it is. Hidden.
    pub(super) ordinal: usize,
    /// Whether a call is blocked, where it may be. Hidden.
    blocked: bool,
    /// Whether nobody can do it. Hidden.
    hopeless: bool,
    /// The tools at hand, in the order that this agent happens to try them.
    pub(super) tools: Vec<&'static str>,
    /// What can be tried against a block, in the order that this agent happens to try it.
    pub(super) remedies: Vec<Fix>,
    /// How many calls the agent may make. It does not know.
    pub(super) budget: usize,
}

impl WorldTask {
    /// Makes the task with an index.
    pub(super) fn new(words: &Words, rules: &Rules, seed: u64, index: u64) -> Self {
        let dice = Dice::new(seed, &[2, index]);
        let ordinal = dice.below(rules.types.len());
        let (kind, nth) = (&words.kinds[ordinal / 3], ordinal % 3);
        let thing = format!("{} {}", dice.pick(&kind.things), id(&dice));
        let ask = dice.pick(&kind.types[nth]).replace("{thing}", &thing);
        let (opening, aside) = (dice.pick(&OPENINGS), dice.pick(&ASIDES));
        let description = fill(&[opening, &format!("{ask}."), aside].join(" "), &dice);
        let mut tools = rules.toolboxes[ordinal / 3].clone();
        dice.shuffle(&mut tools);
        let mut remedies = Fix::all();
        dice.shuffle(&mut remedies);
        Self {
            index,
            description,
            kind: kind.name,
            ordinal,
            blocked: dice.chance(BLOCKED),
            hopeless: dice.chance(HOPELESS),
            tools,
            remedies,
            budget: BUDGET * rules.types[ordinal].sequence.len(),
        }
    }
}

/// A call of a tool, in a mode or plainly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) tool: &'static str,
    pub(super) mode: Option<&'static str>,
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// A tool that the task needs did its work; the task may be done with it.
    Progress { text: String, done: bool },
    /// The cause of the block is gone.
    Repaired(String),
    /// The tool is not what is needed now.
    Refused(String),
    /// The tool is what is needed now, but something is in the way.
    Blocked(String),
}

/// A task under way.
#[derive(Debug)]
pub(super) struct Attempt<'w> {
    words: &'w Words,
    rules: &'w Rules,
    task: &'w WorldTask,
    /// Tools of the sequence that are done.
    position: usize,
    /// The cause that is in the way, once it was met.
    obstacle: Option<usize>,
    /// Whether nothing is in the way any more.
    free: bool,
    dice: Dice,
}

impl<'w> Attempt<'w> {
    pub(super) fn new(words: &'w Words, rules: &'w Rules, task: &'w WorldTask, seed: u64) -> Self {
        let dice = Dice::new(seed, &[3, task.index]);
        Self { words, rules, task, position: 0, obstacle: None, free: !task.blocked, dice }
    }

    /// Makes a call.
    pub(super) fn call(&mut self, call: Call) -> Answer {
        let rule = &self.rules.types[self.task.ordinal];
        if let Some(cause) = self.obstacle {
            let needed = self.rules.fixes[cause];
            if needed == Fix::Repair(call.tool) {
                (self.obstacle, self.free) = (None, true);
                return Answer::Repaired(format!("{} done", call.tool));
            }
            if call.mode.map(Fix::Mode) == Some(needed) {
                (self.obstacle, self.free) = (None, true);
            }
        }
        let last = self.position + 1 == rule.sequence.len();
        if call.tool != rule.sequence[self.position] || last && self.task.hopeless {
            return Answer::Refused(self.error(self.dice.pick(&self.words.refusals)));
        }
        let (place, cause) = rule.block;
        if place == self.position && !self.free {
            self.obstacle = Some(cause);
            return Answer::Blocked(self.error(self.words.blocks[cause]));
        }
        self.position += 1;
        Answer::Progress { text: format!("{} ok, reference {}", call.tool, id(&self.dice)), done: last }
    }

    /// Returns what to do, to whoever knows the rules.
    pub(super) fn solution(&self) -> (&'w [&'static str], Option<Fix>) {
        let rule = &self.rules.types[self.task.ordinal];
        (&rule.sequence, self.obstacle.map(|cause| self.rules.fixes[cause]))
    }

    fn error(&self, text: &str) -> String {
        let mut filled = String::new();
        for c in text.chars() {
            match c {
                '#' => filled.push_str(&self.dice.below(9_000).to_string()),
                '@' => filled.push_str(&id(&self.dice)),
                c => filled.push(c),
            }
        }
        filled
    }
}

fn id(dice: &Dice) -> String {
    format!("{}{}-{}", dice.pick(&["K", "Q", "ZX", "R"]), dice.below(90) + 10, dice.below(90_000) + 10_000)
}

fn fill(text: &str, dice: &Dice) -> String {
    text.trim()
        .replace("{name}", dice.pick(&NAMES))
        .replace("{city}", dice.pick(&CITIES))
        .replace("{number}", &(dice.below(30) + 2).to_string())
        .replace("{id}", &id(dice))
}

#[cfg(test)]
mod tests {
    use super::super::words::SHOP;
    use super::*;

    #[test]
    fn whoever_knows_the_rules_solves_all_but_the_hopeless() {
        let (mut solved, mut blocked) = (0, 0);
        for (seed, index) in (1..=5).flat_map(|seed| (0..400).map(move |index| (seed, index))) {
            let rules = Rules::new(&SHOP, seed);
            let task = WorldTask::new(&SHOP, &rules, seed, index);
            assert!(!task.description.contains(['{', '}']), "{}", task.description);
            let mut attempt = Attempt::new(&SHOP, &rules, &task, seed);
            let (sequence, _) = attempt.solution();
            let mut done = false;
            for tool in sequence {
                let call = Call { tool, mode: None };
                let mut answer = attempt.call(call);
                if let Answer::Blocked(_) = answer {
                    blocked += 1;
                    assert!(matches!(attempt.call(call), Answer::Blocked(_)), "a block stays");
                    answer = unblock(&mut attempt, call);
                }
                done = matches!(answer, Answer::Progress { done: true, .. });
            }
            assert_eq!(done, !task.hopeless);
            solved += usize::from(done);
        }
        assert!((1_910..=1_970).contains(&solved) && (600..=760).contains(&blocked), "{solved} {blocked}");
    }

    /// Does what helps, and repeats the call.
    fn unblock(attempt: &mut Attempt<'_>, call: Call) -> Answer {
        match attempt.solution().1.unwrap() {
            Fix::Repair(tool) => {
                let repair = attempt.call(Call { tool, mode: None });
                assert!(matches!(repair, Answer::Repaired(_)));
                attempt.call(call)
            }
            Fix::Mode(mode) => attempt.call(Call { mode: Some(mode), ..call }),
        }
    }

    #[test]
    fn a_tool_out_of_its_order_is_refused_and_a_repair_without_a_block_too() {
        let rules = Rules::new(&SHOP, 5);
        let task = WorldTask::new(&SHOP, &rules, 5, 0);
        let mut attempt = Attempt::new(&SHOP, &rules, &task, 5);
        let second = rules.types[task.ordinal].sequence[1];
        assert!(matches!(attempt.call(Call { tool: second, mode: None }), Answer::Refused(_)));
        assert!(matches!(attempt.call(Call { tool: "raise_limit", mode: None }), Answer::Refused(_)));
    }
}
