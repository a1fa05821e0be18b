//! What the fleet was told, and hence what must hold once it is quiet.

use std::collections::BTreeMap;

use memory_core::EpisodeId;

/// A write as its caller knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Known {
    /// It failed in a way that does not say whether it is stored, or its process was killed meanwhile.
    Unknown,
    /// It was acknowledged.
    Acknowledged,
}

/// What is known of an episode.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) id: EpisodeId,
    /// A word that no other episode has.
    pub(crate) word: String,
    /// The texts of its steps.
    pub(crate) steps: BTreeMap<String, Known>,
    /// The texts of its outcomes: several if it was completed by machines that knew nothing of each other.
    pub(crate) outcomes: BTreeMap<String, Known>,
    pub(crate) forgotten: Option<Known>,
    /// The server lost what nobody need have any more: nothing is promised.
    pub(crate) excused: bool,
}

/// All that is known.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    facts: BTreeMap<usize, Fact>,
    /// Time that has passed since the last backup, in milliseconds.
    elapsed_ms: u64,
}

/// How long an outbox keeps what the server acknowledged, in milliseconds; the default of the engine.
const TAIL_MS: u64 = 600_000;

impl Ledger {
    pub(crate) fn started(&mut self, episode: usize, id: EpisodeId, word: String) {
        let (steps, outcomes) = (BTreeMap::new(), BTreeMap::new());
        let fact = Fact { id, word, steps, outcomes, forgotten: None, excused: false };
        self.facts.insert(episode, fact);
    }

    /// Returns an episode to change; `None` if it was never started.
    pub(crate) fn change(&mut self, episode: usize) -> Option<&mut Fact> {
        self.facts.get_mut(&episode)
    }

    pub(crate) fn get(&self, episode: usize) -> Option<&Fact> {
        self.facts.get(&episode)
    }

    pub(crate) fn facts(&self) -> impl Iterator<Item = (usize, &Fact)> {
        self.facts.iter().map(|(episode, fact)| (*episode, fact))
    }

    pub(crate) fn time_passed(&mut self, ms: u64) {
        self.elapsed_ms = self.elapsed_ms.saturating_add(ms);
    }

    pub(crate) fn backed_up(&mut self) {
        self.elapsed_ms = 0;
    }

    /// Notes that the server lost what was committed since the backup. Outboxes bring it again, unless it is older than
    /// what they keep.
    pub(crate) fn restored(&mut self) {
        if self.elapsed_ms < TAIL_MS {
            return;
        }
        // What was acknowledged before the backup may have reached the server behind it.
        self.facts.values_mut().for_each(|fact| fact.excused = true);
    }
}

impl Fact {
    pub(crate) fn note_step(&mut self, text: String, known: Known) {
        self.steps.insert(text, known);
    }

    pub(crate) fn note_outcome(&mut self, text: String, known: Known) {
        self.outcomes.insert(text, known);
    }

    /// Returns true if it must be there.
    pub(crate) fn is_kept(&self) -> bool {
        self.forgotten.is_none() && !self.excused
    }

    /// Returns true if it must be gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.forgotten == Some(Known::Acknowledged) && !self.excused
    }

    /// Returns true if an outcome was acknowledged.
    pub(crate) fn is_completed(&self) -> bool {
        self.outcomes.values().any(|known| *known == Known::Acknowledged)
    }
}
