//! Options on how a model is trained.

use super::{filters, not_negative, not_positive, part, positive, share};
use anyhow::{Result, anyhow, ensure};
use clap::{Args, ValueEnum};
use handcar_ps::filter::{Spec, TableFilters};
use handcar_train::{
    job::{FitOptions, Folds, FoldsBy, GridAxes, Holdout},
    loss::LossKind,
    model::Model,
    penalty::Bounds,
    solver::{
        Solver, Solvers,
        minibatch::{Inner, Method},
    },
};
use std::path::PathBuf;

/// What to train and when to stop.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Training")]
pub struct TrainArgs {
    /// Solver: dbpg, lbfgs (batch, to a certified optimum), or sgd, adagrad, ftrl, emso (minibatches, row by row), or adadelay,
    /// async-adagrad, adaptive-revision (minibatches, by workers that with --delay do not wait for each other); A+B starts B with the
    /// weights of A
    #[arg(long, value_name = "SOLVER", default_value = "dbpg")]
    pub solver: Solvers,
    /// Loss: logistic; minibatch solvers also know hinge and squared-hinge, and for labels that are numbers squared, huber and
    /// poisson; lbfgs knows squared-hinge
    #[arg(long, value_name = "LOSS", default_value = "logistic")]
    pub loss: LossKind,
    /// huber: how far from the label the loss becomes a line [default: 1]
    #[arg(long, value_name = "DELTA", value_parser = positive, allow_negative_numbers = true)]
    pub huber_delta: Option<f64>,
    /// Weight of the L1 penalty on the sum of losses
    #[arg(long, value_name = "X", default_value_t = FitOptions::default().l1, value_parser = not_negative, allow_negative_numbers = true)]
    pub l1: f64,
    /// Weight of half the squared L2 norm on the sum of losses
    #[arg(long, value_name = "X", default_value_t = FitOptions::default().l2, value_parser = not_negative, allow_negative_numbers = true)]
    pub l2: f64,
    /// dbpg: weight of the group lasso, which drops whole fields (columns, crosses, namespaces): the sum over fields of the norm of the
    /// field's weights times the root of how many there are. On top of --l1, so --l1 0 for it alone
    #[arg(long, value_name = "X", default_value_t = FitOptions::default().group_lasso, value_parser = not_negative, allow_negative_numbers = true)]
    pub group_lasso: f64,
    /// Least weight, at most 0: --lower 0 leaves no negative weight. Not of the intercept. Solvers other than lbfgs and
    /// adaptive-revision
    #[arg(long, value_name = "X", value_parser = not_positive, allow_negative_numbers = true)]
    pub lower: Option<f64>,
    /// Greatest weight, at least 0
    #[arg(long, value_name = "X", value_parser = not_negative, allow_negative_numbers = true)]
    pub upper: Option<f64>,
    /// Fit no intercept
    #[arg(long)]
    pub no_intercept: bool,
    /// Blocks or batches that a step may be computed before the steps it builds on are known; 0 is sequential. adadelay and its
    /// kin: above 0, workers do not wait for each other, and this is how many batches each has under way
    #[arg(long, value_name = "TAU", default_value_t = 0)]
    pub delay: u32,
    /// Most passes over the data by the last solver [default: 200; 1000 of lbfgs; 1 of minibatch solvers, or 100 with --patience]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub passes: Option<u32>,
    /// dbpg, lbfgs: stop once the certified relative gap to the optimum is at most this [default: 1e-4]
    #[arg(long, value_name = "GAP", value_parser = not_negative, allow_negative_numbers = true)]
    pub tol: Option<f64>,
    /// lbfgs: pairs of changes that directions are made of, up to 40 [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=40))]
    pub history: Option<u32>,
    /// Minibatch solvers: step size [default: 0.1; 1 of sgd, 3 of emso]
    #[arg(long, value_name = "ALPHA", value_parser = positive, allow_negative_numbers = true)]
    pub rate: Option<f64>,
    /// Minibatch solvers: added to what divides the step size [default: 1]
    #[arg(long, value_name = "BETA", value_parser = not_negative, allow_negative_numbers = true)]
    pub beta: Option<f64>,
    /// Minibatch solvers: rows of a batch, of all workers [default: 256]
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..=131_072))]
    pub batch: Option<u32>,
    /// emso: what solves a batch, cd (coordinate descent) or gd (gradient steps) [default: cd]
    #[arg(long, value_name = "METHOD")]
    pub inner: Option<Method>,
    /// emso: sweeps or steps on a batch at most [default: 5; 10000 with --inner-tol]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub inner_iterations: Option<u32>,
    /// emso: go on with a batch until no key violates its optimality condition by more than this share of what the worst did
    #[arg(long, value_name = "SHARE", value_parser = share, allow_negative_numbers = true)]
    pub inner_tol: Option<f64>,
    /// Minibatch solvers: learn row by row, threads racing on the weights: faster, but on several threads no run has the
    /// bits of another; in one process only
    #[arg(long)]
    pub hogwild: bool,
    /// Solvers ftrl and adagrad: train a model of each combination of these in the same passes, as in l1=1,4,16 rate=0.05,0.1;
    /// the one with the least loss is kept. Names: l1, l2, rate, beta
    #[arg(long, value_name = "NAME=X,Y", num_args = 1..)]
    pub grid: Vec<String>,
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
    /// Hold out the last share of the rows, which are taken to be in order of time, and measure on it
    #[arg(long, value_name = "SHARE", value_parser = share, allow_negative_numbers = true, conflicts_with_all = ["valid", "holdout"])]
    pub holdout_last: Option<f64>,
    /// End a solver after N passes without a better loss on validation or held-out rows, and keep the weights of the best pass
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub patience: Option<u32>,
    /// Cross-validate first: train K models, each without a fold of the rows, and measure each on its fold
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(2..=100), conflicts_with_all = ["valid", "holdout", "holdout_last", "patience", "grid", "init"])]
    pub folds: Option<u32>,
    /// seed: folds are drawn by the seed; time: each model is trained on the rows before its fold, rows being in order of time
    /// [default: seed]
    #[arg(long, value_name = "WHAT", value_enum)]
    pub folds_by: Option<FoldsByArg>,
    /// Train no model on all rows after those of the folds
    #[arg(long)]
    pub folds_only: bool,
    /// Train on all positive rows and this share of the negative ones (by seed), each with 1/SHARE of its weight
    #[arg(long, value_name = "SHARE", value_parser = part, allow_negative_numbers = true)]
    pub negatives: Option<f64>,
    /// Measure on the rows of this file after each pass
    #[arg(long, value_name = "FILE")]
    pub valid: Vec<String>,
}

