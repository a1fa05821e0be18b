//! Scores the documents of an index against a query.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::clock::Timestamp;
use crate::id::lock;
use crate::recall::document::Field;
use crate::recall::lexical::shard::{Entry, Posting, Shard, State};
use crate::recall::query::{RecallQuery, Verdict};
use crate::recall::tokenize::{normalize_label, tokenize};
use crate::store::record::Key;

/// BM25's saturation of term frequency (Robertson, Zaragoza: "The Probabilistic Relevance Framework", 2009).
const K1: f32 = 1.2;
/// BM25's normalisation by length (the same).
const B: f32 = 0.75;
/// The most one query term can contribute per unit of its weight.
const CEILING: f32 = K1 + 1.0;
/// What another form of a query's word counts against the word itself.
const OTHER_FORM: f32 = 0.5;
/// A query of more words than this need not be covered whole: one that tells a long story is answered by a document
/// that shares part of it, so the score to reach grows with the square root of the words from here on.
const STORY_WORDS: f32 = 5.0;
/// Documents without any of the query's words that frequencies are counted as if there were besides the real ones: in a
/// memory of a few episodes a word that all of them have still says more than none.
const PRIOR_DOCUMENTS: f32 = 20.0;
/// Of a longer query the words of least weight are left out.
const MAX_QUERY_WORDS: usize = 128;
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

/// A term of the query that the index knows.
struct QueryTerm<'s> {
    postings: &'s [Posting],
    /// Weight in the query times inverse document frequency.
    weight: f32,
    surface: String,
}

/// The query as the index sees it.
struct Plan<'s> {
    terms: Vec<QueryTerm<'s>>,
    /// The score that counts as 1.
    ceiling: f32,
}

pub(crate) fn search(shard: &Shard, query: &RecallQuery, now: Timestamp) -> Vec<Hit> {
    let plan = plan(shard, query);
    if plan.terms.is_empty() {
        return Vec::new();
    }
    let mut scores = lock(&shard.scratch).pop().unwrap_or_default();
    scores.resize(shard.entries.len(), 0.0);
    accumulate(shard, &plan, &mut scores);
    let best = select(shard, query, now, plan.ceiling, &mut scores);
    lock(&shard.scratch).push(scores);
    best.into_iter().map(|candidate| candidate.into_hit(shard, query, &plan)).collect()
}

/// A word of the query.
struct Word {
    term: String,
    surface: String,
    /// The word of the text it belongs to, if that is a compound.
    compound: Option<usize>,
    joined: bool,
    /// Its share in the compound; 1 for a word by itself.
    share: f32,
    /// Its id, if the index has it.
    own: Option<u32>,
    /// The ids of its other forms in the index, in order of the terms.
    forms: Vec<u32>,
    /// Share times inverse document frequency; of a word that the index does not have, that of its rarest form.
    weight: f32,
}

impl Word {
    fn is_known(&self) -> bool {
        self.own.is_some() || !self.forms.is_empty()
    }
}

/// Looks the query's words up and weighs them.
fn plan<'s>(shard: &'s Shard, query: &RecallQuery) -> Plan<'s> {
    let mut words = words(shard, query);
    let documents = shard.len() as f32 + PRIOR_DOCUMENTS;
    let frequency = |id: u32| shard.postings(id).1.len();
    let idf = |frequency: usize| (1.0 + (documents - frequency as f32 + 0.5) / (frequency as f32 + 0.5)).ln();
    for word in &mut words {
        let rarest = word.forms.iter().map(|id| frequency(*id)).min().unwrap_or(0);
        word.weight = word.share * idf(word.own.map_or(rarest, frequency));
    }
    words.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.term.cmp(&b.term)));
    words.truncate(MAX_QUERY_WORDS);

    let mut terms: Vec<(u32, QueryTerm<'s>)> = Vec::with_capacity(words.len());
    let mut add = |id: u32, weight: f32, surface: &str| {
        let postings = shard.postings(id).1;
        terms.push((id, QueryTerm { postings, weight, surface: surface.to_owned() }));
    };
    for word in &words {
        if let Some(id) = word.own {
            add(id, word.weight, &word.surface);
        }
        for &form in &word.forms {
            add(form, OTHER_FORM * word.weight.min(word.share * idf(frequency(form))), &word.surface);
        }
    }
    // A term that stands for several words of the query counts once, with its highest weight.
    terms.sort_by(|(a_id, a), (b_id, b)| a_id.cmp(b_id).then(b.weight.total_cmp(&a.weight)));
    terms.dedup_by_key(|(id, _)| *id);
    // Ids depend on the history of the index; scores must not, so the order of addition is that of the terms.
    terms.sort_by(|(a_id, a), (b_id, b)| {
        b.weight.total_cmp(&a.weight).then_with(|| shard.postings(*a_id).0.cmp(shard.postings(*b_id).0))
    });

    let shares: f32 = words.iter().map(|word| word.share).sum();
    let whole: f32 = words.iter().map(|word| word.weight * CEILING).sum();
    let ceiling = whole * (STORY_WORDS / shares.max(STORY_WORDS)).sqrt();
    Plan { terms: terms.into_iter().map(|(_, term)| term).collect(), ceiling }
}

