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
    /// Stored episodes that are optimised again with each new one, so that the cost of an episode is constant. 5: as
    /// LASVM (Bordes et al., 2005) alternates new and old examples; the same sweep shows that more gain nothing.
    pub replays: usize,
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
        Self { cost: 1.0, bias: 0.2, replays: 3, window: 1_000, negatives: 16, ridge: 1.0, tools: 4_096 }
    }
}
