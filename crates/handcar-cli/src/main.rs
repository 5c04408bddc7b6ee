//! The `handcar` command: commands, progress, reports and launchers. Knows no mathematics.
#![forbid(unsafe_code)]

mod args;
mod cli;
mod command;
mod config;
mod logging;
mod outcome;
mod planned;
mod progress;
mod signals;
mod summary;

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches};
use cli::{Cli, Command};
use outcome::Outcome;
use std::{ffi::OsString, process::ExitCode};

fn main() -> ExitCode {
    match run(std::env::args_os().collect()) {
        Ok(outcome) => outcome.into(),
        Err(error) => outcome::failed(&error),
    }
}

fn run(args: Vec<OsString>) -> Result<Outcome> {
    let grammar = Cli::command();
    let args = config::expand(&grammar, args)?;
    let cli = Cli::from_arg_matches(&grammar.try_get_matches_from(args)?)?;
    logging::start(&cli.log_level)?;
    let general = command::General { quiet: cli.quiet, log_level: cli.log_level };
    match cli.command {
        Command::Fit(a) => command::fit::run(*a, &general),
        Command::Predict(a) => command::predict::run(a),
        Command::Eval(a) => command::eval::run(a),
        Command::Inspect(a) => command::inspect::run(a),
        Command::Synth(a) => command::synth::run(a),
        Command::Bench(a) => command::bench::run(a, general.quiet),
        Command::Launch(a) => command::launch::run(a, &general),
        Command::Simulate(a) => command::simulate::run(a, &general),
        Command::Scheduler(a) => command::roles::scheduler(a),
        Command::Server(a) => command::roles::server(a),
        Command::Worker(a) => command::roles::worker(a, &general),
        Command::Cache(a) => command::cache::run(a),
        Command::Checkpoint(a) => command::checkpoint::run(a),
    }
}
