//! Renders the recalls of an episode and the used items, for people.

use std::collections::BTreeMap;

use agent_memory::learning::{Failure as Lesson, Heuristic, Pattern, Playbook, RecallUse};
use agent_memory::{Freshness, ItemId, Kind, Memory};

use super::learned::Item;
use crate::failure::Failure;
use crate::output::style::{self, paint};
use crate::text;

/// Items that are shown; `--json` has all.
const SHOWN: usize = 12;

/// Returns the lines of the recalled items, used ones first.
pub(super) async fn lines(
    memory: &Memory,
    recall: &RecallUse,
    freshness: &mut Freshness,
    columns: usize,
) -> Result<Vec<String>, Failure> {
    if recall.withheld {
        return Ok(vec!["  nothing was shown: held back, to measure what memory is worth".into()]);
    }
    let is_used = |item: &ItemId| recall.used.contains(item);
    let mut items = recall.shown.clone();
    items.sort_by_key(|item| !is_used(item));
    let shown = text::count(items.len() as u64, "item");
    let mut lines =
        vec![format!("  {shown} shown, {} said to be used", text::number(recall.used.len() as u64))];
    let more = items.len().saturating_sub(SHOWN);
    items.truncate(SHOWN);
    let sentences = sentences(memory, &items, freshness).await?;
    for item in &items {
        let (mark, look) = if is_used(item) { ("used ", style::GOOD) } else { ("shown", style::FAINT) };
        let sentence = sentences.get(item).map_or("(no longer there)", String::as_str);
        let id = item.record_id();
        let id = id.rsplit('-').next().unwrap_or(&id);
        let room = columns.saturating_sub(33).max(20);
        let told = text::cut(&text::one_line(sentence), room);
        lines.push(format!(
            "  {} {} {}  {told}",
            paint(look, mark),
            paint(style::NAME, format!("{:<9}", item.kind().name())),
            paint(style::FAINT, id)
        ));
    }
    if more > 0 {
        lines.push(paint(style::FAINT, format!("  {} more; --json has all", text::number(more as u64))));
    }
    Ok(lines)
}

/// Returns the statements of the items that still exist.
async fn sentences(
    memory: &Memory,
    items: &[ItemId],
    freshness: &mut Freshness,
) -> Result<BTreeMap<ItemId, String>, Failure> {
    let mut known = BTreeMap::new();
    for kind in [Kind::Heuristic, Kind::Pattern, Kind::Playbook, Kind::Failure] {
        if items.iter().any(|item| item.kind() == kind) {
            match kind {
                Kind::Heuristic => said::<Heuristic>(memory, &mut known, freshness).await?,
                Kind::Pattern => said::<Pattern>(memory, &mut known, freshness).await?,
                Kind::Playbook => said::<Playbook>(memory, &mut known, freshness).await?,
                _ => said::<Lesson>(memory, &mut known, freshness).await?,
            }
        }
    }
    for item in items {
        if let ItemId::Episode(id) = item
            && let Some(episode) = super::at_hand(memory.get(*id).await, freshness)?
        {
            known.insert(*item, episode.task.description.clone());
        }
    }
    Ok(known)
}

async fn said<T: Item>(
    memory: &Memory,
    known: &mut BTreeMap<ItemId, String>,
    freshness: &mut Freshness,
) -> Result<(), Failure> {
    let listed = T::all(memory.knowledge()).await?;
    *freshness = freshness.or_staler(listed.freshness);
    known.extend(listed.items.iter().map(|item| (item.id(), item.sentence())));
    Ok(())
}
