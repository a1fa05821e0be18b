//! `memory failures`: list and show errors, with their causes and fixes.

use std::cmp::Ordering;

use agent_memory::learning::{Decision, Failure as Lesson, Remedy, Standing};
use agent_memory::{EpisodeId, ItemId, Knowledge, Listed};
use anstyle::Style;
use serde_json::Value;

use super::learned::{self, Item, Shown, Verb, column};
use super::view;
use crate::cli::{FailuresCommand, Global, RuleFailureArgs, RuleFailureCommand};
use crate::failure::{Exit, Failure};
use crate::output::{Output, style};
use crate::session::Session;
use crate::table::{Cell, Column};
use crate::text;

pub(crate) async fn run(
    global: &Global,
    command: &FailuresCommand,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let session = Session::open(global, output).await?;
    match command {
        FailuresCommand::List { all, error: Some(error), tool, filter } => {
            let found = session
                .memory
                .knowledge()
                .failures_like(error, tool.as_deref(), filter.domain.as_deref())
                .await?;
            let items = found.items.into_iter().map(|found| found.item).collect();
            learned::tell_list::<Lesson>(Listed { items, freshness: found.freshness }, *all, filter, output)?;
        }
        FailuresCommand::List { all, filter, .. } => {
            learned::list::<Lesson>(&session.memory, *all, filter, output).await?;
        }
        FailuresCommand::Show { id } => learned::show::<Lesson>(&session.memory, id, output).await?,
        FailuresCommand::Rule(rule) => return learned::rule::<Lesson>(session, rule.into(), output).await,
    }
    session.close().await?;
    Ok(Exit::Done)
}

impl<'a> From<&'a RuleFailureCommand> for Verb<'a> {
    fn from(command: &'a RuleFailureCommand) -> Self {
        let of = |rule: &'a RuleFailureArgs, decision, undoes| Self {
            remedy: rule.remedy.as_deref().map(str::trim),
            ..Self::new(decision, undoes, &rule.item.id)
        };
        match command {
            RuleFailureCommand::Pin(rule) => of(rule, Some(Decision::Pinned), None),
            RuleFailureCommand::Reject(rule) => of(rule, Some(Decision::Rejected), None),
            RuleFailureCommand::Unpin(rule) => of(rule, None, Some(Decision::Pinned)),
            RuleFailureCommand::Restore(rule) => of(rule, None, Some(Decision::Rejected)),
        }
    }
}

impl Item for Lesson {
    const ONE: &'static str = "failure";
    const MANY: &'static str = "failures";
    const LIST: &'static str = "failures list --all";
    const HEADINGS: &'static [Column] = &[
        column("episodes", true),
        column("resolved", true),
        column("category", false),
        column("domain", false),
        column("tool", false),
    ];

    async fn all(knowledge: Knowledge<'_>) -> agent_memory::Result<Listed<Self>> {
        knowledge.failures().await
    }

    fn id(&self) -> ItemId {
        ItemId::Failure(self.id)
    }

    fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    fn is_recalled(&self) -> bool {
        self.ruling != Some(Decision::Rejected)
    }

    fn ruling(&self) -> Option<Decision> {
        self.ruling
    }

    fn remedy(&self, told: &str) -> Option<&Remedy> {
        self.remedies.iter().find(|held| held.text() == told)
    }

    fn json(&self) -> Value {
        let mut object = learned::with_ruling(self, self.ruling);
        for (place, remedy) in self.remedies.iter().enumerate() {
            let mut told = learned::with_ruling(remedy, remedy.ruling);
            told["text"] = remedy.text().into();
            object["remedies"][place] = told;
        }
        object
    }

    fn compare(&self, other: &Self) -> Ordering {
        (other.occurrences, other.last_at).cmp(&(self.occurrences, self.last_at))
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::new(text::number(self.occurrences.into()), style::NAME),
            Cell::new(text::number(self.resolved.into()), style::PLAIN),
            Cell::new(self.category.as_str().replace('_', " "), style::PLAIN),
            learned::domain(self.domain.as_deref()),
            Cell::new(if self.tool.is_empty() { "-" } else { &self.tool }, style::PLAIN),
        ]
    }

    fn sentence(&self) -> String {
        self.example.clone()
    }
}

impl Shown for Lesson {
    const EPISODES: &'static str = "Episodes that met it";

    fn episodes(&self) -> &[EpisodeId] {
        &self.episodes
    }

    fn state(&self) -> Option<(&'static str, Style)> {
        self.ruling.map(|_| learned::standing(Standing::Active, self.ruling))
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        let seen = text::count(self.occurrences.into(), "episode");
        let mut fields = vec![
            ("tool", self.tool.clone()),
            ("class", self.category.as_str().replace('_', " ")),
            ("error", self.error.clone()),
            ("domain", self.domain.clone().unwrap_or_default()),
            ("kind", self.task_kind.clone().unwrap_or_default()),
            ("because", self.root_cause.clone().unwrap_or_default()),
        ];
        if self.resolved == 0 {
            fields.push(("fix", "none is known: no success followed it so far".into()));
        }
        let pinned = |fix: &Remedy| if fix.is_pinned() { "; pinned" } else { "" };
        fields.extend(self.helped().map(|fix| ("fix", format!("{fix}{}", pinned(fix)))));
        fields.extend(self.in_vain().map(|fix| ("in vain", fix.text())));
        let rejected = self.remedies.iter().filter(|fix| fix.ruling == Some(Decision::Rejected));
        fields.extend(rejected.map(|fix| ("fix", format!("{fix}; rejected"))));
        fields.push((
            "met",
            format!("in {seen}; {} of them recovered and succeeded", text::number(self.resolved.into())),
        ));
        let (first, last) = (view::ago(self.first_at), view::ago(self.last_at));
        fields.push(("seen", format!("first {first}, last {last}")));
        fields
    }
}
