//! Puts advice in order and into words.

use super::course::Course;
use super::votes::RULES;
use super::{Bench, Case};
use crate::memory::ToolAdvice;
use crate::model::evidence::ItemId;
use crate::model::heuristic::{Advice, Heuristic};

/// The most reasons given for one tool.
pub(super) const REASONS: usize = 3;
/// Tools that come one before the other so often, and never the other way round, do so whatever the order of the parts that
/// ask for them: with prior and fading, from ten episodes on.
const ALWAYS: f64 = 0.9;
/// What comes next from here on comes first.
const NEXT_FROM: f64 = 0.5;

impl Bench<'_> {
    /// Puts the selected tools in order and says why.
    pub(super) fn advice(&mut self, selected: Vec<String>, course: &Course) -> Vec<ToolAdvice> {
        let mut chosen: Vec<(String, Case)> = selected
            .into_iter()
            .filter_map(|tool| self.cases.remove(&tool).map(|case| (tool, case)))
            .collect();
        chosen.sort_by(|(a, x), (b, y)| {
            let next = |case: &Case| if case.comes_next >= NEXT_FROM { -case.comes_next } else { 0.0 };
            let place = |case: &Case| case.part.unwrap_or(usize::MAX);
            next(x).total_cmp(&next(y)).then(place(x).cmp(&place(y))).then_with(|| a.cmp(b))
        });
        self.order(&mut chosen, course);
        chosen.into_iter().map(|(tool, case)| self.explain(tool, case)).collect()
    }

    /// Moves tools that the same part asks for, and those that no part asks for, to where the way on or training has them;
    /// those of different parts only where training always has them so.
    fn order(&self, chosen: &mut [(String, Case)], course: &Course) {
        let voted = |places| self.votes.before.get(&places).copied().unwrap_or(0.0);
        let precedes = |first: &str, second: &str| {
            let places = self.associations.tool(first).zip(self.associations.tool(second));
            let Some((first, second)) = places else { return false };
            if let Some((first, second)) = course.place(first).zip(course.place(second)) {
                return first < second;
            }
            let usual = self.associations.before.get(&(first, second)).copied().unwrap_or(0.5);
            let (there, back) = (voted((first, second)), voted((second, first)));
            usual * RULES + there > (1.0 - usual) * RULES + back
        };
        for at in 1..chosen.len() {
            let mut place = at;
            while place > 0 {
                let ((first, x), (second, y)) = (&chosen[place - 1], &chosen[place]);
                let comes_next = x.comes_next >= NEXT_FROM || y.comes_next >= NEXT_FROM;
                let free = x.part == y.part || x.part.is_none() || y.part.is_none();
                if comes_next
                    || !(free || self.comes_always_before(second, first, ALWAYS))
                    || !precedes(second, first)
                {
                    break;
                }
                chosen.swap(place - 1, place);
                place -= 1;
            }
        }
    }

    fn explain(&self, tool: String, case: Case) -> ToolAdvice {
        let confidence = case.confidence();
        let Case { part, mut rules, episodes, mut reasons, .. } = case;
        rules.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.cmp(y)));
        rules.dedup_by_key(|(_, id)| *id);
        let mut items: Vec<ItemId> = Vec::new();
        for (_, id) in rules {
            let item = ItemId::Heuristic(id);
            if items.contains(&item) {
                continue;
            }
            items.push(item);
            if let Some(rule) = self.stored.get(&id).filter(|_| reasons.len() < REASONS) {
                let mut reason = reason(rule);
                if rule.advice == Advice::Use && !self.applies(rule) {
                    reason.insert_str(0, "it has a word that always comes with this: ");
                }
                reasons.push(reason);
            }
        }
        reasons.truncate(REASONS);
        items.extend(episodes.into_iter().map(ItemId::Episode));
        ToolAdvice { tool, confidence, part: part.unwrap_or(0), reasons, items }
    }
}

fn reason(rule: &Heuristic) -> String {
    let Heuristic { condition, tally, tool, .. } = rule;
    if rule.is_pinned() {
        return format!("{condition}: pinned");
    }
    match &condition.after_tool {
        Some(_) => format!(
            "{condition}: {} of {} times {tool} came next with success",
            tally.successes,
            tally.count()
        ),
        // Tasks that say nothing of the tool count for neither.
        None => format!("{condition}: {} for it, {} against", times(tally.successes), tally.failures),
    }
}

/// Says how many tasks: `1 task`, `3 tasks`.
pub(super) fn times(count: impl TryInto<u64>) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => "1 task".to_owned(),
        count => format!("{count} tasks"),
    }
}
