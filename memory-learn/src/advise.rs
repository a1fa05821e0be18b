//! Predicts the tools that a task needs: predictors that learn from each episode, mixed and calibrated by their
//! own past success.
//!
//! Two predictors come from one sparse linear model of the domain (`linear`): its margin for the whole task,
//! and its best margin for a single clause, because a task may ask for several things. The third is the
//! frequency of a tool after the one that worked last, or its overall frequency if none did. A logistic
//! regression over these (`mixture`, stacking after Wolpert, "Stacked Generalization", 1992) gives a
//! probability. This is the prior for what the nearest episodes did from the task's current point on (`cases`).
//! There is a mixture for the start of a task, one for a task under way, and one for after a failure. Each is
//! fitted on predictions that the memory made for episodes before the model learned from them. The number of
//! advised tools maximises the expected F1 measure ([`by_expected_f1`]). Rules for people are derived from the
//! same model ([`Model::rules`]).

mod cases;
mod choice;
mod example;
mod linear;
mod mixture;
mod model;
mod order;
mod packed;
mod params;
mod rows;
mod rules;
mod stored;

pub use choice::by_expected_f1;
pub use example::{Example, Query};
pub use model::{Advice, DeadEnd, Model, Prediction, Skill};
pub use params::Params;
pub use rules::{Condition, Rule};
pub use stored::Damaged;
