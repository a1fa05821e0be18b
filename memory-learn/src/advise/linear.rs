//! A sparse linear classifier a tool, over hashed words and character n-grams, that learns one episode at a time.
//!
//! It minimises the L2-regularised squared hinge loss one-vs-rest by dual coordinate descent (Hsieh et al., "A
//! Dual Coordinate Descent Method for Large-scale Linear SVM", 2008): each episode has one dual variable a
//! tool, an episode is optimised when it arrives and again when it is replayed, as in LASVM (Bordes et al.,
//! 2005). The minimum is unique, so the order of arrival matters no more than optimisation is short of it, and
//! than newer episodes count more where they contradict older ones. The weights are the sum of the episodes'
//! shares: forgetting an episode takes its share out.
//!
//! Features count `1 + ln(count)`, times their inverse document frequency, at norm 1 (TF-IDF as in
//! scikit-learn). Document frequencies change with each episode, so weights are kept free of them: the score of
//! a text is `Σ idf² · tf · weight / norm`.

use memory_recall::text::Feature;

use super::params::Params;
use super::rows::{Rows, Tool};

/// The weights.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Linear {
    pub(super) rows: Rows,
    /// The weight of the constant feature, by tool.
    pub(super) bias: Vec<f32>,
    /// Episodes learned from.
    pub(super) episodes: u32,
}

/// The contribution of an episode.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Share {
    /// One over the norm of its features when last optimised.
    pub(super) scale: f32,
    /// How much of its cost later episodes have taken away, in `0.0..=1.0`.
    pub(super) faded: f32,
    /// Its dual variables that are not 0, by tool, sorted.
    pub(super) duals: Vec<(Tool, f32)>,
}

/// A text in known features.
pub(super) struct Weighed {
    /// Row, term frequency and squared inverse document frequency.
    terms: Vec<(u32, f32, f32)>,
    norm: f32,
}

impl Linear {
    /// Counts an episode's features.
    pub(super) fn count(&mut self, features: &[Feature]) {
        self.episodes += 1;
        let table = self.rows.table();
        features.iter().for_each(|feature| table.entry(feature.bucket).episodes += 1);
    }

    /// The inverse; a feature without episodes is dropped.
    pub(super) fn uncount(&mut self, features: &[Feature]) {
        self.episodes = self.episodes.saturating_sub(1);
        let table = self.rows.table();
        features.iter().for_each(|feature| table.uncount(feature.bucket));
    }

    /// Returns the squared inverse document frequency of a feature, 0 of one that no episode has.
    pub(super) fn information(&self, bucket: u32) -> f32 {
        let Some(place) = self.rows.place(bucket) else { return 0.0 };
        let held_by = self.rows.episodes(place) as f32;
        (((1.0 + self.episodes as f32) / (1.0 + held_by)).ln() + 1.0).powi(2)
    }

    /// Weighs the features of a text that are known.
    pub(super) fn weigh(&self, features: &[Feature]) -> Weighed {
        let episodes = self.episodes as f32;
        let mut terms = Vec::with_capacity(features.len());
        let mut norm = 0.0;
        for feature in features {
            if let Some(place) = self.rows.place(feature.bucket) {
                let held_by = self.rows.episodes(place) as f32;
                let idf = ((1.0 + episodes) / (1.0 + held_by)).ln() + 1.0;
                let (tf, idf2) = (feature.weight, idf * idf);
                norm += tf * tf * idf2;
                terms.push((place, tf, idf2));
            }
        }
        Weighed { terms, norm: norm.sqrt().max(f32::MIN_POSITIVE) }
    }

    /// Returns the margin of each tool for a text.
    pub(super) fn margins(&self, text: &Weighed, params: &Params) -> Vec<f32> {
        let mut margins: Vec<f32> = self.bias.iter().map(|weight| params.bias * weight).collect();
        for (place, tf, idf2) in &text.terms {
            let value = tf * idf2 / text.norm;
            self.rows.each_weight(*place, |tool, weight| margins[usize::from(tool)] += value * weight);
        }
        margins
    }

