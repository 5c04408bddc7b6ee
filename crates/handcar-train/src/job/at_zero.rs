//! The loss of weights of zero: what a solver that helps must stay below.

use crate::loss::LossKind;

/// Sums the loss of weights of zero over rows as they come.
pub(super) struct AtZero {
    loss: LossKind,
    sum: f64,
    /// The last two labels that differ, with their losses: of classes there are no more.
    known: [(f32, f64); 2],
}

impl AtZero {
    pub fn new(loss: LossKind) -> Self {
        Self { loss, sum: 0.0, known: [(f32::NAN, 0.0); 2] }
    }

    /// Adds a row.
    #[inline]
    pub fn add(&mut self, label: f32, weight: f64) {
        let [first, second] = self.known;
        let of_label = if label == first.0 {
            first.1
        } else if label == second.0 {
            second.1
        } else {
            let of_label = self.loss.at_zero(label);
            self.known = [(label, of_label), first];
            of_label
        };
        self.sum += of_label * weight;
    }

    /// The sum so far.
    pub fn sum(&self) -> f64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_come_again_have_the_loss_they_had() {
        for loss in [LossKind::Logistic, LossKind::Squared] {
            let labels = [1.0, -1.0, 1.0, 3.0, -1.0, 3.0, 1.0, 0.0, 0.0];
            let mut at_zero = AtZero::new(loss);
            labels.iter().for_each(|&label| at_zero.add(label, 0.5));
            let plain: f64 = labels.iter().map(|&label| 0.5 * loss.at_zero(label)).sum();
            assert!((at_zero.sum() - plain).abs() < 1e-12);
        }
    }
}
