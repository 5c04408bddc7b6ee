//! Cross-validation: several models, each measured on rows that it was not trained on.

use super::fit::fit_from;
use super::{FitOptions, Fold, Folds, Holdout, Measured, Observer, TrainInput};
use crate::error::{Result, TrainError};
use crate::metric::Metrics;
use crate::solver::SOLVERS_MAX;
use handcar_ps::Worker;

/// A model of a cross-validation.
#[derive(Clone, Debug, PartialEq)]
pub struct FoldFit {
    /// Which one, from 0.
    pub fold: u32,
    /// Rows it was trained on.
    pub rows: u64,
    /// Passes it took.
    pub passes: u64,
    /// Its objective.
    pub objective: f64,
    /// Measures on the fold's rows.
    pub measured: Measured,
}

/// What a cross-validation found.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossValidated {
    /// A model each. Fewer than were asked for if the observer had enough.
    pub folds: Vec<FoldFit>,
    /// Mean of each measure over the models.
    pub mean: Metrics,
    /// Standard error of each mean: the standard deviation over the models, divided by the root of their number.
    pub error: Metrics,
}

/// Trains a model without each fold and measures it on the fold, over data that is read once. Collective, as [`fit`](super::fit).
/// The seed of the options draws the folds.
///
/// ```
/// use handcar_data::Dataset;
/// use handcar_train::job::{self, FitOptions, Folds, FoldsBy, Silent, TrainInput};
/// let labels: Vec<f32> = (0..40).map(|i| if i % 4 == 0 || i % 7 == 0 { 1.0 } else { -1.0 }).collect();
/// let ids: Vec<u32> = (0..40).map(|i| i % 4).collect();
/// let data = Dataset::from_csr(&labels, &(0..=40).collect::<Vec<u64>>(), &ids, None, None)?;
/// let mut worker = handcar_ps::driver::local::cluster(1, 1, &job::registry()).remove(0);
/// let folds = Folds { count: 4, by: FoldsBy::Seed };
/// let found = job::cross_validate(&mut worker, TrainInput::new(&data), &FitOptions::default(), folds, &mut Silent)?;
/// assert!(found.folds.len() == 4 && found.mean.logloss > found.error.logloss);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`fit`](super::fit); [`TrainError::Option`] with fewer than 2 folds or more than 100, rows that are held out
/// otherwise, patience or a grid; [`TrainError::Data`] with more folds than rows.
pub fn cross_validate(
    worker: &mut Worker,
    input: TrainInput<'_>,
    options: &FitOptions,
    folds: Folds,
    observer: &mut dyn Observer,
) -> Result<CrossValidated> {
    let refuse = |expected, got: &str| Err(TrainError::Option { what: "folds", expected, got: got.into() });
    if input.holdout.is_some() || input.valid.is_some() {
        return refuse("without other rows to measure on (holdout or validation)", "both");
    }
    if options.patience.is_some() {
        return refuse("without patience, which would choose by the rows measured on", "both");
    }
    if options.grid.is_some() {
        return refuse("without a grid, which would choose by the rows measured on", "both");
    }
    if options.init.is_some() {
        return refuse("without weights to begin with, which may know the rows measured on", "both");
    }
    folds.check(input.data.rows())?;
    let mut found = Vec::new();
    for number in 0..folds.count {
        observer.fold(number, folds.count);
        let input = TrainInput { holdout: Some(Holdout::Fold(Fold { number, of: folds })), ..input.clone() };
        // Tables of all models have names of their own.
        let fitted = fit_from(worker, input, options, observer, SOLVERS_MAX * (number as usize + 1))?;
        if worker.reduce_max(&[observer.stop() as i64])?[0] != 0 {
            break;
        }
        let facts = &fitted.model.facts;
        let Some(measured) = fitted.metrics else { unreachable!("a fold is measured") };
        found.push(FoldFit {
            fold: number,
            rows: facts.rows,
            passes: facts.passes,
            objective: facts.objective,
            measured,
        });
    }
    let (mean, error) = Metrics::mean_and_error(&found.iter().map(|f| f.measured.metrics).collect::<Vec<_>>());
    Ok(CrossValidated { folds: found, mean, error })
}
