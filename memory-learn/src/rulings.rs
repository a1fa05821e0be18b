//! Rulings by people on learned items.

use std::collections::HashMap;
use std::sync::Arc;

use memory_core::{Decision, Entity, FailureId, ItemId, Kind, RemedyCall, Ruling};

use crate::remedies;

/// All that was decided, by the id of the record; see [`Ruling::record_id`].
#[derive(Debug, Default, PartialEq)]
pub struct Rulings(HashMap<Arc<str>, Decision>);

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
    /// Returns true if nothing was decided.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the ruling on an item.
    pub fn on(&self, item: ItemId) -> Option<Decision> {
        self.0.get(&*item.to_string()).copied()
    }

    fn on_remedy(&self, failure: FailureId, calls: &[RemedyCall]) -> Option<Decision> {
        let id = Ruling::id_of(ItemId::Failure(failure), Some(&remedies::id_of(calls)));
        self.0.get(&*id).copied()
    }

    /// Returns true if a remedy was rejected, in whichever lesson.
    pub fn rejects_remedy(&self, calls: &[RemedyCall]) -> bool {
        let remedy = remedies::id_of(calls);
        let is_of = |id: &str| id.strip_suffix(&*remedy).is_some_and(|item| item.ends_with(':'));
        self.0.iter().any(|(id, decision)| *decision == Decision::Rejected && is_of(id))
    }

    /// Returns true if an item carries a ruling; it may have been withdrawn since.
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

    /// Sets an item's ruling, and changes nothing else.
    pub fn noted(&self, mut entity: Arc<Entity>) -> Arc<Entity> {
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
