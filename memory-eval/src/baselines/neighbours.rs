//! Nearest neighbours by the cosine of TF-IDF rows.

use super::sparse::Rows;

/// Examples with their tools, found by what they share with a query.
pub(super) struct Neighbours<'a> {
    /// For each column the examples that have it, with their values.
    postings: Vec<Vec<(u32, f64)>>,
    examples: usize,
    /// For each tool whether each example wants it.
    wanted: &'a [Vec<bool>],
}

impl<'a> Neighbours<'a> {
    /// Takes in rows of unit length.
    pub(super) fn new(rows: &Rows, wanted: &'a [Vec<bool>]) -> Self {
        let mut postings = vec![Vec::new(); rows.width];
        for row in 0..rows.len() {
            let (columns, values) = rows.row(row);
            for (column, value) in columns.iter().zip(values) {
                postings[*column as usize].push((row as u32, *value));
            }
        }
        Self { postings, examples: rows.len(), wanted }
    }

    /// Returns for each query and tool the share of the cosines of the `k` nearest that is of examples that want the tool;
    /// zeros for a query that shares nothing with any. Among equals the earlier example is nearer.
    pub(super) fn shares(&self, queries: &Rows, k: usize) -> Vec<Vec<f64>> {
        (0..queries.len())
            .map(|query| {
                let mut cosines = vec![0.0; self.examples];
                let (columns, values) = queries.row(query);
                for (column, value) in columns.iter().zip(values) {
                    for (example, of_example) in &self.postings[*column as usize] {
                        cosines[*example as usize] += value * of_example;
                    }
                }
                let mut order: Vec<usize> =
                    (0..self.examples).filter(|example| cosines[*example] > 0.0).collect();
                order.sort_by(|a, b| cosines[*b].total_cmp(&cosines[*a]));
                order.truncate(k);
                let total: f64 = order.iter().map(|example| cosines[*example]).sum();
                let share = |wanted: &Vec<bool>| {
                    let of =
                        order.iter().filter(|example| wanted[**example]).map(|example| cosines[*example]);
                    if total > 0.0 { of.sum::<f64>() / total } else { 0.0 }
                };
                self.wanted.iter().map(share).collect()
            })
            .collect()
    }
}

/// Returns the tools with at least a share; the first of those with the most if there is none.
pub(super) fn majority(shares: &[f64], least: f64) -> Vec<usize> {
    let enough: Vec<usize> = (0..shares.len()).filter(|tool| shares[*tool] >= least).collect();
    if !enough.is_empty() {
        return enough;
    }
    let best = (0..shares.len()).reduce(|best, tool| if shares[tool] > shares[best] { tool } else { best });
    best.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_need_a_share_of_the_nearest() {
        let mut rows = Rows::new(2);
        rows.push([(0, 1.0)]);
        rows.push([(1, 1.0)]);
        let wanted = [vec![true, false], vec![true, true]];
        let neighbours = Neighbours::new(&rows, &wanted);
        let mut queries = Rows::new(2);
        queries.push([(0, 0.6), (1, 0.8)]);
        queries.push([]);
        assert_eq!(neighbours.shares(&queries, 1), [[0.0, 1.0], [0.0, 0.0]]);
        let both = neighbours.shares(&queries, 2);
        assert!((both[0][0] - 0.6 / 1.4).abs() < 1e-12 && (both[0][1] - 1.0).abs() < 1e-12);
        assert_eq!(majority(&both[0], 0.5), [1]);
        assert_eq!(majority(&[0.1, 0.3, 0.3], 0.5), [1]);
    }
}
