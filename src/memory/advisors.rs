//! Keeps a model of each domain's tools in step with the episodes, and in the cache file.
//!
//! A model is derived from episodes: the durable tier does not store it, and each process learns its own from
//! the same episodes. The cache stores it, so that a new process can answer without learning again. Episodes
//! that this process completes or forgets are noted at once; those of others are included when they exceed a
//! small share, and by consolidation. Without a model in the cache, or with one of another version, the process
//! learns from the episodes again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use memory_core::{Attempt, Episode, EpisodeId, Key, Kind, Result, ToolUse, lock};
use memory_learn::advise::{Example, Model, Params};
use memory_recall::query::RecallQuery;
use memory_recall::tokenize::normalize_label;
use serde::Serialize;

use crate::memory::backlog::Backlog;
use crate::memory::records::Records;

/// A domain as it is compared, however people spell it; `None` for tasks that name none.
pub(super) type Domain = Option<String>;

/// Episodes read with one request.
const READ_AT_ONCE: usize = 250;
/// Episodes that others recorded or forgot, as a share of those learned from, from which recall learns from
/// them first.
const WORTHWHILE: f64 = 0.02;
/// Episodes that are learned from between two times that the model is stored, as a share of all: storing costs
/// as much as the model is large.
const STORED_AT: f64 = 0.1;
/// The newest episodes that a recall learns from before it answers, where this process has no model of them:
/// about a second. Consolidation learns from the rest. A model of some agents' episodes is learned from as
/// many.
const AT_ONCE: usize = 2_500;
/// Filters by agent whose models are kept.
const BY_AGENT: u64 = 8;

/// A domain, the included agents, and the excluded ones.
type ByAgent = (Domain, Vec<String>, Vec<String>);

/// How right the advice on tools has been in a domain.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AdviceSkill {
    /// The domain, as it is compared; `None` for tasks that name none.
    pub domain: Option<String>,
    /// Episodes that the model has learned from.
    pub episodes: usize,
    /// Tools that it knows.
    pub tools: usize,
    /// The newest episodes whose tools were predicted before they were learned from, at most 300.
    pub predictions: usize,
    /// The mean F1 measure of the predicted set of tools against those that worked, in `0.0..=1.0`; `None`
    /// without any.
    pub mean_f1: Option<f64>,
    /// Mentions of tools that were not learned because the domain has too many.
    pub dropped: u64,
}

/// The model of a domain.
#[derive(Debug, Default)]
pub(super) struct Advisor {
    pub(super) model: Model,
    /// Whether it can be learned with: all of it was read, or it was made here.
    learns: bool,
    /// Episodes learned from or forgotten since it was stored.
    unstored: usize,
    /// Episodes of the domain that the index had when the two were last compared.
    compared: Option<usize>,
}

/// A model, shared by its users.
pub(super) type Shared = Arc<RwLock<Advisor>>;

/// The models of a namespace, by domain.
pub(super) struct Advisors {
    records: Arc<Records>,
    backlog: Arc<Backlog>,
    held: Mutex<BTreeMap<Domain, Shared>>,
    /// Episodes of this process that were added, changed or removed.
    noted: Mutex<BTreeMap<Domain, BTreeSet<EpisodeId>>>,
    by_agent: moka::sync::Cache<ByAgent, (u64, Shared)>,
    /// Held while a model is changed.
    changing: tokio::sync::Mutex<()>,
}

impl Advisors {
    pub(super) fn new(records: Arc<Records>, backlog: Arc<Backlog>) -> Self {
        Self {
            records,
            backlog,
            held: Mutex::default(),
            noted: Mutex::default(),
            by_agent: moka::sync::Cache::new(BY_AGENT),
            changing: tokio::sync::Mutex::default(),
        }
    }

    /// Notes that an episode of a domain was added, changed or removed.
    pub(super) fn note(&self, domain: Option<&str>, episode: EpisodeId) {
        lock(&self.noted).entry(domain.map(normalize_label)).or_default().insert(episode);
    }
}

/// Reads a model.
pub(super) fn asking<T>(advisor: &RwLock<Advisor>, ask: impl FnOnce(&Model) -> T) -> T {
    ask(&advisor.read().unwrap_or_else(PoisonError::into_inner).model)
}

fn changing<T>(advisor: &RwLock<Advisor>, change: impl FnOnce(&mut Advisor) -> T) -> T {
    change(&mut advisor.write().unwrap_or_else(PoisonError::into_inner))
}

/// Returns the names that the parts of a domain's model are stored under.
fn names(domain: &Domain) -> [String; 2] {
    // `=` marks a domain, so that none is like a domain without a name.
    let domain = domain.as_ref().map_or_else(String::new, |domain| format!("={domain}"));
    ["answers", "learns"].map(|part| format!("advice.{part}{domain}"))
}

