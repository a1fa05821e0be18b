//! `memory patterns`: list and show recurring patterns of episodes.

use std::cmp::Ordering;

use agent_memory::learning::{Decision, Pattern, PatternBody, Tally};
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

pub(crate) async fn run(
    global: &Global,
    command: &LearnedCommand,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let session = Session::open(global, output).await?;
    learned::run::<Pattern>(session, command, output).await
}

/// Returns the counts of episodes for and against it: failures confirm an anti-pattern.
fn backing(pattern: &Pattern) -> Tally {
    match pattern.body {
        PatternBody::AntiPattern { .. } => pattern.tally.opposite(),
        _ => pattern.tally,
    }
}

impl Item for Pattern {
    const ONE: &'static str = "pattern";
    const MANY: &'static str = "patterns";
    const LIST: &'static str = "patterns list --all";
    const HEADINGS: &'static [Column] = &[
        column("sure", true),
        column("for", true),
        column("against", true),
        column("state", false),
        column("domain", false),
        column("strategy", false),
    ];

    async fn all(knowledge: Knowledge<'_>) -> agent_memory::Result<Listed<Self>> {
        knowledge.patterns().await
    }

    fn id(&self) -> ItemId {
        ItemId::Pattern(self.id)
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
        let mut cells = learned::figures(self.confidence, &backing(self));
        let (state, look) = learned::standing(self.standing, self.ruling);
        cells.push(Cell::new(state, look));
        cells.push(learned::domain(self.domain.as_deref()));
        cells.push(Cell::new(self.strategy.as_str().replace('_', " "), style::NAME));
        cells
    }

    fn sentence(&self) -> String {
        self.body.to_string()
    }
}

impl Shown for Pattern {
    const EPISODES: &'static str = "Episodes that show it";

    fn episodes(&self) -> &[EpisodeId] {
        &self.episodes
    }

    fn state(&self) -> Option<(&'static str, Style)> {
        Some(learned::standing(self.standing, self.ruling))
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("sort", self.strategy.as_str().replace('_', " ")),
            ("domain", self.domain.clone().unwrap_or_default()),
            ("kind", self.task_kind.clone().unwrap_or_default()),
            ("tasks", self.terms.join(", ")),
            ("sure", learned::sure(self.confidence, &backing(self))),
            ("used", learned::used(&self.used)),
            ("updated", view::ago(self.updated_at)),
        ]
    }
}
