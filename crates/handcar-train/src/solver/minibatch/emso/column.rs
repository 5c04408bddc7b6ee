//! The entries that a batch has in a block, by key.

use super::super::fixed;

/// Entries of some keys, numbered from 0, in the rows of a batch, numbered from 0.
pub(super) enum Column {
    /// At most one entry a row, of value 1: for each row 0, or 1 + its key. No two keys share a row.
    OneHot(Vec<u32>),
    /// By key: `starts[k]..starts[k + 1]` are its entries, ascending by row.
    ByKey { starts: Vec<u32>, rows: Vec<u32>, values: Option<Vec<f32>> },
    /// One key with an entry of value 1 in every row: the intercept.
    Ones,
}

impl Column {
    /// Adds `w·x` to the rows' margins, in fixed point.
    pub fn add_margins(&self, weights: &[f64], margins: &mut [i64]) {
        let fixed = |w: f64, x: f32| fixed::margin(w as f32 * x);
        match self {
            Self::OneHot(at) => margins.iter_mut().zip(at).for_each(|(m, &at)| {
                if at > 0 {
                    *m += fixed(weights[at as usize - 1], 1.0);
                }
            }),
            Self::ByKey { .. } => {
                for (k, &w) in weights.iter().enumerate().filter(|(_, w)| **w != 0.0) {
                    self.of_key(k).for_each(|(row, x)| margins[row] += fixed(w, x));
                }
            }
            Self::Ones => margins.iter_mut().for_each(|m| *m += fixed(weights[0], 1.0)),
        }
    }

    /// Adds what changes of weights add to the rows' margins.
    pub fn add_changes(&self, changes: &[f64], margins: &mut [f64]) {
        match self {
            Self::OneHot(at) => margins.iter_mut().zip(at).for_each(|(m, &at)| {
                if at > 0 {
                    *m += changes[at as usize - 1];
                }
            }),
            Self::ByKey { .. } => {
                for (k, &change) in changes.iter().enumerate().filter(|(_, d)| **d != 0.0) {
                    self.of_key(k).for_each(|(row, x)| margins[row] += change * x as f64);
                }
            }
            Self::Ones => margins.iter_mut().for_each(|m| *m += changes[0]),
        }
    }

    /// Adds up the rows' slopes over each key's entries.
    pub fn add_gradients(&self, slopes: &[f32], gradients: &mut [f64]) {
        match self {
            Self::OneHot(at) => slopes.iter().zip(at).for_each(|(&d, &at)| {
                if at > 0 {
                    gradients[at as usize - 1] += d as f64;
                }
            }),
            Self::ByKey { .. } => {
                for (k, g) in gradients.iter_mut().enumerate() {
                    self.of_key(k).for_each(|(row, x)| *g += slopes[row] as f64 * x as f64);
                }
            }
            Self::Ones => gradients[0] += slopes.iter().map(|&d| d as f64).sum::<f64>(),
        }
    }

    /// Rows and values of a key's entries; of columns by key alone.
    pub fn of_key(&self, key: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let (rows, values) = match self {
            Self::ByKey { starts, rows, values } => {
                let at = starts[key] as usize..starts[key + 1] as usize;
                (&rows[at.clone()], values.as_ref().map(|v| &v[at]))
            }
            _ => (&[][..], None),
        };
        rows.iter().enumerate().map(move |(e, &row)| (row as usize, values.map_or(1.0, |v| v[e])))
    }
}
