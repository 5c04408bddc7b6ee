//! `handcar simulate`: the same engines in virtual time.

mod campaign;
mod delay;
mod faults;
mod markdown;
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
    ///
    /// A seed is a cluster, a program for its workers, and faults: messages lost, delayed and doubled, partitions,
    /// processes killed and stopped, writes torn. It ends with a phase without faults in which everything must finish.
    /// The same seed gives the same story. The exit status is 1 if a promise was broken.
    Faults(faults::FaultsArgs),
    /// Let many workers of different pace push late gradients, and count the pushes each solver needs
    ///
    /// Workers begin together, each computes a batch's gradient at the weights it pulled and pushes it when it is done; meanwhile
    /// others have pushed theirs. adadelay, async-adagrad and adaptive-revision go through the same story, each tuned on the same
    /// step sizes. Equal seeds give equal bits.
    Delay(Box<delay::DelayArgs>),
}

/// Runs the command.
pub fn run(args: SimulateArgs, general: &General) -> Result<Outcome> {
    match args.kind {
        Kind::Faults(a) => faults::run(&a, general),
        Kind::Delay(a) => delay::run(&a, general),
    }
}
