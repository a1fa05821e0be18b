//! Successful and failed recoveries from an error within a trace.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::{Action, ArgumentChange, ArgumentValue, RemedyCall};
use serde_json::Value;

use crate::calls::Call;
use crate::errors::cut;
use crate::shape::{Shape, pieces, shape_of};

/// Calls after a failing one in which a recovery is looked for.
const REACH: usize = 24;
/// Calls after a failing one within which another tool counts as its replacement.
const REPLACEMENT_REACH: usize = 4;
/// Calls between the failing and the working one that count as part of the recovery.
const MAX_BETWEEN: usize = 4;
/// The longest phrase that is rendered, in bytes.
const MAX_PHRASE_BYTES: usize = 120;
/// The longest note of a call that is kept, in bytes.
const MAX_NOTE_BYTES: usize = 160;
/// Distinct errors looked at in one trace.
const MAX_ERRORS: usize = 32;
/// Calls after a failing one within which another tool that fails counts as a failed remedy.
const VAIN_REACH: usize = 8;
/// Failed remedies of one kind of error in a trace.
const MAX_VAIN: usize = 8;

/// One kind of error in a trace and the recovery from it.
#[derive(Debug, Clone)]
pub(crate) struct Incident<'t> {
    /// The first call that failed so.
    pub(crate) failed: Call<'t>,
    /// The place of the last call that failed so among the calls of the trace.
    pub(crate) last: usize,
    /// The normalised error.
    pub(crate) error: String,
    /// The numbers of all steps that failed so.
    pub(crate) steps: Vec<u32>,
    /// The successful recovery; `None` if there was none.
    pub(crate) recovery: Option<Response<'t>>,
    /// The failed attempts, each once.
    pub(crate) vain: Vec<Response<'t>>,
}

impl Incident<'_> {
    /// Removes the successful recovery from the failed attempts.
    pub(crate) fn drop_vain_that_worked(&mut self) {
        let helped = self.recovery.as_ref().map(Response::calls);
        self.vain.retain(|vain| Some(vain.calls()) != helped);
    }
}

/// A response to an error, as the calls of a trace.
#[derive(Debug, Clone)]
pub(crate) struct Response<'t> {
    /// Calls between the failing and the last call: of other tools, or of the same one for something else.
    pub(crate) between: Vec<Call<'t>>,
    /// The call after them: of the same tool, or of one used instead; for a remedy whose own call failed, that
    /// call.
    pub(crate) last: Call<'t>,
    /// The changes of its arguments, if it is of the same tool.
    pub(crate) changes: Vec<Change<'t>>,
}

/// A difference between the arguments of two calls of one tool.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Change<'t> {
    /// The argument.
    pub(crate) name: &'t str,
    /// The old value; `None` if there was none.
    pub(crate) from: Option<&'t Value>,
    /// The new value; `None` if it was left out.
    pub(crate) to: Option<&'t Value>,
}

impl Change<'_> {
    /// Returns the kind of change, without values.
    pub(crate) fn kind(&self) -> ArgumentChange {
        let name = self.name.to_owned();
        match (self.from, self.to) {
            (None, _) => ArgumentChange::Added { name },
            (_, None) => ArgumentChange::Removed { name },
            _ => ArgumentChange::Changed { name },
        }
    }

    /// Returns the change with values that are words, or the phrase that it became.
    pub(crate) fn told(&self) -> ArgumentChange {
        let word = |value: Option<&Value>| value.and_then(constant);
        let set = |value| ArgumentChange::Set { name: self.name.to_owned(), value };
        match (word(self.from), word(self.to)) {
            (Some(from), Some(to)) => ArgumentChange::Replaced { name: self.name.to_owned(), from, to },
            (None, Some(to)) if self.from.is_none() => set(ArgumentValue::Word(to)),
            _ => self.to.and_then(phrase).map_or_else(|| self.kind(), |to| set(ArgumentValue::Phrase(to))),
        }
    }

    /// Renders the changed call; `None` if the values are meaningless to the reader.
    pub(crate) fn advice(&self) -> Option<String> {
        let said = |value: &Value| {
            constant(value).map(ArgumentValue::Word).or_else(|| phrase(value).map(ArgumentValue::Phrase))
        };
        let Some(to) = self.to else { return Some(format!("without {}", self.name)) };
        let Some(from) = self.from else {
            let told = said(to).map(|to| format!("with {} = {to}", self.name));
            return Some(told.unwrap_or_else(|| self.kind().to_string()));
        };
        let to = said(to)?;
        let instead = said(from).map_or_else(String::new, |from| format!(" instead of {from}"));
        Some(format!("with {} = {to}{instead}", self.name))
    }
}

