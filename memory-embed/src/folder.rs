//! The files of a model.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use memory_core::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;

const OPERATION: &str = "load an embedding model";
/// The largest table of weights; the models this is for have 10 to 500 MB.
pub(crate) const MAX_WEIGHTS_BYTES: u64 = 4 << 30;
/// The largest tokenizer; those of large vocabularies have 20 MB.
pub(crate) const MAX_TOKENIZER_BYTES: u64 = 128 << 20;
/// The largest configuration file.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// A folder with a model; remembers checksums of what was read, for the model's identity.
pub(crate) struct Folder {
    path: PathBuf,
    checksum: u32,
    weights_checksum: u32,
}

impl Folder {
    /// Opens a folder, which must exist.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Err(Error::invalid(OPERATION, "folder", format!("{} is no folder", path.display())));
        }
        Ok(Self { path: path.to_owned(), checksum: 0, weights_checksum: 0 })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path.join(name).exists()
    }

    /// Returns an error about one of the files.
    pub(crate) fn error(&self, kind: ErrorKind, name: &str, problem: impl std::fmt::Display) -> Error {
        Error::new(kind, OPERATION, format!("{}: {problem}", self.path.join(name).display()))
    }

    /// Returns an [`ErrorKind::Corrupt`] error about one of the files.
    pub(crate) fn corrupt(&self, name: &str, problem: impl std::fmt::Display) -> Error {
        self.error(ErrorKind::Corrupt, name, problem)
            .with_hint("fetch the model anew, and check that the download was complete")
    }

    /// Reads a file of at most `limit` bytes.
    pub(crate) fn read(&mut self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let bytes = self.read_quietly(name, limit)?;
        self.checksum = crc32c::crc32c_append(self.checksum, &bytes);
        Ok(bytes)
    }

    /// Reads the weights, which have a checksum of their own in the identity.
    pub(crate) fn read_weights(&mut self, name: &str) -> Result<Vec<u8>> {
        let bytes = self.read_quietly(name, MAX_WEIGHTS_BYTES)?;
        self.weights_checksum = crc32c::crc32c_append(self.weights_checksum, &bytes);
        Ok(bytes)
    }

    fn read_quietly(&self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let path = self.path.join(name);
        let io = |error: std::io::Error| {
            let (kind, problem) = match error.kind() {
                std::io::ErrorKind::NotFound => (ErrorKind::InvalidInput, "the model has no such file"),
                _ => (ErrorKind::Io, "cannot read the file"),
            };
            self.error(kind, name, problem).with_source(error)
        };
        let file = File::open(&path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        let mut bytes = Vec::new();
        // What the metadata say is not relied on: a device has length 0 and no end.
        file.take(limit + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > limit {
            let problem = format!("it has {} bytes, the limit is {limit}", size.max(bytes.len() as u64));
            return Err(self.error(ErrorKind::InvalidInput, name, problem));
        }
        Ok(bytes)
    }

    /// Reads a JSON file.
    pub(crate) fn json<T: DeserializeOwned>(&mut self, name: &str) -> Result<T> {
        let bytes = self.read(name, MAX_CONFIG_BYTES)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| self.corrupt(name, "it is not the JSON expected").with_source(error))
    }

    /// Reads a JSON file that a model may do without.
    #[cfg(feature = "sentence-transformer")]
    pub(crate) fn optional_json<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>> {
        if self.has(name) { self.json(name).map(Some) } else { Ok(None) }
    }

    /// Returns the only file of a folder below this one whose name ends so, as a name for `read`.
    #[cfg(feature = "static-embedding")]
    pub(crate) fn only(&self, below: &str, ending: &str) -> Result<String> {
        let io = |error| self.error(ErrorKind::Io, below, "cannot list the folder").with_source(error);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.path.join(below)).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            found.extend(name.to_str().filter(|name| name.ends_with(ending)).map(str::to_owned));
        }
        found.sort();
        match &found[..] {
            [only] => Ok(format!("{below}/{only}")),
            [] => Err(self.error(ErrorKind::InvalidInput, below, format!("it holds no file *{ending}"))),
            several => {
                let problem = format!("it holds several files *{ending}: {}", several.join(", "));
                Err(self
                    .error(ErrorKind::InvalidInput, below, problem)
                    .with_hint("leave one of them in the folder"))
            }
        }
    }

    /// Returns the identity of the model that was read from here: it changes with any of its files.
    pub(crate) fn identity(&self, provider: &str, dimensions: usize) -> String {
        format!("{provider}:{dimensions}:{:08x}{:08x}", self.weights_checksum, self.checksum)
    }
}
