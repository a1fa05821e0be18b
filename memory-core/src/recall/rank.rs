//! Scores the documents of an index against a query.

mod gather;
mod plan;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::id::lock;
use crate::recall::document::Field;
use crate::recall::lexical::shard::{Entry, Shard, State};
use crate::recall::query::{RecallQuery, Verdict};
use crate::recall::tokenize::normalize_label;
use crate::store::record::Key;

use gather::{Scored, Wanted, gather};
use plan::{Plan, plan};

/// Words shown a field in a reason.
const MAX_REASON_WORDS: usize = 6;

const KEYWORD_WEIGHT: f64 = 0.30;
const DOMAIN_WEIGHT: f64 = 0.20;
const KIND_WEIGHT: f64 = 0.10;

/// A document found, with what its score is made of.
///
/// The score is the mean of the parts weighed 0.30 keyword, 0.20 domain, 0.10 kind, over the parts that the query
/// asks for, in `0.0..=1.0`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Hit {
    /// The record.
    pub key: Key,
    /// How well it fits, in `0.0..=1.0`.
    pub score: f64,
    /// What the score is made of.
    pub parts: ScoreParts,
    /// Why it was found, in words.
    pub reasons: Vec<String>,
}

/// What a score is made of; each part in `0.0..=1.0`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ScoreParts {
    /// The BM25 score of the query's words as a share of the highest that any document could reach (of a query of more
    /// than five words, correspondingly less); 0 with no word in common. A word that no document of the namespace has
    /// lowers it for all of them, so that a query about something else stays low.
    pub keyword: f64,
    /// 1 for the same domain, 0 for another or none; `None` if the query names none.
    pub domain: Option<f64>,
    /// 1 for the same kind of task, 0 for another; `None` if the query names none.
    pub kind: Option<f64>,
}

impl ScoreParts {
    fn score(&self) -> f64 {
        let parts =
            [(KEYWORD_WEIGHT, Some(self.keyword)), (DOMAIN_WEIGHT, self.domain), (KIND_WEIGHT, self.kind)];
        let (mut sum, mut weights) = (0.0, 0.0);
        for (weight, part) in parts {
            if let Some(part) = part {
                sum += weight * part;
                weights += weight;
            }
        }
        sum / weights
    }
}

/// Finds the best documents of a shard.
pub(crate) fn search(shard: &Shard, query: &RecallQuery, now: Timestamp) -> Vec<Hit> {
    let plan = plan(shard, query);
    let limit = query.limit.min(RecallQuery::MAX_LIMIT);
    if plan.terms.is_empty() || limit == 0 {
        return Vec::new();
    }
    let scoring = Scoring::new(query, plan.ceiling);
    let wanted = Wanted {
        limit,
        floor: query.min_relevance.max(0.0) * f64::from(plan.ceiling),
        admits: |entry: &Entry| !entry.is_expired(now) && admits(query, entry.state),
        score: |entry: &Entry, raw: f64| scoring.parts(entry, raw as f32).score(),
    };
    let mut sums = lock(&shard.scratch).pop().unwrap_or_default();
    sums.resize(shard.entries.len(), 0.0);
    let scored = gather(shard, &plan, &mut sums, &wanted);
    lock(&shard.scratch).push(sums);
    let best = select(scored, query.min_relevance, limit, &scoring);
    best.into_iter().map(|candidate| candidate.into_hit(shard, query, &plan)).collect()
}

/// How the parts of a score are found.
struct Scoring {
    ceiling: f32,
    domain: Option<String>,
    kind: Option<String>,
}

impl Scoring {
    fn new(query: &RecallQuery, ceiling: f32) -> Self {
        let normalized = |label: &Option<String>| label.as_deref().map(normalize_label);
        Self { ceiling, domain: normalized(&query.domain), kind: normalized(&query.kind) }
    }

    /// Returns the parts for a document with this BM25 score.
    fn parts(&self, entry: &Entry, raw: f32) -> ScoreParts {
        let equal = |same: bool| if same { 1.0 } else { 0.0 };
        ScoreParts {
            keyword: f64::from(raw / self.ceiling).min(1.0),
            domain: self.domain.as_deref().map(|domain| equal(entry.domain.as_deref() == Some(domain))),
            kind: self.kind.as_deref().map(|kind| equal(&*entry.kind == kind)),
        }
    }
}

struct Candidate<'s> {
    slot: u32,
    entry: &'s Entry,
    /// The BM25 score itself, which tells apart what is beyond the ceiling.
    raw: f32,
    score: f64,
    parts: ScoreParts,
}

impl Candidate<'_> {
    /// Best first; of equals the newer key.
    fn order(&self, other: &Self) -> Ordering {
        let by_score = other.score.total_cmp(&self.score).then(other.raw.total_cmp(&self.raw));
        by_score.then_with(|| other.entry.id.cmp(&self.entry.id))
    }

    fn into_hit(self, shard: &Shard, query: &RecallQuery, plan: &Plan<'_>) -> Hit {
        let reasons = reasons(self.slot, &self.parts, query, plan);
        Hit { key: shard.key(self.entry), score: self.score, parts: self.parts, reasons }
    }
}

/// Returns the best of the documents that reach the floor, best first.
fn select<'s>(
    scored: Vec<Scored<'s>>,
    min_relevance: f64,
    limit: usize,
    scoring: &Scoring,
) -> Vec<Candidate<'s>> {
    let mut best: Vec<Candidate<'s>> = Vec::with_capacity(limit + 1);
    for Scored { slot, entry, raw } in scored {
        let parts = scoring.parts(entry, raw);
        if parts.keyword < min_relevance {
            continue;
        }
        let candidate = Candidate { slot, entry, raw, score: parts.score(), parts };
        let place = best.partition_point(|held| held.order(&candidate).is_lt());
        if place < limit {
            best.insert(place, candidate);
            best.truncate(limit);
        }
    }
    best
}

fn admits(query: &RecallQuery, state: State) -> bool {
    let is = |verdict: &Verdict| {
        state
            == match verdict {
                Verdict::Success => State::Success,
                Verdict::Partial => State::Partial,
                Verdict::Failure => State::Failure,
                Verdict::Abstained => State::Abstained,
            }
    };
    if query.outcomes.is_empty() {
        state != State::Open || query.include_open
    } else {
        query.outcomes.iter().any(is)
    }
}

/// Says which words of the query the document has, by field and in order of weight, and which labels agree.
fn reasons(slot: u32, parts: &ScoreParts, query: &RecallQuery, plan: &Plan<'_>) -> Vec<String> {
    let mut words: BTreeMap<Field, Vec<&str>> = BTreeMap::new();
    for term in &plan.terms {
        let Ok(at) = term.postings.binary_search_by_key(&slot, |posting| posting.slot) else { continue };
        for field in Field::ALL {
            if term.postings[at].fields & (1 << field as u8) != 0 {
                let shown = words.entry(field).or_default();
                if shown.len() < MAX_REASON_WORDS && !shown.contains(&term.surface.as_str()) {
                    shown.push(&term.surface);
                }
            }
        }
    }
    let fields: Vec<String> =
        words.iter().map(|(field, words)| format!("{} ({})", words.join(", "), field.name())).collect();
    let mut reasons = vec![format!("matches: {}", fields.join("; "))];
    let labels = [("domain", parts.domain, &query.domain), ("kind", parts.kind, &query.kind)];
    for (name, part, label) in labels {
        if let (Some(1.0), Some(label)) = (part, label) {
            reasons.push(format!("same {name}: {label}"));
        }
    }
    reasons
}
