//! `handcar bench`: what this machine gives, and what share of it a solver takes.

use crate::{
    args::{InputArgs, ReportArgs, SchemaArgs},
    outcome::Outcome,
    progress::Busy,
    summary,
};
use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use handcar_data::Dataset;
use handcar_ps::driver::local;
use handcar_train::{
    job::{self, FitOptions, Silent, TrainInput},
    report::{Report, Roofline},
    solver::{Solver, minibatch::gather_time},
};
use std::{io::Write, time::Instant};

/// Measure this machine.
#[derive(Args, Debug)]
pub struct BenchArgs {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand, Debug)]
enum Kind {
    /// How fast the memory gives what a pass looks up, and how fast a minibatch solver learns from the same rows
    Roofline(Box<RooflineArgs>),
}

#[derive(Args, Debug)]
struct RooflineArgs {
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    schema: SchemaArgs,
    /// Minibatch solver to compare
    #[arg(long, value_name = "SOLVER", default_value = "ftrl")]
    solver: Solver,
    /// Rows of a batch
    #[arg(long, value_name = "ROWS", default_value_t = FitOptions::default().batch_rows, value_parser = clap::value_parser!(u32).range(1..=131_072))]
    batch: u32,
    /// Learn row by row, threads racing
    #[arg(long)]
    hogwild: bool,
    /// Rounds, of which medians are told
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    #[command(flatten)]
    report: ReportArgs,
}

/// Runs the command.
pub fn run(args: BenchArgs, quiet: bool) -> Result<Outcome> {
    let Kind::Roofline(args) = args.kind;
    ensure!(
        args.solver.is_minibatch() && args.solver != Solver::Emso,
        "--solver: expected a minibatch solver that reads each row once ({}), got {}",
        Solver::names(|s| s.is_minibatch() && s != Solver::Emso),
        args.solver
    );
    let began = Instant::now();
    let busy = Busy::start(&format!("reading {}", args.input.inputs.join(" ")), !quiet);
    let data = handcar_data::read(&args.input.inputs, &args.schema.options(&args.input))?;
    drop(busy);
    let rows = data.rows() as f64;
    let mut rounds = Vec::new();
    for n in 1..=args.rounds {
        let _busy = Busy::start(&format!("round {n} of {}", args.rounds), !quiet);
        let gather = rows / gather_time(&data, args.batch as usize)?.as_secs_f64();
        rounds.push([gather, learning_rate(&data, &args, 1)?, learning_rate(&data, &args, 2)?]);
    }
    let median = |of: &dyn Fn(&[f64; 3]) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let roofline = Roofline {
        solver: args.solver,
        gather_rows_per_second: median(&|r| r[0]),
        rows_per_second: median(&|r| r[1]),
        // Each round's own ratio: what slows one round slows all of its parts.
        share: median(&|r| r[1] / r[0]),
        two_threads: median(&|r| r[2] / r[1]),
    };
    let mut text = String::new();
    let million = |x: f64| format!("{:.2} M rows/s", x / 1e6);
    summary::item(&mut text, "gather", &format!("{} on one thread", million(roofline.gather_rows_per_second)));
    let share = format!("{:.3} of the gather's", roofline.share);
    summary::item(
        &mut text,
        args.solver.name(),
        &format!("{} on one thread, {share}", million(roofline.rows_per_second)),
    );
    summary::item(&mut text, "threads", &format!("{:.2} times as fast on two", roofline.two_threads));
    std::io::stdout().write_all(text.as_bytes())?;
    args.report
        .save(Report { rows: Some(data.rows() as u64), roofline: Some(roofline), ..Report::new("bench") }, began)?;
    Ok(Outcome::Done)
}

/// Rows a second in one pass.
fn learning_rate(data: &Dataset, args: &RooflineArgs, threads: usize) -> Result<f64> {
    let mut worker = local::cluster(1, 1, &job::registry()).remove(0);
    let options = FitOptions {
        solver: args.solver.into(),
        batch_rows: args.batch,
        passes: 1,
        threads,
        hogwild: args.hogwild,
        ..FitOptions::default()
    };
    let fitted = job::fit(&mut worker, TrainInput::new(data), &options, &mut Silent)?;
    worker.finish()?;
    Ok(fitted.trace.first().map_or(0.0, |pass| pass.rows_per_second))
}