    /// Returns the contribution of each feature of a text to the margin of a tool, by bucket.
    pub(super) fn contributions(&self, features: &[Feature], tool: Tool) -> Vec<(u32, f32)> {
        let norm = self.weigh(features).norm;
        let of = |feature: &Feature| {
            let one = self.weigh(std::slice::from_ref(feature));
            let (place, tf, idf2) = *one.terms.first()?;
            let mut own = None;
            self.rows.each_weight(place, |of, weight| own = if of == tool { Some(weight) } else { own });
            Some((feature.bucket, tf * idf2 / norm * own?))
        };
        features.iter().filter_map(of).collect()
    }

    /// Optimises an episode's dual variables, one for each tool with a label. `margins` are the current ones of
    /// the text.
    pub(super) fn optimise(
        &mut self,
        (text, margins): (&Weighed, &[f32]),
        share: &mut Share,
        says: impl Fn(Tool) -> Option<bool>,
        params: &Params,
    ) {
        let scale = 1.0 / text.norm;
        // The share was added with the scale that held then.
        let drift = if share.scale > 0.0 { scale / share.scale } else { 1.0 };
        // The norm is 1, plus the constant feature.
        let own = 1.0 + params.bias * params.bias;
        let slack = 0.5 / (params.cost * (1.0 - share.faded).max(f32::EPSILON));
        let mut held = std::mem::take(&mut share.duals).into_iter().peekable();
        let mut duals = Vec::with_capacity(held.len());
        let mut changes: Vec<(Tool, f32)> = Vec::with_capacity(held.len());
        for (tool, margin) in (0..).zip(margins) {
            let dual = held.next_if(|(of, _)| *of == tool).map_or(0.0, |(_, dual)| dual);
            let Some(used) = says(tool) else { continue };
            let sign = if used { 1.0 } else { -1.0 };
            let gradient = sign * margin - 1.0 + dual * slack;
            let optimal = (dual - gradient / (own + slack)).max(0.0);
            if optimal > 0.0 {
                duals.push((tool, optimal));
            }
            // The features' part of the share is re-scaled to the norm that holds now.
            let change = (optimal * scale - dual * scale / drift) * sign;
            if change != 0.0 {
                self.bias[usize::from(tool)] += (optimal - dual) * sign * params.bias;
                changes.push((tool, change));
            }
        }
        (share.scale, share.duals) = (scale, duals);
        self.add(text, &changes);
    }

    /// Takes an episode's share out.
    pub(super) fn remove(
        &mut self,
        features: &[Feature],
        share: &Share,
        says: impl Fn(Tool) -> Option<bool>,
        params: &Params,
    ) {
        let sign = |tool: Tool| if says(tool) == Some(true) { 1.0 } else { -1.0 };
        let mut changes = Vec::with_capacity(share.duals.len());
        for (tool, dual) in &share.duals {
            self.bias[usize::from(*tool)] -= dual * sign(*tool) * params.bias;
            changes.push((*tool, -share.scale * dual * sign(*tool)));
        }
        self.add(&self.weigh(features), &changes);
    }

    /// Adds the same weights, times its term frequency, to each feature of a text. `changes` are sorted by tool.
    fn add(&mut self, text: &Weighed, changes: &[(Tool, f32)]) {
        if changes.is_empty() {
            return;
        }
        let table = self.rows.table();
        for (place, tf, _) in &text.terms {
            let weights = table.weights(*place);
            let mut at = 0;
            for (tool, change) in changes {
                while weights.get(at).is_some_and(|(held, _)| held < tool) {
                    at += 1;
                }
                match weights.get_mut(at) {
                    Some((held, weight)) if held == tool => *weight += tf * change,
                    _ => weights.insert(at, (*tool, tf * change)),
                }
            }
        }
    }
}