impl Response<'_> {
    /// Returns the identity of responses with the same actions: tools and kinds of change, without values; but
    /// with the command of a tool that runs any.
    pub(crate) fn identity(&self) -> Vec<RemedyCall> {
        let arguments = self.changes.iter().map(Change::kind).collect();
        let last = RemedyCall { arguments, ..RemedyCall::new(self.last.tool) };
        self.between.iter().map(|call| self.named(call)).chain([last]).collect()
    }

    /// Returns the calls as a lesson stores them.
    pub(crate) fn calls(&self) -> Vec<RemedyCall> {
        let note = |call: &Call<'_>| {
            let what = call.action.description.lines().next().unwrap_or("").trim();
            cut(what, MAX_NOTE_BYTES).to_owned()
        };
        let between = self.between.iter().map(|call| match self.named(call) {
            named if named.arguments.is_empty() => RemedyCall { note: note(call), ..named },
            named => named,
        });
        let arguments = self.changes.iter().map(Change::told).collect();
        let last = RemedyCall { tool: self.last.tool.to_owned(), arguments, note: note(&self.last) };
        between.chain([last]).collect()
    }

    /// Names an intermediate call: its tool, and for the tool of the last call also its arguments.
    pub(crate) fn named(&self, call: &Call<'_>) -> RemedyCall {
        let commands = commands(call).filter(|_| call.tool == self.last.tool);
        let set = |(name, value): (&str, &Value)| {
            Some(ArgumentChange::Set { name: name.to_owned(), value: ArgumentValue::Phrase(phrase(value)?) })
        };
        RemedyCall { arguments: commands.filter_map(set).collect(), ..RemedyCall::new(call.tool) }
    }
}

/// Arguments that hold a command line: a tool with one of them does many things.
const COMMANDS: [&str; 7] = ["command", "cmd", "commands", "script", "args", "arguments", "argv"];

/// Returns the arguments of a call that hold a command line.
fn commands<'t>(call: &Call<'t>) -> impl Iterator<Item = (&'t str, &'t Value)> {
    let mut found = Vec::new();
    call.arguments(|name, value| {
        if COMMANDS.contains(&name) && value.is_string() {
            found.push((name, value));
        }
    });
    found.into_iter()
}

/// Returns the programs that an action runs, each by the argument that holds its command line.
pub fn programs(action: &Action) -> BTreeMap<String, String> {
    let call = Call { number: 0, tool: &action.tool, action };
    let program = |line: &Value| line.as_str()?.split_whitespace().next().map(str::to_owned);
    commands(&call).filter_map(|(name, line)| Some((name.to_owned(), program(line)?))).collect()
}

