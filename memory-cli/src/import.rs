//! Reading episodes from JSON Lines.

mod chat;
mod identity;
mod line;
mod lines;
mod run;
mod tasks;

pub(crate) use line::Defaults;
#[cfg(feature = "eval")]
pub(crate) use line::parse;
pub(crate) use run::{BadPlace, Import, Sink, Tally};
