//! The numbers of the model, each with its source.

/// What the model can be tuned by.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// The cost of an error against the size of the weights: `C` of the L2-regularised L2-loss support vector machine.
    /// 1, the default of liblinear (Fan et al., 2008).
    pub cost: f32,
    /// The value of the constant feature, beside texts of norm 1. 0.2: liblinear regularises the intercept like any
    /// weight; `cargo run -p memory-learn --example sweep` compares values.
    pub bias: f32,
    /// Stored episodes that are optimised again with each new one, so that the cost of an episode is bounded: as LASVM
    /// (Bordes et al., 2005) alternates new and old examples. The same sweep: of 3,813 episodes 10 give what 3 do.
    pub replays: usize,
    /// The same while there are fewer than [`Params::few`], where each episode is still far from its optimum: with 3
    /// instead of 10, F1 over 500 retail tasks, each predicted before it is learned from, is 0.95 instead of 0.99.
    pub replays_of_few: usize,
    /// Episodes up to which more are replayed.
    pub few: usize,
    /// Predictions that the mixture is fitted on, the newest.
    pub window: usize,
    /// Negative tools kept of one prediction: so many of the most probable, and as many of the others at random, which
    /// stand for the rest.
    pub negatives: usize,
    /// The strength of the prior on the weights of the mixture: standard normal, as scikit-learn's `C = 1`.
    pub ridge: f64,
    /// The most tools of a domain; further ones are counted and not learned.
    pub tools: usize,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            cost: 1.0,
            bias: 0.2,
            replays: 3,
            replays_of_few: 10,
            few: 1_000,
            window: 1_000,
            negatives: 16,
            ridge: 1.0,
            tools: 4_096,
        }
    }
}
