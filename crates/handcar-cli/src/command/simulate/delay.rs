//! `handcar simulate delay`: what late gradients cost each solver that counts delays.

use crate::{
    args::{InputArgs, SchemaArgs, count, not_negative, positive, seeds},
    command::{General, output},
    outcome::Outcome,
    progress::Busy,
    signals::Stop,
    summary,
};
use anyhow::{Context, Result, ensure};
use clap::Args;
use handcar_data::Dataset;
use handcar_train::{
    delay::{DelayRun, Delays, Team, delay_quantiles, simulate},
    solver::Solver,
};
use serde::Serialize;
use std::{fmt::Write as _, io::Write as _, ops::Range, path::PathBuf};

/// The solvers, of which the first is what the others are measured by.
const SOLVERS: [Solver; 3] = [Solver::AsyncAdaGrad, Solver::AdaDelay, Solver::AdaptiveRevision];

/// Who works on what.
#[derive(Args, Debug)]
pub struct DelayArgs {
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    schema: SchemaArgs,
    /// Simulated workers
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    workers: u32,
    /// How many times as long the slowest worker takes for a batch as the fastest
    #[arg(long, value_name = "X", default_value_t = 1000.0, value_parser = positive, allow_negative_numbers = true)]
    spread: f64,
    /// Pushes of all workers together
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = count)]
    pushes: u64,
    /// Rows of a batch
    #[arg(long, value_name = "ROWS", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=131_072))]
    batch: u32,
    /// Added to what divides the step size
    #[arg(long, value_name = "BETA", default_value_t = 1.0, value_parser = not_negative, allow_negative_numbers = true)]
    beta: f64,
    /// Step sizes that every solver is tried at [default: 41 from 0.01 to 10, four to each doubling]
    #[arg(long, value_name = "X,Y", value_delimiter = ',', value_parser = positive, allow_negative_numbers = true)]
    rates: Vec<f64>,
    /// Mean loss to come to [default: what async-adagrad ends with at its best rate]
    #[arg(long, value_name = "LOSS", value_parser = positive, allow_negative_numbers = true)]
    target: Option<f64>,
    /// Seeds of paces and rows, the last one excluded; medians are told
    #[arg(long, value_name = "A..B", default_value = "0..5", value_parser = seeds)]
    seeds: Range<u64>,
    /// Write a report: JSON, with all curves at the best rates
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// What was found, as JSON with stable keys.
#[derive(Debug, Serialize)]
struct Found {
    command: &'static str,
    version: &'static str,
    workers: usize,
    spread: f64,
    pushes: usize,
    batch: usize,
    beta: f64,
    rates: Vec<f64>,
    look_every: usize,
    seeds: Vec<SeedFound>,
    solvers: Vec<SolverFound>,
}

/// What one seed told.
#[derive(Debug, Serialize)]
struct SeedFound {
    seed: u64,
    /// Quantiles 0, 0.25, 0.5, 0.75, 0.95 and 1 of the delays.
    delays: [u64; 6],
    target: f64,
    solvers: Vec<Best>,
}

/// A solver at the rate that came to the target soonest.
#[derive(Debug, Serialize)]
struct Best {
    solver: Solver,
    rate: Option<f64>,
    /// Pushes to the target.
    pushes: Option<usize>,
    /// Of those of the first solver.
    share: Option<f64>,
    losses: Vec<f64>,
}

/// A solver over all seeds.
#[derive(Debug, Serialize)]
struct SolverFound {
    solver: Solver,
    /// Medians; seeds at which it never came to the target count as infinite.
    pushes: Option<usize>,
    share: Option<f64>,
}

