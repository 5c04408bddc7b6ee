//! `handcar synth`: data of any size from a known model.

use super::output;
use crate::{args::count, outcome::Outcome};
use anyhow::Result;
use clap::{Args, Subcommand};
use handcar_base::Seed;
use handcar_data::synth::synth_criteo;
use std::path::PathBuf;

/// Draw data from a known model.
#[derive(Args, Debug)]
pub struct SynthArgs {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand, Debug)]
enum Kind {
    /// A click log in Criteo's layout: label, 13 integers, 26 hexadecimal categories
    Criteo(CriteoArgs),
}

#[derive(Args, Debug)]
struct CriteoArgs {
    /// Rows to draw
    #[arg(long, value_name = "N", value_parser = count)]
    rows: u64,
    /// Seed of the planted model and of the rows
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Rows to pass over: rows from N on are a fresh test set for a model trained on the first N
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip: u64,
    /// Threads; all cores unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// The file to write; - for standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(args: SynthArgs) -> Result<Outcome> {
    let Kind::Criteo(a) = args.kind;
    let threads = a.threads.map_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()), |n| n as usize);
    let rows = a.skip..a.skip.saturating_add(a.rows);
    output::write(&a.output, |mut out| Ok(synth_criteo(rows, Seed(a.seed), threads, &mut out)?))?;
    Ok(Outcome::Done)
}
