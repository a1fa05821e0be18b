//! The numbers of the model, each with its source.

/// The parameters of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// The cost of an error against the size of the weights: `C` of the L2-regularised L2-loss support vector
    /// machine. The sweep (docs/evaluation.md): 1, 2 and 3 give F1 0.687, 0.695 and 0.702 in cross-validation
    /// on BFCL, 0.822, 0.821 and 0.820 on MetaTool, and 0.711, 0.709 and 0.708 on nine other pairs of files.
    pub cost: f32,
    /// The value of the constant feature; texts have norm 1. liblinear regularises the intercept like any
    /// weight. The sweep: 0.2, 0.5 and 1 give 0.692, 0.702 and 0.698 in cross-validation on BFCL, and 0.699,
    /// 0.708 and 0.698 elsewhere.
    pub bias: f32,
    /// Stored episodes that are optimised again with each new one, so that the cost of an episode is bounded:
    /// as LASVM (Bordes et al., 2005) alternates new and old examples. The sweep: of 3,813 episodes 10 give the
    /// same result as 3.
    pub replays: usize,
    /// The same while there are fewer than [`Params::few`], where each episode is still far from its optimum.
    /// The sweep: 10 and 20 give 0.690 and 0.702 in cross-validation on BFCL.
    pub replays_of_few: usize,
    /// Episodes up to which more are replayed. The sweep: 300, 500 and 1,000 give 0.668, 0.675 and 0.678 with
    /// 500 episodes of MetaTool, and 0.821 each in cross-validation on all of them.
    pub few: usize,
    /// Newest predictions of new episodes on which a mixture is fitted, and the model's own success is
    /// measured. The sweep: older ones are from a model that knew less; 150, 300 and 1,000 give 0.696, 0.696
    /// and 0.689.
    pub window: usize,
    /// Negative tools kept of one prediction: this many of the most probable, and the same number of the others
    /// at random, which represent the rest.
    pub negatives: usize,
    /// The strength of the prior on the weights of the mixture: standard normal, as scikit-learn's `C = 1`.
    pub ridge: f64,
    /// Episodes whose courses are kept for comparison, the newest.
    pub cases: usize,
    /// Nearest episodes that are used. The sweep: 0, 5, 16 and 32 give 0.639, 0.632, 0.666 and 0.656 in
    /// cross-validation on BFCL, and 0.684, 0.681, 0.688 and 0.688 elsewhere.
    pub neighbours: usize,
    /// The multiple of the most similar episodes that is searched for those that were at the task's point. The
    /// sweep: 1, 4 and 8 give 0.701, 0.707 and 0.708 in cross-validation on BFCL.
    pub under_way: usize,
    /// The factor on an episode's weight for each newer similar one, for the predictor that follows change:
    /// exponential forgetting. Another predictor forgets nothing; the mixture decides between them.
    pub fading: f32,
    /// The most of its weight, below 1, that a stored episode loses to a newer one of the same text with other
    /// tools. In the simulation (docs/evaluation.md, 600 tasks, seeds 1 to 6) tasks until the success of 25 is
    /// the oracle's again: without it 25, 25, 51, 96, 71, 149; with 0.2 25, 25, 51, 102, 71, 133; with 0.5 25,
    /// 25, 51, 39, 36, 133; with 1 25, 25, 36, 39, 71, 54.
    pub contradicted: f32,
    /// The most discriminating words by which neighbours are searched.
    pub searched_words: usize,
    /// Episodes that each of these words finds at most, the newest: with the words it bounds the cost of an
    /// episode.
    pub searched_episodes: usize,
    /// Whether each predictor is used, in the order of [`super::Prediction::shares`]; all by default.
    /// Experiments switch one off.
    pub predictors: [bool; 3],
    /// The most tools of a domain; further ones are counted and not learned.
    pub tools: usize,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            cost: 3.0,
            bias: 0.5,
            replays: 3,
            replays_of_few: 20,
            few: 500,
            window: 300,
            negatives: 8,
            ridge: 1.0,
            cases: 4_096,
            neighbours: 16,
            under_way: 4,
            fading: 0.8,
            contradicted: 0.5,
            searched_words: 8,
            searched_episodes: 128,
            predictors: [true; 3],
            tools: 4_096,
        }
    }
}
