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

/// How long one mistake lived.
pub struct Hunt {
    /// The mistake.
    pub broken: Broken,
    /// Seeds run.
    pub seeds: u64,
    /// Seeds that found it: at most one, unless they are counted.
    pub found: u64,
    /// What the first of them found.
    pub first: Option<SimReport>,
}

/// Runs each mistake until a seed finds it, or all seeds to count those that do.
pub fn run(args: &FaultsArgs, wanted: &[Broken], general: &General, stop: &Stop) -> Result<Outcome> {
    let began = Instant::now();
    let mut hunts: Vec<Hunt> = Vec::new();
    let mut watch = Watch::new(general.quiet, wanted.len() as u64, "mistakes");
    let seeds = args.seeds();
    let seeds = seeds.start..seeds.end.min(seeds.start.saturating_add(SEEDS_MAX));
    let hunt = |n: u64| {
        let mut hunt = Hunt { broken: wanted[n as usize], seeds: 0, found: 0, first: None };
        for seed in seeds.clone() {
            if stop.signal().is_some() || (hunt.found > 0 && !args.count) {
                break;
            }
            let report = sim::run(&args.config(seed, Some(hunt.broken)));
            hunt.seeds += 1;
            if report.violation.is_some() {
                hunt.found += 1;
                hunt.first.get_or_insert(report);
            }
        }
        hunt
    };
    each(args.threads(), 0..wanted.len() as u64, stop, hunt, |one| {
        hunts.push(one);
        watch.done(hunts.len() as u64, String::new);
    });
    drop(watch);
    if let Some(signal) = stop.signal() {
        return Ok(Outcome::Stopped(signal));
    }
    hunts.sort_by_key(|h| h.broken);
    for hunt in &hunts {
        let broken = hunt.broken;
        match &hunt.first {
            None => println!("{broken:<22} not found in seeds {}..{}", seeds.start, seeds.end),
            Some(report) if args.story => tell(args, report, Some(broken))?,
            Some(report) => {
                let count = if args.count { format!("{:>3} of {}; ", hunt.found, hunt.seeds) } else { String::new() };
                let what = report.violation.as_deref().unwrap_or_default();
                println!("{broken:<22} {count}seed {:>3}: {what}", report.seed);
            }
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    report::save(args.report.as_deref(), &report::Mistakes::new(seeds, args.minutes, args.count, &hunts, seconds))?;
    let missed: Vec<_> = hunts.iter().filter(|h| h.first.is_none()).map(|h| h.broken.to_string()).collect();
    println!("{} of {} mistakes found in {seconds:.1} s", hunts.len() - missed.len(), hunts.len());
    if !missed.is_empty() {
        bail!("simulate faults: expected every mistake to be found, got none for {}", missed.join(", "));
    }
    Ok(Outcome::Done)
}
