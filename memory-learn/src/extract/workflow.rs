//! The procedure that successful episodes of a cluster share, with placeholders for varying parts.

mod align;
mod segments;
mod task_text;
mod template;

use std::collections::BTreeMap;

use memory_core::{PatternBody, PlaybookStep};

use crate::calls::{Call, value_text};
use crate::extract::Found;
use crate::extract::cluster::{Cluster, Member};

use align::{align, compared};
use template::Template;

/// Steps of the longest procedure.
const MAX_STEPS: usize = 20;
/// The most calls that are aligned; a longer episode contributes its first ones.
const MAX_ALIGNED: usize = 48;

/// A procedure.
pub(super) struct Workflow {
    /// The part that distinguishes it from other procedures.
    identity: String,
    pub(super) title: String,
    pub(super) steps: Vec<PlaybookStep>,
    pub(super) placeholders: Vec<String>,
    pub(super) shapes: Vec<String>,
}

impl Workflow {
    /// Returns the part that distinguishes it from other procedures: its tools in order, with the program that
    /// a command runs. Equal consecutive steps count as one: their number depends on the task.
    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    /// Returns it as a pattern; one step alone is none.
    pub(super) fn pattern(&self) -> Option<Found> {
        (self.steps.len() > 1).then(|| Found {
            identity: self.identity.clone(),
            body: PatternBody::WorkflowTemplate {
                steps: self.steps.clone(),
                placeholders: self.placeholders.clone(),
            },
        })
    }
}

/// Returns the procedure that the episode follows: its own if it succeeded, as far as successful similar ones
/// agree; that of the most similar success if it failed in spite of following it.
pub(super) fn find(cluster: &Cluster<'_>) -> Option<Workflow> {
    let own = cluster.own();
    let base = if own.succeeded { own } else { cluster.similar().iter().find(|member| member.succeeded)? };
    let calls = successful(base);
    let end = calls.len().checked_sub(1)?;
    let features = compared(&calls);
    let mut others = Vec::new();
    for member in cluster.similar().iter().filter(|member| member.succeeded && !std::ptr::eq(*member, base)) {
        let theirs = successful(member);
        let partners = align(&features, &compared(&theirs));
        let shared = partners.iter().flatten().count();
        // An episode that shares fewer calls follows another procedure, and is ignored here.
        if shared > 0 && 2 * shared >= calls.len().min(theirs.len()) {
            others.push(Other { task: task(member), calls: theirs, partners });
        }
    }
    let mut shared = agreed(&others, calls.len());
    let ends =
        |other: &&Other<'_>| shared.iter().any(|at| other.partners[*at] == Some(other.calls.len() - 1));
    if !shared.contains(&end) && 2 * others.iter().filter(ends).count() < others.len() {
        // If only the start is common and every episode continues differently, only those with the same end
        // count.
        others.retain(|other| other.partners[end].is_some());
        shared = agreed(&others, calls.len());
    }
    let column = |at: usize| {
        let rows = others.iter().filter_map(|other| Some(other.calls[other.partners[at]?])).collect();
        Column { call: calls[at], rows }
    };
    let columns: Vec<Column<'_>> = shared.into_iter().map(column).collect();
    let followed = own.succeeded || follows(own, &columns);
    if columns.is_empty() || columns.len() > MAX_STEPS || !followed {
        return None;
    }
    let others: Vec<&str> = others.iter().map(|other| other.task).collect();
    let mut workflow = Template::new(task(base), &others).fill(&columns)?;
    workflow.identity = identity(&columns);
    Some(workflow)
}

/// A success with a similar course.
struct Other<'t> {
    task: &'t str,
    calls: Vec<Call<'t>>,
    /// The place of the partner of each of the base's calls.
    partners: Vec<Option<usize>>,
}

