//! JSON Lines of conversations and tasks.

use memory_import::{Format, Verdict};

use crate::support::{brief, read_sample, read_text, read_until, sample};

#[test]
fn conversations_and_tasks_are_read_and_bad_lines_said_by_number() {
    let seen = read_sample(Format::JsonLines, "json_lines/mixed.jsonl");
    let lines: Vec<u64> = seen.trajectories.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 3, 6]);
    let wanted = "an object with `messages` (a conversation) or `actions` (a task) is needed";
    assert_eq!(seen.bad, [(4, wanted.to_owned()), (5, "not JSON: expected ident at column 2".to_owned()),]);
    let chat = &seen.trajectories[0].1;
    assert_eq!(
        brief(&chat.steps),
        ["find_trip {\"user\":\"u1\"} ! Error: no such user", "agent: It is cancelled.",]
    );
    assert_eq!(chat.outcome.verdict, Some(Verdict::Failure));
    assert_eq!(chat.labels.correlation_id.as_deref(), Some("7/0"));
    // The order of the fields makes no other line.
    assert_eq!(seen.keys()[1], seen.keys()[2]);
    assert!(seen.keys().iter().all(|key| key.starts_with("jsonl:")));
}

#[test]
fn a_shape_that_is_asked_for_is_the_only_one() {
    let seen = read_text(Format::Tasks, &sample("json_lines/mixed.jsonl"));
    assert_eq!(seen.bad[0], (1, "not a task: missing field `actions`".to_owned()));
    let seen = read_text(Format::Chat, &sample("json_lines/mixed.jsonl"));
    assert_eq!(seen.bad[0], (3, "not a conversation: missing field `reward`".to_owned()));
}

#[test]
fn a_sink_that_breaks_ends_reading() {
    let seen = read_until(Format::JsonLines, &sample("json_lines/mixed.jsonl"), 2);
    assert_eq!((seen.trajectories.len(), seen.bad.len()), (2, 0));
}
