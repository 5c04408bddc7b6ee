//! Normalised entropy: log loss against the best constant.

use super::{Scored, logloss::logloss};

/// Mean log loss divided by the entropy of the mean label `p`, `NE = logloss / −(p·ln p + (1−p)·ln(1−p))`
/// (He et al., ADKDD 2014): 1 is as good as always answering `p`, smaller is better. `None` unless both classes have
/// weight.
pub fn normalised_entropy(rows: &Scored) -> Option<f64> {
    let (positive, negative) = rows.mass();
    if positive <= 0.0 || negative <= 0.0 {
        return None;
    }
    let p = positive / (positive + negative);
    Some(logloss(rows)? / -(p * p.ln() + (1.0 - p) * (-p).ln_1p()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_at_the_mean_label_scores_one() {
        let m = [(0.25f64 / 0.75).ln(); 4];
        let ne = normalised_entropy(&Scored::new(&m, &[1.0, -1.0, -1.0, -1.0], None).unwrap()).unwrap();
        assert!((ne - 1.0).abs() < 1e-12);
    }

    #[test]
    fn an_informed_model_scores_below_one() {
        let ne = normalised_entropy(&Scored::new(&[1.0, -1.0], &[1.0, -1.0], None).unwrap()).unwrap();
        assert!(ne < 1.0);
    }
}
