//! Differences between an episode and similar ones.

use std::collections::BTreeSet;

use memory_core::listed;
use memory_recall::groups::goes_along;

use crate::calls::path;
use crate::extract::cluster::{Cluster, Member};
use crate::recovery::constant;
use crate::reflect::{Notes, counted, note};

/// The share of similar successes that must agree on a contrast.
const AGREE: f64 = 0.75;
/// Steps that a statement points at.
const MAX_STEPS: usize = 8;
/// Tools compared.
const MAX_TOOLS: usize = 48;

/// Similar episodes that must agree before a value or a count of this one is contrasted with theirs.
const MIN_AGREEING: usize = 2;
/// Arguments compared.
const MAX_ARGUMENTS: usize = 128;

/// The similar episodes by how they ended.
struct Sides<'c, 't> {
    own: &'c Member<'t>,
    successes: Vec<&'c Member<'t>>,
    failures: Vec<&'c Member<'t>>,
}

pub(super) fn reflect(cluster: &Cluster<'_>, notes: &mut Notes) {
    let tools = cluster.own().tools();
    let comparable = cluster.similar().iter().filter(|member| goes_along(&tools, &member.tools()));
    let (successes, failures) = comparable.partition(|member| member.succeeded);
    let sides = Sides { own: cluster.own(), successes, failures };
    match (sides.own.succeeded, sides.own.calls.is_empty()) {
        (false, true) => return sides.nothing_called(notes),
        (true, true) => return,
        (true, false) => {
            sides.what_failures_lack(notes);
            sides.the_shortest_way(notes);
        }
        (false, false) => {
            sides.what_is_missing(notes);
            sides.what_comes_too_early(notes);
            sides.what_is_set_otherwise(notes);
            sides.how_often(notes);
            sides.the_way_of_failures(notes);
        }
    }
    sides.detours(notes);
}

