//! Finding what helps with a task.

pub(crate) mod document;
