//! What an evaluation tells.

use crate::metric::{Decile, Metrics, Tally};
use serde::{Deserialize, Serialize};

/// The measures of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// Rows measured.
    pub rows: u64,
    /// The summed weighted loss.
    pub loss: f64,
    /// Measures of all rows; margins are rounded to 1/256 for the AUC.
    pub metrics: Metrics,
    /// Calibration by decile, of logistic loss.
    pub calibration: Vec<Decile>,
    /// The same by field.
    pub slices: Vec<SliceTable>,
}

/// Measures by the values of a field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SliceTable {
    /// The field's name.
    pub field: String,
    /// The values with the most rows, by falling count.
    pub values: Vec<Slice>,
    /// All other values as one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<Slice>,
    /// How many these are.
    pub others: u64,
    /// Whether there were too many values for memory: then `others` is an upper bound, and values that were rare for long lack some
    /// rows, which count among the others.
    pub approximate: bool,
}

/// The rows with one value of a field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Slice {
    /// The value: a category, a range of numbers, or `(missing)`.
    pub value: String,
    /// Rows.
    pub rows: u64,
    /// Those of the positive class; absent of regressions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positives: Option<u64>,
    /// Mean predicted probability, or mean; absent where margins are neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicted: Option<f64>,
    /// Share of positive rows, or mean label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<f64>,
    /// The measures. The calibration error is left out: in few rows it tells of chance.
    #[serde(flatten)]
    pub metrics: Metrics,
}

impl Slice {
    /// What a tally says of the rows with a value.
    pub(super) fn new(value: String, tally: &Tally) -> Self {
        Self {
            value,
            rows: tally.rows(),
            positives: tally.positives(),
            predicted: tally.predicted(),
            observed: tally.observed(),
            metrics: Metrics { ece: None, ..tally.metrics() },
        }
    }
}