/// Returns the places of the base's calls, given their number, that at least half of the others make.
fn agreed(others: &[Other<'_>], calls: usize) -> Vec<usize> {
    let made = |at: &usize| others.iter().filter(|other| other.partners[*at].is_some()).count();
    (0..calls).filter(|at| made(at) >= others.len().div_ceil(2)).collect()
}

fn task<'t>(member: &Member<'t>) -> &'t str {
    &member.trace.episode.task.description
}

/// One step of a procedure: a call of the base and the calls of others aligned with it.
struct Column<'t> {
    call: Call<'t>,
    rows: Vec<Call<'t>>,
}

impl Column<'_> {
    /// Returns the program that the command runs in most episodes, the base's if no other is more frequent.
    fn program(&self) -> Option<String> {
        let own = program(&self.call)?;
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for program in self.rows.iter().filter_map(program) {
            *counts.entry(program).or_default() += 1;
        }
        *counts.entry(own.clone()).or_default() += 1;
        let (mut best, mut most) = (own.clone(), counts[&own]);
        for (program, count) in counts {
            if count > most {
                (best, most) = (program, count);
            }
        }
        Some(best)
    }
}

/// Returns true for arguments that hold a command line.
fn is_command(name: &str) -> bool {
    matches!(name, "command" | "cmd" | "script")
}

/// Returns the program that a command line runs.
fn program(call: &Call<'_>) -> Option<String> {
    let mut found = None;
    call.arguments(|name, value| {
        if is_command(name) && found.is_none() {
            let text = value_text(value);
            let first = text.split_whitespace().find(|word| !word.contains('=')).unwrap_or("");
            let plain = first.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'));
            found = (plain && !first.is_empty()).then(|| first.to_owned());
        }
    });
    found
}

fn identity(columns: &[Column<'_>]) -> String {
    let mut parts: Vec<String> = Vec::with_capacity(columns.len());
    for column in columns {
        let tool = column.call.tool;
        let part = column.program().map_or_else(|| tool.to_owned(), |program| format!("{tool}({program})"));
        // Without arguments nothing shows that it repeats the same step.
        let mut bare = true;
        column.call.arguments(|_, _| bare = false);
        if bare || parts.last() != Some(&part) {
            parts.push(part);
        }
    }
    parts.join(" ")
}

/// Returns the successful calls, with repetitions of the previous call (another attempt, another look) as one.
fn successful<'t>(member: &Member<'t>) -> Vec<Call<'t>> {
    let mut calls: Vec<Call<'t>> = member.calls.iter().filter(|call| call.worked()).copied().collect();
    calls.dedup_by(|later, call| repeats(later, call));
    calls.truncate(MAX_ALIGNED);
    calls
}

/// Returns true for calls of one tool with the same arguments; where there are none, with the same description.
fn repeats(later: &Call<'_>, call: &Call<'_>) -> bool {
    let mut bare = true;
    call.arguments(|_, _| bare = false);
    later.tool == call.tool
        && later.action.arguments == call.action.arguments
        && (!bare || later.action.description == call.action.description)
}

/// Returns true if an episode made the calls of a procedure in order.
fn follows(member: &Member<'_>, columns: &[Column<'_>]) -> bool {
    let mut calls = member.calls.iter();
    columns.iter().all(|column| calls.any(|call| call.tool == column.call.tool))
}

#[cfg(test)]
mod tests {
    use memory_core::{Action, Outcome};
    use serde_json::{Value, json};

    use super::*;
    use crate::calls::tests::{failure, success, tools, trace};
    use crate::trace::Trace;

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

    fn release(n: u64, service: &str, version: &str, steps: &[&str]) -> Trace {
        let write = |line: &&str| {
            let line = line.replace("SERVICE", service).replace("VERSION", version);
            Action::tool("bash").arguments(json!({"command": line}))
        };
        let mut trace = trace(n, success(), steps.iter().map(write).collect());
        trace.episode.task.description = format!("Release version {version} of the {service} service");
        trace
    }

