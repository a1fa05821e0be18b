//! Unit vectors in two bytes a component, laid out so that a scan reads one of them.

#[cfg(feature = "simd")]
use pulp::{Arch, Simd, WithSimd};

/// Rows are padded to a multiple of this, so that no kernel has a remainder.
const LANES: usize = 32;
/// The largest component in units of a row's scale: the high byte is then within ±127.
const FULL_SCALE: f32 = 127.0 * 256.0 + 127.0;
/// Covers the rounding of the `f32` arithmetic itself, for rows of up to [`super::MAX_DIMENSIONS`].
const ROUNDING: f32 = 1e-4;

/// A matrix of 16-bit components, each split as `high * 256 + low`.
///
/// The high bytes alone are a quantisation to 8 bits whose error is known: a scan over them bounds every inner
/// product from both sides, and only rows that may be among the best are looked at with their low bytes. The
/// answer is that of a scan over all 16 bits, at half the memory traffic and a fourth of that of `f32`.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    dimensions: usize,
    stride: usize,
    high: Vec<i8>,
    low: Vec<i8>,
    /// By row: the value of one unit of the 16-bit components.
    scales: Vec<f32>,
    /// By row: the length of the part that the high bytes omit.
    slacks: Vec<f32>,
}

/// A query in the forms that the kernels read.
pub(super) struct Query {
    exact: Vec<f32>,
    quantised: Vec<i16>,
    scale: f32,
    /// The length of the part that the quantised form omits.
    slack: f32,
}

impl Rows {
    pub(super) fn new(dimensions: usize) -> Self {
        Self {
            dimensions,
            stride: dimensions.next_multiple_of(LANES),
            high: Vec::new(),
            low: Vec::new(),
            scales: Vec::new(),
            slacks: Vec::new(),
        }
    }

    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }

    pub(super) fn len(&self) -> usize {
        self.scales.len()
    }

    /// Returns the bytes held, spare capacity included.
    pub(super) fn bytes(&self) -> usize {
        self.high.capacity() + self.low.capacity() + 4 * (self.scales.capacity() + self.slacks.capacity())
    }

    /// Appends a unit vector.
    pub(super) fn push(&mut self, vector: &[f32]) {
        let row = self.len();
        let end = (row + 1) * self.stride;
        self.high.resize(end, 0);
        self.low.resize(end, 0);
        self.scales.push(0.0);
        self.slacks.push(0.0);
        self.set(row, vector);
    }

    /// Replaces a row.
    pub(super) fn set(&mut self, row: usize, vector: &[f32]) {
        let largest = vector.iter().fold(0.0_f32, |largest, component| largest.max(component.abs()));
        let scale = largest / FULL_SCALE;
        let start = row * self.stride;
        let high = &mut self.high[start..start + self.stride];
        let low = &mut self.low[start..start + self.stride];
        let mut left_out = 0.0_f32;
        for ((component, high), low) in vector.iter().zip(high).zip(low) {
            let units = (component / scale).round().clamp(-FULL_SCALE, FULL_SCALE) as i32;
            let upper = (units + 128) >> 8;
            let lower = units - (upper << 8);
            *high = upper as i8;
            *low = lower as i8;
            left_out += (lower * lower) as f32;
        }
        self.scales[row] = scale;
        self.slacks[row] = scale * left_out.sqrt();
    }

    /// Removes a row; the last one takes its number.
    pub(super) fn swap_remove(&mut self, row: usize) {
        let last = self.len() - 1;
        for plane in [&mut self.high, &mut self.low] {
            plane.copy_within(last * self.stride.., row * self.stride);
            plane.truncate(last * self.stride);
        }
        self.scales.swap_remove(row);
        self.slacks.swap_remove(row);
    }

    /// Prepares a query of unit length.
    pub(super) fn query(&self, vector: &[f32]) -> Query {
        // No sum of products of a whole row overflows 32 bits.
        let full_scale = (i32::MAX / (127 * self.stride as i32)).min(i32::from(i16::MAX)) as f32;
        let largest = vector.iter().fold(0.0_f32, |largest, component| largest.max(component.abs()));
        let scale = largest / full_scale;
        let mut exact = vector.to_vec();
        exact.resize(self.stride, 0.0);
        let mut left_out = 0.0;
        let quantised = exact
            .iter()
            .map(|component| {
                let units = (component / scale).round().clamp(-full_scale, full_scale);
                left_out += (component - units * scale).powi(2);
                units as i16
            })
            .collect();
        Query { exact, quantised, scale, slack: left_out.sqrt() }
    }

    /// Computes estimates for the rows from `first` on, as many as `estimates` holds.
    pub(super) fn estimate(&self, query: &Query, first: usize, estimates: &mut [i32]) {
        let high = &self.high[first * self.stride..(first + estimates.len()) * self.stride];
        let estimate = Estimate { high, query: &query.quantised, estimates };
        #[cfg(feature = "simd")]
        match Arch::new() {
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Arch::V3(simd) => simd.vectorize(
                #[inline(always)]
                || estimate.in_v3(simd),
            ),
            arch => arch.dispatch(estimate),
        }
        #[cfg(not(feature = "simd"))]
        estimate.compute();
    }

    /// Turns an estimate into the inner product's middle and the most it may differ.
    pub(super) fn bounds(&self, query: &Query, row: usize, estimate: i32) -> (f32, f32) {
        let middle = estimate as f32 * (self.scales[row] * 256.0 * query.scale);
        // |(h + l)·(q + f) − h·q| ≤ |l·(q + f)| + |h·f| ≤ ‖l‖ + (1 + ‖l‖)‖f‖ for unit vectors h + l and q + f.
        let slack = self.slacks[row];
        (middle, slack + (1.0 + slack) * query.slack + ROUNDING)
    }

    /// Computes the inner product of a row with a query from all bits.
    pub(super) fn exact(&self, query: &Query, row: usize) -> f32 {
        let range = row * self.stride..(row + 1) * self.stride;
        let exact = Exact { high: &self.high[range.clone()], low: &self.low[range], query: &query.exact };
        #[cfg(feature = "simd")]
        let sum = Arch::new().dispatch(exact);
        #[cfg(not(feature = "simd"))]
        let sum = exact.compute();
        sum * self.scales[row]
    }
}

