//! `handcar simulate`: the same engines in virtual time.

mod campaign;
mod faults;
mod mistakes;
mod report;
mod watch;

use super::General;
use crate::outcome::Outcome;
use anyhow::Result;
use clap::{Args, Subcommand};

/// Run a job in virtual time.
#[derive(Args, Debug)]
pub struct SimulateArgs {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand, Debug)]
enum Kind {
    /// Lose messages, processes and writes by seed, and check every promise
    Faults(faults::FaultsArgs),
}

/// Runs the command.
pub fn run(args: SimulateArgs, general: &General) -> Result<Outcome> {
    let Kind::Faults(a) = args.kind;
    faults::run(&a, general)
}
