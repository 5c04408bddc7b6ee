//! Options on how a model is trained.

use super::{filters, not_negative, share};
use clap::{Args, ValueEnum};
use handcar_ps::filter::Spec;
use handcar_train::job::FitOptions;
use std::path::PathBuf;

/// What to train and when to stop.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Training")]
pub struct TrainArgs {
    /// Solver
    #[arg(long, value_enum, default_value = "dbpg")]
    pub solver: Solver,
    /// Loss
    #[arg(long, value_enum, default_value = "logistic")]
    pub loss: Loss,
    /// Weight of the L1 penalty on the sum of losses
    #[arg(long, value_name = "X", default_value_t = FitOptions::default().l1, value_parser = not_negative, allow_negative_numbers = true)]
    pub l1: f64,
    /// Weight of half the squared L2 norm on the sum of losses
    #[arg(long, value_name = "X", default_value_t = FitOptions::default().l2, value_parser = not_negative, allow_negative_numbers = true)]
    pub l2: f64,
    /// Fit no intercept
    #[arg(long)]
    pub no_intercept: bool,
    /// Blocks that a step may be computed before the steps it builds on are known; 0 is sequential
    #[arg(long, value_name = "TAU", default_value_t = 0)]
    pub delay: u32,
    /// Most passes over the data
    #[arg(long, value_name = "N", default_value_t = FitOptions::default().passes, value_parser = clap::value_parser!(u32).range(1..))]
    pub passes: u32,
    /// Stop once the certified relative gap to the optimum is at most this
    #[arg(long, value_name = "GAP", default_value_t = FitOptions::default().tol, value_parser = not_negative, allow_negative_numbers = true)]
    pub tol: f64,
    /// Seed of the block order and of the holdout
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Send and update every key in every pass
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

/// The solvers that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Solver {
    /// Delayed block proximal gradient: batch, to a certified optimum
    Dbpg,
}

/// The losses that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Loss {
    /// log(1 + exp(-y m))
    Logistic,
}
