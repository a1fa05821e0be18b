//! How a task fails.

/// Why a task ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// The task failed; the message says at what and what to do.
    Task(String),
    /// A program that does the whole task failed, and its exit code is passed on.
    Tool { message: String, code: u8 },
}
