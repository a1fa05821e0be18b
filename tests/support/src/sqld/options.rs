//! What a test server is started with.

use std::path::PathBuf;

use crate::jwt::JwtKeys;

/// Settings of a test server; the default is a fresh folder, no authentication, and sqld's own relaxed durability.
#[derive(Clone, Debug, Default)]
pub struct SqldOptions {
    pub(super) data_dir: Option<PathBuf>,
    pub(super) keys: Option<JwtKeys>,
    pub(super) strong_durability: bool,
    pub(super) arguments: Vec<String>,
}

impl SqldOptions {
    /// Returns the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts only tokens that `keys` signed. Default: any client.
    #[must_use]
    pub fn jwt(mut self, keys: &JwtKeys) -> Self {
        self.keys = Some(keys.clone());
        self
    }

    /// Fsyncs each commit before acknowledging it. Default: sqld's relaxed mode.
    #[must_use]
    pub fn strong_durability(mut self) -> Self {
        self.strong_durability = true;
        self
    }

    /// Keeps the data in `dir`, which is created when missing and never deleted. Default: a temporary folder that goes
    /// with the server.
    #[must_use]
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(dir.into());
        self
    }

    /// Adds a command-line argument of sqld, for example `--max-concurrent-connections=4`.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }
}
