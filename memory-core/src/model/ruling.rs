//! What somebody ruled about something learned.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::clock::Timestamp;
use crate::id::{FailureId, content_hash};
use crate::learn::remedies;
use crate::model::entity::Entity;
use crate::model::evidence::ItemId;
use crate::model::kind::Kind;
use crate::model::remedy::RemedyCall;

/// What somebody decided about something learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Keep it whatever its evidence.
    Pinned,
    /// Never recall it.
    Rejected,
}

impl Decision {
    /// Returns the stable name: `pinned` or `rejected`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Rejected => "rejected",
        }
    }
}

/// A decision on an item, or on one remedy of a failure lesson. It is a record of its own: what is learned anew, by whichever
/// process, cannot take it back, and it holds for what comes back under the same id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ruling {
    /// What it is about.
    pub item: ItemId,
    /// Of a failure lesson, the remedy that it is about, by [`Ruling::remedy_of`]; `None` if it is about the whole.
    pub remedy: Option<String>,
    /// What was decided.
    pub decision: Decision,
    /// When.
    pub at: Timestamp,
}

impl Ruling {
    /// Identifies a remedy by its calls, which are not kept: they may quote an episode that is forgotten later. Calls that
    /// differ in values and notes alone are one remedy.
    pub fn remedy_of(calls: &[RemedyCall]) -> String {
        content_hash(&json!(remedies::key(calls)).to_string())
    }

    /// Returns the id of the record.
    pub fn record_id(&self) -> String {
        record_id(self.item, self.remedy.as_deref())
    }
}

/// Returns the id of the ruling on an item, or on a remedy of it.
pub(crate) fn record_id(item: ItemId, remedy: Option<&str>) -> String {
    remedy.map_or_else(|| item.to_string(), |remedy| format!("{item}:{remedy}"))
}

/// All that was decided, by the id of the record; see [`Ruling::record_id`].
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Rulings(HashMap<Arc<str>, Decision>);

impl FromIterator<(Arc<str>, Decision)> for Rulings {
    fn from_iter<T: IntoIterator<Item = (Arc<str>, Decision)>>(decided: T) -> Self {
        Self(decided.into_iter().collect())
    }
}

impl<'a> FromIterator<&'a Ruling> for Rulings {
    fn from_iter<T: IntoIterator<Item = &'a Ruling>>(rulings: T) -> Self {
        rulings.into_iter().map(|ruling| (ruling.record_id().into(), ruling.decision)).collect()
    }
}

impl Rulings {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn on(&self, item: ItemId) -> Option<Decision> {
        self.0.get(&*item.to_string()).copied()
    }

    fn on_remedy(&self, failure: FailureId, calls: &[RemedyCall]) -> Option<Decision> {
        let id = record_id(ItemId::Failure(failure), Some(&Ruling::remedy_of(calls)));
        self.0.get(&*id).copied()
    }

    /// Returns true if somebody rejected a remedy, whichever lesson it is of.
    pub(crate) fn rejects_remedy(&self, calls: &[RemedyCall]) -> bool {
        let remedy = Ruling::remedy_of(calls);
        let is_of = |id: &str| id.strip_suffix(&*remedy).is_some_and(|item| item.ends_with(':'));
        self.0.iter().any(|(id, decision)| *decision == Decision::Rejected && is_of(id))
    }

    /// Returns true if something says what was decided about it; that may be taken back by now.
    fn is_noted(entity: &Entity) -> bool {
        match entity {
            Entity::Pattern(pattern) => pattern.ruling.is_some(),
            Entity::Heuristic(rule) => rule.ruling.is_some(),
            Entity::Playbook(playbook) => playbook.ruling.is_some(),
            Entity::Failure(failure) => {
                failure.ruling.is_some() || failure.remedies.iter().any(|it| it.ruling.is_some())
            }
            _ => false,
        }
    }

    /// Notes in something learned what was decided about it, and nothing else than that.
    pub(crate) fn noted(&self, mut entity: Arc<Entity>) -> Arc<Entity> {
        let is_ruled_on =
            matches!(entity.kind(), Kind::Pattern | Kind::Heuristic | Kind::Playbook | Kind::Failure);
        if is_ruled_on && (!self.0.is_empty() || Self::is_noted(&entity)) {
            self.note(Arc::make_mut(&mut entity));
        }
        entity
    }

    fn note(&self, entity: &mut Entity) {
        match entity {
            Entity::Pattern(pattern) => pattern.ruling = self.on(ItemId::Pattern(pattern.id)),
            Entity::Heuristic(rule) => rule.ruling = self.on(ItemId::Heuristic(rule.id)),
            Entity::Playbook(playbook) => playbook.ruling = self.on(ItemId::Playbook(playbook.id)),
            Entity::Failure(failure) => {
                failure.ruling = self.on(ItemId::Failure(failure.id));
                for remedy in &mut failure.remedies {
                    remedy.ruling = self.on_remedy(failure.id, &remedy.calls);
                }
            }
            _ => {}
        }
    }
}
