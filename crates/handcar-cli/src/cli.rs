//! The grammar of the command line.

use crate::command::{bench, cache, checkpoint, eval, fit, inspect, launch, predict, roles, simulate, synth};
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Trains sparse linear models on click data through a parameter server
#[derive(Parser, Debug)]
#[command(name = "handcar", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
    /// Read options from a TOML file; those on the command line win
    #[arg(long, global = true, value_name = "FILE.toml", help_heading = "General")]
    pub config: Option<PathBuf>,
    /// What to log on stderr: error, warn, info, debug, trace
    #[arg(long, global = true, value_name = "LEVEL", default_value = "warn", help_heading = "General")]
    pub log_level: String,
    /// Show no progress
    #[arg(long, short, global = true, help_heading = "General")]
    pub quiet: bool,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Train a model
    Fit(Box<fit::FitArgs>),
    /// Write one probability a row
    Predict(predict::PredictArgs),
    /// Measure a model: AUC, log loss, normalised entropy, accuracy, calibration
    Eval(eval::EvalArgs),
    /// Show what a model, a cache file or a data file holds
    Inspect(inspect::InspectArgs),
    /// Draw data of any size from a known model
    Synth(synth::SynthArgs),
    /// Run a job over several processes
    Launch(launch::LaunchArgs),
    /// Run a job in virtual time, with faults by seed
    Simulate(simulate::SimulateArgs),
    /// Measure this machine, and what share of it a solver takes
    Bench(bench::BenchArgs),
    /// Run the scheduler of a job
    Scheduler(roles::SchedulerArgs),
    /// Run a server of a job
    Server(roles::ServerArgs),
    /// Run a worker of a job
    Worker(roles::WorkerArgs),
    /// List or clear packed data
    Cache(cache::CacheArgs),
    /// List, verify or thin out checkpoints of the parameter server
    Checkpoint(checkpoint::CheckpointArgs),
}
