//! Identities derived from content, so that learning twice gives one item.

use uuid::Uuid;

/// The UUIDv5 namespace of learned items. Changing it gives every learned item a new identity.
const SPACE: Uuid = Uuid::from_u128(0x6f1f_4c0e_5d0a_4f5b_9b3e_2a64_7c1d_90e7);

/// Returns the identifier (a UUIDv5) of these parts in this order; equal parts give equal identifiers on every
/// machine.
pub(crate) fn id_of(parts: &[&str]) -> Uuid {
    let mut name = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        // The length comes first, so that ["ab", "c"] differs from ["a", "bc"].
        name.extend_from_slice(&(part.len() as u64).to_le_bytes());
        name.extend_from_slice(part.as_bytes());
    }
    Uuid::new_v5(&SPACE, &name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_follow_the_parts_and_their_bounds() {
        assert_eq!(id_of(&["a", "b"]), id_of(&["a", "b"]));
        for other in [&["ab"][..], &["b", "a"], &["a", "b", ""], &["", "ab"]] {
            assert_ne!(id_of(&["a", "b"]), id_of(other), "{other:?}");
        }
    }

    #[test]
    fn identities_never_change() {
        assert_eq!(id_of(&["pattern", "x"]).to_string(), "7e7c24d6-6956-5e5c-9116-602a9c977ed3");
    }
}
