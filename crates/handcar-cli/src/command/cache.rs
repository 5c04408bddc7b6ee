//! `handcar cache`: packed data kept between runs.

use crate::{
    args::CacheDirArgs,
    outcome::Outcome,
    progress::{bar::duration, grouped},
};
use anyhow::Result;
use clap::{Args, Subcommand};
use handcar_data::CachePolicy;
use std::io::Write;

/// List or clear packed data.
#[derive(Args, Debug)]
pub struct CacheArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Show every entry: size, last use, file
    List(CacheDirArgs),
    /// Remove every entry
    Clear(CacheDirArgs),
}

/// Runs the command.
pub fn run(args: CacheArgs) -> Result<Outcome> {
    let mut out = std::io::stdout().lock();
    match args.action {
        Action::List(place) => {
            let policy = policy(place);
            let entries = policy.entries();
            for e in &entries {
                let idle = e.used.elapsed().map_or(0.0, |d| d.as_secs_f64());
                let (mb, ago) = (e.bytes as f64 / 1e6, duration(idle));
                writeln!(out, "{mb:>10.1} MB  used {ago:>12} ago  {}", e.path.display())?;
            }
            let all: u64 = entries.iter().map(|e| e.bytes).sum();
            let place = policy.directory().map_or("nowhere".to_string(), |d| d.display().to_string());
            let (n, mb, cap) = (grouped(entries.len() as u64), all as f64 / 1e6, policy.max_bytes as f64 / 1e6);
            writeln!(out, "{n} entries, {mb:.1} MB of at most {cap:.0} MB, in {place}")?;
        }
        Action::Clear(place) => {
            let bytes = policy(place).clear()?;
            writeln!(out, "freed {:.1} MB", bytes as f64 / 1e6)?;
        }
    }
    Ok(Outcome::Done)
}

fn policy(place: CacheDirArgs) -> CachePolicy {
    CachePolicy { dir: place.cache_dir, ..CachePolicy::default() }
}
