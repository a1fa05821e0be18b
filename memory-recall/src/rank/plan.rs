//! The plan of a query: its words, their forms, and their weights.

use std::collections::HashMap;

use crate::lexical::shard::{Posting, Shard};
use crate::query::RecallQuery;
use crate::tokenize::tokenize;

/// BM25's saturation of term frequency (Robertson, Zaragoza: "The Probabilistic Relevance Framework", 2009).
pub(super) const K1: f32 = 1.2;
/// The most one query term can contribute per unit of its weight.
pub(super) const CEILING: f32 = K1 + 1.0;
/// The weight of another form of a query's word relative to the word itself.
const OTHER_FORM: f32 = 0.5;
/// A query of more words than this need not be covered completely: a document that shares part of a long text
/// answers it. So from here on the required score grows with the square root of the words.
const STORY_WORDS: f32 = 5.0;
/// Virtual documents without any of the query's words, which are added to the real ones in frequencies: in a
/// memory of one kind of task the words common to all episodes still describe the task.
const PRIOR_DOCUMENTS: f32 = 100.0;
/// The weight of a short figure: a common 2 in two texts means almost nothing.
const FIGURE: f32 = 0.25;
/// Figures of more digits are likely ids or codes.
const FIGURE_DIGITS: usize = 3;
/// A word with this many digits is the number of a thing (`W6067464`).
const NUMBER_DIGITS: usize = 5;
/// A longer query loses the words of least weight.
const MAX_QUERY_WORDS: usize = 128;

/// A term of the query that the index knows.
pub(super) struct QueryTerm<'s> {
    pub(super) postings: &'s [Posting],
    /// Weight in the query times inverse document frequency.
    pub(super) weight: f32,
    pub(super) surface: String,
}

/// The query as the index sees it.
pub(super) struct Plan<'s> {
    /// The terms by descending weight, which is the order in which contributions are added up.
    pub(super) terms: Vec<QueryTerm<'s>>,
    /// The score that counts as 1.
    pub(super) ceiling: f32,
}

/// A word of the query.
struct Word {
    term: String,
    surface: String,
    /// The word of the text it belongs to, if that is a compound.
    compound: Option<usize>,
    joined: bool,
    /// Its share in the compound; 1 for a simple word.
    share: f32,
    /// Its id, if the index has it.
    own: Option<u32>,
    /// The ids of its other forms in the index, in order of the terms.
    forms: Vec<u32>,
    /// Share times inverse document frequency; for a word that the index does not have, that of its rarest
    /// form.
    weight: f32,
}

impl Word {
    fn is_known(&self) -> bool {
        self.own.is_some() || !self.forms.is_empty()
    }
}

/// Returns BM25's inverse document frequency of a term with this document frequency; 0 counts as 1.
pub(super) fn idf(shard: &Shard, frequency: usize) -> f32 {
    let (documents, frequency) = (shard.len() as f32 + PRIOR_DOCUMENTS, frequency.max(1) as f32);
    (1.0 + (documents - frequency + 0.5) / (frequency + 0.5)).ln()
}

/// Looks the query's words up and weighs them.
pub(super) fn plan<'s>(shard: &'s Shard, query: &RecallQuery) -> Plan<'s> {
    let mut words = words(shard, query);
    let frequency = |id: u32| shard.frequency(id);
    let idf = |frequency: usize| idf(shard, frequency);
    for word in &mut words {
        let rarest = word.forms.iter().map(|id| frequency(*id)).min().unwrap_or(0);
        word.weight = word.share * idf(word.own.map_or(rarest, frequency));
    }
    words.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.term.cmp(&b.term)));
    words.truncate(MAX_QUERY_WORDS);

    let mut terms: Vec<(u32, QueryTerm<'s>)> = Vec::with_capacity(words.len());
    let mut add = |id: u32, weight: f32, surface: &str| {
        let postings = shard.postings(id);
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
        b.weight.total_cmp(&a.weight).then_with(|| shard.text(*a_id).cmp(shard.text(*b_id)))
    });

    let shares: f32 = words.iter().map(|word| word.share).sum();
    let whole: f32 = words.iter().map(|word| word.weight * CEILING).sum();
    let ceiling = whole * (STORY_WORDS / shares.max(STORY_WORDS)).sqrt();
    Plan { terms: terms.into_iter().map(|(_, term)| term).collect(), ceiling }
}

/// Returns true for a short run of digits.
pub(super) fn is_figure(term: &str) -> bool {
    term.len() <= FIGURE_DIGITS && term.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_number(term: &str) -> bool {
    term.bytes().filter(u8::is_ascii_digit).count() >= NUMBER_DIGITS
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
            let mut forms: Vec<u32> = shard.forms(token.term);
            forms.retain(|form| Some(*form) != own);
            forms.sort_by(|a, b| shard.text(*a).cmp(shard.text(*b)));
            words.push(Word {
                term: token.term.to_owned(),
                surface: token.surface.to_lowercase(),
                compound,
                joined: token.joined,
                share: match compound {
                    _ if is_figure(token.term) => FIGURE,
                    Some(_) if !token.joined => 0.5,
                    _ => 1.0,
                },
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
    // An unknown figure is dropped, too: the number of a version, or of an order, is not the subject of a task.
    words.retain(|word| {
        let other_form = word.compound.and_then(|compound| known.get(&(compound, !word.joined)));
        word.is_known() || (other_form != Some(&true) && !is_figure(&word.term) && !is_number(&word.term))
    });
    words.sort_by(|a, b| a.term.cmp(&b.term).then(b.share.total_cmp(&a.share)));
    words.dedup_by(|a, b| a.term == b.term);
    words
}
