//! One module a command.

pub(crate) mod demo;
pub(crate) mod episodes;
pub(crate) mod import;
pub(crate) mod recall;
pub(crate) mod status;
pub(crate) mod sync;
mod view;
