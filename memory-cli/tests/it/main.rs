//! Runs the built command in temporary folders.

mod command;
mod demo;
mod episodes;
mod errors;
mod import;
mod outage;
mod recall;
mod terminal;
