//! Reading episodes from JSON Lines.

mod chat;
mod identity;
mod line;
mod lines;
mod run;
mod tasks;

pub(crate) use line::{BadLine, Defaults, parse};
pub(crate) use lines::{Line, Lines};
pub(crate) use run::{BadPlace, Import, MAX_LINE_BYTES, Sink, Tally};
