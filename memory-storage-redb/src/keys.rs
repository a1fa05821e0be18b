//! The bytes that records are stored under: `namespace \0 kind \0 id`.
//!
//! Names and ids hold no zero byte, so byte order is the order of namespaces, kinds' names and ids.

use memory_core::{Error, Key, Kind, Namespace, Result, Revision};

/// The longest id, in bytes.
const ID_LIMIT: usize = 200;

/// Encodes a key.
///
/// # Errors
/// [`memory_core::ErrorKind::InvalidInput`] for an id that is not 1 to 200 bytes without a zero byte.
pub(crate) fn key_bytes(key: &Key) -> Result<Vec<u8>> {
    if key.id.is_empty() || key.id.len() > ID_LIMIT || key.id.contains('\0') {
        let problem = format!("{:?} is not 1 to {ID_LIMIT} bytes of printable ASCII", key.id);
        return Err(Error::invalid("store record", "id", problem));
    }
    let mut bytes = kind_prefix(&key.namespace, key.kind);
    bytes.extend_from_slice(key.id.as_bytes());
    Ok(bytes)
}

/// Decodes a key of a namespace; `None` if the bytes are none.
pub(crate) fn key_within(namespace: &Namespace, bytes: &[u8]) -> Option<Key> {
    let behind = bytes.strip_prefix(namespace.as_str().as_bytes())?.strip_prefix(&[0])?;
    let (kind, id) = std::str::from_utf8(behind).ok()?.split_once('\0')?;
    Some(Key::new(namespace, kind.parse::<Kind>().ok()?, id))
}

/// Returns the common prefix of all keys of one namespace.
pub(crate) fn namespace_prefix(namespace: &Namespace) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(namespace.as_str().len() + 1 + 16 + ID_LIMIT / 2);
    bytes.extend_from_slice(namespace.as_str().as_bytes());
    bytes.push(0);
    bytes
}

/// Returns the common prefix of all keys of one namespace and kind.
pub(crate) fn kind_prefix(namespace: &Namespace, kind: Kind) -> Vec<u8> {
    let mut bytes = namespace_prefix(namespace);
    bytes.extend_from_slice(kind.name().as_bytes());
    bytes.push(0);
    bytes
}

/// Returns the first byte string after all that start with `prefix`, which contains a byte below `0xff`.
pub(crate) fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

/// Bytes after the key in a version key: a zero byte, clock, writer and sequence number.
const VERSION_SUFFIX: usize = 25;

/// Encodes one waiting version of a key, so that byte order is the order of revisions within the key.
pub(crate) fn version_key(key: &[u8], revision: Revision, seq: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.len() + VERSION_SUFFIX);
    bytes.extend_from_slice(key);
    bytes.push(0);
    bytes.extend_from_slice(&revision.clock.to_be_bytes());
    bytes.extend_from_slice(&revision.writer.get().to_be_bytes());
    bytes.extend_from_slice(&seq.to_be_bytes());
    bytes
}

/// Splits a version key into the key and the sequence number.
pub(crate) fn parse_version_key(bytes: &[u8]) -> Option<(&[u8], u64)> {
    let (key, suffix) = bytes.split_at_checked(bytes.len().checked_sub(VERSION_SUFFIX)?)?;
    let seq = suffix.get(VERSION_SUFFIX - 8..)?.try_into().ok().map(u64::from_be_bytes)?;
    Some((key, seq))
}

#[cfg(test)]
mod tests {
    use super::*;
    use memory_core::WriterId;

    fn key(namespace: &str, kind: Kind, id: &str) -> Key {
        Key::new(&Namespace::new(namespace).unwrap(), kind, id)
    }

    #[test]
    fn keys_round_trip_in_order() {
        let keys = [
            key("a", Kind::Episode, "1"),
            key("a", Kind::Episode, "10"),
            key("a", Kind::Episode, "2"),
            key("a", Kind::Step, "1"),
            key("a-b", Kind::Artifact, "1"),
            key("b", Kind::Artifact, "~"),
        ];
        let encoded: Vec<_> = keys.iter().map(|key| key_bytes(key).unwrap()).collect();
        assert!(encoded.is_sorted());
        for (key, bytes) in keys.iter().zip(&encoded) {
            assert_eq!(key_within(&key.namespace, bytes).as_ref(), Some(key));
            assert!(key_within(&Namespace::new("a-").unwrap(), bytes).is_none());
        }
        assert!(key_within(&Namespace::new("a").unwrap(), b"a\0nothing\0x").is_none());
        assert!(key_bytes(&key("a", Kind::Step, "")).is_err());
        assert!(key_bytes(&key("a", Kind::Step, "x\0y")).is_err());
    }

    #[test]
    fn versions_of_a_key_sort_by_revision_and_apart_from_longer_ids() {
        let revision = |clock| Revision { clock, writer: WriterId::new(7) };
        let short = key_bytes(&key("a", Kind::Step, "1")).unwrap();
        let long = key_bytes(&key("a", Kind::Step, "10")).unwrap();
        let versions = [
            version_key(&short, revision(1), 9),
            version_key(&short, revision(u64::MAX), 3),
            version_key(&long, revision(0), 1),
        ];
        assert!(versions.is_sorted());
        assert_eq!(parse_version_key(&versions[1]), Some((short.as_slice(), 3)));
    }

    #[test]
    fn prefix_end_is_behind_everything_with_the_prefix() {
        let check = |prefix: &[u8], end: &[u8]| assert_eq!(prefix_end(prefix), end);
        check(b"a\0", b"a\x01");
        check(b"a\xff", b"b");
    }
}