impl Advisors {
    /// Returns the model for a query: of its domain, or of the included agents' episodes.
    pub(super) async fn advisor(&self, domain: Option<&str>, query: &RecallQuery) -> Result<Shared> {
        let domain = domain.map(normalize_label);
        if query.is_by_agent() {
            return self.advisor_by_agent(domain, query).await;
        }
        let known = self.known(&domain);
        let is_current = |advisor: &Shared| {
            let advisor = advisor.read().unwrap_or_else(PoisonError::into_inner);
            let compared = advisor.compared.unwrap_or(advisor.model.len());
            known.abs_diff(compared) as f64 <= advisor.model.len() as f64 * WORTHWHILE
        };
        let held = lock(&self.held).get(&domain).cloned();
        if let Some(advisor) = held.filter(&is_current) {
            return Ok(advisor);
        }
        let _changing = self.changing.lock().await;
        let advisor = self.held_or_stored(&domain).await;
        if !is_current(&advisor) {
            self.compare(&domain, &advisor, AT_ONCE).await?;
        }
        Ok(advisor)
    }

    /// Returns the model of a domain when it has learned from all of its episodes, and how many they are.
    pub(super) async fn learned_advisor(&self, domain: &Domain) -> Result<(Shared, usize)> {
        let _changing = self.changing.lock().await;
        let advisor = self.held_or_stored(domain).await;
        let is_learning = self.make_learn(domain, &advisor).await;
        // Unreadable episodes are not learned from, and are no reason to compare again.
        let compared = changing(&advisor, |advisor| advisor.compared.unwrap_or(advisor.model.len()));
        if !is_learning || self.known(domain) != compared {
            self.compare(domain, &advisor, usize::MAX).await?;
        }
        let episodes = asking(&advisor, Model::len);
        Ok((advisor, episodes))
    }

    /// Learns from noted episodes, forgets removed ones, and stores models that changed much.
    pub(super) async fn learn_noted(&self) -> Result<()> {
        self.take_up_noted().await?;
        let _changing = self.changing.lock().await;
        for (domain, advisor) in self.held() {
            self.store_if_due(&domain, &advisor).await;
        }
        Ok(())
    }

    /// Learns from noted episodes, and forgets removed ones.
    pub(super) async fn take_up_noted(&self) -> Result<()> {
        let _changing = self.changing.lock().await;
        loop {
            let Some((domain, noted)) = lock(&self.noted).pop_first() else { return Ok(()) };
            if let Err(error) = self.learn_these(&domain, &noted).await {
                lock(&self.noted).entry(domain).or_default().extend(noted);
                return Err(error);
            }
        }
    }

    async fn learn_these(&self, domain: &Domain, noted: &BTreeSet<EpisodeId>) -> Result<()> {
        let advisor = self.held_or_stored(domain).await;
        if !self.make_learn(domain, &advisor).await {
            // There is no model of earlier episodes: learn from all of them, except noted ones, which have
            // their own turn.
            let waits = self.backlog.waiting();
            return self.compare_but(&waits, domain, &advisor, usize::MAX).await;
        }
        for ids in noted.iter().copied().collect::<Vec<_>>().chunks(READ_AT_ONCE) {
            self.learn_of(domain, &advisor, ids).await?;
        }
        Ok(())
    }

    /// Compares the models of all domains with the episodes, until `stop` returns true.
    pub(super) async fn compare_all(&self, stop: impl Fn() -> bool) -> Result<()> {
        let domains = self.records.index.with(|index| index.domains(self.records.engine.namespace()));
        for domain in domains {
            if stop() {
                break;
            }
            let _changing = self.changing.lock().await;
            let advisor = self.held_or_stored(&domain).await;
            self.compare(&domain, &advisor, usize::MAX).await?;
        }
        Ok(())
    }

    /// Returns how right the advice has been, by domain, as far as this process has learned.
    pub(super) async fn advice_skill(&self) -> Vec<AdviceSkill> {
        let domains = self.records.index.with(|index| index.domains(self.records.engine.namespace()));
        let mut skills = Vec::with_capacity(domains.len());
        for domain in domains {
            let advisor = self.held_or_stored(&domain).await;
            skills.push(asking(&advisor, |model| {
                let skill = model.skill();
                AdviceSkill {
                    domain,
                    episodes: model.len(),
                    tools: model.tools().len(),
                    predictions: skill.predictions,
                    mean_f1: (skill.predictions > 0).then_some(skill.mean_f1),
                    dropped: model.dropped(),
                }
            }));
        }
        skills
    }

    fn held(&self) -> Vec<(Domain, Shared)> {
        let held = lock(&self.held);
        held.iter().map(|(domain, advisor)| (domain.clone(), advisor.clone())).collect()
    }

