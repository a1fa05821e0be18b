//! The output of the demo.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use agent_memory::learning::{Explanation, Reflection, Reward, Tally as Counts};
use agent_memory::{Action, Episode, Memory, StepResult, SuggestedPlaybook};
use serde_json::Value;

use super::{Answer, DONE, ERROR, FAILED, Imported, Live, PROMPT_TOKENS, Reopened, TASK};
use crate::commands::import::knowledge;
use crate::commands::{advice, recall, reflected, view};
use crate::failure::Failure;
use crate::import::Tally;
use crate::output::Output;
use crate::output::style::{self, paint};
use crate::session::warn;
use crate::text;

/// Episodes that are shown for a rule, and against it.
const EVIDENCE_SHOWN: usize = 3;

/// Narrates the demo to a person; silent when the answer is one object.
pub(super) struct Telling<'o> {
    output: &'o mut Output,
    sections: u32,
    /// Whether every section is shown, not only the three main moments.
    verbose: bool,
}

impl<'o> Telling<'o> {
    pub(super) fn new(output: &'o mut Output, verbose: bool) -> Self {
        Self { output, sections: 0, verbose }
    }

    pub(super) fn columns(&self) -> usize {
        self.output.columns()
    }

    /// Shows what opening the memory had to repair.
    pub(super) fn warnings(&mut self, memory: &Memory) -> Result<(), Failure> {
        warn(memory, self.output)
    }

    /// Writes a line of a section.
    fn line(&mut self, line: impl AsRef<str>) -> Result<(), Failure> {
        if self.verbose { self.say(line) } else { Ok(()) }
    }

    fn say(&mut self, line: impl AsRef<str>) -> Result<(), Failure> {
        if self.output.is_json() {
            return Ok(());
        }
        let line = line.as_ref();
        Ok(if line.is_empty() { self.output.line("") } else { self.output.line(format!("  {line}")) }?)
    }

    pub(super) fn section(&mut self, title: &str) -> Result<(), Failure> {
        if self.verbose { self.moment(title) } else { Ok(()) }
    }

    fn moment(&mut self, title: &str) -> Result<(), Failure> {
        if self.output.is_json() {
            return Ok(());
        }
        self.sections += 1;
        let rule = "─".repeat(self.columns().min(78).saturating_sub(text::width(title) + 5));
        self.output.line("")?;
        let number = paint(style::NAME.bold(), self.sections.to_string());
        Ok(self.output.line(format!(
            "{number}  {} {}",
            paint(style::TITLE, title),
            paint(style::FAINT, rule)
        ))?)
    }

    pub(super) fn opening(&mut self, folder: &Path) -> Result<(), Failure> {
        if self.output.is_json() {
            return Ok(());
        }
        let title = paint(style::TITLE, "agent-memory: what agents did, remembered for the next task");
        self.output.line(title)?;
        let place = format!("in {}: no server, no account, no key", folder.display());
        Ok(self.output.line(paint(style::FAINT, text::one_line(&place)))?)
    }

    pub(super) fn forgot_the_last(&mut self) -> Result<(), Failure> {
        self.line(paint(style::FAINT, "(the live episode of the last run is forgotten first)"))
    }

    pub(super) fn task(&mut self, description: &str) -> Result<(), Failure> {
        self.line(format!("task    {}", text::one_line(description)))
    }

    pub(super) fn imported(&mut self, sample: &Imported) -> Result<(), Failure> {
        let tally = &sample.tally;
        if tally.new > 0 {
            let rows = tally.new + tally.steps;
            let rate = rows as f64 / sample.taken.as_secs_f64().max(1e-6);
            self.line(format!(
                "{} with {}, in {}: {} acknowledged records/s, all on disk",
                paint(style::GOOD, format!("{} recorded", text::count(tally.new, "episode"))),
                text::count(tally.steps, "step"),
                text::duration(sample.taken),
                text::number(rate as u64),
            ))?;
            self.line(paint(style::FAINT, "debugging, deploys, refunds, data pipelines; some failed"))?;
        }
        if tally.known > 0 {
            let known = text::count(tally.known, "episode");
            self.line(format!("{known} known already: importing again changes nothing"))?;
        }
        if tally.forgotten > 0 {
            self.line(format!("{} forgotten before and left so", text::count(tally.forgotten, "episode")))?;
        }
        Ok(())
    }

