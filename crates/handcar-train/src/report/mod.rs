//! The one report a run can write: JSON with stable keys; a key that does not apply is absent.

mod measured;
mod memory;

pub use measured::{CrossValidation, EarlyStopping, Fields, FoldEntry};
pub use memory::peak_memory_bytes;

use crate::{
    evaluate::{Evaluated, SliceTable},
    metric::{Decile, Metrics},
    model::{ModelError, write_aside},
    solver::Solver,
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a run found, what it cost and where it ran. Timings and machine live here and never in a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// What ran: `fit`, `predict`, `eval`, ...
    pub command: String,
    /// Final objective F.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective: Option<f64>,
    /// The loss part of F.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Nonzero weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nnz: Option<u64>,
    /// Rows trained on, predicted or evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Rows left out under `--on-bad-row skip`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_skipped: Option<u64>,
    /// Distinct keys of the training data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<u64>,
    /// Values at prediction that the training data never had; each got weight zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unseen_values: Option<u64>,
    /// Fields, with a group lasso.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Fields>,
    /// Passes done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passes: Option<u64>,
    /// Whether the tolerance asked for was certified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub converged: Option<bool>,
    /// Rows a second while training, predicting or evaluating.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_per_second: Option<f64>,
    /// Wall-clock seconds.
    pub seconds: Seconds,
    /// Measures on the holdout or validation rows, or on the rows evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// Calibration by decile of the predictions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calibration: Vec<Decile>,
    /// Measures by the values of a field, one entry a field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<SliceTable>,
    /// How close to the optimum, certified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kkt: Option<Kkt>,
    /// Bytes over the network by this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Bytes>,
    /// What each filter saved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<FilterSavings>,
    /// Largest staleness seen, in tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staleness: Option<u64>,
    /// Entry n: tasks of this process that were submitted past n unfinished ones of their table.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub staleness_histogram: Vec<u64>,
    /// Peak resident memory of this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// The seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Version of handcar.
    pub version: String,
    /// One entry a pass.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<TraceEntry>,
    /// What the memory gives, of `bench roofline`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roofline: Option<Roofline>,
    /// Progressive measures, of minibatch solvers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub online: Vec<OnlineEntry>,
    /// The models of a grid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub grid: Vec<GridEntry>,
    /// Which pass was kept, of a fit with patience.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStopping>,
    /// Models each measured on rows they were not trained on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_validation: Option<CrossValidation>,
}

/// A model of a grid.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GridEntry {
    /// Weight of `‖w‖₁`.
    pub l1: f64,
    /// Weight of `‖w‖²/2`.
    pub l2: f64,
    /// Step size.
    pub rate: f64,
    /// Added to what divides the step size.
    pub beta: f64,
    /// Mean progressive loss over the first pass; absent of a model that diverged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progressive_loss: Option<f64>,
    /// Nonzero weights.
    pub nnz: u64,
    /// Measures on the holdout or validation rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// Whether this model was kept.
    pub chosen: bool,
}

/// Wall-clock seconds of the parts of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Seconds {
    /// Reading, parsing and localising, or opening the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<f64>,
    /// Training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<f64>,
    /// Of it, what worker 0 lay idle, waiting for servers and, through them, for other workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waited: Option<f64>,
    /// All of it.
    pub total: f64,
}

/// The optimality certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kkt {
    /// Largest violation over all keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub violation: Option<f64>,
    /// Certified bound on (F − F*)/F.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_bound: Option<f64>,
}

/// Bytes over the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bytes {
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
}

/// Bytes before and after a filter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FilterSavings {
    /// Name of the filter.
    pub name: String,
    /// `push` or `pull`.
    pub direction: String,
    /// Bytes before it.
    pub before: u64,
    /// Bytes after it.
    pub after: u64,
}

/// One pass of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TraceEntry {
    /// Whose pass it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solver: Option<Solver>,
    /// Number of that solver's pass, from 1.
    pub pass: u64,
    /// Seconds of training until its end.
    pub seconds: f64,
    /// Objective after it.
    pub objective: f64,
    /// Nonzero weights after it.
    pub nnz: u64,
    /// Share of keys that were active in it.
    pub active: f64,
    /// Largest KKT violation seen in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub violation: Option<f64>,
    /// Certified relative gap, when it was computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<f64>,
    /// Mean log loss on the validation rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logloss: Option<f64>,
    /// AUC on the validation rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auc: Option<f64>,
    /// Root of the mean squared error on the validation rows, of losses of regression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rmse: Option<f64>,
    /// Rows a second in this pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_per_second: Option<f64>,
    /// Bytes sent in this pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_sent: Option<u64>,
}

/// What `bench roofline` found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Roofline {
    /// The solver that was compared.
    pub solver: Solver,
    /// Rows a second whose slots one thread can look up, doing nothing else.
    pub gather_rows_per_second: f64,
    /// Rows a second that the solver learns from on one thread.
    pub rows_per_second: f64,
    /// The share that the second is of the first, median of the rounds' own.
    pub share: f64,
    /// How many times as fast the solver is on two threads.
    pub two_threads: f64,
}