    /// Stores models with unstored changes.
    pub(super) async fn store_models(&self) {
        let _changing = self.changing.lock().await;
        for (domain, advisor) in self.held() {
            if changing(&advisor, |advisor| advisor.unstored > 0) {
                self.store_model(&domain, &advisor).await;
            }
        }
    }

    async fn advisor_by_agent(&self, domain: Domain, query: &RecallQuery) -> Result<Shared> {
        let asked = (domain, query.agents.clone(), query.not_agents.clone());
        let space = self.records.engine.namespace();
        let stamp = self.records.index.with(|index| index.stamp(space, Kind::Episode));
        if let Some((then, held)) = self.by_agent.get(&asked)
            && then == stamp
        {
            return Ok(held);
        }
        let ids = self.records.index.with(|index| {
            let admits = |agent: Option<&str>| query.admits_agent(agent);
            index.episodes_of(space, asked.0.as_deref(), AT_ONCE, admits)
        });
        let ids: Vec<EpisodeId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        let advisor = Shared::default();
        for ids in ids.chunks(READ_AT_ONCE) {
            self.learn_of(&asked.0, &advisor, ids).await?;
        }
        changing(&advisor, |advisor| advisor.model.calibrate());
        self.by_agent.insert(asked, (stamp, advisor.clone()));
        Ok(advisor)
    }

    fn known(&self, domain: &Domain) -> usize {
        self.records.index.with(|index| index.count_of(self.records.engine.namespace(), domain.as_deref()))
    }

    /// Returns the model of a domain as this process has it, or as the cache does, or an empty one.
    async fn held_or_stored(&self, domain: &Domain) -> Shared {
        if let Some(advisor) = lock(&self.held).get(domain) {
            return advisor.clone();
        }
        let [answers, _] = names(domain);
        let stored = self.records.engine.state(&answers).await;
        let stored = stored.and_then(|bytes| Model::decode(bytes, Params::default()).ok());
        let learns = stored.is_none();
        let advisor = Advisor { model: stored.unwrap_or_default(), learns, ..Advisor::default() };
        let advisor = Arc::new(RwLock::new(advisor));
        // Queries may name any domain: nothing is kept for domains that do not exist.
        if self.known(domain) > 0 || !asking(&advisor, Model::is_empty) {
            lock(&self.held).insert(domain.clone(), advisor.clone());
        }
        advisor
    }

    /// Makes a model ready to learn; returns false if it had to be emptied for that.
    async fn make_learn(&self, domain: &Domain, advisor: &Shared) -> bool {
        if changing(advisor, |advisor| advisor.learns) {
            return !asking(advisor, Model::is_empty) || self.known(domain) == 0;
        }
        let [_, learns] = names(domain);
        let bytes = self.records.engine.state(&learns).await;
        changing(advisor, |advisor| {
            let model = std::mem::take(&mut advisor.model);
            let resumed = bytes.and_then(|bytes| model.resume(&bytes).ok());
            let is_resumed = resumed.is_some();
            advisor.model = resumed.unwrap_or_default();
            advisor.learns = true;
            is_resumed
        })
    }

    /// Learns from the episodes of a domain that the model lacks, the newest `most` of them, and forgets
    /// deleted ones.
    async fn compare(&self, domain: &Domain, advisor: &Shared, most: usize) -> Result<()> {
        self.compare_but(&BTreeSet::new(), domain, advisor, most).await
    }

    /// The same, except for pending episodes.
    async fn compare_but(
        &self,
        waits: &BTreeSet<EpisodeId>,
        domain: &Domain,
        advisor: &Shared,
        most: usize,
    ) -> Result<()> {
        self.make_learn(domain, advisor).await;
        let space = self.records.engine.namespace();
        let ids = self
            .records
            .index
            .with(|index| index.episodes_of(space, domain.as_deref(), usize::MAX, |_| true));
        let known = self.known(domain);
        // The newest first.
        let ids: Vec<EpisodeId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        let live: BTreeSet<EpisodeId> = ids.iter().copied().collect();
        let (mut lacking, waiting, gone): (Vec<EpisodeId>, usize, Vec<u128>) = asking(advisor, |model| {
            let lacking = ids.iter().filter(|id| !model.contains(id.0.as_u128()));
            let (waiting, lacking): (Vec<_>, Vec<_>) = lacking.partition(|id| waits.contains(id));
            let lacking = lacking.into_iter().take(most).copied().collect();
            let gone = |id: &u128| !live.contains(&EpisodeId(uuid::Uuid::from_u128(*id)));
            (lacking, waiting.len(), model.ids().filter(gone).collect())
        });
        changing(advisor, |advisor| {
            for id in gone {
                advisor.unstored += usize::from(advisor.model.forget(id));
            }
        });
        // In the order in which they would have been learned from one by one.
        lacking.sort_unstable();
        for ids in lacking.chunks(READ_AT_ONCE) {
            self.learn_of(domain, advisor, ids).await?;
        }
        changing(advisor, |advisor| {
            advisor.model.calibrate();
            advisor.compared = Some(known.saturating_sub(waiting));
        });
        self.store_if_due(domain, advisor).await;
        Ok(())
    }

