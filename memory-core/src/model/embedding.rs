//! A vector that stands for a text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An embedding, kept under the hash of its text so that equal texts are embedded once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Embedding {
    /// The model that made it.
    pub model: String,
    /// The hash of the text, as 32 hexadecimal digits.
    pub content: String,
    /// The vector, of unit length.
    pub vector: Vector,
}

impl Embedding {
    /// Returns the id of the record.
    pub fn record_id(&self) -> String {
        Self::id_of(&self.content, &self.model)
    }

    /// Returns the id of the record for the hash of a text and a model.
    pub fn id_of(content: &str, model: &str) -> String {
        format!("{content}:{model}")
    }
}

/// A vector: base64 of little-endian 32-bit floats wherever it is stored.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Vector(pub Vec<f32>);

impl Serialize for Vector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|value| value.to_le_bytes()).collect();
        serializer.serialize_str(&STANDARD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Vector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(serde::de::Error::custom)?;
        let (floats, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(serde::de::Error::custom("a vector is a whole number of 32-bit floats"));
        }
        Ok(Self(floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()))
    }
}
