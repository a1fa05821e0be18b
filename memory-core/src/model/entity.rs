//! The closed sum of everything that is kept.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::model::artifact::Artifact;
use crate::model::cycle::Cycle;
use crate::model::embedding::Embedding;
use crate::model::episode::Episode;
use crate::model::evidence::{Evidence, Standing};
use crate::model::failure::Failure;
use crate::model::heuristic::Heuristic;
use crate::model::kind::Kind;
use crate::model::metric::Metric;
use crate::model::pattern::Pattern;
use crate::model::playbook::Playbook;
use crate::model::reflection::Reflection;
use crate::model::reward::Reward;
use crate::model::ruling::Ruling;
use crate::model::step::Step;

macro_rules! entity {
    ($($kind:ident),+ $(,)?) => {
        /// The content of a record. Backends handle it whole; a new kind touches no backend.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "each variant holds the type of its name")]
        #[expect(clippy::large_enum_variant, reason = "entities are shared behind an `Arc`, not moved")]
pub enum Entity {
            $($kind($kind)),+
        }

        impl Entity {
            /// Returns the kind.
            pub fn kind(&self) -> Kind {
                match self {
                    $(Self::$kind(_) => Kind::$kind),+
                }
            }

            /// Encodes the content as the JSON body of the durable tier.
            ///
            /// # Errors
            /// [`ErrorKind::InvalidInput`] if the content has no JSON form.
            pub fn to_json(&self) -> Result<String> {
                match self {
                    $(Self::$kind(content) => serde_json::to_string(content)),+
                }
                .map_err(no_json_form)
            }

            /// Encodes the content as a JSON value, to read declared columns from.
            ///
            /// # Errors
            /// [`ErrorKind::InvalidInput`] if the content has no JSON form.
            pub fn to_value(&self) -> Result<Value> {
                match self {
                    $(Self::$kind(content) => serde_json::to_value(content)),+
                }
                .map_err(no_json_form)
            }

            /// Decodes a JSON body of the durable tier. Unknown fields are ignored.
            ///
            /// # Errors
            /// [`ErrorKind::Corrupt`] if the body is not that of this kind.
            pub fn from_json(kind: Kind, body: &str) -> Result<Self> {
                match kind {
                    $(Kind::$kind => serde_json::from_str(body).map(Self::$kind)),+
                }
                .map_err(|source| {
                    Error::new(ErrorKind::Corrupt, "decode record", format!("the body is not that of a {kind}"))
                        .with_source(source)
                })
            }
        }

        $(
            impl From<$kind> for Entity {
                fn from(content: $kind) -> Self {
                    Self::$kind(content)
                }
            }
        )+
    };
}

entity!(
    Episode, Step, Artifact, Reward, Reflection, Pattern, Evidence, Heuristic, Playbook, Failure, Metric,
    Cycle, Embedding, Ruling,
);

fn no_json_form(source: serde_json::Error) -> Error {
    Error::new(ErrorKind::InvalidInput, "encode record", "the content has no JSON form").with_source(source)
}

impl Entity {
    /// Returns roughly how many bytes the content takes in memory.
    pub fn weight(&self) -> usize {
        match self {
            Self::Episode(episode) => episode.weight(),
            Self::Step(step) => step.weight(),
            Self::Artifact(artifact) => artifact.weight(),
            Self::Embedding(embedding) => {
                std::mem::size_of::<Embedding>() + 4 * embedding.vector.0.len() + embedding.model.len() + 32
            }
            // Derived knowledge is small; its JSON length is a fair measure.
            _ => self.to_json().map_or(1024, |body| body.len()),
        }
    }

    /// Returns its status by uses, to change it; `None` for kinds that are not judged by uses.
    pub fn standing_mut(&mut self) -> Option<&mut Standing> {
        match self {
            Self::Pattern(pattern) => Some(&mut pattern.standing),
            Self::Heuristic(rule) => Some(&mut rule.standing),
            Self::Playbook(playbook) => Some(&mut playbook.standing),
            _ => None,
        }
    }

