//! What a report says of early stopping, of cross-validation and of fields.

use crate::metric::Metrics;
use crate::solver::Solver;
use serde::{Deserialize, Serialize};

/// The pass whose weights a fit with patience has kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EarlyStopping {
    /// Whose pass it is.
    pub solver: Solver,
    /// Its number, from 1.
    pub pass: u64,
    /// Mean loss on the validation or held-out rows after it.
    pub loss: f64,
    /// Whether patience ended the fit.
    pub stopped: bool,
}

/// Fields that a group lasso chose among.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fields {
    /// Those that the training data have features of.
    pub all: u64,
    /// Of these, those with a nonzero weight.
    pub kept: u64,
}

/// Models each measured on rows they were not trained on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CrossValidation {
    /// One entry a model.
    pub folds: Vec<FoldEntry>,
    /// Mean of each measure.
    pub mean: Metrics,
    /// Standard error of each mean.
    pub error: Metrics,
}

/// A model of a cross-validation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FoldEntry {
    /// Which one, from 1.
    pub fold: u64,
    /// Rows it was trained on.
    pub rows: u64,
    /// Passes it took.
    pub passes: u64,
    /// Its objective.
    pub objective: f64,
    /// Rows it was measured on.
    pub rows_measured: u64,
    /// What was measured.
    pub metrics: Metrics,
}
