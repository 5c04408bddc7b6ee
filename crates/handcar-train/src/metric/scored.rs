//! Rows with a margin, a label and perhaps a weight: what every measure takes.

/// Borrowed, checked rows: equal lengths, labels -1 or +1, finite margins, finite weights of at least zero.
#[derive(Clone, Copy, Debug)]
pub struct Scored<'a>(Columns<'a>);

/// Why rows cannot be measured.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ScoredError {
    /// The columns differ in length.
    #[error("metric: expected {margins} {what}, one for each margin, got {got}")]
    Length {
        /// Margins given.
        margins: usize,
        /// The column that differs.
        what: &'static str,
        /// Its length.
        got: usize,
    },
    /// A value outside its range.
    #[error("metric: row {row}: expected {expected}, got {got}")]
    Value {
        /// Index of the row, from 0.
        row: usize,
        /// What was expected.
        expected: &'static str,
        /// What was found.
        got: f64,
    },
}

/// Columns of equal lengths: finite numbers, labels that fit, finite weights of at least zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns<'a> {
    numbers: &'a [f64],
    labels: &'a [f32],
    weights: Option<&'a [f32]>,
}

impl<'a> Columns<'a> {
    pub fn new(
        numbers: &'a [f64],
        labels: &'a [f32],
        weights: Option<&'a [f32]>,
        fits: impl Fn(f32) -> bool,
        expected: &'static str,
    ) -> Result<Self, ScoredError> {
        let n = numbers.len();
        let length = |what, got| ScoredError::Length { margins: n, what, got };
        if labels.len() != n {
            return Err(length("labels", labels.len()));
        }
        let bad = |(row, got): (usize, f64), expected| ScoredError::Value { row, expected, got };
        if let Some(w) = weights {
            if w.len() != n {
                return Err(length("weights", w.len()));
            }
            if let Some(row) = w.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
                return Err(bad((row, w[row] as f64), "a finite weight of at least 0"));
            }
        }
        if let Some(row) = numbers.iter().position(|m| !m.is_finite()) {
            return Err(bad((row, numbers[row]), "a finite margin"));
        }
        if let Some(row) = labels.iter().position(|&y| !fits(y)) {
            return Err(bad((row, labels[row] as f64), expected));
        }
        Ok(Self { numbers, labels, weights })
    }

    pub fn row(&self, i: usize) -> (f64, f32, f64) {
        (self.numbers[i], self.labels[i], self.weights.map_or(1.0, |w| w[i] as f64))
    }

    pub fn iter(&self) -> impl Iterator<Item = (f64, f32, f64)> + '_ {
        (0..self.numbers.len()).map(|i| self.row(i))
    }

    /// The sum of all weights.
    pub fn mass(&self) -> f64 {
        self.iter().map(|row| row.2).sum()
    }
}

impl<'a> Scored<'a> {
    /// Checks and joins the columns; without weights every row counts 1.
    ///
    /// # Errors
    /// [`ScoredError`] names the first column or row that is wrong.
    pub fn new(margins: &'a [f64], labels: &'a [f32], weights: Option<&'a [f32]>) -> Result<Self, ScoredError> {
        Columns::new(margins, labels, weights, |y| y.abs() == 1.0, "a label of -1 or +1").map(Self)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.0.numbers.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.0.numbers.is_empty()
    }

    /// Margin, label and weight of row `i`.
    pub fn row(&self, i: usize) -> (f64, f32, f64) {
        self.0.row(i)
    }

    /// All rows in order.
    pub fn iter(&self) -> impl Iterator<Item = (f64, f32, f64)> + '_ {
        self.0.iter()
    }

    /// Sums of the weights of the positive and of the negative rows.
    pub fn mass(&self) -> (f64, f64) {
        let (mut positive, mut negative) = (0.0, 0.0);
        for (_, y, w) in self.iter() {
            *(if y > 0.0 { &mut positive } else { &mut negative }) += w;
        }
        (positive, negative)
    }

    /// Row indices from the smallest margin to the largest; ties stay in row order.
    pub fn by_margin(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        // Adding 0.0 turns -0.0 into 0.0: `total_cmp` would part them, `==` calls them a tie.
        order.sort_by(|&a, &b| (self.0.numbers[a] + 0.0).total_cmp(&(self.0.numbers[b] + 0.0)));
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_columns_are_refused_with_the_row() {
        let e = |m: &[f64], y: &[f32], w: Option<&[f32]>| Scored::new(m, y, w).unwrap_err().to_string();
        assert_eq!(e(&[0.0, 1.0], &[1.0], None), "metric: expected 2 labels, one for each margin, got 1");
        assert_eq!(e(&[0.0], &[0.0], None), "metric: row 0: expected a label of -1 or +1, got 0");
        assert_eq!(e(&[0.0, f64::NAN], &[1.0, 1.0], None), "metric: row 1: expected a finite margin, got NaN");
        assert!(e(&[0.0], &[1.0], Some(&[-2.0])).contains("expected a finite weight of at least 0, got -2"));
    }
}
