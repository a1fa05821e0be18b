//! Figures, as a table for people and as lines of JSON.

use std::fmt::Write as _;

use serde_json::json;

/// What a figure should reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// Ours at most so many times the comparator's.
    RatioAtMost(f64),
    /// Ours at least so many times the comparator's.
    RatioAtLeast(f64),
    /// Ours at most this, in the figure's unit.
    AtMost(f64),
    /// Nothing was set.
    None,
}

impl Target {
    fn text(self, unit: &str) -> String {
        match self {
            Self::RatioAtMost(bound) => format!("<= {bound}"),
            Self::RatioAtLeast(bound) => format!(">= {bound}"),
            Self::AtMost(bound) => format!("<= {bound} {unit}"),
            Self::None => String::new(),
        }
    }
}

/// One measured figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What was measured.
    pub metric: String,
    /// What the memory reached.
    pub ours: f64,
    /// What the comparator reached; `None` where there is none.
    pub baseline: Option<f64>,
    /// What ours should reach.
    pub target: Target,
    /// The unit of both.
    pub unit: &'static str,
}

impl Figure {
    /// Returns ours divided by the comparator's.
    pub fn ratio(&self) -> Option<f64> {
        self.baseline.map(|baseline| self.ours / baseline)
    }

    /// Returns whether the target is met; `None` without a target.
    pub fn met(&self) -> Option<bool> {
        match self.target {
            Target::RatioAtMost(bound) => self.ratio().map(|ratio| ratio <= bound),
            Target::RatioAtLeast(bound) => self.ratio().map(|ratio| ratio >= bound),
            Target::AtMost(bound) => Some(self.ours <= bound),
            Target::None => None,
        }
    }

    fn json(&self) -> String {
        json!({
            "metric": self.metric,
            "ours": rounded(self.ours),
            "baseline": self.baseline.map(rounded),
            "ratio": self.ratio().map(rounded),
            "target": self.target.text(self.unit),
            "unit": self.unit,
            "met": self.met(),
        })
        .to_string()
    }
}

/// Prints figures one after the other, as they are reached.
#[derive(Debug)]
pub struct Report {
    json: bool,
    missed: usize,
}

impl Report {
    /// Starts a report; a table's head is printed at once.
    pub fn start(json: bool) -> Self {
        if !json {
            println!(
                "{:<58} {:>10} {:>10} {:<6} {:>7}  target",
                "metric", "ours", "baseline", "unit", "ratio"
            );
        }
        Self { json, missed: 0 }
    }

    /// Prints a figure.
    pub fn add(&mut self, figure: &Figure) {
        self.missed += usize::from(figure.met() == Some(false));
        println!("{}", if self.json { figure.json() } else { row(figure) });
    }

    /// Returns how many targets were missed so far.
    pub fn missed(&self) -> usize {
        self.missed
    }
}

fn row(figure: &Figure) -> String {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), short);
    let mut row = format!(
        "{:<58} {:>10} {:>10} {:<6} {:>7}",
        figure.metric,
        short(figure.ours),
        number(figure.baseline),
        figure.unit,
        number(figure.ratio()),
    );
    let target = figure.target.text(figure.unit);
    match figure.met() {
        Some(met) => {
            let verdict = if met { "met" } else { "MISSED" };
            // Writing to a string does not fail.
            let _ = write!(row, "  {target:<9} {verdict}");
        }
        None => row.truncate(row.trim_end().len()),
    }
    row
}

fn short(value: f64) -> String {
    let digits = match value.abs() {
        large if large >= 100.0 => 0,
        middle if middle >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(ours: f64, baseline: Option<f64>, target: Target) -> Figure {
        Figure { metric: "write".into(), ours, baseline, target, unit: "us" }
    }

    #[test]
    fn targets() {
        let check = |ours, baseline, target, met| assert_eq!(figure(ours, baseline, target).met(), met);
        check(12.0, Some(10.0), Target::RatioAtMost(1.2), Some(true));
        check(13.0, Some(10.0), Target::RatioAtMost(1.2), Some(false));
        check(7.9, Some(10.0), Target::RatioAtLeast(0.8), Some(false));
        check(8.0, Some(10.0), Target::RatioAtLeast(0.8), Some(true));
        check(51.0, None, Target::AtMost(50.0), Some(false));
        check(1.0, Some(1.0), Target::None, None);
    }

    #[test]
    fn lines() {
        let with = figure(12.3456, Some(10.0), Target::RatioAtMost(1.2));
        assert_eq!(
            with.json(),
            r#"{"baseline":10.0,"met":false,"metric":"write","ours":12.346,"ratio":1.235,"target":"<= 1.2","unit":"us"}"#
        );
        assert!(row(&with).ends_with("12.3       10.0 us        1.23  <= 1.2    MISSED"), "{}", row(&with));
        let without = figure(1.0, None, Target::None);
        assert_eq!(
            without.json(),
            r#"{"baseline":null,"met":null,"metric":"write","ours":1.0,"ratio":null,"target":"","unit":"us"}"#
        );
        assert!(row(&without).ends_with("us           -"), "{}", row(&without));
    }
}
