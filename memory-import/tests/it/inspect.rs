//! Inspect AI.

use memory_import::{Evidence, Format, Verdict, detect};

use crate::support::{brief, read_sample, read_text};

const LOG: &str = "inspect/log.json";

#[test]
fn samples_are_tasks_known_by_evaluation_id_and_epoch() {
    let seen = read_sample(Format::Inspect, LOG);
    assert_eq!(
        seen.keys(),
        ["inspect:ev1:s1:1", "inspect:ev1:s1:2", "inspect:ev1:3:1", "inspect:ev1:s4:1", "inspect:ev1:s6:1",]
    );
    assert_eq!(seen.skips(), [("invalidated sample", 1), ("message of role \"judge\"", 1)]);
    assert_eq!(seen.bad, []);
    let first = seen.of("inspect:ev1:s1:1");
    // The input is the task in the author's words; a solver put them into others.
    assert_eq!(first.prompt, "Find the flag.");
    assert_eq!(
        brief(&first.steps),
        [
            "agent: I list files.",
            "bash {\"cmd\":\"ls -la\"} = flag{a}",
            "read {\"path\":\"b\"} ! b is not there",
            "agent: flag{a}",
        ]
    );
    assert_eq!(first.at_ms, Some(1_770_091_560_000));
    assert_eq!(seen.of("inspect:ev1:s1:2").at_ms, Some(1_770_091_506_000));
    assert_eq!(first.attributes["gen_ai.usage.input_tokens"], 105);
    assert_eq!(
        (first.labels.domain.as_deref(), first.labels.agent.as_deref()),
        (Some("capture_flag"), Some("react"))
    );
    assert_eq!(first.labels.tags, ["nightly"]);
}

#[test]
fn examples_in_the_input_are_no_steps() {
    let seen = read_sample(Format::Inspect, LOG);
    let sample = seen.of("inspect:ev1:3:1");
    assert_eq!(
        (sample.prompt.as_str(), brief(&sample.steps)),
        ("Add 2 and 2.", vec!["agent: Nearly 4.".into()])
    );
}

#[test]
fn letters_and_numbers_are_scores() {
    let seen = read_sample(Format::Inspect, LOG);
    let check = |key: &str, verdict, evidence: &[Evidence]| {
        let outcome = &seen.of(key).outcome;
        let stated = outcome.verdict.filter(|_| outcome.confidence == 1.0);
        assert_eq!(stated, verdict, "{key}");
        for fact in evidence {
            assert!(outcome.evidence.contains(fact), "{key}: {:?}", outcome.evidence);
        }
    };
    let score = |name: &str, value| Evidence::Score(name.into(), value);
    check("inspect:ev1:s1:1", Some(Verdict::Success), &[score("includes", 1.0)]);
    let limit = Evidence::ExitStatus("limit: message".into());
    check("inspect:ev1:s1:2", Some(Verdict::Failure), &[score("includes", 0.0), limit]);
    check("inspect:ev1:3:1", Some(Verdict::Partial(0.5)), &[score("match", 0.5)]);
    // Scores of several things that disagree are no verdict; one of another scale is a fact without a meaning
    // here.
    check("inspect:ev1:s6:1", None, &[score("rubric.clear", 1.0), score("rubric.right", 0.0)]);
    let attributes = &seen.of("inspect:ev1:s6:1").attributes;
    assert_eq!(attributes["inspect.score.stars"], 7);
    assert_eq!(attributes.get("inspect.score.unscored"), None);
}

#[test]
fn an_error_halts_a_sample() {
    let seen = read_sample(Format::Inspect, LOG);
    let outcome = &seen.of("inspect:ev1:s4:1").outcome;
    assert_eq!(outcome.verdict, Some(Verdict::Abandoned));
    assert_eq!(outcome.last_error.as_deref(), Some("TimeoutError: no answer"));
    assert_eq!(outcome.evidence, [Evidence::ServiceError("TimeoutError: no answer".into())]);
}

#[test]
fn an_archive_is_refused_with_the_way_to_make_it_json() {
    let mut archive = b"PK\x03\x04".to_vec();
    archive.extend([0; 26]);
    archive.extend(b"_journal/start.json");
    let text = String::from_utf8(archive).unwrap();
    assert_eq!(detect(text.as_bytes()), Some(Format::Inspect));
    let seen = read_text(Format::Inspect, &text);
    assert_eq!(seen.bad.len(), 1);
    assert!(seen.bad[0].1.contains("inspect log dump"), "{:?}", seen.bad);
}

#[test]
fn a_header_is_no_log() {
    let seen = read_text(Format::Inspect, "{\"eval\": {\"task\": \"t\"}, \"status\": \"started\"}");
    assert_eq!(seen.bad, [(1, "not a whole log: missing field `samples`".to_owned())]);
}