fn words(shard: &Shard, query: &RecallQuery) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut count = 0;
    for text in std::iter::once(&query.text).chain(&query.tags) {
        let first = count;
        tokenize(text, |token| {
            count = first + token.word + 1;
            let compound = (token.parts > 1).then_some(first + token.word);
            let own = shard.term(token.term);
            let mut forms: Vec<u32> = shard.forms(token.term).to_vec();
            forms.retain(|form| Some(*form) != own);
            forms.sort_by(|a, b| shard.postings(*a).0.cmp(shard.postings(*b).0));
            words.push(Word {
                term: token.term.to_owned(),
                surface: token.surface.to_lowercase(),
                compound,
                joined: token.joined,
                share: if compound.is_some() && !token.joined { 0.5 } else { 1.0 },
                own,
                forms,
                weight: 0.0,
            });
        });
    }
    // A compound is known by its joined form or by its parts: the one that is unknown is not held against it.
    let mut known: HashMap<(usize, bool), bool> = HashMap::new();
    for word in &words {
        if let Some(compound) = word.compound {
            *known.entry((compound, word.joined)).or_default() |= word.is_known();
        }
    }
    words.retain(|word| {
        let other_form = word.compound.and_then(|compound| known.get(&(compound, !word.joined)));
        word.is_known() || other_form != Some(&true)
    });
    words.sort_by(|a, b| a.term.cmp(&b.term).then(b.share.total_cmp(&a.share)));
    words.dedup_by(|a, b| a.term == b.term);
    words
}

/// Adds up the BM25F contributions of every query term, term by term, into one score a slot.
fn accumulate(shard: &Shard, plan: &Plan<'_>, scores: &mut [f32]) {
    let average = shard.total_length as f32 / shard.len() as f32;
    let per_length = K1 * B * Shard::UNITS / average.max(1.0);
    for term in &plan.terms {
        for posting in term.postings {
            let slot = posting.slot as usize;
            let frequency = f32::from(posting.frequency);
            // Frequency and length are in units; scaling the constant instead of both keeps the ratio.
            let saturation = K1 * (1.0 - B) * Shard::UNITS + per_length * shard.lengths[slot] as f32;
            scores[slot] += term.weight * (K1 + 1.0) * frequency / (frequency + saturation);
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

/// Returns the best documents that the query admits, and sets all scores back to zero.
fn select<'s>(
    shard: &'s Shard,
    query: &RecallQuery,
    now: Timestamp,
    ceiling: f32,
    scores: &mut [f32],
) -> Vec<Candidate<'s>> {
    let limit = query.limit.min(RecallQuery::MAX_LIMIT);
    let domain = query.domain.as_deref().map(normalize_label);
    let kind = query.kind.as_deref().map(normalize_label);
    let mut best: Vec<Candidate<'s>> = Vec::with_capacity(limit + 1);
    for (slot, score) in scores.iter_mut().enumerate() {
        let raw = std::mem::take(score);
        if raw <= 0.0 || limit == 0 {
            continue;
        }
        let keyword = f64::from(raw / ceiling).min(1.0);
        if keyword < query.min_relevance {
            continue;
        }
        let at_best =
            ScoreParts { keyword, domain: domain.as_ref().map(|_| 1.0), kind: kind.as_ref().map(|_| 1.0) };
        if best.len() == limit && best.last().is_some_and(|worst| at_best.score() < worst.score) {
            continue;
        }
        let Some(entry) = &shard.entries[slot] else { continue };
        if entry.is_expired(now) || !admits(query, entry.state) {
            continue;
        }
        let equal = |same: bool| if same { 1.0 } else { 0.0 };
        let parts = ScoreParts {
            keyword,
            domain: domain.as_deref().map(|domain| equal(entry.domain.as_deref() == Some(domain))),
            kind: kind.as_deref().map(|kind| equal(&*entry.kind == kind)),
        };
        let candidate = Candidate { slot: slot as u32, entry, raw, score: parts.score(), parts };
        let place = best.partition_point(|held| held.order(&candidate).is_lt());
        best.insert(place, candidate);
        best.truncate(limit);
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
