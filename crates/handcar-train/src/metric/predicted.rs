//! Rows with a predicted mean, a real label and perhaps a weight: what measures of regression take.

use super::scored::{Columns, ScoredError};

/// Borrowed, checked rows: equal lengths, finite means and labels, finite weights of at least zero.
#[derive(Clone, Copy, Debug)]
pub struct Predicted<'a>(Columns<'a>);

impl<'a> Predicted<'a> {
    /// Checks and joins the columns; without weights every row counts 1.
    ///
    /// # Errors
    /// [`ScoredError`] names the first column or row that is wrong.
    pub fn new(means: &'a [f64], labels: &'a [f32], weights: Option<&'a [f32]>) -> Result<Self, ScoredError> {
        Columns::new(means, labels, weights, |y| y.is_finite(), "a finite label").map(Self)
    }

    /// Mean, label and weight of each row, in order.
    pub fn iter(&self) -> impl Iterator<Item = (f64, f64, f64)> + '_ {
        self.0.iter().map(|(mean, label, weight)| (mean, label as f64, weight))
    }

    /// The weighted mean of a number of each row; `None` without weight.
    pub(super) fn mean_of(&self, of: impl Fn(f64, f64) -> f64) -> Option<f64> {
        // Exact, so that the order of rows cannot be seen.
        let mass = self.0.mass();
        let sum: handcar_base::ExactSum = self.iter().map(|(mean, label, weight)| weight * of(mean, label)).collect();
        (mass > 0.0).then(|| sum.value() / mass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_rows_are_refused_and_weights_act_like_repeated_rows() {
        let e = Predicted::new(&[0.0, 1.0], &[1.0, f32::NAN], None).unwrap_err().to_string();
        assert_eq!(e, "metric: row 1: expected a finite label, got NaN");
        let weighted = Predicted::new(&[1.0, 2.0], &[5.0, 6.0], Some(&[2.0, 1.0])).unwrap();
        let repeated = Predicted::new(&[1.0, 1.0, 2.0], &[5.0, 5.0, 6.0], None).unwrap();
        let of = |m: f64, y: f64| m * y;
        assert_eq!(weighted.mean_of(of), repeated.mean_of(of));
        assert_eq!(Predicted::new(&[], &[], None).unwrap().mean_of(of), None);
    }
}
