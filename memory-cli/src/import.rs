//! Reading episodes from JSON Lines.

mod chat;
mod format;
mod identity;
mod line;
mod lines;
mod run;
mod tasks;

#[cfg(feature = "eval")]
pub(crate) use format::parse;
pub(crate) use line::Defaults;
pub(crate) use run::{BadPlace, Import, Sink, Tally};