struct Estimate<'a> {
    high: &'a [i8],
    query: &'a [i16],
    estimates: &'a mut [i32],
}

#[cfg(feature = "simd")]
impl WithSimd for Estimate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.compute();
    }
}

impl Estimate<'_> {
    #[inline(always)]
    fn compute(self) {
        let rows = self.high.chunks_exact(self.query.len());
        for (row, estimate) in rows.zip(self.estimates) {
            let products = row.iter().zip(self.query).map(
                #[inline(always)]
                |(component, query)| i32::from(*component) * i32::from(*query),
            );
            *estimate = products.sum();
        }
    }
}

#[cfg(all(feature = "simd", any(target_arch = "x86", target_arch = "x86_64")))]
impl Estimate<'_> {
    /// The same in registers of 256 bits; left to itself the compiler uses half of them.
    #[inline(always)]
    fn in_v3(self, simd: pulp::x86::V3) {
        use pulp::{cast, i8x16, i16x16, i32x8};

        // Loops over numbers: adapters of iterators are not inlined here.
        let (query, _) = pulp::as_arrays::<LANES, i16>(self.query);
        let (high, _) = pulp::as_arrays::<LANES, i8>(self.high);
        for row in 0..self.estimates.len() {
            let parts = &high[row * query.len()..][..query.len()];
            let mut sums: [i32x8; 2] = cast([0_i32; 16]);
            for part in 0..query.len() {
                let (row, query): ([i8x16; 2], [i16x16; 2]) = (cast(parts[part]), cast(query[part]));
                for half in 0..2 {
                    let row = simd.convert_i8x16_to_i16x16(row[half]);
                    let products = simd.multiply_wrapping_add_adjacent_i16x16(row, query[half]);
                    sums[half] = simd.wrapping_add_i32x8(sums[half], products);
                }
            }
            let sums: [i32; 8] = cast(simd.wrapping_add_i32x8(sums[0], sums[1]));
            self.estimates[row] = sums.iter().sum();
        }
    }
}

struct Exact<'a> {
    high: &'a [i8],
    low: &'a [i8],
    query: &'a [f32],
}

#[cfg(feature = "simd")]
impl WithSimd for Exact<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f32 {
        self.compute()
    }
}

impl Exact<'_> {
    /// Adds in an order that no vector width changes: the same bits on every machine.
    #[inline(always)]
    fn compute(self) -> f32 {
        let mut sums = [0.0_f32; LANES];
        let high = self.high.chunks_exact(LANES);
        let low = self.low.chunks_exact(LANES);
        for ((high, low), query) in high.zip(low).zip(self.query.chunks_exact(LANES)) {
            for lane in 0..LANES {
                let units = i32::from(high[lane]) * 256 + i32::from(low[lane]);
                sums[lane] += units as f32 * query[lane];
            }
        }
        sums.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_kernel_estimates_the_same(
            vectors in proptest::collection::vec(proptest::collection::vec(-1.0_f32..1.0, 70), 1..20),
        ) {
            let mut rows = Rows::new(70);
            for vector in &vectors {
                rows.push(vector);
            }
            let query = rows.query(&vectors[0]);
            let mut estimates = vec![0; rows.len()];
            rows.estimate(&query, 0, &mut estimates);
            let expected: Vec<i32> = rows
                .high
                .chunks(rows.stride)
                .map(|row| row.iter().zip(&query.quantised).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum())
                .collect();
            prop_assert_eq!(estimates, expected);
        }
    }
}
