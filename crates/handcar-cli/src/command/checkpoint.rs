//! `handcar checkpoint`: what `Worker::save` left in a place.

use crate::{outcome::Outcome, progress::grouped};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use handcar_ps::checkpoint::{Blobs, Choice, Folder, PlaceConfig, Reader, Writer, open_place};
use std::io::Write;
use std::num::NonZeroUsize;

/// List, verify or thin out checkpoints.
#[derive(Args, Debug)]
pub struct CheckpointArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Show every checkpoint: number, job, tables, keys, bytes; and those that are damaged
    List(Place),
    /// Read every byte of a checkpoint and check it
    Verify {
        #[command(flatten)]
        place: Place,
        /// Its number [default: the latest]
        #[arg(long, value_name = "N")]
        number: Option<u64>,
    },
    /// Remove all but the newest checkpoints, and what only they used; not while a job saves
    Prune {
        #[command(flatten)]
        place: Place,
        /// Checkpoints to keep
        #[arg(long, value_name = "N")]
        keep: NonZeroUsize,
    },
}

#[derive(Args, Debug)]
struct Place {
    /// A folder, or s3://bucket/prefix with settings from the environment (AWS_...) in a build with object stores
    #[arg(value_name = "PLACE")]
    place: String,
}

impl Place {
    fn open(&self) -> Result<Box<dyn Blobs>> {
        let settings = std::env::vars().filter(|(name, _)| name.starts_with("AWS_")).collect();
        let config = PlaceConfig { url: self.place.clone(), settings, ..PlaceConfig::default() };
        open_place(&config, false).with_context(|| format!("cannot open {}", self.place))
    }
}

/// Runs the command.
pub fn run(args: CheckpointArgs) -> Result<Outcome> {
    let mut out = std::io::stdout().lock();
    match args.action {
        Action::List(place) => {
            let blobs = place.open()?;
            let numbers = numbers(&*blobs)?;
            for &number in &numbers {
                match Reader::open(&*blobs, Choice::Sequence(number)) {
                    Ok(reader) => writeln!(out, "{}", line(&reader))?,
                    Err(e) if e.is_damage() => writeln!(out, "{number:>6}  damaged: {e}")?,
                    Err(e) => return Err(e.into()),
                }
            }
            writeln!(out, "{} checkpoints in {}", grouped(numbers.len() as u64), blobs.place())?;
        }
        Action::Verify { place, number } => {
            let blobs = place.open()?;
            let reader = Reader::open(&*blobs, number.map_or(Choice::Latest, Choice::Sequence))?;
            if let Some(newer) = reader.passed_over().first() {
                bail!("checkpoint {} is damaged: {}", newer.sequence, newer.why);
            }
            reader.verify_all()?;
            writeln!(out, "{}  every byte as written", line(&reader))?;
        }
        Action::Prune { place, keep } => {
            let done = Writer::new(&*place.open()?).prune(keep)?;
            let (kept, removed, mb) = (done.kept.len(), done.removed.len(), done.bytes as f64 / 1e6);
            writeln!(out, "kept {kept}, removed {removed} with {} pieces, {mb:.1} MB", done.pieces)?;
        }
    }
    Ok(Outcome::Done)
}

fn numbers(blobs: &dyn Blobs) -> Result<Vec<u64>> {
    let listed = blobs.list(&Folder::new("manifests")?)?;
    Ok(listed.iter().filter_map(|l| l.last.parse().ok()).collect())
}

fn line(reader: &Reader<'_>) -> String {
    let m = reader.manifest();
    let (keys, bytes) = m.pieces.iter().fold((0, 0), |(k, b), p| (k + p.keys, b + p.bytes));
    let names: Vec<&str> = m.tables.iter().map(|t| &t.name[..]).collect();
    let (number, mb) = (m.sequence, bytes as f64 / 1e6);
    format!("{number:>6}  {}  tables {}  {} keys  {mb:.1} MB", m.job, names.join(","), grouped(keys))
}