impl<'t> Sides<'_, 't> {
    /// Tools of this success that similar failures did without.
    fn what_failures_lack(&self, notes: &mut Notes) {
        let failures = self.failures.len();
        if failures == 0 {
            return;
        }
        for tool in self.own.tools().into_iter().take(MAX_TOOLS) {
            let lacking = self.failures.iter().filter(|member| !member.uses(tool)).count();
            let having = self.successes.iter().filter(|member| member.uses(tool)).count();
            let successes = self.successes.len();
            if lacking * 2 <= failures || (having as f64) < AGREE * successes as f64 {
                continue;
            }
            let as_others = if successes > 0 {
                format!(", {having} of {successes} similar successes did")
            } else {
                String::new()
            };
            let text = format!(
                "{tool} was called; {lacking} of {failures} similar failures did not call it{as_others}"
            );
            notes.worked.push(note(40, text, self.steps_of(tool)));
        }
    }

    /// The way to success, if none of the similar successes was as short.
    fn the_shortest_way(&self, notes: &mut Notes) {
        let length = self.own.calls.len();
        let Some(shortest) = self.successes.iter().map(|member| member.calls.len()).min() else { return };
        if length < shortest && length <= MAX_STEPS {
            let way = path(self.own.calls.iter().map(|call| call.tool));
            let calls = counted(length, "call");
            let text = format!("{way} took {calls}; the shortest similar success took {shortest}");
            notes.worked.push(note(20, text, self.own.calls.iter().map(|call| call.number)));
        } else if length > shortest * 2 && shortest > 0 {
            let text = format!(
                "{} were made where the shortest similar success made {shortest}",
                counted(length, "call")
            );
            notes.improve.push(note(15, text, self.own.calls.last().map(|call| call.number)));
        }
    }

    /// Tools that similar successes called and this failure did not.
    fn what_is_missing(&self, notes: &mut Notes) {
        let mut seen = BTreeSet::new();
        let wanted: Vec<&str> = self
            .successes
            .iter()
            .flat_map(|member| member.tools())
            .filter(|tool| seen.insert(*tool))
            .collect();
        for tool in wanted.into_iter().filter(|tool| !self.own.uses(tool)).take(MAX_TOOLS) {
            let Some(said) = self.agreeing(self.successes.iter().filter(|member| member.uses(tool)).count())
            else {
                continue;
            };
            let (step, next) = self.where_missing(tool);
            notes.failed.push(note(50, format!("{tool} was never called; {said} called it"), [step]));
            let before = next.map_or_else(String::new, |next| format!(" before {next}"));
            notes.improve.push(note(50, format!("call {tool}{before}, as {said} did"), [step]));
        }
    }

    /// Returns the step at which a missing tool would have been called, and the tool of that step; the last
    /// step if successes call it at the end.
    fn where_missing(&self, tool: &str) -> (u32, Option<&'t str>) {
        for member in &self.successes {
            let Some(at) = member.calls.iter().position(|call| call.tool == tool) else { continue };
            for next in &member.calls[at + 1..] {
                if let Some(call) = self.own.calls.iter().rev().find(|call| call.tool == next.tool) {
                    return (call.number, Some(call.tool));
                }
            }
        }
        (self.own.calls.last().map_or(0, |call| call.number), None)
    }

    /// Pairs of tools that similar successes call in the other order.
    fn what_comes_too_early(&self, notes: &mut Notes) {
        let place = |member: &Member<'_>, tool: &str| member.calls.iter().position(|call| call.tool == tool);
        let tools: Vec<&str> = self.own.tools().into_iter().take(MAX_TOOLS / 2).collect();
        for (at, early) in tools.iter().enumerate() {
            for late in &tools[at + 1..] {
                let both: Vec<bool> = self
                    .successes
                    .iter()
                    .filter_map(|member| Some(place(member, late)? < place(member, early)?))
                    .collect();
                if both.len() < 2 || both.iter().any(|reversed| !reversed) {
                    continue;
                }
                let Some(said) = self.agreeing(both.len()) else { continue };
                let steps = [*early, *late].into_iter().filter_map(|tool| self.steps_of(tool).next());
                let steps: Vec<u32> = steps.collect();
                let text = format!("{early} came before {late}; in {said} {late} came first");
                notes.failed.push(note(35, text, steps.clone()));
                notes.improve.push(note(35, format!("call {late} before {early}, as {said} did"), steps));
            }
        }
    }

    /// The tools of similar successes, where this failure called none.
    fn nothing_called(&self, notes: &mut Notes) {
        let Some(last) = self.own.trace.steps.last() else { return };
        let Some(first) = self.successes.first() else { return };
        let everyone = |tool: &&str| {
            self.agreeing(self.successes.iter().filter(|member| member.uses(tool)).count()).is_some()
        };
        let tools: Vec<&str> = first.tools().into_iter().filter(everyone).take(MAX_STEPS).collect();
        let Some(said) = self.agreeing(self.successes.len()).filter(|_| !tools.is_empty()) else { return };
        let way = path(tools.iter().copied());
        notes.failed.push(note(50, format!("no tool was called; {said} called {way}"), [last.number]));
        notes.improve.push(note(50, format!("call {way}, as {said} did"), [last.number]));
    }

    /// Arguments for which similar successes agree on a value, where this failure has another; neither is of
    /// the tasks.
    fn what_is_set_otherwise(&self, notes: &mut Notes) {
        let mut seen = BTreeSet::new();
        for call in &self.own.calls {
            call.arguments(|name, _| {
                if seen.len() == MAX_ARGUMENTS || !seen.insert((call.tool, name)) {
                    return;
                }
                let Some(own) = constants(self.own, call.tool, name) else { return };
                let theirs: Vec<BTreeSet<String>> =
                    self.successes.iter().filter_map(|member| constants(member, call.tool, name)).collect();
                let Some(value) = theirs.first().and_then(BTreeSet::first) else { return };
                let agreed = theirs.iter().filter(|values| values.len() == 1 && values.contains(value));
                let agreed = agreed.count();
                let in_tasks = own.iter().chain([value]).any(|value| self.is_of_tasks(value));
                let apart = theirs.iter().all(|values| values.is_disjoint(&own));
                if agreed < MIN_AGREEING || !apart || in_tasks {
                    return;
                }
                let Some(said) = self.agreeing(agreed) else { return };
                let own: Vec<String> = own.into_iter().collect();
                let text = format!(
                    "{} was called with {name} = {}; {said} had {name} = {value}",
                    call.tool,
                    listed(&own)
                );
                notes.failed.push(note(45, text, self.steps_of(call.tool)));
                let text = format!("call {} with {name} = {value}, as {said} did", call.tool);
                notes.improve.push(note(45, text, self.steps_of(call.tool)));
            });
        }
    }

    fn is_of_tasks(&self, value: &str) -> bool {
        let mut members = self.successes.iter().copied().chain([self.own]);
        let value = value.to_lowercase();
        members.any(|member| member.trace.episode.task.description.to_lowercase().contains(&value))
    }

    /// Tools that work more often, or less, than in each of the similar successes.
    fn how_often(&self, notes: &mut Notes) {
        if self.successes.len() < MIN_AGREEING {
            return;
        }
        for tool in self.own.tools().into_iter().take(MAX_TOOLS) {
            let worked = |member: &Member<'_>| {
                member.calls.iter().filter(|call| call.tool == tool && call.worked()).count()
            };
            let own = worked(self.own);
            let theirs: Vec<usize> = self.successes.iter().map(|member| worked(member)).collect();
            let (Some(least), Some(most)) = (theirs.iter().min(), theirs.iter().max()) else { continue };
            if own == 0 || *least == 0 || (*least..=*most).contains(&own) {
                continue;
            }
            let times = counted(*most, "time");
            let times = if least == most { times } else { format!("{least} to {times}") };
            let (own, all) = (counted(own, "time"), theirs.len());
            let text = format!("{tool} worked {own}; in the {all} similar successes {times}");
            notes.failed.push(note(30, text, self.steps_of(tool)));
        }
    }

    /// A transition from tool to tool that similar failures made as well and no similar success did.
    fn the_way_of_failures(&self, notes: &mut Notes) {
        let own = way(self.own);
        let alike = |members: &[&Member<'_>]| members.iter().filter(|member| way(member) == own).count();
        let failures = alike(&self.failures);
        if failures < MIN_AGREEING || alike(&self.successes) > 0 || own.len() > MAX_STEPS {
            return;
        }
        let text =
            format!("{} was the way of {failures} similar failures, too, and of no success", path(own));
        notes.failed.push(note(28, text, self.own.calls.iter().map(|call| call.number).take(MAX_STEPS)));
    }

    /// Tools that similar successes do not use.
    fn detours(&self, notes: &mut Notes) {
        let successes = self.successes.len();
        if successes < 2 {
            return;
        }
        for tool in self.own.tools().into_iter().take(MAX_TOOLS) {
            if self.successes.iter().any(|member| member.uses(tool)) {
                continue;
            }
            let calls = counted(self.own.calls.iter().filter(|call| call.tool == tool).count(), "call");
            let steps = || self.steps_of(tool).take(MAX_STEPS);
            if !self.own.succeeded {
                let text = format!("{calls} of {tool} that none of the {successes} similar successes made");
                notes.failed.push(note(25, text, steps()));
            }
            let text = format!("leave out {tool}: none of the {successes} similar successes called it");
            notes.improve.push(note(25, text, steps()));
        }
    }

    /// Renders how many of the similar successes agree; `None` if too few do.
    fn agreeing(&self, count: usize) -> Option<String> {
        let all = self.successes.len();
        if count == 0 || (count as f64) < AGREE * all as f64 {
            return None;
        }
        Some(match (count, all) {
            (1, 1) => "the similar success".to_owned(),
            (count, all) if count == all => format!("all {all} similar successes"),
            (count, all) => format!("{count} of {all} similar successes"),
        })
    }

    fn steps_of(&self, tool: &str) -> impl Iterator<Item = u32> {
        self.own.calls.iter().filter(move |call| call.tool == tool).map(|call| call.number).take(MAX_STEPS)
    }
}

/// Returns the tools in order, each run of calls as one.
fn way<'t>(member: &Member<'t>) -> Vec<&'t str> {
    let mut way: Vec<&str> = member.calls.iter().map(|call| call.tool).collect();
    way.dedup();
    way
}

/// Returns the values that an argument of a tool has in an episode; `None` if it has none, or one that is no
/// constant.
fn constants(member: &Member<'_>, tool: &str, name: &str) -> Option<BTreeSet<String>> {
    let calls = member.calls.iter().filter(|call| call.tool == tool);
    let values: Option<BTreeSet<String>> =
        calls.filter_map(|call| call.argument(name)).map(constant).collect();
    values.filter(|values| !values.is_empty())
}
