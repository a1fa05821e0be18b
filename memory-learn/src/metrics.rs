//! The progress of learning, by day.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use memory_core::{DAY_MS, Episode, EpisodeId, Metric, Pattern, Timestamp};
use memory_recall::tokenize::normalize_label;

use crate::identity::id_of;

/// Returns the id of the record; it derives from the metric's subject, so that measuring again replaces it.
pub fn record_id(metric: &Metric) -> String {
    let part = |label: Option<String>| label.map_or_else(|| "-".to_owned(), |text| format!("+{text}"));
    let normal = |label: &Option<String>| part(label.as_deref().map(normalize_label));
    let labels = [part(metric.agent.clone()), normal(&metric.task_kind), normal(&metric.domain)];
    let slice = id_of(&["metric", &labels[0], &labels[1], &labels[2]]);
    // Milliseconds in 15 digits, so that the order of identifiers is that of the days.
    format!("{:015}:{}:{}", metric.day.0, metric.name, slice.simple())
}

/// Returns the start of a time's day, UTC.
pub fn day_of(at: Timestamp) -> Timestamp {
    Timestamp(at.day() * DAY_MS)
}

/// The episodes that are measured together: all, or those of one agent, kind of task or domain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Slice {
    agent: Option<String>,
    task_kind: Option<String>,
    domain: Option<String>,
}

impl Slice {
    fn of_kind(kind: &str) -> Self {
        Self { task_kind: Some(kind.to_owned()), ..Self::default() }
    }

    /// Returns the slice with kind and domain in normal spelling.
    fn normalized(&self) -> Self {
        let label = |label: &Option<String>| label.as_deref().map(normalize_label);
        Self { agent: self.agent.clone(), task_kind: label(&self.task_kind), domain: label(&self.domain) }
    }

    fn of_agent(agent: &str) -> Self {
        Self { agent: Some(agent.to_owned()), ..Self::default() }
    }

    fn of_domain(domain: &str) -> Self {
        Self { domain: Some(domain.to_owned()), ..Self::default() }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }
}

#[derive(Debug, Default)]
struct Figures {
    success: Mean,
    reward: Mean,
    reuse: Mean,
    saved: Mean,
    patterns: u32,
}

/// Measures the day that starts at `day`, over all and by agent, kind of task and domain, in a fixed order:
///
/// - `success_rate`: the mean success; a partial one counts its fraction;
/// - `reward`: the mean reward;
/// - `reuse_rate`: the share of episodes that used something recalled;
/// - `time_saved_ms`: how much less time an episode took than usual, on average; usual is the median of the
///   same task (fingerprint) before that day. Episodes without measured time or earlier ones take no part;
///   below 0 if they took longer;
/// - `patterns`: how many of today's patterns were known by the end of the day, over all, by kind and by
///   domain; by agent those that name one of its episodes until then, among the newest that a pattern names.
///
/// `episodes` are those of the day and, as a baseline, earlier ones; `patterns` are all. Metrics over no
/// episode are left out. Kinds and domains are compared regardless of spelling; the spelling that sorts first
/// represents all.
pub fn metrics(day: Timestamp, episodes: &[Episode], patterns: &[Pattern]) -> Vec<Metric> {
    let end = day.0.saturating_add(DAY_MS);
    let ended = |episode: &Episode| episode.outcome.as_ref().and(episode.completed_at);
    let usual = usual(episodes.iter().filter(|episode| ended(episode).is_some_and(|at| at < day)));
    let mut slices: BTreeMap<Slice, (Slice, Figures)> = BTreeMap::new();
    let mut count = |slice: Slice, add: &dyn Fn(&mut Figures)| {
        let (spelled, figures) =
            slices.entry(slice.normalized()).or_insert_with(|| (slice.clone(), Figures::default()));
        add(figures);
        if slice < *spelled {
            *spelled = slice;
        }
    };
    for episode in episodes {
        let (Some(at), Some(success)) = (ended(episode), episode.success_share()) else { continue };
        if !(day.0..end).contains(&at.0) {
            continue;
        }
        let duration = (episode.step_duration_ms > 0).then_some(episode.step_duration_ms as f64);
        let saved = usual.get(episode.fingerprint.as_str()).zip(duration).map(|(usual, took)| usual - took);
        let reused = episode.recall.as_ref().is_some_and(|recall| !recall.used.is_empty());
        let add = |figures: &mut Figures| {
            figures.success.add(success);
            figures.reuse.add(if reused { 1.0 } else { 0.0 });
            if let Some(reward) = episode.reward {
                figures.reward.add(reward);
            }
            if let Some(saved) = saved {
                figures.saved.add(saved);
            }
        };
        slices_of(episode).into_iter().for_each(|slice| count(slice, &add));
    }
    let agents: HashMap<EpisodeId, &str> = episodes
        .iter()
        .filter(|episode| ended(episode).is_some_and(|at| at.0 < end))
        .filter_map(|episode| Some((episode.id, episode.task.agent.as_deref()?)))
        .collect();
    for pattern in patterns.iter().filter(|pattern| pattern.created_at.0 < end) {
        let domain = pattern.domain.as_deref().map(Slice::of_domain);
        let shown_by: BTreeSet<&str> =
            pattern.episodes.iter().filter_map(|id| agents.get(id).copied()).collect();
        let by_agent = shown_by.into_iter().map(Slice::of_agent);
        let kind = pattern.task_kind.as_deref().map(Slice::of_kind);
        let slices = std::iter::once(Slice::default()).chain(kind).chain(domain).chain(by_agent);
        slices.for_each(|slice| count(slice, &|figures| figures.patterns += 1));
    }
    slices.values().flat_map(|(slice, figures)| figures.metrics(day, slice)).collect()
}

