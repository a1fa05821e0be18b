//! The learning curve, as text and as SVG.

use std::fmt::Write;

use super::report::LiftReport;

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Returns a curve of shares as blocks, one a point.
pub(super) fn blocks(curve: &[f64]) -> String {
    let block = |share: &f64| BLOCKS[(share.clamp(0.0, 1.0) * (BLOCKS.len() - 1) as f64).round() as usize];
    curve.iter().map(block).collect()
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 50.0;
const TOP: f64 = 20.0;
const COLOURS: [&str; 5] = ["#888888", "#1f77b4", "#ff7f0e", "#9467bd", "#2ca02c"];

/// Returns the curves of all arms as an SVG document.
pub(super) fn svg(report: &LiftReport) -> String {
    let (right, bottom) = (LEFT + WIDTH, TOP + HEIGHT);
    let x = |task: f64| LEFT + WIDTH * task / report.tasks.max(1) as f64;
    let y = |share: f64| bottom - HEIGHT * share;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        right + 110.0,
        bottom + 50.0
    );
    let mut add = |line: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(svg, "{line}");
    };
    for percent in [0, 25, 50, 75, 100] {
        let at = y(f64::from(percent) / 100.0);
        add(format!("<line x1=\"{LEFT}\" y1=\"{at}\" x2=\"{right}\" y2=\"{at}\" stroke=\"#dddddd\"/>"));
        add(format!("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{percent} %</text>", LEFT - 6.0, at + 4.0));
    }
    let drift = x(report.drift_at as f64);
    add(format!(
        "<line x1=\"{drift:.1}\" y1=\"{TOP}\" x2=\"{drift:.1}\" y2=\"{bottom}\" stroke=\"#d62728\" \
         stroke-dasharray=\"4 3\"/>"
    ));
    add(format!(
        "<text x=\"{drift:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#d62728\">drift</text>",
        TOP - 6.0
    ));
    for (place, (arm, colour)) in report.arms.iter().zip(COLOURS).enumerate() {
        let points: Vec<String> = arm
            .curve
            .iter()
            .enumerate()
            .map(|(index, share)| {
                let from = index * report.window;
                let middle = (from + (from + report.window).min(report.tasks)) as f64 / 2.0;
                format!("{:.1},{:.1}", x(middle), y(*share))
            })
            .collect();
        let line = points.join(" ");
        add(format!("<polyline points=\"{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"));
        let at = TOP + 16.0 + 20.0 * place as f64;
        add(format!("<text x=\"{}\" y=\"{at}\" fill=\"{colour}\">{}</text>", right + 10.0, arm.arm));
    }
    add(format!(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">tasks (success by {} tasks, seed {})</text>",
        LEFT + WIDTH / 2.0,
        bottom + 30.0,
        report.window,
        report.seed
    ));
    add("</svg>".into());
    svg
}

#[cfg(test)]
mod tests {
    use super::super::report::{Run, Runs};
    use super::*;

    #[test]
    fn blocks_rise_with_the_share() {
        assert_eq!(blocks(&[0.0, 0.5, 1.0, 1.5]), "▁▅██");
    }

    #[test]
    fn the_document_has_a_curve_an_arm() {
        let arm = vec![Run { success: true, steps: 2, changing: false }; 60];
        let [none, memory, stale, irrelevant, oracle] = [(); 5].map(|()| arm.clone());
        let drawn = svg(&LiftReport::new(4, &Runs { none, memory, stale, irrelevant, oracle }));
        assert_eq!(drawn.matches("<polyline").count(), 5);
        assert!(drawn.contains("points=\"200.0,20.0 500.0,20.0 710.0,20.0\""), "{drawn}");
        assert!(drawn.trim_end().ends_with("</svg>"));
    }
}
