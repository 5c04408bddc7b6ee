//! Share of rows classified rightly.

use super::Scored;

/// Weighted share of rows with `sign(margin) = label`; a margin of zero counts as a negative prediction. `None`
/// without weight.
pub fn accuracy(rows: &Scored) -> Option<f64> {
    let (mut right, mut mass) = (0.0, 0.0);
    for (margin, label, weight) in rows.iter() {
        mass += weight;
        if (margin > 0.0) == (label > 0.0) {
            right += weight;
        }
    }
    (mass > 0.0).then(|| right / mass)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_margin_predicts_the_negative_class() {
        let rows = Scored::new(&[0.0, 0.0, 1.0, -1.0], &[-1.0, 1.0, 1.0, 1.0], None).unwrap();
        assert_eq!(accuracy(&rows), Some(0.5));
    }

    #[test]
    fn weights_count() {
        let rows = Scored::new(&[1.0, 1.0], &[1.0, -1.0], Some(&[3.0, 1.0])).unwrap();
        assert_eq!(accuracy(&rows), Some(0.75));
    }
}
