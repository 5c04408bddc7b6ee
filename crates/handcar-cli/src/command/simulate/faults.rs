//! `handcar simulate faults`: seeds with faults, in parallel, each with the command that replays it.

use super::{campaign::Campaign, mistakes, report, watch::Watch};
use crate::{args::seeds, command::General, outcome::Outcome, signals::Stop};
use anyhow::{Result, bail};
use clap::Args;
use handcar_ps::driver::sim::{self, Broken, SimConfig, SimReport};
use std::{
    fmt::Write as _,
    io::Write as _,
    ops::Range,
    path::PathBuf,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Instant,
};

/// Which seeds, and what to tell of them.
#[derive(Args, Debug)]
pub struct FaultsArgs {
    /// Seeds to run, the last one excluded
    #[arg(long, value_name = "A..B", default_value = "0..100", value_parser = seeds)]
    seeds: Range<u64>,
    /// Virtual minutes with faults in each seed
    #[arg(long, value_name = "M", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub minutes: u32,
    /// Threads; all cores unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// Tell the story of every seed; of few, since each has thousands of lines
    #[arg(long)]
    pub story: bool,
    /// Build a deliberate mistake in; fails unless a seed finds it. `all`: every one, each on at most 100 of the seeds
    #[arg(long, value_name = "NAME|all", value_parser = broken)]
    broken: Option<BrokenChoice>,
    /// Run each mistake on all of its seeds, and count those that find it
    #[arg(long, requires = "broken")]
    pub count: bool,
    /// Servers at the beginning; by seed unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=8))]
    servers: Option<u16>,
    /// Workers; by seed unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=8))]
    workers: Option<u16>,
    /// Copies of each key in all; by seed unless given
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u16).range(1..=8))]
    copies: Option<u16>,
    /// Write a report: JSON, or Markdown if the name ends in .md
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// One deliberate mistake, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenChoice {
    One(Broken),
    All,
}

fn broken(text: &str) -> Result<BrokenChoice, String> {
    if text == "all" { Ok(BrokenChoice::All) } else { text.parse().map(BrokenChoice::One) }
}

impl FaultsArgs {
    /// What to simulate for a seed.
    pub fn config(&self, seed: u64, broken: Option<Broken>) -> SimConfig {
        SimConfig {
            virtual_ms: u64::from(self.minutes) * 60_000,
            story: self.story,
            broken,
            servers: self.servers.map(usize::from),
            workers: self.workers.map(usize::from),
            copies: self.copies.map(usize::from),
            ..SimConfig::new(seed)
        }
    }

    pub fn seeds(&self) -> Range<u64> {
        self.seeds.clone()
    }

    pub fn threads(&self) -> usize {
        self.threads.map_or_else(|| thread::available_parallelism().map_or(1, |n| n.get()), |n| n as usize)
    }

    /// The command that tells a seed's story again.
    pub fn replay(&self, seed: u64, broken: Option<Broken>) -> String {
        let mut line =
            format!("handcar simulate faults --seeds {seed}..{} --minutes {} --story", seed + 1, self.minutes);
        let options = [("servers", self.servers), ("workers", self.workers), ("copies", self.copies)];
        // Writing to a String cannot fail.
        for (name, value) in options.iter().filter_map(|(n, v)| Some((n, (*v)?))) {
            let _ = write!(line, " --{name} {value}");
        }
        if let Some(broken) = broken {
            let _ = write!(line, " --broken {broken}");
        }
        line
    }
}

/// Runs the command.
pub fn run(args: &FaultsArgs, general: &General) -> Result<Outcome> {
    let stop = Stop::install()?;
    let wanted = match args.broken {
        None => return correct(args, general, &stop),
        Some(BrokenChoice::One(one)) => vec![one],
        Some(BrokenChoice::All) => Broken::all().collect(),
    };
    mistakes::run(args, &wanted, general, &stop)
}

/// Runs every seed with nothing broken in: none may find a violation.
fn correct(args: &FaultsArgs, general: &General, stop: &Stop) -> Result<Outcome> {
    let began = Instant::now();
    let seeds = args.seeds();
    let mut watch = Watch::new(general.quiet, seeds.end - seeds.start, "seeds");
    let mut campaign = Campaign::default();
    let mut told = Ok(());
    each(
        args.threads(),
        seeds.clone(),
        stop,
        |n| sim::run(&args.config(n, None)),
        |report| {
            campaign.add(&report);
            told = tell(args, &report, None).and(std::mem::replace(&mut told, Ok(())));
            watch.done(campaign.seeds, || format!("{} violations", campaign.violations.len()));
        },
    );
    drop(watch);
    told?;
    let seconds = began.elapsed().as_secs_f64();
    print!("{}", campaign.summary(seconds));
    report::save(args.report.as_deref(), &report::Faults::new(seeds, args.minutes, &campaign, seconds))?;
    if let Some(signal) = stop.signal() {
        return Ok(Outcome::Stopped(signal));
    }
    if !campaign.violations.is_empty() {
        bail!("simulate faults: expected no violation, got {} in {} seeds", campaign.violations.len(), campaign.seeds);
    }
    Ok(Outcome::Done)
}

/// Tells a seed's story if it was asked for, and what it violated.
pub fn tell(args: &FaultsArgs, report: &SimReport, broken: Option<Broken>) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for line in &report.story {
        writeln!(out, "{line}")?;
    }
    if let Some(violation) = &report.violation {
        writeln!(out, "seed {}: {violation}\n  {}", report.seed, args.replay(report.seed, broken))?;
    }
    Ok(())
}

/// Does something for each number on several threads, and takes the results as they come.
pub fn each<T: Send>(
    threads: usize,
    numbers: Range<u64>,
    stop: &Stop,
    work: impl Fn(u64) -> T + Sync,
    mut take: impl FnMut(T),
) {
    let next = AtomicU64::new(numbers.start);
    let (to, results) = mpsc::sync_channel(threads);
    thread::scope(|scope| {
        for _ in 0..threads {
            let (to, next, work) = (to.clone(), &next, &work);
            let (stop, end) = (stop.clone(), numbers.end);
            scope.spawn(move || {
                while stop.signal().is_none() {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= end || to.send(work(n)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(to);
        results.into_iter().for_each(&mut take);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn parsed(line: &str) -> FaultsArgs {
        let Command::Simulate(args) = Cli::try_parse_from(line.split(' ')).unwrap().command else { panic!("{line}") };
        let super::super::Kind::Faults(args) = args.kind else { panic!("expected faults") };
        args
    }

    #[test]
    fn a_replay_repeats_what_shapes_the_story() {
        let line = "handcar simulate faults --seeds 7..8 --minutes 2 --story --copies 3 --broken dirty-read";
        let args = parsed(line);
        let config = args.config(7, Some(Broken::DirtyRead));
        assert_eq!((config.virtual_ms, config.copies, config.story), (120_000, Some(3), true));
        assert_eq!(args.replay(7, Some(Broken::DirtyRead)), line);
    }
}
