//! Sparse rows.

/// Sparse rows, one behind the other.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    starts: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f64>,
    /// The number of columns.
    pub(super) width: usize,
}

/// A sparse row: columns and values.
pub(super) type Row<'a> = (&'a [u32], &'a [f64]);

impl Rows {
    /// Makes no rows of so many columns.
    pub(super) fn new(width: usize) -> Self {
        Self { starts: vec![0], columns: Vec::new(), values: Vec::new(), width }
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: impl IntoIterator<Item = (u32, f64)>) {
        for (column, value) in row {
            self.columns.push(column);
            self.values.push(value);
        }
        self.starts.push(self.columns.len());
    }

    /// Returns the number of rows.
    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Returns a row.
    pub(super) fn row(&self, place: usize) -> Row<'_> {
        let range = self.starts[place]..self.starts[place + 1];
        (&self.columns[range.clone()], &self.values[range])
    }

    /// Returns the rows beside scaled rows of another.
    pub(super) fn beside(&self, other: &Self, scale: f64) -> Self {
        let mut both = Self::new(self.width + other.width);
        for place in 0..self.len() {
            let ((a, x), (b, y)) = (self.row(place), other.row(place));
            let left = a.iter().copied().zip(x.iter().copied());
            let shifted = b.iter().map(|column| column + self.width as u32);
            both.push(left.chain(shifted.zip(y.iter().map(|value| value * scale))));
        }
        both
    }
}

/// Returns the product of a sparse row with a dense one.
pub(super) fn dot((columns, values): Row<'_>, dense: &[f64]) -> f64 {
    columns.iter().zip(values).map(|(column, value)| dense[*column as usize] * value).sum()
}
