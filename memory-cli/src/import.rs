//! Recording what other tools wrote down: their transcripts become episodes.

mod convert;
mod history;
mod run;

pub(crate) use convert::{Defaults, Found, cut, normalized, outcome, parse, recording};
pub(crate) use history::histories;
pub(crate) use run::{BadPlace, Import, Sink, Tally};