    const RELEASE: [&str; 5] = [
        "bump SERVICE VERSION",
        "edit services/SERVICE/CHANGELOG.md",
        "cargo test -p SERVICE",
        "cargo publish -p SERVICE",
        "git tag SERVICE-vVERSION",
    ];

    #[test]
    fn calls_of_one_tool_in_a_row_are_steps_of_their_own() {
        let own = release(1, "billing", "1.2.0", &RELEASE);
        let alone = lines(&own, &[]).unwrap();
        assert_eq!(alone.len(), 5, "{alone:?}");
        let similar = [
            release(2, "invoices", "2.0.1", &RELEASE),
            release(3, "mail", "0.4.0", &RELEASE),
            release(4, "search", "0.5.0", &["cargo update", RELEASE[0], RELEASE[1], RELEASE[3], RELEASE[4]]),
        ];
        let expected = [
            "bash: command=bump {service} {version}",
            "bash: command=edit services/{service}/CHANGELOG.md",
            "bash: command=cargo test -p {service}",
            "bash: command=cargo publish -p {service}",
            "bash: command=git tag {service}-v{version}",
        ];
        assert_eq!(lines(&own, &similar).unwrap(), expected);
        let workflow = find(&Cluster::new(&own, &similar)).unwrap();
        assert_eq!(workflow.title, "Release version {version} of the {service} service");
        assert_eq!(workflow.placeholders, ["service", "version"]);
        assert_eq!(workflow.shapes, ["", "9.9.9"]);
    }

    #[test]
    fn a_call_done_again_is_one_step() {
        let poll = |n: u64| Action::tool("poll").arguments(json!({"job": format!("J{n:06}")}));
        let told = |text: &str| Action::tool("note").description(text);
        let actions = vec![poll(1), poll(1), poll(2), told("one"), told("one"), told("two")];
        let expected = ["poll: job={job}", "poll: job={job_2}", "note: one", "note: two"];
        assert_eq!(lines(&trace(1, success(), actions), &[]).unwrap(), expected);
    }

    #[test]
    fn identity_depends_on_what_is_run_not_on_how_often() {
        let identity = |trace: &Trace, similar: &[Trace]| {
            find(&Cluster::new(trace, similar)).unwrap().identity().to_owned()
        };
        let own = release(1, "billing", "1.2.0", &RELEASE);
        let similar = [release(2, "mail", "2.0.1", &RELEASE), release(3, "search", "3.0.0", &RELEASE)];
        let same = "bash(bump) bash(edit) bash(cargo) bash(git)";
        assert_eq!(identity(&own, &[]), same);
        assert_eq!(identity(&own, &similar), same);
        assert_eq!(identity(&release(4, "mail", "2.0.1", &["ls"]), &[]), "bash(ls)");
        let looks = |n: u64, count: u64| {
            let look = |item| Action::tool("look").arguments(json!({"item": format!("I{item:06}")}));
            trace(n, success(), (0..count).map(look).chain([Action::tool("buy")]).collect())
        };
        assert_eq!(identity(&looks(1, 2), &[looks(2, 3)]), identity(&looks(3, 4), &[]));
    }

    #[test]
    fn what_tasks_alike_state_is_no_constant() {
        let add = |n: u64, name: &str, crate_name: &str| {
            let grep = |pattern: String| {
                Action::tool("grep").arguments(json!({"pattern": pattern, "path": crate_name}))
            };
            let mut trace =
                trace(n, success(), vec![grep(format!("struct {name}")), grep(format!("{name} {{ colour"))]);
            trace.episode.task.description = format!("Add a colour to the struct {name} in {crate_name}");
            trace
        };
        let told = |similar: &[Trace]| lines(&add(1, "ArgSpec", "billing"), similar).unwrap()[1].clone();
        let step = "grep: path={path}, pattern={struct} { colour";
        let same = add(2, "ArgSpec", "metrics");
        assert_eq!(told(&[same.clone(), add(3, "Invoice", "auth")]), step);
        // All that have the step have the same text, and the same in their tasks.
        let mut other = add(3, "Invoice", "auth");
        other.steps.truncate(1);
        assert_eq!(told(&[same, other]), step);
    }