    pub(super) fn step(&mut self, number: u32, action: &Action, taken: Duration) -> Result<(), Failure> {
        let (mark, look) = view::mark(action.result);
        let name = if action.tool.is_empty() { "says" } else { &action.tool };
        let (what, more) = match (action.tool.is_empty(), action.result) {
            (true, _) => (action.observation.as_str(), ""),
            (false, StepResult::Error) => (action.description.as_str(), action.observation.as_str()),
            (false, _) => (action.description.as_str(), ""),
        };
        let separator = if more.is_empty() { "" } else { ": " };
        let time = format!("{:>8}", text::duration(taken));
        let room = self.columns().min(100).saturating_sub(32);
        let what = text::cut(&text::one_line(&format!("{what}{separator}{more}")), room);
        let padding = " ".repeat(room - text::width(&what));
        self.line(format!(
            "step {number}  {} {} {what}{padding} {}",
            paint(look, mark),
            paint(style::NAME, format!("{name:<9}")),
            paint(style::FAINT, time)
        ))
    }

    pub(super) fn completed(&mut self, outcome: &str, live: &Live) -> Result<(), Failure> {
        self.line(format!("{} {outcome}", paint(style::GOOD.bold(), "success")))?;
        let told = format!(
            "{} writes one after the other, each fsynced before it returned: {} in all, {} acknowledged writes/s",
            live.writes,
            text::duration(live.taken),
            text::number(live.rate())
        );
        self.line(paint(style::FAINT, told))
    }

    pub(super) fn answer(&mut self, question: &str, answer: &Answer) -> Result<(), Failure> {
        let searched = text::count(answer.recall.searched as u64, "episode");
        self.line(format!("“{}”", paint(style::TITLE, question)))?;
        self.line(paint(style::FAINT, format!("{searched} searched in {}", text::duration(answer.taken))))?;
        self.line("")?;
        if answer.recall.is_empty() {
            self.line(paint(style::UNSURE, recall::silence(&answer.recall)))?;
            return self.line(paint(style::FAINT, "When nothing is known, the memory says so."));
        }
        for line in recall::lines(&answer.recall, self.columns().saturating_sub(2)) {
            self.line(line)?;
        }
        Ok(())
    }

    /// Shows how much was learned.
    pub(super) fn learned(&mut self, knowledge: &str) -> Result<(), Failure> {
        self.line(format!("{} {knowledge}", paint(style::GOOD, "the memory now knows:")))
    }

    /// Shows the evidence of the answer's first rule.
    pub(super) fn explained(&mut self, explained: &Explanation) -> Result<(), Failure> {
        let Explanation { heuristic, supporting, contradicting, .. } = explained;
        self.line("")?;
        let rule = heuristic.sentence();
        self.line(paint(style::TITLE, format!("What the first of these rules rests on (“{rule}”)")))?;
        let room = self.columns().saturating_sub(14);
        let some = |episodes: &[Episode], mark, look| -> Vec<String> {
            let shown = episodes.iter().take(EVIDENCE_SHOWN);
            let told = shown.map(|episode| text::cut(&text::one_line(&episode.task.description), room));
            told.map(|told| format!("  {} {told}", paint(look, mark))).collect()
        };
        let lines = [some(supporting, "for", style::GOOD), some(contradicting, "against", style::UNSURE)];
        lines.concat().iter().try_for_each(|line| self.line(line))
    }

    /// Shows the known remedies of an error in the middle of a task.
    pub(super) fn midway(&mut self, answer: &Answer) -> Result<(), Failure> {
        let done = DONE.into_iter().map(|tool| ("✓", style::GOOD, tool, ""));
        for (number, (mark, look, tool, error)) in (1..).zip(done.chain([("✗", style::BAD, FAILED, ERROR)]))
        {
            self.line(format!("step {number}  {} {} {error}", paint(look, mark), paint(style::NAME, tool)))?;
        }
        self.line("")?;
        // The rest is as before.
        for line in advice::fixes(&answer.recall, self.columns().saturating_sub(2)) {
            self.line(line)?;
        }
        Ok(())
    }

    /// Shows the score and the reflection of an episode.
    pub(super) fn reflected(
        &mut self,
        reward: Option<&Reward>,
        reflection: Option<&Reflection>,
    ) -> Result<(), Failure> {
        let lines = reflected::lines(reward, reflection, self.columns().saturating_sub(2));
        lines.iter().try_for_each(|line| self.line(line))
    }

    pub(super) fn prompt(&mut self, prompt: &str) -> Result<(), Failure> {
        let told =
            format!("recall.to_prompt({PROMPT_TOKENS}): at most {PROMPT_TOKENS} tokens, ready to paste");
        self.line(paint(style::FAINT, told))?;
        self.line("")?;
        let room = self.columns().saturating_sub(4);
        for line in text::harmless(prompt.trim_end()).lines() {
            if line.is_empty() {
                self.line(paint(style::FAINT, "│"))?;
            }
            for part in text::wrap(line, room) {
                self.line(format!("{} {part}", paint(style::FAINT, "│")))?;
            }
        }
        Ok(())
    }