/// Progressive measures of a minibatch solver: of predictions made before their row was learned from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OnlineEntry {
    /// Number of the pass, from 1.
    pub pass: u64,
    /// Rows of it so far.
    pub rows: u64,
    /// Seconds of training so far.
    pub seconds: f64,
    /// Mean loss since the entry before.
    pub loss_since: f64,
    /// Mean loss over the rows so far.
    pub loss: f64,
    /// Area under the ROC curve over the rows so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auc: Option<f64>,
    /// Its standard error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auc_error: Option<f64>,
    /// Normalised entropy over the rows so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ne: Option<f64>,
    /// Rows a second since the entry before.
    pub rows_per_second: f64,
}

impl Report {
    /// An empty report of `command`, with version.
    pub fn new(command: &str) -> Self {
        Self { command: command.to_string(), version: env!("CARGO_PKG_VERSION").to_string(), ..Self::default() }
    }

    /// What `eval` found.
    pub fn of_evaluation(found: Evaluated) -> Self {
        let Evaluated { rows, loss, metrics, calibration, slices } = found;
        let (rows, loss, metrics) = (Some(rows), Some(loss), Some(metrics));
        Self { rows, loss, metrics, calibration, slices, ..Self::new("eval") }
    }

    /// The report as JSON.
    pub fn to_json(&self) -> String {
        // Numbers, texts and lists: nothing that JSON does not have.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Writes the report as JSON, whole or not at all.
    ///
    /// # Errors
    /// [`ModelError::Write`] with the file and what the system said.
    pub fn save(&self, path: &Path) -> Result<(), ModelError> {
        write_aside(path, |out| {
            serde_json::to_writer_pretty(&mut *out, self)?;
            writeln!(out)
        })
        .map_err(|source| ModelError::Write { path: path.to_path_buf(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_do_not_apply_are_absent() {
        let text = serde_json::to_value(Report::new("predict")).unwrap();
        let keys: Vec<&String> = text.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["command", "seconds", "version"]);
        assert_eq!(text["seconds"].as_object().unwrap().len(), 1);
    }

    #[test]
    fn the_names_that_scripts_rely_on_are_there() {
        let full = Report {
            objective: Some(1.0),
            loss: Some(1.0),
            nnz: Some(1),
            rows: Some(1),
            passes: Some(1),
            rows_per_second: Some(1.0),
            seconds: Seconds { read: Some(1.0), train: Some(1.0), waited: Some(0.5), total: 2.0 },
            metrics: Some(Metrics {
                logloss: Some(0.1),
                auc: Some(0.9),
                ne: Some(0.7),
                accuracy: Some(0.8),
                calibration: Some(1.1),
                ece: Some(0.01),
                rmse: Some(1.0),
                mae: Some(1.0),
                r2: Some(0.5),
                deviance: Some(1.0),
                ..Metrics::default()
            }),
            kkt: Some(Kkt { violation: Some(0.0), gap_bound: Some(0.0) }),
            bytes: Some(Bytes { sent: 1, received: 2 }),
            filters: vec![FilterSavings::default()],
            staleness: Some(0),
            staleness_histogram: vec![1],
            peak_memory_bytes: Some(1),
            seed: Some(0),
            trace: vec![TraceEntry { violation: Some(0.0), ..TraceEntry::default() }],
            ..Report::new("fit")
        };
        let v = serde_json::to_value(full).unwrap();
        for pointer in [
            "objective",
            "loss",
            "nnz",
            "rows",
            "passes",
            "rows_per_second",
            "seconds/read",
            "seconds/train",
            "seconds/waited",
            "seconds/total",
            "metrics/logloss",
            "metrics/auc",
            "metrics/ne",
            "metrics/accuracy",
            "metrics/calibration",
            "metrics/ece",
            "metrics/rmse",
            "metrics/mae",
            "metrics/r2",
            "metrics/deviance",
            "kkt/violation",
            "kkt/gap_bound",
            "bytes/sent",
            "bytes/received",
            "filters/0/name",
            "filters/0/direction",
            "filters/0/before",
            "filters/0/after",
            "staleness",
            "staleness_histogram/0",
            "peak_memory_bytes",
            "seed",
            "version",
            "trace/0/pass",
            "trace/0/seconds",
            "trace/0/objective",
            "trace/0/nnz",
            "trace/0/active",
            "trace/0/violation",
        ] {
            assert!(v.pointer(&format!("/{pointer}")).is_some_and(|x| !x.is_null()), "{pointer}");
        }
    }

    #[test]
    fn a_report_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.json");
        let report = Report { objective: Some(0.1 + 0.2), nnz: Some(7), ..Report::new("fit") };
        report.save(&path).unwrap();
        assert_eq!(serde_json::from_slice::<Report>(&std::fs::read(path).unwrap()).unwrap(), report);
    }
}