fn slices_of(episode: &Episode) -> Vec<Slice> {
    let task = &episode.task;
    let mut slices = vec![Slice::default()];
    slices.extend(task.kind.as_deref().map(Slice::of_kind));
    slices.extend(task.agent.as_deref().map(Slice::of_agent));
    slices.extend(task.domain.as_deref().map(Slice::of_domain));
    slices
}

/// Returns the median duration of each task, by fingerprint.
fn usual<'a>(episodes: impl Iterator<Item = &'a Episode>) -> HashMap<&'a str, f64> {
    let mut durations: HashMap<&str, Vec<u64>> = HashMap::new();
    for episode in episodes.filter(|episode| episode.step_duration_ms > 0 && !episode.fingerprint.is_empty())
    {
        durations.entry(&episode.fingerprint).or_default().push(episode.step_duration_ms);
    }
    let median = |mut sorted: Vec<u64>| {
        sorted.sort_unstable();
        let upper = sorted[sorted.len() / 2] as f64;
        let lower = sorted[(sorted.len() - 1) / 2] as f64;
        f64::midpoint(lower, upper)
    };
    durations.into_iter().map(|(fingerprint, all)| (fingerprint, median(all))).collect()
}

impl Figures {
    fn metrics(&self, day: Timestamp, slice: &Slice) -> Vec<Metric> {
        let metric = |name: &str, value: f64, samples: u32| Metric {
            name: name.to_owned(),
            value,
            samples,
            agent: slice.agent.clone(),
            task_kind: slice.task_kind.clone(),
            domain: slice.domain.clone(),
            day,
        };
        let means = [
            ("success_rate", self.success),
            ("reward", self.reward),
            ("reuse_rate", self.reuse),
            ("time_saved_ms", self.saved),
        ];
        let mut metrics: Vec<Metric> = means
            .into_iter()
            .filter(|(_, mean)| mean.count > 0)
            .map(|(name, mean)| metric(name, mean.sum / f64::from(mean.count), mean.count))
            .collect();
        metrics.push(metric("patterns", f64::from(self.patterns), self.success.count));
        metrics
    }
}

#[cfg(test)]
mod tests {
    use memory_core::{ItemId, Outcome, PatternBody, PatternId, RecallUse, Standing, Strategy, Tally, Task};
    use uuid::Uuid;

    use super::*;

    const TODAY: Timestamp = Timestamp(20 * DAY_MS);

