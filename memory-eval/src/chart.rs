//! Line charts of shares, as text and as SVG.

use std::fmt::Write;

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Returns a curve of shares in `0.0..=1.0` as blocks, one a point.
pub fn blocks(curve: &[f64]) -> String {
    let block = |share: &f64| BLOCKS[(share.clamp(0.0, 1.0) * (BLOCKS.len() - 1) as f64).round() as usize];
    curve.iter().map(block).collect()
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 50.0;
const TOP: f64 = 20.0;
const COLOURS: [&str; 6] = ["#888888", "#1f77b4", "#ff7f0e", "#9467bd", "#2ca02c", "#8c564b"];

/// A curve with its name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series<'a> {
    pub(crate) name: &'a str,
    /// The points: a place on the horizontal axis and a share in `0.0..=1.0`.
    pub(crate) points: Vec<(f64, f64)>,
    /// Intervals around points: the place, the lower and the upper bound.
    pub(crate) intervals: Vec<(f64, f64, f64)>,
}

/// A chart of shares over a number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chart<'a> {
    /// What the horizontal axis counts.
    pub(crate) caption: String,
    /// The ends of the horizontal axis.
    pub(crate) range: (f64, f64),
    /// Whether equal distances on the horizontal axis are equal factors.
    pub(crate) logarithmic: bool,
    /// Places that are named below the horizontal axis.
    pub(crate) ticks: Vec<(f64, String)>,
    /// Places that a dashed line marks, with what happens there.
    pub(crate) marks: Vec<(f64, &'a str)>,
    pub(crate) series: Vec<Series<'a>>,
}

impl Chart<'_> {
    /// Returns the chart as an SVG document.
    pub(crate) fn svg(&self) -> String {
        let (right, bottom) = (LEFT + WIDTH, TOP + HEIGHT);
        let y = |share: f64| bottom - HEIGHT * share;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
            right + 150.0,
            bottom + 50.0
        );
        let mut add = |line: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(svg, "{line}");
        };
        for percent in [0, 25, 50, 75, 100] {
            let at = y(f64::from(percent) / 100.0);
            add(format!("<line x1=\"{LEFT}\" y1=\"{at}\" x2=\"{right}\" y2=\"{at}\" stroke=\"#dddddd\"/>"));
            add(format!(
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{percent} %</text>",
                LEFT - 6.0,
                at + 4.0
            ));
        }
        for (place, name) in &self.ticks {
            let (at, name) = (self.x(*place), escaped(name));
            add(format!(
                "<line x1=\"{at:.1}\" y1=\"{bottom}\" x2=\"{at:.1}\" y2=\"{}\" stroke=\"black\"/>",
                bottom + 4.0
            ));
            add(format!("<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{name}</text>", bottom + 16.0));
        }
        for (place, name) in &self.marks {
            let (at, name) = (self.x(*place), escaped(name));
            add(format!(
                "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{bottom}\" stroke=\"#d62728\" \
                 stroke-dasharray=\"4 3\"/>"
            ));
            add(format!(
                "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#d62728\">{name}</text>",
                TOP - 6.0
            ));
        }
        for (place, (series, colour)) in self.series.iter().zip(COLOURS.iter().cycle()).enumerate() {
            for (at, low, high) in &series.intervals {
                let (at, low, high) = (self.x(*at), y(*low), y(*high));
                add(format!(
                    "<line x1=\"{at:.1}\" y1=\"{low:.1}\" x2=\"{at:.1}\" y2=\"{high:.1}\" stroke=\"{colour}\"/>"
                ));
            }
            let points: Vec<String> = series
                .points
                .iter()
                .map(|(at, share)| format!("{:.1},{:.1}", self.x(*at), y(*share)))
                .collect();
            let line = points.join(" ");
            add(format!(
                "<polyline points=\"{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
            ));
            let at = TOP + 16.0 + 20.0 * place as f64;
            let name = escaped(series.name);
            add(format!("<text x=\"{}\" y=\"{at}\" fill=\"{colour}\">{name}</text>", right + 10.0));
        }
        add(format!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            LEFT + WIDTH / 2.0,
            bottom + 36.0,
            escaped(&self.caption)
        ));
        add("</svg>".into());
        svg
    }

    fn x(&self, place: f64) -> f64 {
        let scale = |place: f64| if self.logarithmic { place.max(1.0).ln() } else { place };
        let (from, to) = (scale(self.range.0), scale(self.range.1));
        let share = if to > from { (scale(place) - from) / (to - from) } else { 0.5 };
        LEFT + WIDTH * share
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_rise_with_the_share() {
        assert_eq!(blocks(&[0.0, 0.5, 1.0, 1.5]), "▁▅██");
    }

    #[test]
    fn factors_are_equally_far_apart_on_a_logarithmic_axis() {
        let series = Series {
            name: "a < b",
            points: vec![(10.0, 0.5), (100.0, 1.0)],
            intervals: vec![(10.0, 0.25, 0.75)],
        };
        let chart = Chart {
            caption: "episodes".into(),
            range: (1.0, 100.0),
            logarithmic: true,
            ticks: vec![(100.0, "100".into())],
            marks: Vec::new(),
            series: vec![series],
        };
        let svg = chart.svg();
        assert!(svg.contains("points=\"410.0,180.0 770.0,20.0\""), "{svg}");
        assert!(svg.contains("y1=\"260.0\" x2=\"410.0\" y2=\"100.0\""), "{svg}");
        assert!(svg.contains("a &lt; b") && svg.trim_end().ends_with("</svg>"), "{svg}");
    }
}
