//! Reading episodes from JSON Lines.

mod chat;
mod identity;
mod line;
mod lines;
mod run;
mod tasks;

pub(crate) use line::Defaults;
pub(crate) use run::{BadPlace, Import, Sink, Tally};
