//! The procedure that successful episodes of a cluster share, with placeholders for what varies.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::learn::calls::{Call, value_text};
use crate::learn::errors::{cut, normalise};
use crate::learn::extract::Found;
use crate::learn::extract::cluster::{Cluster, Member};
use crate::learn::playbook::common_shape;
use crate::learn::recovery::constant;
use crate::learn::shape::{Shape, pieces};
use crate::model::pattern::PatternBody;
use crate::model::playbook::PlaybookStep;

/// Steps of the longest procedure that is told.
const MAX_STEPS: usize = 20;
/// Calls that are aligned; of a longer episode the first ones.
const MAX_ALIGNED: usize = 48;
/// Placeholders of a procedure; an episode with more is no example of one.
const MAX_PLACEHOLDERS: usize = 32;
/// Values longer than this, in bytes, are told by name only.
const MAX_CONSTANT_BYTES: usize = 80;
/// Descriptions of steps and titles are cut to this many bytes.
const MAX_TEXT_BYTES: usize = 160;

/// A procedure.
pub(super) struct Workflow {
    pub(super) title: String,
    pub(super) steps: Vec<PlaybookStep>,
    pub(super) placeholders: Vec<String>,
    pub(super) shapes: Vec<String>,
}

impl Workflow {
    /// Returns what tells it from other procedures: its tools in order.
    pub(super) fn identity(&self) -> String {
        self.steps.iter().map(|step| step.tool.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// Returns it as a pattern; one step alone is none.
    pub(super) fn pattern(&self) -> Option<Found> {
        let text = |step: &PlaybookStep| match step.instruction.as_str() {
            "" => step.tool.clone(),
            instruction => format!("{}: {instruction}", step.tool),
        };
        (self.steps.len() > 1).then(|| Found {
            identity: self.identity(),
            body: PatternBody::WorkflowTemplate {
                steps: self.steps.iter().map(text).collect(),
                placeholders: self.placeholders.clone(),
            },
        })
    }
}

/// Returns the procedure that the episode follows: its own if it succeeded, as far as successful similar ones agree; that
/// of the most similar success if it failed in spite of following it.
pub(super) fn find(cluster: &Cluster<'_>) -> Option<Workflow> {
    let own = cluster.own();
    let base = if own.succeeded { own } else { cluster.similar().iter().find(|member| member.succeeded)? };
    let calls = successful(base);
    let others: Vec<Vec<Call<'_>>> = cluster
        .similar()
        .iter()
        .filter(|member| member.succeeded && !std::ptr::eq(*member, base))
        .map(successful)
        .collect();
    let aligned: Vec<Vec<Option<usize>>> = others.iter().map(|other| align(&calls, other)).collect();
    let needed = others.len().div_ceil(2);
    let mut columns = Vec::new();
    for (at, call) in calls.iter().enumerate() {
        let rows: Vec<Call<'_>> = others
            .iter()
            .zip(&aligned)
            .filter_map(|(other, aligned)| aligned[at].map(|at| other[at]))
            .collect();
        if rows.len() >= needed {
            columns.push(Column { call: *call, rows });
        }
    }
    let followed = own.succeeded || follows(own, &columns);
    if columns.is_empty() || columns.len() > MAX_STEPS || !followed {
        return None;
    }
    Template::new(&base.trace.episode.task.description).fill(&columns)
}

/// One step of a procedure: a call of the base and the calls of others aligned with it.
struct Column<'t> {
    call: Call<'t>,
    rows: Vec<Call<'t>>,
}

/// Returns the calls that worked, with calls of one tool in a row as one.
fn successful<'t>(member: &Member<'t>) -> Vec<Call<'t>> {
    let mut calls: Vec<Call<'t>> = member.calls.iter().filter(|call| call.worked()).copied().collect();
    calls.dedup_by_key(|call| call.tool);
    calls.truncate(MAX_ALIGNED);
    calls
}

/// Returns true if an episode made the calls of a procedure in order.
fn follows(member: &Member<'_>, columns: &[Column<'_>]) -> bool {
    let mut calls = member.calls.iter();
    columns.iter().all(|column| calls.any(|call| call.tool == column.call.tool))
}