/// Returns true if a call of a tool runs another program (`now`) than one that failed, and so is no attempt at it.
pub fn is_other_use(failed: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> bool {
    failed.iter().any(|(name, program)| now.get(name).is_some_and(|now| now != program))
}

/// Returns true if a call of the failed tool is of another program.
fn runs_another(failed: &Call<'_>, call: &Call<'_>) -> bool {
    is_other_use(&programs(failed.action), &programs(call.action))
}

/// Returns the errors of a trace in order, each kind once.
pub(crate) fn incidents<'t>(calls: &[Call<'t>]) -> Vec<Incident<'t>> {
    let mut incidents: Vec<Incident<'t>> = Vec::new();
    // For each: its first failure since the tool last worked, and its last one.
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (at, call) in calls.iter().enumerate().filter(|(_, call)| !call.worked()) {
        let error = call.error();
        let same = |known: &Incident<'_>| known.failed.tool == call.tool && known.error == error;
        let known = incidents.iter().position(same).unwrap_or(incidents.len());
        if known == MAX_ERRORS {
            continue;
        }
        if known == incidents.len() {
            let (recovery, vain) = (None, Vec::new());
            incidents.push(Incident { failed: *call, last: at, error, steps: Vec::new(), recovery, vain });
            runs.push((at, at));
        }
        let (first, last) = &mut runs[known];
        let worked = calls[*last..at].iter().any(|between| between.tool == call.tool && between.worked());
        if worked || at - *last > REACH {
            *first = at;
        }
        *last = at;
        let incident = &mut incidents[known];
        incident.last = at;
        incident.steps.push(call.number);
        // Calls after the first failure did not help if it failed again; those after the last one count.
        incident.recovery = recovery(calls, &calls[*first], at);
        add_vain(calls, &calls[*first], at, incident);
    }
    incidents.iter_mut().for_each(Incident::drop_vain_that_worked);
    incidents
}

/// Adds the failed attempts between a failure and the next call of the same tool, or of one that replaced it:
/// calls of other tools that failed by then, with the successful calls before them; and that next call with the
/// successful calls before it, if it caused the same error. A tool that failed before, or works later, was not
/// called as a remedy. If the failed tool is never called again, only calls that failed immediately count.
fn add_vain<'t>(calls: &[Call<'t>], first: &Call<'t>, at: usize, incident: &mut Incident<'t>) {
    if incident.vain.len() == MAX_VAIN {
        return;
    }
    let failed = calls[at];
    let after = &calls[at + 1..calls.len().min(at + 1 + REACH)];
    let again = after.iter().position(|call| call.tool == failed.tool && !runs_another(&failed, call));
    let until = &after[..again.or_else(|| after.iter().position(Call::worked)).unwrap_or(after.len())];
    let worked = |tool: &str| until.iter().any(|call| call.worked() && call.tool == tool);
    let is_open = |tool: &str| {
        let last = calls[..at].iter().rev().find(|call| call.tool == tool);
        last.is_some_and(|call| !call.worked())
    };
    let mut vain: Vec<Response<'t>> = Vec::new();
    for (place, call) in until.iter().enumerate().take(VAIN_REACH) {
        if call.tool != failed.tool && !call.worked() && !worked(call.tool) && !is_open(call.tool) {
            vain.push(Response {
                between: between(&until[..place], &failed),
                last: *call,
                changes: Vec::new(),
            });
        }
    }
    if let Some(last) = again.map(|offset| after[offset])
        && !last.worked()
        && last.error() == incident.error
    {
        let between = between(until, &failed);
        vain.push(Response { between, last, changes: changes(first, &failed, &last) });
    }
    for vain in vain {
        let calls = vain.calls();
        if incident.vain.len() < MAX_VAIN && !incident.vain.iter().any(|held| held.calls() == calls) {
            incident.vain.push(vain);
        }
    }
}

/// Returns the successful calls, one a tool; the last few, which most probably were meant to help. For a failed
/// tool that runs any command, those of the same program, and the last successful call.
pub(crate) fn between<'t>(calls: &[Call<'t>], failed: &Call<'_>) -> Vec<Call<'t>> {
    let mut seen = BTreeSet::new();
    let worked: Vec<&Call<'t>> = calls.iter().filter(|call| call.worked()).collect();
    let chosen = worked.iter().enumerate().filter(|(place, call)| {
        if call.tool == failed.tool {
            *place + 1 == worked.len() || !runs_another(failed, call)
        } else {
            seen.insert(call.tool)
        }
    });
    let mut between: Vec<Call<'t>> = chosen.map(|(_, call)| **call).collect();
    between.drain(..between.len().saturating_sub(MAX_BETWEEN));
    between
}