    pub(super) fn reopened(&mut self, reopened: &Reopened) -> Result<(), Failure> {
        self.line(format!(
            "closed in {}, open again in {}",
            text::duration(reopened.closing),
            text::duration(reopened.opening)
        ))?;
        self.line(paint(
            style::GOOD,
            format!(
                "{} there, the live one with its {}",
                text::count(reopened.episodes, "episode"),
                text::count(reopened.live_steps, "step")
            ),
        ))
    }

    pub(super) fn status(&mut self, lines: &[String]) -> Result<(), Failure> {
        lines.iter().try_for_each(|line| self.line(line))
    }

    /// Shows the three main moments, unless every section was shown.
    pub(super) fn brief(
        &mut self,
        sample: &Imported,
        learned: &BTreeMap<&'static str, u64>,
        after: &Answer,
        midway: &Answer,
    ) -> Result<(), Failure> {
        if self.verbose || self.output.is_json() {
            return Ok(());
        }
        self.moment("Record what agents did, and learn from it")?;
        let Tally { new, known, steps, .. } = sample.tally;
        let recorded = match new {
            0 => format!("{} are recorded already", text::count(known, "episode")),
            _ => format!("{} recorded with {}", text::count(new, "episode"), text::count(steps, "step")),
        };
        self.say(format!("{} in {}", paint(style::GOOD, recorded), text::duration(sample.taken)))?;
        self.say(format!("learned from them: {}", knowledge(learned)))?;

        self.moment("Ask before a new task")?;
        self.say(format!("“{}”", paint(style::TITLE, TASK)))?;
        self.say("")?;
        self.say("It will likely need these tools, in this order:")?;
        for (number, advice) in (1..).zip(&after.recall.tools) {
            let share = format!("{:.0} %", 100.0 * advice.confidence);
            self.say(format!("  {number}. {}  {share}", paint(style::NAME, format!("{:<16}", advice.tool))))?;
        }
        if let Some(SuggestedPlaybook { playbook, steps, .. }) = &after.recall.playbook {
            let Counts { successes, failures, .. } = playbook.tally;
            let tried = text::number((successes + failures).into());
            self.say(format!("This procedure worked in {successes} of {tried} similar episodes:"))?;
            for (number, step) in (1..).zip(steps) {
                self.say(format!("  {number}. {step}"))?;
            }
        }
        for warning in after.recall.warnings.iter().take(1) {
            self.say(format!("{} {}", paint(style::BAD, "Avoid:"), warning.text))?;
        }

        self.moment("Ask again when a step fails")?;
        for tool in DONE {
            self.say(format!("{} {}", paint(style::GOOD, "✓"), paint(style::NAME, tool)))?;
        }
        self.say(format!("{} {}  {ERROR}", paint(style::BAD, "✗"), paint(style::NAME, FAILED)))?;
        self.say("")?;
        if let Some(found) = midway.recall.fixes.first() {
            for remedy in found.item.helped().take(1) {
                self.say(format!("An error like this was fixed by: {}", paint(style::GOOD, remedy.text())))?;
            }
            for remedy in found.item.in_vain().take(1) {
                self.say(format!("This did not help: {}", remedy.text()))?;
            }
        }
        self.say("")?;
        self.say(paint(style::FAINT, "memory demo --verbose shows all of it, with reasons and evidence"))
    }

    pub(super) fn ending(&mut self, folder: &Path, object: &Value) -> Result<(), Failure> {
        if self.output.is_json() {
            return Ok(self.output.object(object)?);
        }
        self.output.line("")?;
        self.output.line(paint(style::TITLE, "Go on"))?;
        let folder = text::one_line(&folder.display().to_string());
        let commands = [
            ("episodes list", "what is there"),
            ("recall \"too many postgres connections\"", "ask something else"),
            ("import FILE.jsonl", "your own conversations"),
        ]
        .map(|(command, what)| (format!("memory --path {folder} {command}"), what));
        let longest = commands.iter().map(|(command, _)| text::width(command)).max().unwrap_or_default();
        for (command, what) in commands {
            let padding = " ".repeat(longest - text::width(&command));
            let remark = paint(style::FAINT, format!("# {what}"));
            self.output.line(format!("  {}{padding}  {remark}", paint(style::NAME, command)))?;
        }
        Ok(())
    }
}
