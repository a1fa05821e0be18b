//! Rulings by people on learned items.

use memory_core::{
    Decision, Entity, Error, ErrorKind, FailureId, ItemId, Kind, RemedyCall, Result, Ruling, Standing,
    in_words,
};
use memory_learn::remedies;

use crate::memory::Knowledge;
use crate::memory::draft::Draft;
use crate::memory::learner::ATTEMPTS;

impl Knowledge<'_> {
    /// Pins or rejects an item, or with `None` lets its evidence decide again. A ruling is a separate record
    /// ([`Ruling`]): it survives when the item is learned again, or is forgotten with its episodes.
    ///
    /// # Errors
    /// `InvalidInput` for an episode (forget it instead), `NotFound` for an unknown item, and errors of the
    /// commit.
    pub async fn set_ruling(&self, item: ItemId, decision: Option<Decision>) -> Result<()> {
        if item.kind() == Kind::Episode {
            return Err(Error::invalid("rule", "item", "an episode is not ruled on")
                .with_hint("what must not be recalled any more is forgotten: `memory episodes forget`"));
        }
        self.decide(item, None, decision).await
    }

    /// Pins or rejects one remedy of a failure lesson, by its calls ([`memory_core::Remedy::calls`]), or with
    /// `None` lets its evidence decide again.
    ///
    /// # Errors
    /// `NotFound` for an unknown lesson or remedy, and errors of the commit.
    pub async fn set_remedy_ruling(
        &self,
        failure: FailureId,
        calls: &[RemedyCall],
        decision: Option<Decision>,
    ) -> Result<()> {
        self.decide(ItemId::Failure(failure), Some(calls), decision).await
    }

    async fn decide(
        &self,
        item: ItemId,
        calls: Option<&[RemedyCall]>,
        decision: Option<Decision>,
    ) -> Result<()> {
        let inner = self.inner;
        let _gate = inner.backlog.gate.lock().await;
        let remedy = calls.map(remedies::id_of);
        let mut attempts = 1..=ATTEMPTS;
        let draft = loop {
            let mut draft = Draft::new(&inner.records);
            let held = draft.get(item.kind(), item.record_id()).await?;
            let id = Ruling::id_of(item, remedy.as_deref());
            let known = match &held {
                Some(Entity::Failure(failure)) => remedy.as_ref().is_none_or(|remedy| {
                    failure.remedies.iter().any(|held| remedies::id_of(&held.calls) == *remedy)
                }),
                held => held.is_some(),
            };
            let Some(decision) = decision else {
                // A ruling can also be withdrawn if its item is gone: if it comes back, its evidence decides.
                if !known && draft.get(Kind::Ruling, &*id).await?.is_none() {
                    return Err(unknown(item, calls));
                }
                draft.remove(Kind::Ruling, id);
                break draft;
            };
            if !known {
                return Err(unknown(item, calls));
            }
            if let (Decision::Pinned, None, Some(mut entity)) = (decision, calls, held)
                && let Some(standing) = entity.standing_mut()
                && *standing != Standing::Active
            {
                *standing = Standing::Active;
                draft.put(item.record_id(), entity);
            }
            let at = inner.records.engine.now();
            draft.put(id, Ruling { item, remedy: remedy.clone(), decision, at });
            if attempts.next().is_none() || draft.is_current().await? {
                break draft;
            }
        };
        inner.records.engine.commit(draft.into_records()).await
    }
}

fn unknown(item: ItemId, calls: Option<&[RemedyCall]>) -> Error {
    let what = match calls {
        Some(calls) => format!("{item} has no remedy {:?}", in_words(calls)),
        None => format!("there is no {item}"),
    };
    let shown = match item.kind() {
        Kind::Failure => "failures",
        Kind::Pattern => "patterns",
        Kind::Playbook => "playbooks",
        _ => "heuristics",
    };
    Error::new(ErrorKind::NotFound, "rule", what)
        .with_hint(format!("`memory {shown} list` shows those of this namespace"))
}
