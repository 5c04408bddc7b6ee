//! Options on how a model is trained.

use super::{filters, not_negative, positive, share};
use anyhow::{Result, ensure};
use clap::Args;
use handcar_ps::filter::{Spec, TableFilters};
use handcar_train::{
    job::FitOptions,
    loss::LossKind,
    model::Model,
    solver::{Solver, Solvers},
};
use std::path::PathBuf;

/// What to train and when to stop.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Training")]
pub struct TrainArgs {
    /// Solver: dbpg (batch, to a certified optimum), or sgd, adagrad, ftrl (minibatches, row by row); A+B starts B with the
    /// weights of A
    #[arg(long, value_name = "SOLVER", default_value = "dbpg")]
    pub solver: Solvers,
    /// Loss: logistic; minibatch solvers also know hinge and squared-hinge
    #[arg(long, value_name = "LOSS", default_value = "logistic")]
    pub loss: LossKind,
    /// Weight of the L1 penalty on the sum of losses
    #[arg(long, value_name = "X", default_value_t = FitOptions::default().l1, value_parser = not_negative, allow_negative_numbers = true)]
    pub l1: f64,
    /// Weight of half the squared L2 norm on the sum of losses
    #[arg(long, value_name = "X", default_value_t = FitOptions::default().l2, value_parser = not_negative, allow_negative_numbers = true)]
    pub l2: f64,
    /// Fit no intercept
    #[arg(long)]
    pub no_intercept: bool,
    /// Blocks or batches that a step may be computed before the steps it builds on are known; 0 is sequential
    #[arg(long, value_name = "TAU", default_value_t = 0)]
    pub delay: u32,
    /// Most passes over the data by the last solver [default: 200; 1 of minibatch solvers]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub passes: Option<u32>,
    /// dbpg: stop once the certified relative gap to the optimum is at most this [default: 1e-4]
    #[arg(long, value_name = "GAP", value_parser = not_negative, allow_negative_numbers = true)]
    pub tol: Option<f64>,
    /// Minibatch solvers: step size [default: 0.1; 1 of sgd]
    #[arg(long, value_name = "ALPHA", value_parser = positive, allow_negative_numbers = true)]
    pub rate: Option<f64>,
    /// Minibatch solvers: added to what divides the step size [default: 1]
    #[arg(long, value_name = "BETA", value_parser = not_negative, allow_negative_numbers = true)]
    pub beta: Option<f64>,
    /// Minibatch solvers: rows of a batch, of all workers [default: 256]
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..=131_072))]
    pub batch: Option<u32>,
    /// Seed of the block order and of the holdout
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// dbpg: send and update every key in every pass
    #[arg(long)]
    pub no_kkt_filter: bool,
    /// Filters that pushes go through on their way to the servers, as in zero,zstd:1; exact ones change no bit of the model
    #[arg(long, value_name = "NAMES", default_value = "", value_parser = filters, hide_default_value = true)]
    pub filters: Spec,
    /// Filters that weights go through on their way back; exact ones only
    #[arg(long, value_name = "NAMES", default_value = "", value_parser = filters, hide_default_value = true)]
    pub pull_filters: Spec,
    /// Start from the weights of this model
    #[arg(long, value_name = "MODEL")]
    pub init: Option<PathBuf>,
    /// Hold out this share of the rows (by seed) and measure on it
    #[arg(long, value_name = "SHARE", value_parser = share, allow_negative_numbers = true, conflicts_with = "valid")]
    pub holdout: Option<f64>,
    /// Measure on the rows of this file after each pass
    #[arg(long, value_name = "FILE")]
    pub valid: Vec<String>,
}

impl TrainArgs {
    /// The library's settings.
    pub fn options(&self, threads: usize, init: Option<Model>) -> FitOptions {
        let default = FitOptions::default();
        FitOptions {
            solver: self.solver.clone(),
            loss: self.loss,
            l1: self.l1,
            l2: self.l2,
            intercept: !self.no_intercept,
            delay: self.delay,
            passes: self.passes.unwrap_or(self.solver.last().default_passes()),
            rate: self.rate,
            beta: self.beta.unwrap_or(default.beta),
            batch_rows: self.batch.unwrap_or(default.batch_rows),
            tol: self.tol.unwrap_or(default.tol),
            threads,
            seed: self.seed,
            kkt_filter: !self.no_kkt_filter,
            filters: TableFilters { push: self.filters.clone(), pull: self.pull_filters.clone() },
            init,
        }
    }

    /// Refuses options that the chosen solvers have no use for, rather than passing them over in silence.
    pub fn check(&self) -> Result<()> {
        let solver = &self.solver;
        let minibatch = solver.any(Solver::is_minibatch);
        for (given, name) in
            [(self.rate.is_some(), "--rate"), (self.beta.is_some(), "--beta"), (self.batch.is_some(), "--batch")]
        {
            ensure!(
                minibatch || !given,
                "{name}: expected a minibatch solver (sgd, adagrad, ftrl), got --solver {solver}"
            );
        }
        let batch = solver.any(|s| !s.is_minibatch());
        for (given, name) in [(self.tol.is_some(), "--tol"), (self.no_kkt_filter, "--no-kkt-filter")] {
            ensure!(batch || !given, "{name}: expected --solver dbpg, got --solver {solver}, which goes by --passes");
        }
        Ok(())
    }
}
