//! Recording what other tools wrote down: their transcripts become episodes.

mod convert;
mod history;
mod run;

pub(crate) use convert::{Defaults, Found, cut, normalized, outcome, parse, recording};
pub(crate) use history::{claude_root, codex_root, histories};
pub(crate) use run::{BadPlace, Import, Sink, Tally};
