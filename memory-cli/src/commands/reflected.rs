//! Renders the score of an episode and its reflection for people.

use agent_memory::learning::{Reflection, Reward};

use crate::output::style::{self, paint};
use crate::text;

/// Returns the lines of a reward with every factor and of a reflection with its steps.
pub(super) fn lines(reward: Option<&Reward>, reflection: Option<&Reflection>, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(reward) = reward {
        let factors = format!(
            "outcome {:.2}, efficiency {:.2}, complexity {:.2}, quality {:.2}, learning bonus {:.2}",
            reward.outcome, reward.efficiency, reward.complexity, reward.quality, reward.learning_bonus
        );
        let total = paint(style::NAME, format!("{:.2}", reward.total));
        lines.push(format!("reward   {total}  {}", paint(style::FAINT, factors)));
    }
    let Some(Reflection { worked, failed, improve, .. }) = reflection else { return lines };
    let room = columns.saturating_sub(11).max(20);
    for (name, insights) in [("worked", worked), ("failed", failed), ("improve", improve)] {
        for insight in insights {
            let steps: Vec<String> = insight.steps.iter().map(u32::to_string).collect();
            let steps =
                if steps.is_empty() { String::new() } else { format!(" (step {})", steps.join(", ")) };
            let told = text::one_line(&format!("{}{steps}", insight.text));
            for (index, part) in text::wrap(&told, room).into_iter().enumerate() {
                let name = if index == 0 { name } else { "" };
                lines.push(format!("{} {part}", paint(style::FAINT, format!("{name:<8}"))));
            }
        }
    }
    lines
}
