//! Words, clauses, and the features that linear models are trained on.

mod clauses;
mod features;
pub mod invisible;
mod words;

pub use clauses::clauses;
pub use features::{BUCKETS, Feature, PRECISION, features, label, vocabulary, word};
pub use words::words;
