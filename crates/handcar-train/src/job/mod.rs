//! A training job on one worker: from a data set and options to a model, with a trace of its passes.
//!
//! ```
//! use handcar_data::Dataset;
//! use handcar_train::job::{self, FitOptions, Silent, TrainInput};
//! // y = x0, with a little noise from x1.
//! let data = Dataset::from_csr(&[1.0, 1.0, -1.0, -1.0], &[0, 1, 3, 4, 4], &[0u32, 0, 1, 1], None, None)?;
//! let mut worker = handcar_ps::driver::local::cluster(1, 1, &job::registry()).remove(0);
//! let options = FitOptions { l1: 0.1, ..FitOptions::default() };
//! let fitted = job::fit(&mut worker, TrainInput::new(&data), &options, &mut Silent)?;
//! assert!(fitted.model.facts.converged && fitted.model.weight(0) > 0.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod at_zero;
mod batch;
mod evaluation;
mod fit;
mod folds;
mod grid;
mod group_lasso;
mod holdout;
mod labels;
mod lbfgs;
mod online;
mod options;
mod patience;
mod savings;
mod stage;
mod stream;

pub use evaluation::Measured;
pub use fit::fit;
pub use folds::{CrossValidated, FoldFit, cross_validate};
pub use grid::{GridAxes, GridModel};
pub use holdout::{Fold, Folds, FoldsBy, Holdout};
pub use options::{FitOptions, Resume};
pub use patience::Kept;
pub use stream::{Streamed, fit_stream};

use crate::metric::Metrics;
use crate::model::Model;
use crate::solver::{Solver, minibatch::OptimizerState};
use handcar_data::Dataset;
use handcar_ps::{Registry, filter::Saved};
use std::ops::Range;

/// The updaters that servers of a training job must know.
pub fn registry() -> Registry {
    let mut registry = Registry::new();
    crate::solver::register(&mut registry);
    registry
}

/// What to train on.
#[derive(Clone, Debug)]
pub struct TrainInput<'a> {
    /// The data, the same on every worker.
    pub data: &'a Dataset,
    /// This worker's rows; together the workers' ranges cover all rows once.
    pub rows: Range<usize>,
    /// Rows to hold out of training and to measure on.
    pub holdout: Option<Holdout>,
    /// Rows read with the same schema to measure on.
    pub valid: Option<&'a Dataset>,
}

impl<'a> TrainInput<'a> {
    /// All rows of a data set, for a job of one worker.
    pub fn new(data: &'a Dataset) -> Self {
        Self { data, rows: 0..data.rows(), holdout: None, valid: None }
    }
}

/// Watches a job and may end it.
pub trait Observer {
    /// A pass has ended.
    fn pass(&mut self, pass: &PassTrace);
    /// A minibatch solver is within a pass and has learned from more rows.
    fn online(&mut self, _so_far: &OnlineTrace) {}
    /// Share of the current pass that is done.
    fn progress(&mut self, _done: f64) {}
    /// The pass is followed by Newton steps, of which this one (from 1) is about to be taken; `gap`: the certified relative
    /// gap so far.
    fn newton(&mut self, _step: u64, _gap: f64) {
        self.progress(1.0);
    }
    /// The model of a fold (from 0) of so many is about to be trained.
    fn fold(&mut self, _fold: u32, _of: u32) {}
    /// Whether the job should end after this pass with the model so far. One worker's wish ends the job on all.
    fn stop(&self) -> bool {
        false
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn pass(&mut self, _pass: &PassTrace) {}
}

/// One pass of a job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PassTrace {
    /// Whose pass it is.
    pub solver: Solver,
    /// Number of the solver's pass, from 1.
    pub pass: u64,
    /// Seconds since the job began, transposing and screening included.
    pub seconds: f64,
    /// Objective after the pass.
    pub objective: f64,
    /// Change of the objective relative to the pass before; infinite in the first.
    pub relative_change: f64,
    /// Nonzero weights.
    pub nnz: u64,
    /// Share of all keys that are active after the pass and will travel in the next.
    pub active: f64,
    /// Largest KKT violation: as met on the way, or measured at one point in passes that end with a certificate. Minibatch
    /// solvers do not know it.
    pub violation: Option<f64>,
    /// Certified relative gap, in passes that end with a certificate.
    pub gap: Option<f64>,
    /// Measures on the validation rows, or else on the holdout.
    pub valid: Option<Metrics>,
    /// Progressive measures over the whole pass, of minibatch solvers.
    pub online: Option<OnlineTrace>,
    /// Training rows of all workers a second in this pass.
    pub rows_per_second: f64,
    /// Bytes this worker sent in this pass.
    pub bytes_sent: u64,
    /// Bytes it would have sent with 8 for every key and 4 for every number.
    pub plain_sent: u64,
}

/// Progressive measures of a minibatch solver: of predictions made before their row was learned from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OnlineTrace {
    /// The solver's pass, from 1. From the second on rows have been seen before.
    pub pass: u64,
    /// Rows of all workers in this pass so far.
    pub rows: u64,
    /// Seconds since the job began.
    pub seconds: f64,
    /// Mean loss over the rows since the line before.
    pub loss_since: f64,
    /// Mean loss over all rows of the pass so far.
    pub loss: f64,
    /// Area under the ROC curve over the rows so far, margins rounded to 1/256; absent with one class.
    pub auc: Option<f64>,
    /// Its standard error.
    pub auc_error: Option<f64>,
    /// Normalised entropy over the rows so far, of logistic loss.
    pub ne: Option<f64>,
    /// Rows a second since the line before.
    pub rows_per_second: f64,
}

/// A finished job.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The model, the same on every worker.
    pub model: Model,
    /// One entry a pass, of all solvers in turn.
    pub trace: Vec<PassTrace>,
    /// Progressive measures of minibatch solvers: at 1000 rows, 2000, 4000, ... and at the end of each pass.
    pub online: Vec<OnlineTrace>,
    /// What became of the models of a grid, in the order of the combinations; empty without one.
    pub grid: Vec<GridModel>,
    /// Measures on the validation rows, or else on the holdout.
    pub metrics: Option<Measured>,
    /// The pass whose weights the model has, if the job had patience.
    pub kept: Option<Kept>,
    /// What each filter saved, over all workers. First `kkt`, which keeps inactive keys at home: keys of 8 bytes, and numbers
    /// as the table has them.
    pub filters: Vec<Saved>,
    /// What another fit can go on from, if this one was to [`FitOptions::resume`].
    pub state: Option<OptimizerState>,
}
