//! Mean logistic loss.

use super::Scored;
use handcar_base::ExactSum;

/// The weighted logistic losses `w·log(1 + exp(−y·m))`, summed exactly: parts of the rows may be added in any order.
pub fn logloss_sum(rows: &Scored) -> ExactSum {
    rows.iter()
        .map(|(margin, label, weight)| {
            let m = label as f64 * margin;
            weight * ((-m).max(0.0) + (-m.abs()).exp().ln_1p())
        })
        .collect()
}

/// Mean logistic loss in nats, `Σ wᵢ·log(1 + exp(−yᵢ·mᵢ)) / Σ wᵢ`; `None` without weight.
pub fn logloss(rows: &Scored) -> Option<f64> {
    let (positive, negative) = rows.mass();
    let mass = positive + negative;
    (mass > 0.0).then(|| logloss_sum(rows).value() / mass)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::cases;

    #[test]
    fn logloss_agrees_with_probabilities() {
        for seed in 0..20 {
            let (m, y, w) = cases::random(seed, 200);
            let (mut sum, mut mass) = (0.0, 0.0);
            for i in 0..m.len() {
                let p = 1.0 / (1.0 + (-m[i]).exp());
                let weight = w.as_ref().map_or(1.0, |w| w[i] as f64);
                sum -= weight * if y[i] > 0.0 { p.ln() } else { (1.0 - p).ln() };
                mass += weight;
            }
            let fast = logloss(&Scored::new(&m, &y, w.as_deref()).unwrap()).unwrap();
            assert!((fast - sum / mass).abs() < 1e-12, "{fast} {}", sum / mass);
        }
    }

    #[test]
    fn huge_margins_do_not_overflow() {
        let l = logloss(&Scored::new(&[1e6, -1e6], &[-1.0, -1.0], None).unwrap()).unwrap();
        assert_eq!(l, 5e5);
    }
}