/// What decides which rows are a fold.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum FoldsByArg {
    Seed,
    Time,
}

impl TrainArgs {
    /// The library's settings.
    pub fn options(&self, threads: usize, init: Option<Model>) -> Result<FitOptions> {
        let default = FitOptions::default();
        Ok(FitOptions {
            solver: self.solver.clone(),
            loss: self.huber_delta.map_or(self.loss, |delta| self.loss.with_delta(delta as f32)),
            l1: self.l1,
            l2: self.l2,
            group_lasso: self.group_lasso,
            bounds: self.bounds()?,
            intercept: !self.no_intercept,
            delay: self.delay,
            passes: self.passes.unwrap_or(self.solver.default_passes(self.patience.is_some())),
            patience: self.patience,
            rate: self.rate,
            beta: self.beta.unwrap_or(default.beta),
            batch_rows: self.batch.unwrap_or(default.batch_rows),
            hogwild: self.hogwild,
            inner: self.inner(),
            slow: default.slow,
            history: self.history.unwrap_or(default.history),
            tol: self.tol.unwrap_or(default.tol),
            threads,
            seed: self.seed,
            kkt_filter: !self.no_kkt_filter,
            grid: self.axes()?,
            filters: TableFilters { push: self.filters.clone(), pull: self.pull_filters.clone() },
            init,
            resume: None,
        })
    }

    /// Rows to hold out of training and to measure on.
    pub fn held_out(&self) -> Option<Holdout> {
        self.holdout.map(Holdout::Share).or(self.holdout_last.map(Holdout::Last))
    }

    /// Parts to cross-validate on.
    pub fn folds(&self) -> Option<Folds> {
        let by = match self.folds_by {
            None | Some(FoldsByArg::Seed) => FoldsBy::Seed,
            Some(FoldsByArg::Time) => FoldsBy::Time,
        };
        self.folds.map(|count| Folds { count, by })
    }