/// Returns the recovery from the failure of a call: the next successful attempt with the same tool, or another
/// tool used instead. `first` is the first failure since the tool last worked.
///
/// A tool that runs any command is attempted again by the same program. If exactly the same command works
/// later, the calls until then were the recovery.
fn recovery<'t>(calls: &[Call<'t>], first: &Call<'t>, at: usize) -> Option<Response<'t>> {
    let failed = calls[at];
    let after = &calls[at + 1..calls.len().min(at + 1 + REACH)];
    let is_attempt = |call: &Call<'_>| call.tool == failed.tool && !runs_another(&failed, call);
    let attempt = after.iter().position(|call| is_attempt(call) && call.worked());
    let repeated = || {
        let repeats = |call: &Call<'_>| call.fingerprint() == failed.fingerprint() && call.worked();
        let is_command = commands(&failed).next().is_some();
        after.iter().position(repeats).filter(|_| is_command)
    };
    if let Some(offset) = attempt.and_then(|attempt| repeated().or(Some(attempt))) {
        let last = after[offset];
        let changes = changes(first, &failed, &last);
        return Some(Response { between: between(&after[..offset], &failed), last, changes });
    }
    if calls[at + 1..].iter().any(is_attempt) {
        return None;
    }
    let takes_its_place =
        |call: &&Call<'_>| call.tool != failed.tool && call.worked() && shares_argument(&failed, call);
    let instead = after.iter().take(REPLACEMENT_REACH).find(takes_its_place)?;
    Some(Response { between: Vec::new(), last: *instead, changes: Vec::new() })
}

/// Returns how the arguments of a call differ from those of the first that failed, as far as they differ from
/// those of the last that did, too.
fn changes<'t>(first: &Call<'t>, failed: &Call<'t>, to: &Call<'t>) -> Vec<Change<'t>> {
    let mut changes = Vec::new();
    first.arguments(|name, value| {
        let now = to.argument(name);
        if now != Some(value) && now != failed.argument(name) {
            changes.push(Change { name, from: Some(value), to: now });
        }
    });
    to.arguments(|name, value| {
        if first.argument(name).is_none() && failed.argument(name) != Some(value) {
            changes.push(Change { name, from: None, to: Some(value) });
        }
    });
    changes
}

/// Returns true if two calls work on the same thing: they share the value of an argument.
fn shares_argument(a: &Call<'_>, b: &Call<'_>) -> bool {
    let mut values = Vec::new();
    a.arguments(|_, value| values.push(value));
    let mut shared = false;
    b.arguments(|_, value| shared |= !value.is_null() && !value.is_boolean() && values.contains(&value));
    shared
}

/// Returns a value that is a short phrase, such as a command line, with placeholders for varying parts.
fn phrase(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim();
    let words = text.split_whitespace().filter(|part| shape_of(part) == Shape::Word).take(2).count();
    (text.len() <= MAX_PHRASE_BYTES && !text.contains(['\n', '`']) && words == 2).then(|| values_out(text))
}

/// Returns a phrase with placeholders for figures, ids and addresses; paths and quoted text belong to the
/// action.
fn values_out(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    pieces(text, |piece| {
        let kept = matches!(piece.shape, Shape::Word | Shape::Path | Shape::Quoted);
        out.push_str(&text[at..piece.start]);
        out.push_str(piece.shape.placeholder().filter(|_| !kept).unwrap_or(&text[piece.start..piece.end]));
        at = piece.end;
    });
    out.push_str(&text[at..]);
    out
}

