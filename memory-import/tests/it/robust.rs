//! Inputs that are broken, or of another format.

use memory_import::Format;

use crate::support::{read_text, sample};

const SAMPLES: [(Format, &str); 10] = [
    (Format::JsonLines, "json_lines/mixed.jsonl"),
    (Format::Atif, "atif/subagents.json"),
    (Format::Atif, "atif/lines.jsonl"),
    (Format::Otlp, "otlp/trace.jsonl"),
    (Format::Otlp, "otlp/old.json"),
    (Format::SweAgent, "swe_agent/run.traj"),
    (Format::SweAgent, "swe_agent/attempts.traj"),
    (Format::Inspect, "inspect/log.json"),
    (Format::OpenHands, "openhands/output.jsonl"),
    (Format::OpenHands, "openhands/conversation.json"),
];

#[test]
fn what_is_cut_off_is_bad_and_what_is_before_it_is_read() {
    for (format, name) in SAMPLES {
        let text = sample(name);
        let whole = read_text(format, &text);
        for cut in (1..text.len()).step_by(199) {
            let seen = read_text(format, &text[..cut]);
            let told = !seen.bad.is_empty() || !seen.trajectories.is_empty() || !seen.skipped.is_empty();
            assert!(told, "{name} up to {cut} is neither read nor bad");
            if name.ends_with(".jsonl") && format != Format::Otlp {
                let (found, expected) = (seen.keys().len(), whole.keys());
                assert_eq!(seen.keys(), expected[..found], "{name} up to {cut}");
            }
        }
    }
}

#[test]
fn what_is_of_another_format_is_no_task() {
    for (format, name) in SAMPLES {
        for (other, _) in SAMPLES.iter().filter(|(other, _)| *other != format) {
            let seen = read_text(*other, &sample(name));
            assert_eq!(seen.keys(), Vec::<&str>::new(), "{name} as {other:?}");
            assert!(!seen.bad.is_empty() || !seen.skipped.is_empty(), "{name} as {other:?}");
        }
    }
}

#[test]
fn values_of_the_wrong_type_are_borne() {
    // Each kind of value in the place of another, all over a sample.
    let swaps =
        [("\": \"", "\": 7, \"x\": \""), ("\": {", "\": null, \"x\": {"), ("\": [", "\": \"\", \"x\": [")];
    for (format, name) in SAMPLES {
        let text = sample(name);
        for (from, to) in swaps {
            let places: Vec<usize> = text.match_indices(from).map(|(at, _)| at).collect();
            for at in places.into_iter().step_by(3) {
                let swapped = format!("{}{to}{}", &text[..at], &text[at + from.len()..]);
                let seen = read_text(format, &swapped);
                assert!(seen.keys().iter().all(|key| !key.is_empty() && key.len() <= 1_000));
            }
        }
    }
}