/// Aligns two sequences of calls by tool: for each call of `base` the place of its partner (longest common subsequence).
fn align(base: &[Call<'_>], other: &[Call<'_>]) -> Vec<Option<usize>> {
    let width = other.len() + 1;
    let mut lengths = vec![0_u16; (base.len() + 1) * width];
    for i in (0..base.len()).rev() {
        for j in (0..other.len()).rev() {
            lengths[i * width + j] = if base[i].tool == other[j].tool {
                lengths[(i + 1) * width + j + 1] + 1
            } else {
                lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
            };
        }
    }
    let mut partners = vec![None; base.len()];
    let (mut i, mut j) = (0, 0);
    while i < base.len() && j < other.len() {
        if base[i].tool == other[j].tool {
            partners[i] = Some(j);
            i += 1;
            j += 1;
        } else if lengths[(i + 1) * width + j] >= lengths[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    partners
}

/// Returns true for a text with an id, an address, a date or a long figure: that is of one episode, however often it was
/// done again.
fn is_key(text: &str) -> bool {
    let mut key = false;
    pieces(text, |piece| {
        key |= match piece.shape {
            Shape::Id | Shape::Email | Shape::Date => true,
            Shape::Number => piece.text.len() >= 4,
            Shape::Word | Shape::Path | Shape::Quoted => false,
        }
    });
    key
}

/// A procedure in the making: which values became placeholders.
struct Template<'t> {
    task: &'t str,
    /// The placeholder for each value of the base: by the value, and for short words also by the argument.
    names: BTreeMap<(String, String), usize>,
    placeholders: Vec<String>,
    /// The values seen for each placeholder.
    values: Vec<Vec<String>>,
}

impl<'t> Template<'t> {
    fn new(task: &'t str) -> Self {
        Self { task, names: BTreeMap::new(), placeholders: Vec::new(), values: Vec::new() }
    }

    fn fill(mut self, columns: &[Column<'t>]) -> Option<Workflow> {
        let steps: Vec<PlaybookStep> = columns.iter().map(|column| self.step(column)).collect();
        if self.placeholders.len() > MAX_PLACEHOLDERS {
            return None;
        }
        let shapes = self.values.iter().map(|values| common_shape(values)).collect();
        let title = cut(&normalise(self.task.lines().next().unwrap_or("")), MAX_TEXT_BYTES).to_owned();
        Some(Workflow { title, steps, placeholders: self.placeholders, shapes })
    }

    fn step(&mut self, column: &Column<'t>) -> PlaybookStep {
        let mut parts = Vec::new();
        let mut replaced = Vec::new();
        column.call.arguments(|name, value| {
            let others: Vec<&Value> = column.rows.iter().filter_map(|row| row.argument(name)).collect();
            let text = value_text(value);
            if self.is_constant(value, &text, &others) {
                parts.push(format!("{name}={text}"));
                return;
            }
            let placeholder = self.placeholder(name, value, &text, &others);
            parts.push(format!("{name}={{{placeholder}}}"));
            replaced.push((text, placeholder));
        });
        // Longer values first: one may be a part of another.
        replaced.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        let mut what =
            cut(column.call.action.description.lines().next().unwrap_or("").trim(), MAX_TEXT_BYTES)
                .to_owned();
        for (text, placeholder) in replaced.iter().filter(|(text, _)| text.len() >= 3) {
            what = what.replace(text.as_str(), &format!("{{{placeholder}}}"));
        }
        let arguments = parts.join(", ");
        let instruction = match (what.is_empty(), arguments.is_empty()) {
            (true, _) => arguments,
            (false, true) => what,
            (false, false) => format!("{what} ({arguments})"),
        };
        PlaybookStep { tool: column.call.tool.to_owned(), instruction }
    }

    /// Returns true for a value that belongs to the procedure: it is the same wherever it is seen, not one of the task's own,
    /// and no id, address, date or long figure. What is seen once must be a word.
    fn is_constant(&self, value: &Value, text: &str, others: &[&Value]) -> bool {
        if text.len() > MAX_CONSTANT_BYTES || others.iter().any(|other| *other != value) {
            return false;
        }
        let of_task = text.len() >= 3 && self.task.contains(text);
        match constant(value) {
            Some(_) => !of_task || !others.is_empty(),
            None => {
                !of_task && !others.is_empty() && !value.is_array() && !value.is_object() && !is_key(text)
            }
        }
    }

    fn placeholder(&mut self, name: &str, value: &Value, text: &str, others: &[&Value]) -> String {
        // One id under two names is one value; one word under two names is chance.
        let key = (if constant(value).is_some() { name.to_owned() } else { String::new() }, text.to_owned());
        let at = *self.names.entry(key).or_insert_with(|| {
            let taken = |name: &str| self.placeholders.iter().any(|known| known == name);
            let fresh = (2..).map(|n| format!("{name}_{n}"));
            let name =
                [name.to_owned()].into_iter().chain(fresh).find(|name| !taken(name)).unwrap_or_default();
            self.placeholders.push(name);
            self.values.push(Vec::new());
            self.placeholders.len() - 1
        });
        if !value.is_array() && !value.is_object() {
            self.values[at].push(text.to_owned());
            self.values[at].extend(others.iter().map(|other| value_text(other)));
        }
        self.placeholders[at].clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::learn::calls::tests::{failure, success, tools, trace};
    use crate::learn::trace::Trace;
    use crate::model::outcome::Outcome;
    use crate::model::step::Action;

    fn refund(n: u64, outcome: Outcome, extra: bool) -> Trace {
        let (user, order) = (format!("user_{n:04}"), format!("#W{n:07}"));
        let mut actions = vec![
            Action::tool("get_user").arguments(json!({"user_id": user})),
            Action::tool("refund")
                .description(format!("refund {order}"))
                .arguments(json!({"order_id": order, "user_id": user, "reason": "damaged"})),
        ];
        if extra {
            actions.insert(1, Action::tool("smile"));
        }
        trace(n, outcome, actions)
    }

    fn lines(own: &Trace, similar: &[Trace]) -> Option<Vec<String>> {
        let workflow = find(&Cluster::new(own, similar))?;
        let text = |step: PlaybookStep| format!("{}: {}", step.tool, step.instruction);
        Some(workflow.steps.into_iter().map(text).collect())
    }

    #[test]
    fn what_varies_becomes_a_placeholder() {
        let expected = [
            "get_user: user_id={user_id}",
            "refund: refund {order_id} (order_id={order_id}, reason=damaged, user_id={user_id})",
        ];
        let own = refund(1, success(), false);
        assert_eq!(lines(&own, &[]).unwrap(), expected, "one episode alone");
        let similar = [refund(2, success(), false), refund(3, success(), true), refund(4, failure(), false)];
        assert_eq!(lines(&own, &similar).unwrap(), expected);
        assert_eq!(
            lines(&similar[1], &[own.clone(), similar[0].clone()]).unwrap(),
            expected,
            "the odd step goes"
        );
        let workflow = find(&Cluster::new(&own, &similar)).unwrap();
        assert_eq!(workflow.placeholders, ["user_id", "order_id"]);
        assert_eq!(workflow.shapes, ["a_9999", "#A9999999"]);
    }

    #[test]
    fn a_failing_episode_follows_the_procedure_or_not() {
        let followed = refund(4, failure(), true);
        let similar = [refund(1, success(), false), refund(2, success(), false)];
        assert_eq!(lines(&followed, &similar).unwrap().len(), 2);
        assert_eq!(lines(&tools(9, failure(), "refund"), &similar), None);
        assert_eq!(lines(&followed, &[]), None);
    }

    #[test]
    fn what_never_varies_stays_unless_it_is_a_key() {
        let call = |n| {
            let arguments = json!({"limit": 10, "account": "acc_123456", "command": "cargo test -p core", "day": "2024-05-20"});
            trace(n, success(), vec![Action::tool("run").arguments(arguments)])
        };
        let expected = ["run: account={account}, command=cargo test -p core, day={day}, limit=10"];
        assert_eq!(lines(&call(1), &[call(2)]).unwrap(), expected);
    }

    #[test]
    fn different_values_get_different_names() {
        let call = |seat: &str| Action::tool(format!("take_{}", &seat[..1])).arguments(json!({"seat": seat}));
        let own = trace(1, success(), vec![call("A12345"), call("B12345"), call("A12345")]);
        let expected = ["take_A: seat={seat}", "take_B: seat={seat_2}", "take_A: seat={seat}"];
        assert_eq!(lines(&own, &[]).unwrap(), expected);
    }
}
