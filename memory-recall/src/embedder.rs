//! The interface that turns texts into vectors.

use std::fmt;

use async_trait::async_trait;
use memory_core::Result;

/// Turns texts into vectors whose inner product is the similarity of their meanings.
///
/// Everything works without one; with one, recall also finds episodes in other words.
#[async_trait]
pub trait Embedder: Send + Sync + fmt::Debug {
    /// Returns the stable identity of the source of vectors: provider, model and revision.
    ///
    /// Vectors of different identities are not comparable: when it changes, every text is embedded again.
    fn model(&self) -> &str;

    /// Returns the length of every vector.
    fn dimensions(&self) -> usize;

    /// Embeds texts: one vector of unit length a text, in the order of the texts.
    ///
    /// A text too long for the model is cut, never refused. A text without content for the model (an empty one,
    /// for example) gets a vector of zeros, which is similar to no other. The call may be dropped at any time;
    /// nothing is kept.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](memory_core::ErrorKind::Unavailable) when the provider does not answer (in time), or its
    /// answer is unusable; [`InvalidInput`](memory_core::ErrorKind::InvalidInput) when it refuses these texts;
    /// [`Unauthorized`](memory_core::ErrorKind::Unauthorized) when it refuses the credentials. Either all texts
    /// get their vectors, or none.
    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>>;
}

/// Scales a vector to unit length; returns false, and leaves it alone, when it has no direction (zero, or a
/// component that is not finite).
pub fn normalize(vector: &mut [f32]) -> bool {
    // In f64 no square of a finite f32 overflows or vanishes.
    let norm = vector.iter().map(|component| f64::from(*component).powi(2)).sum::<f64>().sqrt();
    if !norm.is_finite() || norm == 0.0 {
        return false;
    }
    for component in vector {
        *component = (f64::from(*component) / norm) as f32;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_what_has_a_direction() {
        let check = |input: [f32; 2], expected: Option<[f32; 2]>| {
            let mut vector = input;
            assert_eq!(normalize(&mut vector), expected.is_some(), "{input:?}");
            if let Some(expected) = expected {
                assert_eq!(vector, expected, "{input:?}");
            }
        };
        check([3.0, 4.0], Some([0.6, 0.8]));
        check([0.0, -1e-30], Some([0.0, -1.0]));
        check([f32::MAX, 0.0], Some([1.0, 0.0]));
        check([0.0, 0.0], None);
        check([f32::NAN, 1.0], None);
        check([f32::INFINITY, 1.0], None);
    }
}