    fn bounds(&self) -> Result<Bounds> {
        Ok(Bounds::new(self.lower.unwrap_or(f64::NEG_INFINITY), self.upper.unwrap_or(f64::INFINITY))?)
    }

    fn inner(&self) -> Inner {
        let default = if self.inner_tol.is_some() { Inner::MANY } else { Inner::default().iterations };
        Inner {
            method: self.inner.unwrap_or_default(),
            iterations: self.inner_iterations.unwrap_or(default),
            tol: self.inner_tol.unwrap_or(0.0),
        }
    }

    fn axes(&self) -> Result<Option<GridAxes>> {
        let read = || self.grid.join(" ").parse().map_err(|e| anyhow!("--grid: {e}"));
        (!self.grid.is_empty()).then(read).transpose()
    }

    /// Refuses options that the chosen solvers have no use for, rather than passing them over in silence.
    pub fn check(&self) -> Result<()> {
        self.axes()?;
        let solver = &self.solver;
        for (given, name) in [
            (self.holdout.is_some(), "--holdout"),
            (self.holdout_last.is_some(), "--holdout-last"),
            (self.folds.is_some(), "--folds"),
        ] {
            ensure!(
                self.negatives.is_none() || !given,
                "--negatives: expected --valid FILE to measure on, got {name}, whose rows would be a share too"
            );
        }
        for (given, name) in [(self.folds_by.is_some(), "--folds-by"), (self.folds_only, "--folds-only")] {
            ensure!(!given || self.folds.is_some(), "{name}: expected --folds K, got none");
        }
        ensure!(
            self.patience.is_none() || self.held_out().is_some() || !self.valid.is_empty(),
            "--patience: expected rows to measure on (--valid FILE, --holdout or --holdout-last), got none"
        );
        ensure!(
            self.patience.is_none() || self.grid.is_empty(),
            "--patience: expected no --grid, whose models would each end elsewhere, got both"
        );
        ensure!(
            self.huber_delta.is_none() || self.loss.delta().is_some(),
            "--huber-delta: expected --loss huber, got --loss {}",
            self.loss
        );
        let minibatch = solver.any(Solver::is_minibatch);
        for (given, name) in [
            (self.rate.is_some(), "--rate"),
            (self.beta.is_some(), "--beta"),
            (self.batch.is_some(), "--batch"),
            (self.hogwild, "--hogwild"),
            (!self.grid.is_empty(), "--grid"),
        ] {
            ensure!(
                minibatch || !given,
                "{name}: expected a minibatch solver ({}), got --solver {solver}",
                Solver::names(Solver::is_minibatch)
            );
        }
        let unbounded = |s| matches!(s, Solver::Lbfgs | Solver::AdaptiveRevision);
        for (given, name) in [(self.lower.is_some(), "--lower"), (self.upper.is_some(), "--upper")] {
            ensure!(
                !given || !solver.any(unbounded),
                "{name}: expected solvers among {}, got --solver {solver}",
                Solver::names(|s| !unbounded(s))
            );
        }
        if self.group_lasso > 0.0 {
            ensure!(
                *solver.solvers() == [Solver::Dbpg],
                "--group-lasso: expected --solver dbpg alone, got --solver {solver}"
            );
            ensure!(self.delay == 0, "--group-lasso: expected --delay 0, got --delay {}", self.delay);
            for (given, name) in [(self.lower.is_some(), "--lower"), (self.upper.is_some(), "--upper")] {
                ensure!(!given, "--group-lasso: expected no bounds, got {name}");
            }
        }
        let batch = solver.any(|s| !s.is_minibatch());
        ensure!(
            batch || self.tol.is_none(),
            "--tol: expected --solver dbpg or lbfgs, got --solver {solver}, which goes by --passes"
        );
        for (given, name, of) in [
            (self.no_kkt_filter, "--no-kkt-filter", Solver::Dbpg),
            (self.history.is_some(), "--history", Solver::Lbfgs),
            (self.inner.is_some(), "--inner", Solver::Emso),
            (self.inner_iterations.is_some(), "--inner-iterations", Solver::Emso),
            (self.inner_tol.is_some(), "--inner-tol", Solver::Emso),
        ] {
            ensure!(!given || solver.any(|s| s == of), "{name}: expected --solver {of}, got --solver {solver}");
        }
        Ok(())
    }
}
