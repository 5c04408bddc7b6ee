//! `handcar launch`: one job over several processes.

mod children;
mod local;

use super::General;
use crate::outcome::Outcome;
use anyhow::Result;
use clap::{Args, Subcommand};

/// Run a job over several processes.
#[derive(Args, Debug)]
pub struct LaunchArgs {
    #[command(subcommand)]
    launcher: Launcher,
}

#[derive(Subcommand, Debug)]
enum Launcher {
    /// Scheduler, servers and workers as processes of this machine
    Local(local::LocalArgs),
}

/// Runs the command.
pub fn run(args: LaunchArgs, general: &General) -> Result<Outcome> {
    let Launcher::Local(a) = args.launcher;
    local::run(a, general)
}
