//! The deterministic results of a training run.

use crate::loss::LossKind;
use serde::{Deserialize, Serialize};

/// What a training run was asked and what it found. No timings and nothing of the machine: equal runs give equal facts
/// for any number of threads, workers and servers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Version of handcar that trained.
    pub version: String,
    /// Name of the solver.
    pub solver: String,
    /// Name of the loss.
    pub loss_name: String,
    /// δ of Huber's loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub huber_delta: Option<f32>,
    /// Weight of the L1 penalty.
    pub l1: f64,
    /// Weight of the squared L2 penalty.
    pub l2: f64,
    /// Weight of the group lasso.
    #[serde(skip_serializing_if = "is_zero")]
    pub group_lasso: f64,
    /// The least weight that was allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower: Option<f64>,
    /// The greatest weight that was allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper: Option<f64>,
    /// Whether an unpenalised intercept was fitted.
    pub intercept: bool,
    /// Delay bound τ.
    pub delay: u32,
    /// Certified relative gap that was asked for.
    pub tol: f64,
    /// Seed of the block order and of the holdout.
    pub seed: u64,
    /// Share of rows held out of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holdout: Option<f64>,
    /// Rows trained on.
    pub rows: u64,
    /// Distinct keys in the training data.
    pub features: u64,
    /// Fields that the training data have keys of, where a group lasso chose among them; see [`Model::kept_fields`](super::Model::kept_fields).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<u64>,
    /// Nonzero weights, the intercept not counted.
    pub nnz: u64,
    /// Passes done.
    pub passes: u64,
    /// Final objective F.
    pub objective: f64,
    /// The loss part of F.
    pub loss: f64,
    /// Whether loss and objective are those of rows before they were learned from, as no row was kept to measure the model on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub progressive: bool,
    /// Certified bound on (F − F*)/F.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<f64>,
    /// Largest KKT violation over all keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub violation: Option<f64>,
    /// Whether `gap <= tol` was certified.
    pub converged: bool,
}

impl Facts {
    /// The loss; `None` if this build does not know it.
    pub fn loss_kind(&self) -> Option<LossKind> {
        let kind: Option<LossKind> = self.loss_name.parse().ok();
        kind.map(|k| self.huber_delta.map_or(k, |delta| k.with_delta(delta)))
    }
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_string(),
            solver: "dbpg".to_string(),
            loss_name: "logistic".to_string(),
            huber_delta: None,
            l1: 0.0,
            l2: 0.0,
            group_lasso: 0.0,
            lower: None,
            upper: None,
            intercept: false,
            delay: 0,
            tol: 0.0,
            seed: 0,
            holdout: None,
            rows: 0,
            features: 0,
            fields: None,
            nnz: 0,
            passes: 0,
            objective: 0.0,
            loss: 0.0,
            progressive: false,
            gap: None,
            violation: None,
            converged: false,
        }
    }
}

fn is_zero(x: &f64) -> bool {
    *x == 0.0
}
