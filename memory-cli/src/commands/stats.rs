//! `memory stats`: the learned items, the share of junk, and the progress of learning.

use std::collections::{BTreeMap, BTreeSet};

use agent_memory::learning::{
    AdviceSkill, EvidenceRole, Failure as Lesson, Heuristic, Metric, Pattern, Playbook, Tally,
};
use agent_memory::{Freshness, ItemId, Memory};
use serde::Serialize;
use serde_json::{Value, json};

use super::learned::Item;
use super::status::counted;
use super::view;
use crate::cli::Global;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::output::style::{self, paint};
use crate::session::Session;
use crate::text;

pub(crate) async fn run(global: &Global, output: &mut Output) -> Result<Exit, Failure> {
    let session = Session::open(global, output).await?;
    let stats = Stats::of(&session.memory).await?;
    session.close().await?;
    if output.is_json() {
        let mut object = json!(stats);
        object["stale_ms"] = view::stale_ms(stats.freshness);
        output.object(&object)?;
    } else {
        tell(&stats, output)?;
        view::tell_stale(stats.freshness, output)?;
    }
    Ok(Exit::Done)
}

/// The stored items of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(super) struct Items {
    count: usize,
    /// Items equal to another of the same domain: same content, or the same advice from exactly the same
    /// episodes.
    duplicates: usize,
    /// Items that have not helped yet: never used in a successful episode, and not confirmed by a second
    /// episode.
    never_useful: usize,
    /// Items that no episode used, whether or not they were confirmed.
    never_used: usize,
}

/// The share of junk among learned items.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Junk {
    pub(super) items: BTreeMap<&'static str, Items>,
    pub(super) duplicate_share: Option<f64>,
    pub(super) never_useful_share: Option<f64>,
    pub(super) never_used_share: Option<f64>,
    #[serde(skip)]
    freshness: Freshness,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Stats {
    /// Records by kind; `None` while the durable tier does not answer.
    records: Option<BTreeMap<&'static str, u64>>,
    #[serde(flatten)]
    junk: Junk,
    strategies: BTreeMap<String, usize>,
    heuristics_not_recalled: usize,
    /// How right the advice on tools has been, by domain.
    advice: Vec<AdviceSkill>,
    /// The newest figure of each metric over everything.
    metrics: Vec<Metric>,
    cycles: usize,
    #[serde(skip)]
    freshness: Freshness,
}

impl Stats {
    async fn of(memory: &Memory) -> Result<Self, Failure> {
        let knowledge = memory.knowledge();
        let heuristics = knowledge.heuristics().await?;
        let metrics = knowledge.metrics().await?;
        let cycles = knowledge.cycles().await?;
        let junk = Junk::of(memory).await?;
        let mut freshness = junk.freshness;
        for part in [heuristics.freshness, metrics.freshness, cycles.freshness] {
            freshness = freshness.or_staler(part);
        }
        let mut strategies = BTreeMap::new();
        for pattern in &knowledge.patterns().await?.items {
            *strategies.entry(pattern.strategy.to_string()).or_default() += 1;
        }
        Ok(Self {
            records: memory.status().await.engine.records,
            junk,
            strategies,
            heuristics_not_recalled: heuristics.iter().filter(|item| !item.is_recalled()).count(),
            advice: knowledge.advice_skill().await,
            metrics: newest(metrics.items),
            cycles: cycles.len(),
            freshness,
        })
    }
}

impl Junk {
    /// Looks at everything learned.
    pub(super) async fn of(memory: &Memory) -> Result<Self, Failure> {
        let knowledge = memory.knowledge();
        let patterns = knowledge.patterns().await?;
        let heuristics = knowledge.heuristics().await?;
        let playbooks = knowledge.playbooks().await?;
        let lessons = knowledge.failures().await?;
        let mut freshness = lessons.freshness;
        for part in [patterns.freshness, heuristics.freshness, playbooks.freshness] {
            freshness = freshness.or_staler(part);
        }
        let mut helped = BTreeSet::new();
        for lesson in lessons.iter() {
            let evidence = knowledge.evidence(ItemId::Failure(lesson.id)).await?;
            freshness = freshness.or_staler(evidence.freshness);
            let used = evidence.iter().filter(|evidence| evidence.role == EvidenceRole::Used);
            helped.extend(used.map(|evidence| (lesson.id, evidence.success >= 0.5)));
        }
        let of_lesson = |lesson: &Lesson| {
            let used = |success| u32::from(helped.contains(&(lesson.id, success)));
            let used = Tally { successes: used(true), failures: used(false), ..Tally::default() };
            (used, Tally { successes: lesson.occurrences, ..Tally::default() })
        };
        let items = BTreeMap::from([
            ("pattern", count(&patterns, said_by_pattern, |item| (item.used, item.tally))),
            ("heuristic", count(&heuristics, said_by_heuristic, |item| (item.used, item.tally))),
            ("playbook", count(&playbooks, said_by_playbook, |item| (item.used, item.tally))),
            ("failure", count(&lessons, said_by_lesson, of_lesson)),
        ]);
        let mut junk = Self {
            items,
            duplicate_share: None,
            never_useful_share: None,
            never_used_share: None,
            freshness,
        };
        let total = junk.total(|items| items.count);
        let share = |figure| (total > 0).then(|| junk.total(figure) as f64 / total as f64);
        let shares = [
            share(|items: &Items| items.duplicates),
            share(|items: &Items| items.never_useful),
            share(|items: &Items| items.never_used),
        ];
        [junk.duplicate_share, junk.never_useful_share, junk.never_used_share] = shares;
        Ok(junk)
    }

