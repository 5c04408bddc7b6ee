//! Whether labels are what the loss takes.

use crate::error::{Result, TrainError};
use crate::loss::{LossKind, exponent};
use handcar_data::{Dataset, LabelKind};

/// Powers of two between which the largest label of a regression must lie: margins in fixed point go from 2^-28 to 2^18, and
/// those near the labels must neither lose their digits nor meet the bound.
const LARGEST: std::ops::RangeInclusive<i32> = -10..=17;

/// Refuses data to train on whose labels the loss does not take. `goes_on`: whether they are a piece of a stream, of which other
/// pieces may have larger labels.
pub(super) fn check(loss: LossKind, data: &Dataset, goes_on: bool) -> Result<()> {
    check_kind(loss, data)?;
    check_size(loss, data.labels(), goes_on)
}

/// Refuses labels that are too large or small for their loss.
pub(super) fn check_size(loss: LossKind, labels: &[f32], goes_on: bool) -> Result<()> {
    let largest = labels.iter().fold(0f32, |m, y| m.max(y.abs()));
    let e = exponent(labels);
    // The margins of a Poisson mean are logarithms, so small labels do no harm.
    let real = loss.labels() == LabelKind::Real;
    let small = real && !goes_on && largest > 0.0 && e < *LARGEST.start();
    if loss.labels() != LabelKind::Binary && (small || e > *LARGEST.end()) {
        let expected =
            "a largest label between 0.001 and 131072 in magnitude (multiply all labels by one number)".into();
        return Err(TrainError::Data { expected, got: format!("{largest}") });
    }
    Ok(())
}

/// Refuses data, also to measure on, whose labels mean something else to the loss.
pub(super) fn check_kind(loss: LossKind, data: &Dataset) -> Result<()> {
    let (want, got) = (loss.labels(), data.schema().label.kind);
    let refuse = |got: String| {
        let expected = format!("labels of the kind {want} ({}) for {loss} loss", want.expected());
        Err(TrainError::Data { expected, got })
    };
    match (want, got) {
        _ if want == got => Ok(()),
        (LabelKind::Real, LabelKind::Count) => Ok(()),
        (LabelKind::Count, LabelKind::Real) => match data.labels().iter().position(|y| *y < 0.0) {
            None => Ok(()),
            Some(row) => refuse(format!("{} in row {row}, counted from 0", data.labels()[row])),
        },
        _ => refuse(format!("labels of the kind {got}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_a_loss_does_not_take_are_told_with_what_it_takes() {
        let data = |kind, labels: &[f32; 2]| {
            Dataset::from_labelled_csr(kind, labels, &[0, 1, 2], &[1u32, 2], None, None).unwrap()
        };
        let told = |loss, kind, labels: &[f32; 2]| check(loss, &data(kind, labels), false).err().map(|e| e.to_string());
        let (binary, real, count) = (LabelKind::Binary, LabelKind::Real, LabelKind::Count);
        for (loss, kind, labels) in [
            (LossKind::Logistic, binary, [0.0, 1.0]),
            (LossKind::Squared, real, [0.0, 0.0]),
            (LossKind::Squared, count, [1.0, 131072.0]),
            (LossKind::Poisson, real, [1e-6, 0.0]),
        ] {
            assert_eq!(told(loss, kind, &labels), None, "{loss} {labels:?}");
        }
        for (loss, kind, labels, part) in [
            (
                LossKind::Hinge,
                real,
                [1.0, 2.0],
                "labels of the kind binary (0, 1, -1 or +1) for hinge loss, got labels",
            ),
            (LossKind::Squared, binary, [1.0, 0.0], "got labels of the kind binary"),
            (LossKind::Poisson, real, [1.0, -3.0], "for poisson loss, got -3 in row 1"),
            (LossKind::Squared, real, [1.0, 2e5], "between 0.001 and 131072 in magnitude"),
            (LossKind::Huber { delta: 1.0 }, real, [1e-5, -1e-4], "got 0.0001"),
        ] {
            let told = told(loss, kind, &labels).unwrap();
            assert!(told.contains(part), "{told}");
        }
        assert!(check(LossKind::Squared, &data(real, &[1e-5, 0.0]), true).is_ok());
        assert!(check(LossKind::Squared, &data(real, &[1.0, 2e5]), true).is_err());
    }
}
