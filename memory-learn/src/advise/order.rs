//! Which tool comes before which.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::rows::Tool;

/// McNemar's statistic from which an order is no chance: chi-square with one degree of freedom, 5 %.
const SIGNIFICANT: f64 = 3.84;

/// How often a tool first worked before another one, among the episodes that used both.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Order {
    pub(super) before: HashMap<(Tool, Tool), u32, FixedState>,
}

impl Order {
    /// Counts tools in their order of use, or takes them back.
    pub(super) fn count(&mut self, used: &[Tool], add: bool) {
        for (place, first) in used.iter().enumerate() {
            for second in &used[place + 1..] {
                let count = self.before.entry((*first, *second)).or_default();
                *count = if add { *count + 1 } else { count.saturating_sub(1) };
                if *count == 0 {
                    self.before.remove(&(*first, *second));
                }
            }
        }
    }

    /// Returns how many episodes used one tool before another one.
    pub(super) fn before(&self, first: Tool, second: Tool) -> u32 {
        self.before.get(&(first, second)).copied().unwrap_or(0)
    }

    /// Returns true if one tool comes before another: more often, and for those of different clauses
    /// significantly so.
    pub(super) fn precedes(&self, (first, clause): (Tool, usize), (second, other): (Tool, usize)) -> bool {
        let (there, back) = (f64::from(self.before(first, second)), f64::from(self.before(second, first)));
        there > back && (clause == other || (there - back).powi(2) > SIGNIFICANT * (there + back))
    }
}

/// Moves items before those that they precede: each is inserted where most pairs agree (insertion sort by a
/// relation that need not be transitive).
pub(super) fn sort<T>(items: &mut [T], precedes: impl Fn(&T, &T) -> bool) {
    for at in 1..items.len() {
        let mut place = at;
        while place > 0 && precedes(&items[place], &items[place - 1]) {
            items.swap(place - 1, place);
            place -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_in_their_usual_order() {
        let mut order = Order::default();
        order.count(&[3, 1, 2], true);
        order.count(&[3, 2], true);
        order.count(&[2, 3], true);
        let mut tools = [1, 2, 3, 4];
        sort(&mut tools, |a, b| order.precedes((*a, 0), (*b, 0)));
        assert_eq!(tools, [3, 1, 2, 4]);
        // Between clauses a usual order counts only if it is significant.
        let apart = |order: &Order| {
            let mut tools = [1, 3];
            sort(&mut tools, |a, b| order.precedes((*a, usize::from(*a)), (*b, usize::from(*b))));
            tools
        };
        assert_eq!(apart(&order), [1, 3]);
        (0..5).for_each(|_| order.count(&[3, 1], true));
        assert_eq!(apart(&order), [3, 1]);
        (0..5).for_each(|_| order.count(&[3, 1], false));
        order.count(&[3, 1, 2], false);
        order.count(&[3, 2], false);
        let mut tools = [3, 2, 1];
        sort(&mut tools, |a, b| order.precedes((*a, 0), (*b, 0)));
        assert_eq!(tools, [2, 3, 1]);
    }
}