    /// Returns the episode, if it is one.
    pub fn as_episode(&self) -> Option<&Episode> {
        if let Self::Episode(episode) = self { Some(episode) } else { None }
    }

    /// Returns the step, if it is one.
    pub fn as_step(&self) -> Option<&Step> {
        if let Self::Step(step) = self { Some(step) } else { None }
    }

    /// Returns the reward, if it is one.
    pub fn as_reward(&self) -> Option<&Reward> {
        if let Self::Reward(reward) = self { Some(reward) } else { None }
    }

    /// Returns the reflection, if it is one.
    pub fn as_reflection(&self) -> Option<&Reflection> {
        if let Self::Reflection(reflection) = self { Some(reflection) } else { None }
    }

    /// Returns the pattern, if it is one.
    pub fn as_pattern(&self) -> Option<&Pattern> {
        if let Self::Pattern(pattern) = self { Some(pattern) } else { None }
    }

    /// Returns the evidence, if it is some.
    pub fn as_evidence(&self) -> Option<&Evidence> {
        if let Self::Evidence(evidence) = self { Some(evidence) } else { None }
    }

    /// Returns the heuristic, if it is one.
    pub fn as_heuristic(&self) -> Option<&Heuristic> {
        if let Self::Heuristic(heuristic) = self { Some(heuristic) } else { None }
    }

    /// Returns the playbook, if it is one.
    pub fn as_playbook(&self) -> Option<&Playbook> {
        if let Self::Playbook(playbook) = self { Some(playbook) } else { None }
    }

    /// Returns the failure lesson, if it is one.
    pub fn as_failure(&self) -> Option<&Failure> {
        if let Self::Failure(failure) = self { Some(failure) } else { None }
    }

    /// Returns the metric, if it is one.
    pub fn as_metric(&self) -> Option<&Metric> {
        if let Self::Metric(metric) = self { Some(metric) } else { None }
    }

    /// Returns the consolidation cycle, if it is one.
    pub fn as_cycle(&self) -> Option<&Cycle> {
        if let Self::Cycle(cycle) = self { Some(cycle) } else { None }
    }

    /// Returns the ruling, if it is one.
    pub fn as_ruling(&self) -> Option<&Ruling> {
        if let Self::Ruling(ruling) = self { Some(ruling) } else { None }
    }

    /// Returns the embedding, if it is one.
    pub fn as_embedding(&self) -> Option<&Embedding> {
        if let Self::Embedding(embedding) = self { Some(embedding) } else { None }
    }

    /// Returns the artifact, if it is one.
    pub fn as_artifact(&self) -> Option<&Artifact> {
        if let Self::Artifact(artifact) = self { Some(artifact) } else { None }
    }
}

/// A column's value, comparable as SQL compares it.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// Absent or JSON null.
    Null,
    /// Text.
    Text(String),
    /// An integer; booleans are 0 and 1.
    Integer(i64),
    /// A float.
    Real(f64),
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Scalar {
    /// Converts a JSON value as SQLite's `json_extract` does; arrays and objects become their JSON text.
    pub(crate) fn from_json(value: Option<&Value>) -> Self {
        match value {
            None | Some(Value::Null) => Self::Null,
            Some(Value::Bool(flag)) => Self::Integer(i64::from(*flag)),
            Some(Value::Number(number)) => match number.as_i64() {
                Some(integer) => Self::Integer(integer),
                None => Self::Real(number.as_f64().unwrap_or(f64::NAN)),
            },
            Some(Value::String(text)) => Self::Text(text.clone()),
            Some(nested) => Self::Text(nested.to_string()),
        }
    }
}

/// Follows an SQLite JSON path of the form `$.a.b`.
pub(crate) fn follow<'a>(body: &'a Value, path: &str) -> Option<&'a Value> {
    path.trim_start_matches("$.").split('.').try_fold(body, |value, field| value.get(field))
}
