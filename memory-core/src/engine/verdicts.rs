//! The fate of rows that callers wait for.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Mutex;

use crate::id::lock;
use crate::store::record::Seq;

/// The rows that the durable tier refused, with the reasons, as long as a possible caller waits.
#[derive(Default)]
pub(super) struct Verdicts {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many were refused before those that are kept.
    before: u64,
    refused: VecDeque<(Seq, String)>,
    /// The first refusal that each follower sees, and the number of followers.
    followers: BTreeMap<u64, usize>,
}

/// Keeps the refusals from now on.
pub(super) struct Following<'a> {
    verdicts: &'a Verdicts,
    from: u64,
}

impl Verdicts {
    /// Follows refusals from now on.
    pub(super) fn follow(&self) -> Following<'_> {
        let mut state = lock(&self.state);
        let from = state.before + state.refused.len() as u64;
        *state.followers.entry(from).or_insert(0) += 1;
        Following { verdicts: self, from }
    }

    /// Notes that a row was refused.
    pub(super) fn refuse(&self, seq: Seq, reason: &str) {
        let mut state = lock(&self.state);
        state.refused.push_back((seq, reason.to_owned()));
        state.trim();
    }
}

impl State {
    fn trim(&mut self) {
        let needed = self.followers.first_key_value().map_or(u64::MAX, |(from, _)| *from);
        while self.before < needed && self.refused.pop_front().is_some() {
            self.before += 1;
        }
    }
}

impl Following<'_> {
    /// Returns why one of these rows was refused, if one was.
    pub(super) fn refusal(&self, rows: RangeInclusive<Seq>) -> Option<String> {
        let state = lock(&self.verdicts.state);
        let kept = usize::try_from(self.from - state.before).unwrap_or(usize::MAX);
        let mut refused = state.refused.iter().skip(kept);
        refused.find(|(seq, _)| rows.contains(seq)).map(|(_, reason)| reason.clone())
    }
}

impl Drop for Following<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.verdicts.state);
        if let Some(followers) = state.followers.get_mut(&self.from) {
            *followers -= 1;
            if *followers == 0 {
                state.followers.remove(&self.from);
            }
        }
        state.trim();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_kept_as_long_as_somebody_follows() {
        let verdicts = Verdicts::default();
        verdicts.refuse(1, "nobody waits");
        let early = verdicts.follow();
        (2..5_000).for_each(|seq| verdicts.refuse(seq, "first"));
        let late = verdicts.follow();
        verdicts.refuse(5_000, "last");
        assert_eq!(early.refusal(1..=1), None);
        assert_eq!(early.refusal(2..=2).as_deref(), Some("first"));
        assert_eq!((late.refusal(2..=4_999), late.refusal(1..=9_999).as_deref()), (None, Some("last")));
        drop(early);
        assert_eq!(lock(&verdicts.state).refused.len(), 1);
        drop(late);
        assert!(lock(&verdicts.state).refused.is_empty() && lock(&verdicts.state).followers.is_empty());
    }
}