/// Runs the command.
pub fn run(args: &DelayArgs, general: &General) -> Result<Outcome> {
    let stop = Stop::install()?;
    ensure!(
        args.seeds.end - args.seeds.start <= 1000,
        "--seeds: expected at most 1000 seeds, got {}",
        args.seeds.end - args.seeds.start
    );
    let busy = Busy::start(&format!("reading {}", args.input.inputs.join(" ")), !general.quiet);
    let data = handcar_data::read(&args.input.inputs, &args.schema.options(&args.input))?;
    drop(busy);
    let pushes = usize::try_from(args.pushes).context("--pushes: expected a smaller number")?;
    let mut delays = Delays {
        team: Team { workers: args.workers as usize, spread: args.spread, seed: 0 },
        pushes,
        batch_rows: args.batch as usize,
        beta: args.beta,
        // Two hundred points of a curve are enough to see it.
        look_every: (pushes / 200).max(1),
        threads: args.input.thread_count(),
    };
    let rates = match &args.rates[..] {
        // From far too small to far too large for the first two; adaptive revision takes larger ones than they do.
        [] => (0..=40).map(|i| 0.01 * 2f64.powf(0.25 * f64::from(i))).collect(),
        given => given.to_vec(),
    };
    let mut found = Vec::new();
    for seed in args.seeds.clone() {
        if stop.signal().is_some() {
            break;
        }
        let _busy = Busy::start(&format!("seed {seed}"), !general.quiet);
        delays.team.seed = seed;
        found.push(one_seed(&data, &delays, &rates, args.target)?);
    }
    let solvers = SOLVERS.iter().enumerate().map(|(i, &s)| over_seeds(s, i, &found)).collect();
    let found = Found {
        command: "simulate delay",
        version: env!("CARGO_PKG_VERSION"),
        workers: delays.team.workers,
        spread: args.spread,
        pushes,
        batch: delays.batch_rows,
        beta: args.beta,
        rates,
        look_every: delays.look_every,
        seeds: found,
        solvers,
    };
    tell(&found)?;
    if let Some(path) = &args.report {
        output::write(path, |mut out| {
            serde_json::to_writer_pretty(&mut out, &found)?;
            Ok(writeln!(out)?)
        })?;
    }
    Ok(stop.signal().map_or(Outcome::Done, Outcome::Stopped))
}

fn one_seed(data: &Dataset, delays: &Delays, rates: &[f64], target: Option<f64>) -> Result<SeedFound> {
    let runs = simulate(data, delays, &SOLVERS, rates)?;
    let whole = delays.pushes / delays.look_every + 1;
    let ends = runs.iter().filter(|r| r.solver == SOLVERS[0] && r.losses.len() == whole);
    let end = ends.filter_map(|r| r.losses.last().copied()).fold(f64::INFINITY, f64::min);
    ensure!(
        target.is_some() || end.is_finite(),
        "--rates: expected one at which {} ends with a finite loss (or --target LOSS), got {}",
        SOLVERS[0],
        rates.iter().map(f64::to_string).collect::<Vec<_>>().join(",")
    );
    let target = target.unwrap_or(end);
    let mut solvers: Vec<Best> = Vec::new();
    for solver in SOLVERS {
        let arrived = |r: &DelayRun| r.pushes_to(target, delays.look_every);
        let best = runs.iter().filter(|r| r.solver == solver && arrived(r).is_some()).min_by_key(|r| arrived(r));
        let pushes = best.and_then(arrived);
        let first = solvers.first().map_or(pushes, |b| b.pushes);
        let share = pushes.zip(first).map(|(mine, first)| mine as f64 / first.max(1) as f64);
        let losses = best.map_or(Vec::new(), |r| r.losses.clone());
        solvers.push(Best { solver, rate: best.map(|r| r.rate), pushes, share, losses });
    }
    Ok(SeedFound { seed: delays.team.seed, delays: delay_quantiles(delays), target, solvers })
}

fn over_seeds(solver: Solver, i: usize, found: &[SeedFound]) -> SolverFound {
    let pushes = median(found.iter().map(|f| f.solvers[i].pushes.map_or(f64::INFINITY, |n| n as f64)));
    let share = median(found.iter().map(|f| f.solvers[i].share.unwrap_or(f64::INFINITY)));
    SolverFound { solver, pushes: pushes.map(|n| n as usize), share }
}

/// The upper median; none if that is infinite.
fn median(all: impl Iterator<Item = f64>) -> Option<f64> {
    let mut all: Vec<f64> = all.collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().filter(|m| m.is_finite())
}

fn tell(found: &Found) -> Result<()> {
    let mut text = String::new();
    let delays = |q: usize| median(found.seeds.iter().map(|s| s.delays[q] as f64)).unwrap_or(0.0);
    let late = format!("median {}, 95th percentile {}, most {}", delays(2), delays(4), delays(5));
    summary::item(&mut text, "delays", &format!("{late}, of {} pushes by {} workers", found.pushes, found.workers));
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "\nseed  target   {}",
        found.solvers.iter().map(|s| format!("{:>24}", s.solver.name())).collect::<String>()
    );
    let cell = |pushes: Option<usize>, share: Option<f64>| match (pushes, share) {
        (Some(pushes), Some(share)) => format!("{:>24}", format!("{pushes} ({share:.2})")),
        (Some(pushes), None) => format!("{pushes:>24}"),
        (None, _) => format!("{:>24}", "never"),
    };
    for s in &found.seeds {
        let cells: String = s.solvers.iter().map(|b| cell(b.pushes, b.share)).collect();
        let _ = writeln!(text, "{:>4}  {:.5}  {cells}", s.seed, s.target);
    }
    let cells: String = found.solvers.iter().map(|s| cell(s.pushes, s.share)).collect();
    let _ = writeln!(text, "median         {cells}");
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
