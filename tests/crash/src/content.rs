//! What the writer writes: everything follows from a nonce, so that the checker knows what must be there.

use std::path::Path;

use agent_memory::{Action, Builder, Kind, Memory};

/// Steps an episode of the writer has before it is completed.
pub(crate) const STEPS: u32 = 10;

/// Days that episodes are kept. Clocks of writers are off by more, and nothing is deleted because of it.
const KEPT_DAYS: u32 = 30;

/// By how many days the clock of a writer may be ahead.
pub(crate) const CLOCKS: [i64; 5] = [0, 40, -40, 400, -400];

/// Returns the settings that writers and the checker share.
pub(crate) fn builder(folder: impl AsRef<Path>) -> Builder {
    Memory::builder().path(folder.as_ref()).retention_days(Kind::Episode, KEPT_DAYS)
}

/// Describes the task of the episode with this nonce.
pub(crate) fn description(nonce: u64) -> String {
    format!("crash task {nonce:016x}")
}

/// Returns what step `number` of the episode observes: 64 to about 1,500 characters, or the error.
pub(crate) fn observation(nonce: u64, number: u32) -> String {
    if number == FAILING {
        return ERROR.to_owned();
    }
    let mut state = nonce ^ (u64::from(number) << 48);
    let words = 4 + mix(&mut state) % 90;
    (0..words).map(|_| format!("{:016x}", mix(&mut state))).collect()
}

/// The step of each episode that fails, and its error, which the episode gets over.
const FAILING: u32 = 2;
const ERROR: &str = "the folder is locked by another run";

/// Returns what is done in step `number`: there is something to learn in each episode.
pub(crate) fn action(nonce: u64, number: u32) -> Action {
    let tool = ["open", "build", "unlock", "build"].get(number as usize - 1).unwrap_or(&"work");
    let (action, observed) = (Action::tool(*tool), observation(nonce, number));
    if number == FAILING { action.error(observed) } else { action.observation(observed) }
}

/// Returns how the episode ends.
pub(crate) fn outcome(nonce: u64) -> String {
    format!("ended {nonce:016x}")
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
pub(crate) fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
