//! Keeps the stored heuristics in step with the episodes that they derive from.
//!
//! Heuristics are computed from the newest episodes of a domain as a whole: which word tells which tool apart is a
//! question about all of them. What people ruled and what became of uses is kept over every computation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use crate::clock::Timestamp;
use crate::engine::Freshness;
use crate::error::{ErrorKind, Result};
use crate::id::{EpisodeId, HeuristicId, lock};
use crate::learn::heuristics::associate::{Associations, Lesson, MAX_LESSONS, associate};
use crate::learn::heuristics::generalise::covers;
use crate::memory::learner::Draft;
use crate::memory::{Inner, Listed};
use crate::model::entity::Entity;
use crate::model::episode::{Attempt, Episode, ToolUse};
use crate::model::evidence::{ItemId, Standing, Tally};
use crate::model::heuristic::Heuristic;
use crate::model::kind::Kind;
use crate::model::ruling::Rulings;
use crate::recall::query::RecallQuery;
use crate::recall::tokenize::normalize_label;
use crate::store::record::Key;

/// Episodes read with one request.
const READ_AT_ONCE: usize = 250;
/// New episodes, as a share of those known, from which it is worth computing heuristics anew in the background.
const WORTHWHILE: f64 = 0.02;
/// Filters by agent whose associations are kept.
const BY_AGENT: u64 = 8;

/// A domain as it is compared, however people spell it; `None` for tasks that name none.
type Domain = Option<String>;

/// Which heuristics are computed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refresh {
    /// Those of the domains where enough is new.
    Worthwhile,
    /// Those of the domains where anything is new.
    Changed,
}

/// The stored heuristics of a domain, with the stamps that the index had for them and for rulings then.
type Stored = ((u64, u64), Arc<Vec<Heuristic>>);

/// A domain, the agents that are asked for, and those that are not.
type ByAgent = (Domain, Vec<String>, Vec<String>);

/// What heuristics are computed from and gave, by domain.
#[derive(Debug)]
pub(super) struct Rules {
    /// With how many episodes the index had of the domain then.
    associations: Mutex<BTreeMap<Domain, (usize, Arc<Associations>)>>,
    /// Domains whose heuristics are out of step, with how many episodes are new.
    stale: Mutex<BTreeMap<Domain, usize>>,
    /// From how many episodes this process has last computed the heuristics to store of a domain.
    refreshed: Mutex<BTreeMap<Domain, usize>>,
    lessons: moka::sync::Cache<EpisodeId, Arc<Lesson>>,
    stored: Mutex<BTreeMap<Domain, Stored>>,
    /// Of what some agents did, or others did not, with the stamp of the episodes then.
    by_agent: moka::sync::Cache<ByAgent, (u64, Arc<Associations>)>,
    /// Held while associations are computed: those who wait share the result.
    computing: tokio::sync::Mutex<()>,
}

impl Rules {
    pub(super) fn new() -> Self {
        Self {
            associations: Mutex::default(),
            stale: Mutex::default(),
            refreshed: Mutex::default(),
            stored: Mutex::default(),
            by_agent: moka::sync::Cache::new(BY_AGENT),
            lessons: moka::sync::Cache::new(4 * MAX_LESSONS as u64),
            computing: tokio::sync::Mutex::default(),
        }
    }

    /// Notes that an episode of a domain came, changed or went.
    pub(super) fn note(&self, domain: Option<&str>, episode: EpisodeId) {
        self.lessons.invalidate(&episode);
        *lock(&self.stale).entry(domain.map(normalize_label)).or_default() += 1;
    }
}

impl Inner {
    /// Computes heuristics anew where that is due and stores them; returns how many records were written.
    pub(super) async fn refresh_heuristics(&self, which: Refresh) -> Result<u64> {
        let stale: BTreeSet<Domain> = {
            let refreshed = lock(&self.rules.refreshed);
            let worthwhile = |domain: &Domain, new: usize| {
                let known = refreshed.get(domain).copied().unwrap_or_default();
                which != Refresh::Worthwhile || new as f64 >= known as f64 * WORTHWHILE
            };
            let stale = lock(&self.rules.stale);
            let changed = stale.iter().filter(|(domain, new)| worthwhile(domain, **new));
            changed.map(|(domain, _)| domain.clone()).collect()
        };
        let mut written = 0;
        for domain in stale {
            let new = lock(&self.rules.stale).remove(&domain).unwrap_or_default();
            let stored = self.refresh_domain(&domain).await;
            if !matches!(stored, Ok(Some(_))) && new > 0 {
                *lock(&self.rules.stale).entry(domain).or_default() += new;
            }
            written += stored?.unwrap_or_default();
        }
        Ok(written)
    }

