//! The features of a text in few bytes: an episode is kept for as long as it can be forgotten.

use memory_recall::text::{BUCKETS, Feature, PRECISION};

/// Features sorted by bucket: for each, as LEB128, the distance of its bucket to the one before and its weight
/// in units of [`PRECISION`]. About three bytes a feature.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Packed(Box<[u8]>);

impl Packed {
    pub(super) fn new(features: &[Feature]) -> Self {
        let mut bytes = Vec::with_capacity(3 * features.len());
        let mut last = 0;
        for feature in features {
            push(&mut bytes, feature.bucket - last);
            push(&mut bytes, (feature.weight / PRECISION).round() as u32);
            last = feature.bucket;
        }
        Self(bytes.into_boxed_slice())
    }

    /// Takes bytes for packed features; `None` if they are not.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (mut from, mut last, mut is_first) = (bytes, 0_u32, true);
        while !from.is_empty() {
            let gap = next(&mut from)?;
            next(&mut from)?;
            last = last.checked_add(gap).filter(|bucket| *bucket < BUCKETS && (is_first || gap > 0))?;
            is_first = false;
        }
        Some(Self(bytes.into()))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the features, sorted by bucket.
    pub(super) fn iter(&self) -> impl Iterator<Item = Feature> {
        let (mut from, mut last) = (&*self.0, 0);
        std::iter::from_fn(move || {
            last += next(&mut from)?;
            Some(Feature { bucket: last, weight: next(&mut from)? as f32 * PRECISION })
        })
    }

    pub(super) fn to_vec(&self) -> Vec<Feature> {
        let mut features = Vec::with_capacity(self.0.len() / 2);
        features.extend(self.iter());
        features
    }
}

fn push(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn next(from: &mut &[u8]) -> Option<u32> {
    let mut number = 0_u32;
    for shift in (0..32).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        number |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use memory_recall::text::features;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_out_as_it_was(text in "\\PC{0,200}") {
            let features = features(&text);
            let packed = Packed::new(&features);
            prop_assert_eq!(packed.to_vec(), features);
            prop_assert_eq!(Packed::from_bytes(packed.as_bytes()), Some(packed));
        }

        #[test]
        fn any_bytes_are_refused_or_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(packed) = Packed::from_bytes(&bytes) {
                let features = packed.to_vec();
                prop_assert!(features.is_sorted_by(|a, b| a.bucket < b.bucket));
                prop_assert!(features.iter().all(|it| it.bucket < BUCKETS));
            }
        }
    }
}
