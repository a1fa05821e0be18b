//! How reports of evaluations look.

use memory_eval::Estimate;

use crate::commands::stats::Junk;
use crate::failure::Failure;
use crate::output::Output;
use crate::output::style::{self, paint};

/// Writes the title of a report.
pub(super) fn title(output: &mut Output, text: &str) -> std::io::Result<()> {
    output.line(paint(style::TITLE, text))
}

/// Writes a figure with its name and meaning.
pub(super) fn figure(output: &mut Output, name: &str, value: &str, meaning: &str) -> std::io::Result<()> {
    output.line(format!(
        "  {name:<18} {}  {}",
        paint(style::NAME, format!("{value:>8}")),
        paint(style::FAINT, meaning)
    ))
}

/// Writes the provider that recall used.
pub(super) fn provider(output: &mut Output, provider: &str) -> std::io::Result<()> {
    output.line(format!("  {:<18} {}", "provider", paint(style::FAINT, provider)))
}

/// Writes how much of the learned items is junk.
pub(super) fn junk(output: &mut Output, junk: &Junk) -> Result<(), Failure> {
    for (name, told) in junk.told() {
        output.line(format!("  {name:<18} {}", paint(style::FAINT, told)))?;
    }
    Ok(())
}

/// Returns a figure with three decimals; a dash if there is none.
pub(super) fn decimal(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| format!("{value:.3}"))
}

/// Returns a share in percent with its interval.
pub(super) fn percent(estimate: Option<Estimate>) -> String {
    estimate.map_or("-".into(), |Estimate { value, low, high }| {
        format!("{:.1} % [{:.1}, {:.1}]", value * 100.0, low * 100.0, high * 100.0)
    })
}

/// Returns a mean with its interval.
pub(super) fn plain(estimate: Option<Estimate>) -> String {
    estimate.map_or("-".into(), |Estimate { value, low, high }| format!("{value:.2} [{low:.2}, {high:.2}]"))
}