/// Returns the text of a value that stays the same between episodes: a short word, a truth value.
pub(crate) fn constant(value: &Value) -> Option<String> {
    match value {
        Value::Bool(_) => Some(value.to_string()),
        Value::String(text) => {
            let short = !text.is_empty() && text.len() <= 40 && text.split_whitespace().count() <= 3;
            let mut is_words = true;
            pieces(text, |piece| is_words &= piece.shape == Shape::Word);
            (short && is_words).then(|| text.clone())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use memory_core::{Action, in_words};
    use serde_json::json;

    use super::*;
    use crate::calls::calls;
    use crate::calls::tests::{success, trace};

    fn told(calls: &[RemedyCall]) -> Vec<String> {
        calls.iter().map(ToString::to_string).collect()
    }

    fn first(actions: Vec<Action>) -> Option<(String, Vec<String>)> {
        let trace = trace(1, success(), actions);
        let calls = calls(&trace);
        let incidents = incidents(&calls);
        incidents[0]
            .recovery
            .as_ref()
            .map(|recovery| (in_words(&recovery.identity()), told(&recovery.calls())))
    }

    #[test]
    fn finds_what_got_over_an_error() {
        let check = |actions: Vec<Action>, identity: &str, fix: &[&str]| {
            let (found, steps) = first(actions).unwrap();
            assert_eq!(found, identity);
            assert_eq!(steps, fix);
        };
        let pay = |method: &str| Action::tool("pay").arguments(json!({"id": "A123", "method": method}));
        check(
            vec![pay("voucher").error("not allowed"), pay("cash")],
            "pay with method changed",
            &["pay with method changed from voucher to cash"],
        );
        check(
            vec![pay("card_1234567").error("no such card"), Action::tool("list_cards"), pay("card_7654321")],
            "list_cards, then pay with method changed",
            &["list_cards", "pay with method changed"],
        );
        check(
            vec![
                Action::tool("deploy").error("not logged in"),
                Action::tool("login").description("log in first"),
                Action::tool("deploy"),
            ],
            "login, then deploy",
            &["login: log in first", "deploy"],
        );
        check(
            vec![pay("cash").error("closed"), Action::tool("transfer").arguments(json!({"account": "A123"}))],
            "transfer",
            &["transfer"],
        );
    }

    #[test]
    fn finds_what_was_tried_in_vain() {
        let check = |actions: Vec<Action>, expected: &[&str]| {
            let trace = trace(1, success(), actions);
            let calls = calls(&trace);
            let vain = incidents(&calls).remove(0).vain;
            let told: Vec<String> = vain.iter().map(|vain| in_words(&vain.calls())).collect();
            assert_eq!(told, expected);
        };
        let pay = |method: &str| Action::tool("pay").arguments(json!({"method": method}));
        let refused = |method: &str| pay(method).error("refused");
        check(
            vec![refused("voucher"), refused("card"), Action::tool("login"), refused("cheque"), pay("cash")],
            &[
                "pay with method changed from voucher to card",
                "login, then pay with method changed from voucher to cheque",
            ],
        );
        check(vec![refused("cash"), Action::tool("unlock").error("no lock"), pay("cash")], &["unlock"]);
        check(vec![refused("cash"), refused("cash")], &["pay"]);
        // It worked later, the error changed, or the remedy helped in the end.
        let unlock = || Action::tool("unlock");
        check(vec![refused("cash"), unlock().error("no key"), unlock(), pay("cash")], &[]);
        check(vec![refused("cash"), pay("card").error("no such card")], &[]);
        check(vec![refused("cash"), refused("cash"), pay("cash")], &[]);
        let many =
            ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].map(|tool| Action::tool(tool).error("no"));
        let told = ["a", "b", "c", "d", "e", "f", "g", "h"];
        check([refused("cash")].into_iter().chain(many).collect(), &told);
        let key = || Action::tool("get_key");
        check(vec![refused("cash"), key(), unlock().error("jams"), pay("cash")], &["get_key, then unlock"]);
        // A call that failed before, after another tool was used instead, or much later was not a remedy.
        let jammed = || unlock().error("jams");
        let vain = |actions: Vec<Action>| {
            let trace = trace(1, success(), actions);
            let calls = calls(&trace);
            let vain = incidents(&calls).into_iter().map(|incident| incident.vain.len());
            vain.collect::<Vec<_>>()
        };
        assert_eq!(vain(vec![refused("cash"), jammed(), refused("cash")]), [2, 0]);
        let transfer = || Action::tool("transfer").arguments(json!({"method": "cash"}));
        check(vec![refused("cash"), transfer(), Action::tool("mail").error("no")], &[]);
    }

    #[test]
    fn arguments_are_compared_with_the_first_failure_since_it_worked() {
        let pay = |method: &str| Action::tool("pay").arguments(json!({"method": method}));
        let actions = vec![
            pay("cheque").error("refused"),
            pay("cash"),
            pay("voucher").error("refused"),
            pay("card").error("refused"),
            pay("cash"),
        ];
        let (_, fix) = first(actions).unwrap();
        assert_eq!(fix, ["pay with method changed from voucher to cash"]);
        let bill =
            |bill: &str, method: &str| Action::tool("pay").arguments(json!({"bill": bill, "method": method}));
        let refused = |of: &str| bill(of, "voucher").error("refused");
        let (_, fix) = first(vec![refused("water"), refused("power"), bill("power", "cash")]).unwrap();
        assert_eq!(fix, ["pay with method changed from voucher to cash"]);
    }

    #[test]
    fn a_changed_command_is_told() {
        let bash = |command: &str| Action::tool("bash").arguments(json!({"command": command}));
        let check = |command: &str, fix: &str, advice: Option<&str>| {
            let trace =
                trace(1, success(), vec![bash("cargo test 12").error("snapshot differs"), bash(command)]);
            let calls = calls(&trace);
            let recovery = incidents(&calls)[0].recovery.clone().unwrap();
            assert_eq!(told(&recovery.calls()), [fix]);
            assert_eq!(recovery.changes[0].advice().as_deref(), advice);
        };
        check(
            "cargo insta test --accept -p core 14",
            "bash with command = `cargo insta test --accept -p core <n>`",
            Some("with command = `cargo insta test --accept -p core <n>` instead of `cargo test <n>`"),
        );
        check(&"cargo y\n".repeat(9), "bash with command changed", None);
    }

    #[test]
    fn a_tool_that_runs_any_command_is_attempted_again_by_the_same_program() {
        let bash = |command: &str| Action::tool("bash").arguments(json!({"command": command}));
        let check = |actions: Vec<Action>, fix: &[&str]| {
            let fix: Vec<String> = fix.iter().map(|it| (*it).to_owned()).collect();
            assert_eq!(first(actions).map(|(_, fix)| fix), (!fix.is_empty()).then_some(fix));
        };
        let (failing, edit) =
            (|| bash("cargo test").error("index out of bounds"), || Action::tool("edit_file"));
        check(
            vec![failing(), bash("ls src"), bash("cat src/a.rs"), edit(), bash("cargo test")],
            &["edit_file", "bash"],
        );
        let down = || bash("psql -h db").error("connection refused");
        check(
            vec![down(), bash("git status"), bash("systemctl start postgresql"), bash("psql -h db")],
            &["bash with command = `systemctl start postgresql`", "bash"],
        );
        check(
            vec![failing(), bash("cargo insta test --accept"), edit(), bash("cargo test")],
            &["bash with command = `cargo insta test --accept`", "edit_file", "bash"],
        );
        check(vec![failing(), bash("ls src"), bash("cat src/a.rs")], &[]);
        // Elsewhere a value may come again for another reason.
        let pay = |method: &str| Action::tool("pay").arguments(json!({"method": method}));
        check(
            vec![pay("gift card").error("refused"), pay("cash"), pay("gift card")],
            &["pay with method changed from gift card to cash"],
        );
    }

    #[test]
    fn an_error_may_stay() {
        assert_eq!(first(vec![Action::tool("a").error("no"), Action::tool("b")]), None);
        assert_eq!(first(vec![Action::tool("a").error("no"), Action::tool("a").error("no")]), None);
        assert_eq!(first(vec![Action::tool("a"), Action::tool("a").timeout()]), None);
    }

    #[test]
    fn the_same_error_is_one_incident() {
        let actions = vec![
            Action::tool("a").error("bad 1"),
            Action::tool("a").error("bad 2"),
            Action::tool("a").error("worse"),
            Action::tool("b").error("bad 1"),
        ];
        let trace = trace(1, success(), actions);
        let found: Vec<(String, Vec<u32>)> =
            incidents(&calls(&trace)).into_iter().map(|incident| (incident.error, incident.steps)).collect();
        assert_eq!(
            found,
            [("bad <n>".into(), vec![1, 2]), ("worse".into(), vec![3]), ("bad <n>".into(), vec![4])]
        );
    }
}