    /// Learns from the current versions of these episodes; forgets those that were deleted or moved to another
    /// domain.
    async fn learn_of(&self, domain: &Domain, advisor: &Shared, ids: &[EpisodeId]) -> Result<()> {
        let space = self.records.engine.namespace();
        let keys: Vec<Key> = ids.iter().map(|id| Key::episode(space, *id)).collect();
        let records = self.records.engine.read_many(&keys).await?;
        let mut episodes: BTreeMap<EpisodeId, Episode> = BTreeMap::new();
        for record in records.into_iter().flatten() {
            let episode = record.entity.as_ref().and_then(|entity| entity.as_episode());
            if let Some(episode) = episode.filter(|it| it.success_share().is_some()) {
                episodes.insert(episode.id, episode.clone());
            }
        }
        episodes.retain(|_, it| it.task.domain.as_deref().map(normalize_label) == *domain);
        let (advisor, ids) = (advisor.clone(), ids.to_vec());
        let learned = tokio::task::spawn_blocking(move || {
            for id in ids {
                let example = episodes.remove(&id).map(|episode| example(&episode));
                // Locked for one episode at a time, so that a query does not wait for all of them.
                changing(&advisor, |advisor| {
                    let before = advisor.model.len();
                    let changed = match example {
                        Some(example) => {
                            advisor.model.learn(example);
                            true
                        }
                        None => advisor.model.forget(id.0.as_u128()),
                    };
                    advisor.unstored += usize::from(changed);
                    advisor.compared = advisor
                        .compared
                        .map(|compared| (compared + advisor.model.len()).saturating_sub(before));
                });
            }
        });
        learned.await.map_err(super::shutting_down)
    }

    async fn store_if_due(&self, domain: &Domain, advisor: &Shared) {
        let is_due = asking(advisor, Model::len) as f64 * STORED_AT;
        if changing(advisor, |advisor| advisor.unstored as f64 > is_due) {
            self.store_model(domain, advisor).await;
        }
    }

    /// Stores a model in the cache. After a failure it is stored with the next change, or on closing. A model
    /// that the cache lacks is learned again.
    async fn store_model(&self, domain: &Domain, advisor: &Shared) {
        changing(advisor, |advisor| advisor.model.calibrate());
        let shared = advisor.clone();
        let encoded = tokio::task::spawn_blocking(move || {
            asking(&shared, |model| {
                (!model.is_empty()).then(|| {
                    let answers = model.encode();
                    let learns = model.encode_learning(&answers);
                    [answers, learns]
                })
            })
        });
        // The runtime is shutting down.
        let Ok(encoded) = encoded.await else { return };
        let mut stored = true;
        for (place, name) in names(domain).iter().enumerate() {
            let bytes = encoded.as_ref().map(|parts| parts[place].as_slice());
            stored &= self.records.engine.put_state(name, bytes).await;
        }
        if stored {
            changing(advisor, |advisor| advisor.unstored = 0);
        }
    }
}

/// Returns the training example of an episode: the tools that did what the task needed, in the order of their
/// first success, the tools that it is evidence against, and its calls.
fn example(episode: &Episode) -> Example {
    let worked = |used: &&ToolUse| used.failures < used.calls;
    let named = |attempt: &Attempt| {
        Some((episode.tools.get(usize::from(attempt.tool))?.tool.as_str(), attempt.worked))
    };
    let course: Vec<(&str, bool)> = episode.course.iter().filter_map(named).collect();
    let first_success = |used: &&ToolUse| course.iter().position(|call| *call == (used.tool.as_str(), true));
    let mut used: Vec<&ToolUse> = episode.tools.iter().filter(worked).collect();
    used.sort_by_key(|used| first_success(used).unwrap_or(usize::MAX));
    let failed: Vec<&ToolUse> = episode.tools.iter().filter(|it| !worked(it)).collect();
    let success = episode.success_share().unwrap_or(0.0);
    // If other tools failed in a failed episode, its successful ones are not to blame.
    let credited = success >= 0.5 || !failed.is_empty();
    let (used, failed) = if credited { (used, failed) } else { (Vec::new(), episode.tools.iter().collect()) };
    let name = |it: &ToolUse| it.tool.clone();
    Example::new(episode.id.0.as_u128(), &episode.task.description)
        .kind(episode.task.kind.as_deref())
        .used(used.into_iter().map(name))
        .against(failed.into_iter().map(name))
        .course(course)
        .silent_about_others(success < 0.5)
}
