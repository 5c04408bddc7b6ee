//! A job for several processes: a command line behind `--`.

use super::{General, fit::FitArgs};
use crate::{
    cli::{Cli, Command},
    config,
};
use anyhow::{Result, bail};
use clap::{CommandFactory, FromArgMatches};
use std::ffi::OsString;

/// A parsed job.
pub struct Job {
    /// What to train.
    pub fit: FitArgs,
    /// Its general options.
    pub general: General,
}

impl Job {
    /// Parses `fit` and its options, with the config file they may name.
    ///
    /// # Errors
    /// As for a command line; and if it is another command.
    pub fn parse(words: &[OsString]) -> Result<Self> {
        let grammar = Cli::command();
        let args = std::iter::once("handcar".into()).chain(words.iter().cloned()).collect();
        let cli = Cli::from_arg_matches(&grammar.clone().try_get_matches_from(config::expand(&grammar, args)?)?)?;
        match cli.command {
            Command::Fit(fit) => {
                Ok(Self { fit: *fit, general: General { quiet: cli.quiet, log_level: cli.log_level } })
            }
            _ => bail!("job: expected fit and its options behind --, got {}", words[0].to_string_lossy()),
        }
    }
}
