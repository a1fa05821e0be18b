//! What was acknowledged, and what became of it.

use std::collections::BTreeMap;
use std::fmt;

use agent_memory::EpisodeId;

/// What a writer acknowledged of one episode.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub(crate) nonce: u64,
    pub(crate) steps: Vec<u32>,
    pub(crate) completed: bool,
    pub(crate) forgetting: Forgetting,
}

/// Whether an episode was forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Forgetting {
    /// Nobody asked for it.
    #[default]
    No,
    /// It was asked for, and may or may not have happened.
    Asked,
    /// It was acknowledged, or seen to have happened.
    Done,
}

/// The acknowledgements of one round.
pub(crate) type Round = BTreeMap<EpisodeId, Acknowledged>;

/// Counts over all rounds.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rounds: u64,
    pub(crate) acknowledged: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) corrupted: u64,
    /// Forgotten, and there again.
    pub(crate) returned: u64,
}

impl Tally {
    pub(crate) fn is_clean(&self) -> bool {
        (self.lost, self.duplicated, self.corrupted, self.returned) == (0, 0, 0, 0)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, acknowledged, lost, duplicated, corrupted, returned } = self;
        write!(
            f,
            "rounds {rounds} acknowledged {acknowledged} lost {lost} duplicated {duplicated} corrupted {corrupted} \
             returned {returned}"
        )
    }
}

/// Reads a line that the writer printed; `None` for one that the kill cut off.
pub(crate) fn read_line(round: &mut Round, line: &str) -> Option<()> {
    let mut words = line.strip_suffix(" .")?.split(' ');
    let what = words.next()?;
    let id: EpisodeId = words.next()?.parse().ok()?;
    let number = words.next()?.parse::<u64>().ok()?;
    match what {
        "started" => round.entry(id).or_default().nonce = number,
        "step" => round.get_mut(&id)?.steps.push(u32::try_from(number).ok()?),
        "completed" => round.get_mut(&id)?.completed = true,
        "forgetting" => round.get_mut(&id)?.forgetting = Forgetting::Asked,
        "forgotten" => round.get_mut(&id)?.forgetting = Forgetting::Done,
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_cut_off_by_the_kill_are_passed_over() {
        let id = "0190a0a0-0000-7000-8000-000000000001";
        let mut round = Round::new();
        let lines = [
            (format!("started {id} 7 ."), true),
            (format!("step {id} 1 ."), true),
            (format!("forgetting {id} 0 ."), true),
            (format!("forgotten {id} 0"), false),
            (format!("step {id} 12"), false),
            (format!("step {id} 1"), false),
            ("step".into(), false),
            (String::new(), false),
        ];
        for (line, whole) in lines {
            assert_eq!(read_line(&mut round, &line).is_some(), whole, "{line:?}");
        }
        let got = round.into_values().next().unwrap();
        assert_eq!(
            got,
            Acknowledged { nonce: 7, steps: vec![1], completed: false, forgetting: Forgetting::Asked }
        );
    }
}
