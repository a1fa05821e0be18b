//! Reading of samples.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use memory_import::{Format, Sink, Speaker, Step, StepKind, Trajectory, detect, read};

/// What a sink was given.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) trajectories: Vec<(u64, Trajectory)>,
    pub(crate) bad: Vec<(u64, String)>,
    pub(crate) skipped: BTreeMap<String, u64>,
    pub(crate) bytes: u64,
    /// Trajectories after which reading is to end.
    limit: Option<usize>,
}

impl Sink for Seen {
    fn trajectory(&mut self, line: u64, trajectory: Trajectory) -> ControlFlow<()> {
        self.trajectories.push((line, trajectory));
        if self.limit == Some(self.trajectories.len()) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn bad(&mut self, line: u64, reason: String) -> ControlFlow<()> {
        self.bad.push((line, reason));
        ControlFlow::Continue(())
    }

    fn skipped(&mut self, kind: &str) {
        *self.skipped.entry(kind.to_owned()).or_default() += 1;
    }

    fn progress(&mut self, bytes: u64) {
        assert!(bytes >= self.bytes, "progress goes back from {} to {bytes}", self.bytes);
        self.bytes = bytes;
    }
}

impl Seen {
    /// Returns the trajectory with a key.
    pub(crate) fn of(&self, key: &str) -> &Trajectory {
        let found = self.trajectories.iter().find(|(_, trajectory)| trajectory.key == key);
        &found.unwrap_or_else(|| panic!("no {key} among {:?}", self.keys())).1
    }

    pub(crate) fn keys(&self) -> Vec<&str> {
        self.trajectories.iter().map(|(_, trajectory)| trajectory.key.as_str()).collect()
    }

    /// Returns the only trajectory.
    pub(crate) fn only(&self) -> &Trajectory {
        assert_eq!(self.trajectories.len(), 1, "{:?} {:?}", self.keys(), self.bad);
        &self.trajectories[0].1
    }

    pub(crate) fn skips(&self) -> Vec<(&str, u64)> {
        self.skipped.iter().map(|(kind, count)| (kind.as_str(), *count)).collect()
    }
}

/// Returns a sample.
pub(crate) fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reads a text, however small the pieces in which it comes.
pub(crate) fn read_text(format: Format, text: &str) -> Seen {
    let mut seen = Seen::default();
    read(format, &mut text.as_bytes(), &mut seen).unwrap();
    let mut again = Seen::default();
    let mut pieces = std::io::BufReader::with_capacity(7, text.as_bytes());
    read(format, &mut pieces, &mut again).unwrap();
    assert_eq!(seen, again, "keys and all else are the same the second time");
    seen
}

/// Reads a sample whose format is told by its content.
pub(crate) fn read_sample(format: Format, name: &str) -> Seen {
    let text = sample(name);
    for start in [text.len(), text.len() / 2] {
        assert_eq!(detect(&text.as_bytes()[..start]), Some(format), "{name} up to {start}");
    }
    let seen = read_text(format, &text);
    assert_eq!(seen.bytes, text.len() as u64);
    seen
}

/// Reads a text until it gave so many trajectories.
pub(crate) fn read_until(format: Format, text: &str, limit: usize) -> Seen {
    let mut seen = Seen { limit: Some(limit), ..Seen::default() };
    read(format, &mut text.as_bytes(), &mut seen).unwrap();
    seen
}

/// Returns steps in short: who said what; the tool, its arguments, and what came back, after `!` where it failed.
pub(crate) fn brief(steps: &[Step]) -> Vec<String> {
    let of = |step: &Step| match &step.kind {
        StepKind::Message { speaker: Speaker::User, text } => format!("user: {text}"),
        StepKind::Message { speaker: Speaker::Agent, text } => format!("agent: {text}"),
        StepKind::Message { speaker: Speaker::Other(name), text } => format!("({name}): {text}"),
        StepKind::Call { tool, arguments, result, .. } => {
            let result = match result {
                None => "?".to_owned(),
                Some(result) if result.failed => format!("! {}", result.text),
                Some(result) => format!("= {}", result.text),
            };
            format!("{tool} {arguments} {result}")
        }
    };
    steps.iter().map(of).collect()
}