    #[test]
    fn titles_lose_names_of_several_words() {
        let cancel = |n: u64, who: &str| {
            let find = Action::tool("find_user").arguments(json!({"name": who}));
            let mut trace = trace(n, success(), vec![find, Action::tool("cancel")]);
            trace.episode.task.description = format!("Please cancel the flight of {who}, as ever.");
            trace
        };
        let cluster = (cancel(1, "Yuki Sato"), [cancel(2, "Ada de Boer"), cancel(3, "Tom Brandt")]);
        let workflow = find(&Cluster::new(&cluster.0, &cluster.1)).unwrap();
        assert_eq!(workflow.title, "Please cancel the flight of {name}, as ever.");
        assert_eq!(workflow.steps[0].instruction, "name={name}");
        // No step has the place, and that of another task has one word.
        let mut cluster = cluster;
        for (trace, place) in
            [&mut cluster.0].into_iter().chain(&mut cluster.1).zip(["New York", "Rome", "Bonn"])
        {
            trace.episode.task.description.push_str(&format!(" No longer to {place} this year."));
        }
        let title = find(&Cluster::new(&cluster.0, &cluster.1)).unwrap().title;
        assert_eq!(title, "Please cancel the flight of {name}, as ever. No longer to … this year.");
    }

    #[test]
    fn names_that_all_have_are_no_constants_and_one_value_wherever_they_are() {
        let book = |n: u64| {
            let find = Action::tool("find_user").arguments(json!({"name": "Jan de Wit"}));
            let book = Action::tool("book").arguments(json!({"passenger": "Jan de Wit", "class": "economy"}));
            let mut trace = trace(n, success(), vec![find, book]);
            trace.episode.task.description = "Book a flight for Jan de Wit".into();
            trace
        };
        let workflow = |similar: &[Trace]| find(&Cluster::new(&book(1), similar)).unwrap();
        for found in [workflow(&[book(2), book(3)]), workflow(&[])] {
            let told: Vec<&str> = found.steps.iter().map(|step| step.instruction.as_str()).collect();
            assert_eq!(told, ["name={name}", "class=economy, passenger={name}"]);
            assert_eq!(
                (found.title.as_str(), found.placeholders),
                ("Book a flight for {name}", vec!["name".into()])
            );
        }
    }

    #[test]
    fn the_start_of_two_ways_is_no_procedure() {
        let credit = |n: u64, way: &str| {
            let mut trace = tools(n, success(), way);
            trace.episode.task.description = "Credit the invoice".into();
            trace
        };
        let check = |own: &str, others: &[&str], expected: &str| {
            let others: Vec<Trace> = (2..).zip(others).map(|(n, way)| credit(n, way)).collect();
            let found = find(&Cluster::new(&credit(1, own), &others)).unwrap();
            assert_eq!(found.identity(), expected);
        };
        let usual = "find look credit mail";
        check("find look escalate", &[usual, usual], "find look escalate");
        check("find look escalate", &[usual, usual, "find ask look escalate"], "find look escalate");
        check("find look credit mail", &["find update", "find look send", usual], usual);
        // A final call of this episode only is no part of it.
        check("find look credit mail smile", &[usual, usual], usual);
        check("find look credit mail smile", &["find look credit mail wave", usual, usual], usual);
    }

