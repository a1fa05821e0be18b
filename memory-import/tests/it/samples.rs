//! Reading samples and looking at what is in them.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use memory_import::{Evidence, Format, Sink, Speaker, Step, StepKind, Trajectory, Verdict, detect, read};

/// All that a sample gives.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) trajectories: Vec<Trajectory>,
    pub(crate) lines: Vec<u64>,
    pub(crate) bad: Vec<(u64, String)>,
    pub(crate) skipped: BTreeMap<String, usize>,
    pub(crate) bytes: u64,
    /// The number of trajectories or bad lines after which to break.
    limit: Option<usize>,
}

impl Found {
    fn flow(&self) -> ControlFlow<()> {
        let taken = self.trajectories.len() + self.bad.len();
        if self.limit.is_some_and(|limit| taken >= limit) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    pub(crate) fn keys(&self) -> Vec<&str> {
        self.trajectories.iter().map(|trajectory| trajectory.key.as_str()).collect()
    }

    /// Returns the trajectory of a prompt.
    pub(crate) fn asked(&self, prompt: &str) -> &Trajectory {
        let of_prompt = |trajectory: &&Trajectory| trajectory.prompt == prompt;
        self.trajectories
            .iter()
            .find(of_prompt)
            .unwrap_or_else(|| panic!("no prompt {prompt:?}: {:?}", self.prompts()))
    }

    pub(crate) fn prompts(&self) -> Vec<&str> {
        self.trajectories.iter().map(|trajectory| trajectory.prompt.as_str()).collect()
    }
}

impl Sink for Found {
    fn trajectory(&mut self, line: u64, trajectory: Trajectory) -> ControlFlow<()> {
        self.trajectories.push(trajectory);
        self.lines.push(line);
        self.flow()
    }

    fn bad(&mut self, line: u64, reason: String) -> ControlFlow<()> {
        self.bad.push((line, reason));
        self.flow()
    }

    fn skipped(&mut self, kind: &str) {
        *self.skipped.entry(kind.to_owned()).or_default() += 1;
    }

    fn progress(&mut self, bytes: u64) {
        self.bytes = bytes;
    }
}

pub(crate) fn bytes_of(sample: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(sample)).unwrap()
}

/// Reads a sample, whose format has to be recognised.
pub(crate) fn read_sample(sample: &str) -> Found {
    let bytes = bytes_of(sample);
    let expected = if sample.starts_with("codex") { Format::Codex } else { Format::ClaudeCode };
    assert_eq!(detect(&bytes), Some(expected), "{sample}");
    read_bytes(expected, &bytes, None)
}

pub(crate) fn read_bytes(format: Format, bytes: &[u8], limit: Option<usize>) -> Found {
    let mut found = Found { limit, ..Found::default() };
    read(format, &mut &bytes[..], &mut found).unwrap();
    found
}

/// Checks that each beginning of a sample gives a beginning of what the whole sample gives.
pub(crate) fn check_growth(sample: &str, format: Format) {
    let bytes = bytes_of(sample);
    let whole = read_bytes(format, &bytes, None);
    let mut counts = Vec::new();
    for end in 0..=bytes.len() {
        // Whole lines, and some that are torn.
        if end % 97 != 0 && end != bytes.len() && bytes[end.saturating_sub(1)] != b'\n' {
            continue;
        }
        let part = read_bytes(format, &bytes[..end], None);
        assert!(whole.keys().starts_with(&part.keys()), "{sample} cut at {end}: {:?}", part.keys());
        for (early, late) in part.trajectories.iter().zip(&whole.trajectories) {
            assert_eq!((&early.prompt, early.at_ms), (&late.prompt, late.at_ms));
        }
        counts.push(part.trajectories.len());
    }
    assert_eq!((counts.first(), counts.last()), (Some(&0), Some(&whole.trajectories.len())), "{sample}");
    assert!(counts.is_sorted(), "{sample}: {counts:?}");
}

/// Returns the steps in short: who said what, and calls with their results; `!` marks a failure.
pub(crate) fn outline(trajectory: &Trajectory) -> Vec<String> {
    trajectory.steps.iter().map(in_short).collect()
}

fn in_short(step: &Step) -> String {
    match &step.kind {
        StepKind::Message { speaker: Speaker::User, text } => format!("user: {text}"),
        StepKind::Message { speaker: Speaker::Agent, text } => format!("agent: {text}"),
        StepKind::Message { speaker: Speaker::Other(name), text } => format!("{name}: {text}"),
        StepKind::Call { tool, result: None, .. } => format!("{tool} ?"),
        StepKind::Call { tool, result: Some(result), .. } => {
            format!("{tool} {} {}", if result.failed { "!" } else { "->" }, result.text)
        }
    }
}

pub(crate) fn verdict(trajectory: &Trajectory) -> (Option<Verdict>, &[Evidence]) {
    (trajectory.outcome.verdict, &trajectory.outcome.evidence)
}
