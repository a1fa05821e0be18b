//! `memory playbooks`: list and show the procedures that worked.

use std::cmp::Ordering;

use agent_memory::learning::{Decision, Playbook};
use agent_memory::{EpisodeId, ItemId, Knowledge, Listed};
use anstyle::Style;

use super::learned::{self, Item, Shown, column};
use super::view;
use crate::cli::{Global, LearnedCommand};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::output::style;
use crate::session::Session;
use crate::table::{Cell, Column};
use crate::text;

pub(crate) async fn run(
    global: &Global,
    command: &LearnedCommand,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let session = Session::open(global, output).await?;
    learned::run::<Playbook>(session, command, output).await
}

impl Item for Playbook {
    const ONE: &'static str = "playbook";
    const MANY: &'static str = "playbooks";
    const LIST: &'static str = "playbooks list --all";
    const HEADINGS: &'static [Column] = &[
        column("sure", true),
        column("for", true),
        column("against", true),
        column("state", false),
        column("domain", false),
        column("steps", true),
    ];

    async fn all(knowledge: Knowledge<'_>) -> agent_memory::Result<Listed<Self>> {
        knowledge.playbooks().await
    }

    fn id(&self) -> ItemId {
        ItemId::Playbook(self.id)
    }

    fn ruling(&self) -> Option<Decision> {
        self.ruling
    }

    fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    fn is_recalled(&self) -> bool {
        learned::stands(self.standing, self.ruling)
    }

    fn compare(&self, other: &Self) -> Ordering {
        other.confidence.total_cmp(&self.confidence)
    }

    fn cells(&self) -> Vec<Cell> {
        let mut cells = learned::figures(self.confidence, &self.tally);
        let (state, look) = learned::standing(self.standing, self.ruling);
        cells.push(Cell::new(state, look));
        cells.push(learned::domain(self.domain.as_deref()));
        cells.push(Cell::new(text::number(self.steps.len() as u64), style::PLAIN));
        cells
    }

    fn sentence(&self) -> String {
        self.title.clone()
    }
}

impl Shown for Playbook {
    const EPISODES: &'static str = "Episodes it comes from";

    fn episodes(&self) -> &[EpisodeId] {
        &self.sources
    }

    fn state(&self) -> Option<(&'static str, Style)> {
        Some(learned::standing(self.standing, self.ruling))
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        let shapes = self.shapes.iter().map(String::as_str).chain(std::iter::repeat(""));
        let placeholders: Vec<String> = self
            .placeholders
            .iter()
            .zip(shapes)
            .map(
                |(name, shape)| {
                    if shape.is_empty() { name.clone() } else { format!("{name} (like {shape})") }
                },
            )
            .collect();
        vec![
            ("domain", self.domain.clone().unwrap_or_default()),
            ("kind", self.task_kind.clone().unwrap_or_default()),
            ("tasks", self.terms.join(", ")),
            ("fill in", placeholders.join(", ")),
            ("sure", learned::sure(self.confidence, &self.tally)),
            ("used", learned::used(&self.used)),
            ("updated", view::ago(self.updated_at)),
        ]
    }

    fn steps(&self) -> Vec<String> {
        self.steps.iter().map(ToString::to_string).collect()
    }
}
