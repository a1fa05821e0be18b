//! State learned from a namespace's episodes, as opaque bytes, in parts.

use memory_core::{Namespace, Result};
use redb::TableError;

use super::room::{CHURN_PER_CHANGE, document_charge};
use super::{RedbCache, STATES, add};
use crate::codec::{decode_part, encode_part};
use crate::keys::{namespace_prefix, prefix_end};

/// How much a part has, in bytes: with key and frame a little less than a power of two of pages.
const PART: usize = 1024 * 1024 - 1024;

/// Returns the common prefix of the keys of all parts: `namespace \0 name \0`.
fn prefix(namespace: &Namespace, name: &str) -> Vec<u8> {
    [namespace_prefix(namespace).as_slice(), name.as_bytes(), &[0]].concat()
}

impl RedbCache {
    pub(super) fn write_state(&self, namespace: &Namespace, name: &str, bytes: Option<&[u8]>) -> Result<()> {
        let too_large = || memory_core::Error::invalid("write state", "state", "it is too large");
        let low = prefix(namespace, name);
        let high = prefix_end(&low);
        let bytes = bytes.unwrap_or_default();
        let count = u32::try_from(bytes.len().div_ceil(PART)).map_err(|_| too_large())?;
        let mut parts = Vec::with_capacity(count as usize);
        for (number, part) in (0..count).zip(bytes.chunks(PART)) {
            let key = [low.as_slice(), &number.to_be_bytes()].concat();
            let bytes = encode_part(&key, count, part).ok_or_else(too_large)?;
            parts.push((key, bytes));
        }
        let charge = |key: &[u8], bytes: &[u8]| document_charge(key.len(), bytes.len() as u64);
        let incoming: u64 = parts.iter().map(|(key, bytes)| charge(key, bytes)).sum();
        let fits = self.has_room(incoming, "what was learned");
        self.write("write state", incoming, |change| {
            let mut states = change.transaction.open_table(STATES)?;
            let mut gone = 0;
            for row in states.extract_from_if(low.as_slice()..high.as_slice(), |_, _| true)? {
                let (key, bytes) = row?;
                gone += charge(key.value(), bytes.value());
            }
            change.charge = change.charge.saturating_sub(gone);
            change.churn += gone;
            if fits {
                for (key, bytes) in &parts {
                    states.insert(key.as_slice(), bytes.as_slice())?;
                }
                change.charge += incoming;
                change.churn += incoming + CHURN_PER_CHANGE;
            }
            Ok(())
        })
    }

    pub(super) fn read_state(&self, namespace: &Namespace, name: &str) -> Result<Option<Vec<u8>>> {
        self.read(
            "read state",
            || None,
            |transaction| {
                let states = match transaction.open_table(STATES) {
                    Err(TableError::TableDoesNotExist(_)) => return Ok(None),
                    states => states?,
                };
                let low = prefix(namespace, name);
                let high = prefix_end(&low);
                let (mut bytes, mut number, mut count) = (Vec::new(), 0_u32, None);
                for row in states.range(low.as_slice()..high.as_slice())? {
                    let (key, part) = row?;
                    let own = key.value() == [low.as_slice(), &number.to_be_bytes()].concat();
                    let part = decode_part(key.value(), part.value()).ok().filter(|_| own);
                    let part = part.filter(|(parts, _)| count.is_none_or(|count| count == *parts));
                    let Some((parts, part)) = part else {
                        add(&self.counts.corrupt, 1);
                        return Ok(None);
                    };
                    if number == 0 {
                        bytes.reserve_exact(parts as usize * PART.min(part.len()));
                    }
                    bytes.extend_from_slice(part);
                    (number, count) = (number + 1, Some(parts));
                }
                Ok((count == Some(number)).then_some(bytes))
            },
        )
    }
}