    fn episode(days_ago: u64, outcome: Outcome, took_ms: u64) -> Episode {
        let task = Task::new("x").kind("booking").domain("air").agent("one");
        let at = Timestamp(TODAY.0 - days_ago * DAY_MS + 5);
        let mut episode = Episode::open(EpisodeId(Uuid::nil()), task, at);
        episode.completed_at = Some(at);
        episode.reward = Some(outcome.success_share() * 2.0);
        episode.outcome = Some(outcome);
        episode.step_duration_ms = took_ms;
        episode.fingerprint = "f".into();
        episode
    }

    fn pattern(days_ago: i64) -> Pattern {
        let at = Timestamp(TODAY.0.saturating_add_signed(-days_ago * DAY_MS as i64));
        Pattern {
            id: PatternId(Uuid::nil()),
            strategy: Strategy::ToolSequence,
            domain: Some("air".into()),
            task_kind: Some("booking".into()),
            body: PatternBody::ToolSequence { tools: Vec::new() },
            terms: Vec::new(),
            tally: Tally::default(),
            confidence: 0.0,
            used: Tally::default(),
            standing: Standing::Active,
            ruling: None,
            episodes: Vec::new(),
            created_at: at,
            updated_at: at,
        }
    }

    fn sample() -> (Vec<Episode>, Vec<Pattern>) {
        let mut used = episode(0, Outcome::success(""), 60);
        used.recall = Some(RecallUse { used: vec![ItemId::Episode(used.id)], ..RecallUse::default() });
        let mut unmeasured = episode(0, Outcome::Partial { fraction: 0.5, summary: String::new() }, 0);
        unmeasured.task.domain = None;
        let mut open = episode(0, Outcome::success(""), 10);
        open.outcome = None;
        let earlier = [100, 300, 120].map(|took| episode(3, Outcome::failure(""), took));
        let spelled = Pattern { domain: Some("Air".into()), ..pattern(0) };
        (
            earlier.into_iter().chain([used, unmeasured, open]).collect(),
            vec![pattern(2), Pattern { episodes: vec![EpisodeId(Uuid::nil())], ..spelled }, pattern(-1)],
        )
    }

    #[test]
    fn a_day_is_measured_over_all_and_by_label() {
        let (episodes, patterns) = sample();
        let metrics = metrics(TODAY, &episodes, &patterns);
        let check = |name: &str, labels: [Option<&str>; 3], expected: Option<(f64, u32)>| {
            let found = metrics.iter().find(|metric| {
                let own = [&metric.agent, &metric.task_kind, &metric.domain];
                metric.name == name && own.map(Option::as_deref) == labels
            });
            assert_eq!(found.map(|metric| (metric.value, metric.samples)), expected, "{name} {labels:?}");
        };
        let (all, air) = ([None, None, None], [None, None, Some("Air")]);
        check("success_rate", all, Some((0.75, 2)));
        check("success_rate", air, Some((1.0, 1)));
        check("reward", all, Some((1.5, 2)));
        check("reuse_rate", all, Some((0.5, 2)));
        check("reuse_rate", [Some("one"), None, None], Some((0.5, 2)));
        // The median before was 120.
        check("time_saved_ms", all, Some((60.0, 1)));
        check("patterns", all, Some((2.0, 2)));
        check("patterns", [None, Some("booking"), None], Some((2.0, 2)));
        check("patterns", air, Some((2.0, 1)));
        check("patterns", [Some("one"), None, None], Some((1.0, 2)));
    }

    #[test]
    fn measuring_again_replaces() {
        let (episodes, patterns) = sample();
        let ids = |episodes: &[Episode]| -> Vec<String> {
            metrics(TODAY, episodes, &patterns).iter().map(record_id).collect()
        };
        let first = ids(&episodes);
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), first.len());
        let mut other = episode(0, Outcome::failure(""), 90);
        other.task.domain = Some("AIR".into());
        let more = [episodes.clone(), vec![other]].concat();
        assert_eq!(first, ids(&more));
    }

    #[test]
    fn days_start_at_midnight() {
        let check = |at: u64, expected: u64| assert_eq!(day_of(Timestamp(at)), Timestamp(expected));
        check(0, 0);
        check(DAY_MS - 1, 0);
        check(DAY_MS, DAY_MS);
        check(TODAY.0 + 5, TODAY.0);
    }
}
