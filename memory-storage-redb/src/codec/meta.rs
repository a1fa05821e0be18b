//! Small values a store keeps about itself: figures, the pull cursor.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::frame::{self, Sort};
use super::{Unreadable, read_payload, write_payload};

const SORT: Sort = Sort { magic: *b"AMme", format: 1, schema: 1 };

/// Encodes a value, bound to the name it is stored under; `None` if it has no binary form.
pub(crate) fn encode_meta(name: &str, value: &impl Serialize) -> Option<Vec<u8>> {
    let mut out = frame::start(SORT, 64);
    write_payload(&mut out, value)?;
    frame::seal(out, name.as_bytes())
}

/// Decodes the value of a name.
pub(crate) fn decode_meta<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, Unreadable> {
    read_payload(frame::open(SORT, name.as_bytes(), bytes)?)
}
