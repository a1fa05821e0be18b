//! A table that fits the terminal: one column takes what the others leave.

use anstyle::Style;

use crate::output::style;
use crate::text;

/// Columns between two columns.
const GAP: usize = 2;
/// The least that the flexible column keeps.
const FLEXIBLE_MIN: usize = 16;

/// A cell: one line and its look.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Makes a cell; the text is made harmless.
    pub(crate) fn new(text: impl AsRef<str>, style: Style) -> Self {
        Self { text: text::one_line(text.as_ref()), style }
    }
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) heading: &'static str,
    pub(crate) right: bool,
    /// Whether its cells are cut when the line is too long; one column should.
    pub(crate) flexible: bool,
}

/// Lays rows out under their headings, at most `columns` wide where the flexible column allows.
pub(crate) fn layout(headings: &[Column], rows: &[Vec<Cell>], columns: usize) -> Vec<String> {
    let mut widths: Vec<usize> = headings.iter().map(|column| text::width(column.heading)).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(text::width(&cell.text));
        }
    }
    let total: usize = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
    if let Some(flexible) = headings.iter().position(|column| column.flexible) {
        let others = total - widths[flexible];
        widths[flexible] = widths[flexible].min(columns.saturating_sub(others).max(FLEXIBLE_MIN));
    }
    let heading: Vec<Cell> =
        headings.iter().map(|column| Cell::new(column.heading.to_uppercase(), style::FAINT)).collect();
    std::iter::once(&heading).chain(rows).map(|row| line(headings, &widths, row)).collect()
}

fn line(headings: &[Column], widths: &[usize], row: &[Cell]) -> String {
    let mut line = String::new();
    let last = row.len().saturating_sub(1);
    for (index, ((column, width), cell)) in headings.iter().zip(widths).zip(row).enumerate() {
        let shown = text::cut(&cell.text, *width);
        let padding = " ".repeat(width - text::width(&shown));
        let painted = if shown.is_empty() { shown } else { style::paint(cell.style, shown) };
        match (column.right, index == last) {
            (true, _) => line += &format!("{padding}{painted}"),
            (false, true) => line += &painted,
            (false, false) => line += &format!("{painted}{padding}"),
        }
        if index != last {
            line += &" ".repeat(GAP);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flexible_column_gives_way_and_wide_characters_line_up() {
        let column = |heading, flexible| Column { heading, right: false, flexible };
        let headings = [column("task", true), Column { heading: "steps", right: true, flexible: false }];
        let row =
            |task: &str, steps: &str| vec![Cell::new(task, Style::new()), Cell::new(steps, Style::new())];
        let rows = [row("日本語の航空券を予約する", "7"), row("book a flight", "12")];
        let lines = layout(&headings, &rows, 24);
        let plain: Vec<String> =
            lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect();
        assert_eq!(
            plain,
            ["TASK               STEPS", "日本語の航空券を…      7", "book a flight         12"]
        );
    }
}
