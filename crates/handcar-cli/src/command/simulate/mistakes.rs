//! `--broken`: deliberate mistakes, each of which some seed must find.

use super::{
    faults::{FaultsArgs, each, tell},
    report,
    watch::Watch,
};
use crate::{command::General, outcome::Outcome, signals::Stop};
use anyhow::{Result, bail};
use handcar_ps::driver::sim::{self, Broken, SimReport};
use std::time::Instant;

/// Seeds a mistake may live through.
const SEEDS_MAX: u64 = 100;

/// Runs each mistake until a seed finds it.
pub fn run(args: &FaultsArgs, wanted: &[Broken], general: &General, stop: &Stop) -> Result<Outcome> {
    let began = Instant::now();
    let mut found: Vec<(Broken, Option<SimReport>)> = Vec::new();
    let mut watch = Watch::new(general.quiet, wanted.len() as u64, "mistakes");
    let seeds = args.seeds();
    let seeds = seeds.start..seeds.end.min(seeds.start.saturating_add(SEEDS_MAX));
    let work = |n: u64| {
        let broken = wanted[n as usize];
        let mut seeds = seeds.clone().take_while(|_| stop.signal().is_none());
        let caught =
            seeds.find_map(|seed| Some(sim::run(&args.config(seed, Some(broken)))).filter(|r| r.violation.is_some()));
        (broken, caught)
    };
    each(args.threads(), 0..wanted.len() as u64, stop, work, |one| {
        found.push(one);
        watch.done(found.len() as u64, String::new);
    });
    drop(watch);
    if let Some(signal) = stop.signal() {
        return Ok(Outcome::Stopped(signal));
    }
    found.sort_by_key(|f| f.0);
    for (broken, caught) in &found {
        match caught {
            None => println!("{broken:<22} not found in seeds {}..{}", seeds.start, seeds.end),
            Some(report) if args.story => tell(args, report, Some(*broken))?,
            Some(report) => {
                println!("{broken:<22} seed {:>3}: {}", report.seed, report.violation.as_deref().unwrap_or_default());
            }
        }
    }
    report::save(args.report.as_deref(), &report::Mistakes::new(args.seeds(), &found, began.elapsed().as_secs_f64()))?;
    let missed: Vec<_> = found.iter().filter(|f| f.1.is_none()).map(|f| f.0.to_string()).collect();
    println!("{} of {} mistakes found", found.len() - missed.len(), found.len());
    if !missed.is_empty() {
        bail!("simulate faults: expected every mistake to be found, got none for {}", missed.join(", "));
    }
    Ok(Outcome::Done)
}