    #[test]
    fn figures_are_values_where_tasks_state_them() {
        let order = |n: u64, bags: u64, colour: &str| {
            let arguments = json!({"bags": bags, "colour": colour, "shelf": 400 + n});
            let mut trace =
                trace(n, success(), vec![Action::tool("order").arguments(arguments), Action::tool("mail")]);
            trace.episode.task.description = format!("Order {bags} bags in {colour} by 7 May");
            trace
        };
        let own = order(1, 3, "blue");
        let check = |similar: &[Trace], title: &str| {
            let found = find(&Cluster::new(&own, similar)).unwrap();
            assert_eq!(
                (found.title.as_str(), found.steps[0].instruction.as_str()),
                (title, "bags={bags}, colour={colour}, shelf={shelf}")
            );
            let shape = |name: &str| {
                let at = found.placeholders.iter().position(|known| known == name).unwrap();
                found.shapes[at].clone()
            };
            // The shelf is in no task: a figure of a task is another one.
            assert_eq!((shape("bags"), shape("shelf")), ("9".to_owned(), String::new()));
        };
        check(&[order(2, 5, "green"), order(3, 2, "blue")], "Order {bags} bags in {colour} by 7 May");
        // A few that all have the same may have it by chance.
        check(&[order(2, 3, "blue"), order(3, 3, "blue")], "Order 3 bags in {colour} by 7 May");
    }

    #[test]
    fn what_most_do_without_is_left_out() {
        let refresh = |n: u64, arguments: Value| {
            trace(n, success(), vec![Action::tool("refresh").arguments(arguments), Action::tool("mail")])
        };
        let (quick, usual) = (json!({"board": "sales", "mode": "quick"}), json!({"board": "sales"}));
        let check = |others: [&Value; 3], expected: &str| {
            let others: Vec<Trace> = (2..).zip(others).map(|(n, it)| refresh(n, it.clone())).collect();
            assert_eq!(lines(&refresh(1, quick.clone()), &others).unwrap()[0], expected);
        };
        check([&usual, &usual, &quick], "refresh: board=sales");
        check([&usual, &quick, &quick], "refresh: board=sales, mode=quick");
        assert_eq!(lines(&refresh(1, quick.clone()), &[]).unwrap()[0], "refresh: board=sales, mode=quick");
    }

    #[test]
    fn what_no_step_needs_is_no_placeholder() {
        let moved = |n: u64, address: &str| {
            let update = Action::tool("update").arguments(json!({"address": address}));
            let mut trace = trace(n, success(), vec![update, Action::tool("mail")]);
            trace.episode.task.description = format!("Ann moved to {address}, for {n}000 days");
            trace
        };
        let own = moved(1, "130 Station Road");
        let found =
            find(&Cluster::new(&own, &[moved(2, "7 Mill Lane"), moved(3, "44 Kings Avenue")])).unwrap();
        assert_eq!(found.placeholders, ["address"]);
        assert_eq!(found.title, "Ann moved to {address}, for … days");
    }

    #[test]
    fn descriptions_lose_what_varies() {
        let edit = |n: u64, task: &str, what: &str, path: &str| {
            let mut trace = trace(
                n,
                success(),
                vec![Action::tool("edit").description(what).arguments(json!({"path": path}))],
            );
            trace.episode.task.description = task.into();
            trace
        };
        let check = |traces: [&Trace; 2], title: &str, step: &str| {
            let workflow = find(&Cluster::new(traces[0], std::slice::from_ref(traces[1]))).unwrap();
            assert_eq!(workflow.title, title);
            assert_eq!(workflow.steps[0].to_string(), step);
        };
        let (parser, lexer) = (
            edit(1, "Bump parser to 0.4.0", "set version = \"0.4.0\"", "crates/parser/Cargo.toml"),
            edit(2, "Bump lexer to 0.5.0", "set version = \"0.5.0\"", "crates/lexer/Cargo.toml"),
        );
        check(
            [&parser, &lexer],
            "Bump {bump} to {number}",
            "edit: set version = \"{number}\" (path=crates/{bump}/Cargo.toml)",
        );
        let (search, checkout) = (
            edit(1, "Speed up /search", "add index for search", "src/routes/search.rs"),
            edit(2, "Speed up /checkout", "add an index", "src/routes/checkout.rs"),
        );
        check([&search, &checkout], "Speed up {path}", "edit: add index for … (path=src/routes{path}.rs)");
    }
}