    /// Sums a figure up over all kinds of items.
    fn total(&self, figure: fn(&Items) -> usize) -> usize {
        self.items.values().map(figure).sum()
    }

    /// Returns the shares for people: name, and share with counts.
    pub(super) fn told(&self) -> [(&'static str, String); 3] {
        let total = text::count(self.total(|items| items.count) as u64, "learned item");
        let told = |share: Option<f64>, figure, what: &str| {
            let percent = share.map_or("-".into(), |share| format!("{:.1} %", share * 100.0));
            format!("{percent}: {} of {total} {what}", self.total(figure))
        };
        let useless = "never helped and were never confirmed by a second episode";
        [
            ("duplicates", told(self.duplicate_share, |items| items.duplicates, "say the same as another")),
            ("never useful", told(self.never_useful_share, |items| items.never_useful, useless)),
            (
                "never used",
                told(self.never_used_share, |items| items.never_used, "were never said to be used"),
            ),
        ]
    }
}

/// Counts items: the statement of each, and the counts of its uses and of the episodes that showed it.
fn count<T>(items: &[T], said: fn(&T) -> String, tallies: impl Fn(&T) -> (Tally, Tally)) -> Items {
    let mut known = BTreeSet::new();
    let mut counted = Items { count: items.len(), ..Items::default() };
    for item in items {
        counted.duplicates += usize::from(!known.insert(said(item)));
        let (used, observed) = tallies(item);
        let helped = used.successes > 0 || observed.successes > 1;
        counted.never_useful += usize::from(!helped);
        counted.never_used += usize::from(used.successes + used.failures == 0);
    }
    counted
}

fn said_by_pattern(pattern: &Pattern) -> String {
    json!([pattern.domain, pattern.body]).to_string()
}

fn said_by_heuristic(heuristic: &Heuristic) -> String {
    let mut episodes: Vec<Value> = heuristic.supporting.iter().map(|id| json!(id)).collect();
    episodes.extend(heuristic.contradicting.iter().map(|id| json!(id)));
    if episodes.is_empty() {
        return json!([heuristic.domain, heuristic.condition, heuristic.advice, heuristic.tool]).to_string();
    }
    json!([heuristic.domain, heuristic.advice, heuristic.tool, episodes]).to_string()
}

fn said_by_playbook(playbook: &Playbook) -> String {
    json!([playbook.domain, playbook.steps]).to_string()
}

fn said_by_lesson(lesson: &Lesson) -> String {
    json!([lesson.domain, lesson.tool, lesson.error]).to_string()
}

/// Returns the newest figure of each metric that is over all agents, kinds and domains.
fn newest(metrics: Vec<Metric>) -> Vec<Metric> {
    let mut newest: BTreeMap<String, Metric> = BTreeMap::new();
    let over_all =
        |metric: &Metric| metric.agent.is_none() && metric.task_kind.is_none() && metric.domain.is_none();
    for metric in metrics.into_iter().filter(over_all) {
        if newest.get(&metric.name).is_none_or(|known| known.day < metric.day) {
            newest.insert(metric.name.clone(), metric);
        }
    }
    newest.into_values().collect()
}

fn tell(stats: &Stats, output: &mut Output) -> Result<(), Failure> {
    let mut add = |name: &str, content: String| {
        output.line(format!("{}{content}", paint(style::FAINT, format!("{name:<14}"))))
    };
    add("records", counted(stats.records.as_ref()))?;
    let strategies: Vec<String> = stats
        .strategies
        .iter()
        .map(|(strategy, count)| format!("{} {}", text::number(*count as u64), strategy.replace('_', " ")))
        .collect();
    if !strategies.is_empty() {
        add("patterns", text::one_line(&strategies.join(", ")))?;
    }
    for skill in &stats.advice {
        let Some(f1) = skill.mean_f1 else { continue };
        let domain = skill
            .domain
            .as_deref()
            .map_or_else(String::new, |domain| format!("{}: ", text::one_line(domain)));
        let of = text::number(skill.predictions as u64);
        add(
            "advice",
            format!(
                "{domain}F1 {f1:.2} over the last {of} episodes, predicted before they were learned from"
            ),
        )?;
    }
    for (name, told) in stats.junk.told() {
        add(name, told)?;
    }
    if stats.heuristics_not_recalled > 0 {
        let count = text::count(stats.heuristics_not_recalled as u64, "heuristic");
        add("not recalled", format!("{count} rejected, or withheld because its uses went worse"))?;
    }
    for metric in &stats.metrics {
        let over = text::count(metric.samples.into(), "episode");
        let name = text::one_line(&metric.name.replace('_', " "));
        let value = format!("{:.3}, {over} on {}", metric.value, &metric.day.to_string()[..10]);
        add(&name, value)?;
    }
    add("consolidated", text::count(stats.cycles as u64, "time"))?;
    Ok(())
}