    /// Computes and stores the heuristics of domains that this process has not looked at, one after the other until `stop`
    /// says so: another process may have ended before it did.
    pub(super) async fn refresh_others(&self, stop: impl Fn() -> bool) -> Result<()> {
        let space = self.engine.namespace();
        for domain in self.engine.with_index(|index| index.domains(space)) {
            if lock(&self.rules.refreshed).contains_key(&domain) {
                continue;
            }
            if stop() {
                return Ok(());
            }
            let _gate = self.learner.gate.lock().await;
            if self.refresh_domain(&domain).await?.is_none() {
                // It is not looked at as long as nothing can be stored.
                lock(&self.rules.refreshed).remove(&domain);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Computes the heuristics of a domain and stores them; returns how many were written, or `None` if they must wait.
    async fn refresh_domain(&self, domain: &Domain) -> Result<Option<u64>> {
        let associations = {
            let _computing = self.rules.computing.lock().await;
            self.compute(domain).await?
        };
        // Computed is computed: while nothing can be stored it is not done again for each episode.
        lock(&self.rules.refreshed).insert(domain.clone(), associations.lessons);
        self.store_heuristics(domain, &associations).await
    }

    /// Returns the associations of a domain; computes them if there are none, or if other processes recorded notably
    /// more or fewer episodes since. What this one recorded, the background computes them from.
    pub(super) async fn associations(&self, domain: Option<&str>) -> Result<Arc<Associations>> {
        let space = self.engine.namespace();
        let domain = &domain.map(normalize_label);
        let known = self.engine.with_index(|index| index.count_of(space, domain.as_deref()));
        let own = lock(&self.rules.stale).get(domain).copied().unwrap_or_default();
        let held = |rules: &Rules| {
            let associations = lock(&rules.associations);
            let (then, held) = associations.get(domain)?;
            let others = known.abs_diff(*then).saturating_sub(own);
            let current = others as f64 <= (*then).min(MAX_LESSONS) as f64 * WORTHWHILE;
            current.then(|| held.clone())
        };
        if let Some(associations) = held(&self.rules) {
            return Ok(associations);
        }
        let _computing = self.rules.computing.lock().await;
        match held(&self.rules) {
            Some(associations) => Ok(associations),
            None => self.compute(domain).await,
        }
    }

    /// Returns the associations of what some agents did in a domain.
    pub(super) async fn associations_for(
        &self,
        domain: Option<&str>,
        query: &RecallQuery,
    ) -> Result<Arc<Associations>> {
        if !query.is_by_agent() {
            return self.associations(domain).await;
        }
        let domain = domain.map(normalize_label);
        let asked = (domain, query.agents.clone(), query.not_agents.clone());
        let space = self.engine.namespace();
        let stamp = self.engine.with_index(|index| index.stamp(space, Kind::Episode));
        if let Some((then, held)) = self.rules.by_agent.get(&asked)
            && then == stamp
        {
            return Ok(held);
        }
        let _computing = self.rules.computing.lock().await;
        let (_, lessons) = self.lessons(&asked.0, |agent| query.admits_agent(agent)).await?;
        let associations = self.associate(lessons).await?;
        self.rules.by_agent.insert(asked, (stamp, associations.clone()));
        Ok(associations)
    }

    /// Returns the heuristics of a domain as stored, those that are ruled out included, and how many are out of reach.
    pub(super) async fn stored_heuristics(
        &self,
        domain: Option<&str>,
    ) -> Result<(Arc<Vec<Heuristic>>, usize)> {
        let space = self.engine.namespace();
        let domain = &domain.map(normalize_label);
        let stamp = self
            .engine
            .with_index(|index| (index.stamp(space, Kind::Heuristic), index.stamp(space, Kind::Ruling)));
        if let Some((then, held)) = lock(&self.rules.stored).get(domain)
            && *then == stamp
        {
            return Ok((held.clone(), 0));
        }
        let keys = self.engine.with_index(|index| {
            let keys = index.learned_of(space, Kind::Heuristic, domain.as_deref()).into_iter();
            keys.map(|key| (index.revision(&key), key)).collect::<Vec<(_, Key)>>()
        });
        let mut heuristics = Vec::with_capacity(keys.len());
        let (mut out_of_reach, mut current) = (0, true);
        let (revisions, keys): (Vec<_>, Vec<Key>) = keys.into_iter().unzip();
        for (known, read) in revisions.into_iter().zip(self.engine.read_each(&keys).await?) {
            match read {
                Ok(read) => {
                    // The index hears of a change before the layers below it do.
                    current &= read.record.as_ref().map(|record| record.revision) >= known;
                    let entity =
                        read.record.and_then(|record| record.entity).map(|entity| self.noted(entity));
                    heuristics.extend(entity.as_deref().and_then(Entity::as_heuristic).cloned());
                }
                Err(error) if error.is_transient() || error.kind() == ErrorKind::Unauthorized => {
                    out_of_reach += 1;
                }
                Err(error) => return Err(error),
            }
        }
        let heuristics = Arc::new(heuristics);
        if current && out_of_reach == 0 && !heuristics.is_empty() {
            lock(&self.rules.stored).insert(domain.clone(), (stamp, heuristics.clone()));
        }
        Ok((heuristics, out_of_reach))
    }

    async fn compute(&self, domain: &Domain) -> Result<Arc<Associations>> {
        let (known, lessons) = self.lessons(domain, |_| true).await?;
        let associations = self.associate(lessons).await?;
        let mut held = lock(&self.rules.associations);
        match known {
            // Whatever domain somebody asks for: nothing is kept of those that there are not.
            0 => drop(held.remove(domain)),
            _ => drop(held.insert(domain.clone(), (known, associations.clone()))),
        }
        drop(held);
        Ok(associations)
    }

    async fn associate(&self, lessons: Vec<Arc<Lesson>>) -> Result<Arc<Associations>> {
        // As of the newest episode, not of the wall clock: the same episodes give the same heuristics whenever computed. One
        // from the future has no say in what is old.
        let newest = lessons.iter().max_by_key(|lesson| (lesson.at, lesson.id));
        let now = newest.map_or(Timestamp(0), |lesson| lesson.at).min(self.engine.now());
        let (domain_name, belief) =
            (newest.and_then(|lesson| lesson.domain.clone()), self.learning.belief.clone());
        let computed = tokio::task::spawn_blocking(move || {
            let lessons: Vec<&Lesson> = lessons.iter().map(Arc::as_ref).collect();
            associate(domain_name.as_deref(), &lessons, now, &belief)
        })
        .await;
        Ok(Arc::new(computed.map_err(super::shutting_down)?))
    }

    /// Returns how many episodes the index has of a domain, and the lessons of those that can be read and whose agent is
    /// admitted.
    async fn lessons(
        &self,
        domain: &Domain,
        admits: impl Fn(Option<&str>) -> bool,
    ) -> Result<(usize, Vec<Arc<Lesson>>)> {
        let space = self.engine.namespace();
        let ids =
            self.engine.with_index(|index| index.episodes_of(space, domain.as_deref(), MAX_LESSONS, admits));
        let known = self.engine.with_index(|index| index.count_of(space, domain.as_deref()));
        let mut lessons = Vec::with_capacity(ids.len());
        let mut unknown = Vec::new();
        for id in ids.iter().filter_map(|id| id.parse::<EpisodeId>().ok()) {
            match self.rules.lessons.get(&id) {
                Some(lesson) => lessons.push(lesson),
                None => unknown.push(Key::episode(space, id)),
            }
        }
        for keys in unknown.chunks(READ_AT_ONCE) {
            let records = self.engine.read_many(keys).await?;
            let entities = records.iter().flatten().filter_map(|record| record.entity.as_ref());
            for episode in entities.filter_map(|entity| entity.as_episode()) {
                if episode.is_completed() {
                    let lesson = Arc::new(lesson(episode));
                    self.rules.lessons.insert(episode.id, lesson.clone());
                    lessons.push(lesson);
                }
            }
        }
        Ok((known, lessons))
    }

    /// Writes the heuristics that changed, and removes those that nothing supports any more; returns how many, or `None`
    /// if it is not known what is stored: a ruling that this machine has not heard of must not be written over.
    async fn store_heuristics(&self, domain: &Domain, associations: &Associations) -> Result<Option<u64>> {
        let Listed { items: held, freshness } = self.all(Kind::Heuristic, Entity::as_heuristic).await?;
        // The index may be a pull behind; what somebody ruled on just now stays.
        let rulings = self.all(Kind::Ruling, Entity::as_ruling).await?;
        if freshness.or_staler(rulings.freshness) != Freshness::Fresh {
            return Ok(None);
        }
        let rulings: Rulings = rulings.items.iter().collect();
        let mut held: BTreeMap<_, Heuristic> = held
            .into_iter()
            .filter(|heuristic| heuristic.domain.as_deref().map(normalize_label) == *domain)
            .map(|heuristic| {
                let ruling = rulings.on(ItemId::Heuristic(heuristic.id));
                (heuristic.id, Heuristic { ruling, ..heuristic })
            })
            .collect();
        let computed: BTreeMap<_, &Heuristic> =
            associations.heuristics.iter().map(|heuristic| (heuristic.id, heuristic)).collect();
        // A special rule stays out for as long as a general one says all that it says.
        let is_special = |id: &HeuristicId, of: &Heuristic| {
            let covered = |special: &&Heuristic| computed.get(&of.id).is_some_and(|it| covers(it, special));
            computed.get(id).is_none_or(covered)
        };
        let replaced: BTreeSet<_> = held
            .values()
            .flat_map(|of| of.generalises.iter().filter(|id| is_special(id, of)).copied())
            .collect();
        let mut draft = Draft::new(self);
        for computed in &associations.heuristics {
            let mut heuristic = computed.clone();
            match held.remove(&heuristic.id) {
                Some(old) => {
                    heuristic.used = old.used;
                    heuristic.standing = if old.is_pinned() { Standing::Active } else { old.standing };
                    heuristic.ruling = old.ruling;
                    heuristic.generalises =
                        old.generalises.iter().filter(|id| is_special(id, &old)).copied().collect();
                    heuristic.created_at = old.created_at;
                    if heuristic == old {
                        continue;
                    }
                }
                None if replaced.contains(&heuristic.id) => continue,
                None => {}
            }
            draft.put(heuristic.id.to_string(), heuristic);
        }
        for (id, old) in held {
            if old.ruling.is_none() {
                draft.remove(Kind::Heuristic, id.to_string());
                continue;
            }
            // A ruling stays with its condition; of the episodes that showed it nothing does.
            let ruled = Heuristic {
                tally: Tally::default(),
                confidence: Tally::default().lower_bound(Timestamp(0), &self.learning.belief),
                weight: 0.0,
                supporting: Vec::new(),
                contradicting: Vec::new(),
                generalises: Vec::new(),
                ..old.clone()
            };
            if ruled != old {
                draft.put(id.to_string(), ruled);
            }
        }
        let records = draft.into_records();
        let written = records.len() as u64;
        self.engine.commit(records).await?;
        Ok(Some(written))
    }
}

fn lesson(episode: &Episode) -> Lesson {
    let worked = |used: &ToolUse| used.failures < used.calls;
    let (tools, failed): (Vec<usize>, Vec<usize>) =
        (0..episode.tools.len()).partition(|place| worked(&episode.tools[*place]));
    let mut places = vec![0_usize; episode.tools.len()];
    tools.iter().chain(&failed).zip(0..).for_each(|(place, new)| places[*place] = new);
    let names =
        |places: Vec<usize>| places.into_iter().map(|place| episode.tools[place].tool.clone()).collect();
    let place_of = |attempt: &Attempt| {
        let place = places.get(usize::from(attempt.tool))?;
        Some((u16::try_from(*place).ok()?, attempt.worked))
    };
    Lesson {
        id: episode.id,
        text: episode.task.description.clone(),
        domain: episode.task.domain.clone(),
        task_kind: episode.task.kind.clone(),
        course: episode.course.iter().filter_map(place_of).collect(),
        tools: names(tools),
        failed_tools: names(failed),
        success: episode.outcome.as_ref().map_or(0.0, crate::Outcome::success_share),
        at: episode.completed_at.unwrap_or(episode.started_at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::task::Task;

    #[test]
    fn a_lesson_has_the_course_with_its_own_places() {
        let mut episode = Episode::open(EpisodeId(uuid::Uuid::nil()), Task::new("Bake"), Timestamp(1));
        let used = |tool: &str, calls, failures| ToolUse { tool: tool.into(), calls, failures };
        episode.tools = vec![used("heat", 1, 1), used("sift", 2, 1), used("ice", 2, 2), used("whisk", 1, 0)];
        let attempt = |(tool, worked)| Attempt { tool, worked };
        episode.course =
            [(0, false), (1, false), (1, true), (9, true), (2, false), (3, true)].map(attempt).into();
        let lesson = lesson(&episode);
        assert_eq!(
            (lesson.tools, lesson.failed_tools),
            (vec!["sift".into(), "whisk".into()], vec!["heat".into(), "ice".into()])
        );
        // A place that no tool has is left out.
        assert_eq!(lesson.course, [(2, false), (0, false), (0, true), (3, false), (1, true)]);
    }
}
