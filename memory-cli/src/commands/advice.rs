//! Renders learned items of an answer for people.

use agent_memory::learning::{Failure, Heuristic, Origin, Pattern, Recalled, Tally};
use agent_memory::{Forecast, Phase, Recall, SuggestedPlaybook, ToolAdvice, Warning};

use crate::output::style::{self, paint};
use crate::text;

/// Lines that one item may take.
const MOST_LINES: usize = 3;
/// Fixes and reasons that are shown of one item; `--json` has all.
const MOST_TEXTS: usize = 3;

/// Returns the lines of learned items, the most useful first; empty if there are none.
pub(super) fn lines(recall: &Recall, columns: usize) -> Vec<String> {
    let mut page = Page { lines: Vec::new(), columns };
    if recall.task_parts.len() > 1 {
        page.title("Parts of the task");
        for (number, part) in (1..).zip(&recall.task_parts) {
            page.item(&format!("{number}."), part);
        }
    }
    page.progress(recall.phase);
    page.forecast(recall.forecast);
    page.tools(&recall.tools);
    page.playbook(recall);
    page.warnings(&recall.warnings);
    page.fixes(&recall.fixes);
    page.heuristics(&recall.heuristics);
    page.patterns(&recall.patterns);
    page.lines
}

/// Returns the lines about errors like the last one; empty if there are none.
pub(super) fn fixes(recall: &Recall, columns: usize) -> Vec<String> {
    let mut page = Page { lines: Vec::new(), columns };
    page.fixes(&recall.fixes);
    page.lines
}

struct Page {
    lines: Vec<String>,
    columns: usize,
}

impl Page {
    fn title(&mut self, title: &str) {
        if !self.lines.is_empty() {
            self.lines.push(String::new());
        }
        self.lines.push(paint(style::TITLE, title));
    }

    /// Appends a wrapped text after a mark.
    fn item(&mut self, mark: &str, content: &str) {
        let indent = text::width(mark) + 3;
        let room = self.columns.saturating_sub(indent).max(20);
        for (index, line) in wrapped(content, room).into_iter().enumerate() {
            let mark = if index == 0 { paint(style::NAME, mark) } else { " ".repeat(indent - 3) };
            self.lines.push(format!("  {mark} {line}"));
        }
    }

    /// Appends a remark on the item before, wrapped.
    fn remark(&mut self, remark: &str) {
        let room = self.columns.saturating_sub(5).max(20);
        for line in wrapped(remark, room) {
            self.lines.push(format!("     {}", paint(style::FAINT, line)));
        }
    }

    fn progress(&mut self, phase: Phase) {
        if let Some(advice) = phase.advice() {
            self.title("Progress");
            self.item("✓", advice);
        }
    }

    fn forecast(&mut self, forecast: Option<Forecast>) {
        let Some(Forecast { success, evidence, .. }) = forecast else { return };
        self.title("How tasks like this went");
        let told =
            format!("{:.0} % expected success, from about {evidence:.0} similar episodes", 100.0 * success);
        self.item("≈", &told);
    }

    fn tools(&mut self, tools: &[ToolAdvice]) {
        if tools.is_empty() {
            return;
        }
        self.title("Tools the task will likely need, in order");
        for (number, advice) in (1..).zip(tools) {
            self.item(&format!("{number}."), &format!("{}  {:.2}", advice.tool, advice.confidence));
            self.remark(&some(&advice.reasons));
        }
    }

    fn playbook(&mut self, recall: &Recall) {
        let Some(SuggestedPlaybook { score, part, playbook, origin, steps, missing, .. }) = &recall.playbook
        else {
            return;
        };
        self.title("A procedure that worked");
        self.item(
            "▸",
            &format!("{} ({score:.2}; {}{})", playbook.title, tally(&playbook.tally), from(origin)),
        );
        if let Some(part) = part.and_then(|part| recall.task_parts.get(part)) {
            self.remark(&format!("for a part of the task: {part}"));
        }
        for (number, step) in (1..).zip(steps) {
            self.item(&format!("  {number}."), &step.to_string());
        }
        if !missing.is_empty() {
            self.remark(&format!("not stated in the task: {}", missing.join(", ")));
        }
    }

    fn warnings(&mut self, warnings: &[Warning]) {
        if warnings.is_empty() {
            return;
        }
        self.title("Watch out");
        for warning in warnings {
            let from = from(&warning.origin);
            self.item("!", &format!("{} ({:.2}{from})", warning.text, warning.score));
        }
    }

    fn fixes(&mut self, fixes: &[Recalled<Failure>]) {
        if fixes.is_empty() {
            return;
        }
        self.title("Errors like the last one");
        for found in fixes {
            let failure = &found.item;
            let tool = if failure.tool.is_empty() { "" } else { &failure.tool };
            let separator = if tool.is_empty() { "" } else { ": " };
            self.item("✗", &format!("{tool}{separator}{} ({:.2})", failure.example, found.score));
            if let Some(cause) = &failure.root_cause {
                self.remark(&format!("because {cause}"));
            }
            if failure.resolved == 0 {
                self.remark("no fix is known: no success followed it so far");
            }
            for remedy in failure.helped().take(MOST_TEXTS) {
                self.remark(&format!("fixed by {remedy}"));
            }
            for remedy in failure.in_vain().take(MOST_TEXTS) {
                self.remark(&format!("did not help: {}", remedy.text()));
            }
            let seen = text::count(failure.occurrences.into(), "episode");
            self.remark(&format!(
                "{}, in {seen}; {} of them recovered and succeeded{}",
                failure.category,
                failure.resolved,
                from(&found.origin)
            ));
        }
    }

    fn heuristics(&mut self, heuristics: &[Recalled<Heuristic>]) {
        if heuristics.is_empty() {
            return;
        }
        self.title("Rules that apply");
        for found in heuristics {
            self.item("•", &found.item.sentence());
            let rule = &found.item;
            let domain = rule.domain.as_ref().map_or_else(String::new, |domain| format!("; in {domain}"));
            let from = from(&found.origin);
            self.remark(&format!("confidence {:.2}; {}{domain}{from}", rule.confidence, tally(&rule.tally)));
        }
    }

    fn patterns(&mut self, patterns: &[Recalled<Pattern>]) {
        if patterns.is_empty() {
            return;
        }
        self.title("Patterns");
        for found in patterns {
            self.item("•", &found.item.body.to_string());
            self.remark(&format!("{:.2}; {}{}", found.score, tally(&found.item.tally), from(&found.origin)));
        }
    }
}

fn wrapped(content: &str, room: usize) -> Vec<String> {
    let mut lines = text::wrap(&text::one_line(content), room);
    if lines.len() > MOST_LINES {
        let rest = lines.split_off(MOST_LINES - 1).join(" ");
        lines.push(text::cut(&rest, room));
    }
    lines
}

fn some(texts: &[String]) -> String {
    let shown: Vec<&str> = texts.iter().take(MOST_TEXTS).map(String::as_str).collect();
    shown.join("; ")
}

/// Renders the agents and times of an item's episodes.
fn from(origin: &Origin) -> String {
    if origin.latest.is_some() { format!("; from {origin}") } else { String::new() }
}

/// Renders how many episodes support and contradict an item.
fn tally(tally: &Tally) -> String {
    format!("{} for, {} against", text::number(tally.successes.into()), text::number(tally.failures.into()))
}
