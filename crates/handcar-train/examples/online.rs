//! Question: how fast does a minibatch solver learn, and what share is that of the machine's gather roofline?
//! Data: any file; drawn clicks, say.
//!
//! `cargo run --release -p handcar-train --example online -- FILE [ROUNDS [SOLVER [BATCH]]]` prints medians.

use handcar_data::{CachePolicy, Dataset, ReadOptions, read};
use handcar_train::job::{self, FitOptions, Silent, TrainInput};
use handcar_train::solver::minibatch::gather_time;

fn rate(data: &Dataset, solver: &str, batch_rows: u32, threads: usize) -> Result<f64, Box<dyn std::error::Error>> {
    let mut worker = handcar_ps::driver::local::cluster(1, 1, &job::registry()).remove(0);
    let options = FitOptions {
        solver: solver.parse()?,
        batch_rows,
        threads,
        passes: 1,
        intercept: true,
        ..FitOptions::default()
    };
    let fitted = job::fit(&mut worker, TrainInput::new(data), &options, &mut Silent)?;
    worker.finish()?;
    Ok(fitted.trace[0].rows_per_second)
}

fn median(v: impl Iterator<Item = f64>) -> f64 {
    let mut v: Vec<f64> = v.collect();
    v.sort_by(f64::total_cmp);
    v[v.len() / 2]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let file = args.first().ok_or("expected a file")?.clone();
    let rounds = args.get(1).map_or(Ok(11), |a| a.parse())?;
    let solver = args.get(2).map_or("ftrl", |a| a.as_str());
    let batch = args.get(3).map_or(Ok(256), |a| a.parse())?;
    let data = read(&[file], &ReadOptions { threads: 2, cache: CachePolicy::default(), ..ReadOptions::default() })?;
    let mut rounds_of = Vec::new();
    for _ in 0..rounds {
        let gather = data.rows() as f64 / gather_time(&data, batch as usize).as_secs_f64();
        rounds_of.push([gather, rate(&data, solver, batch, 1)?, rate(&data, solver, batch, 2)?]);
    }
    let [gather, one, two] = [0, 1, 2].map(|i| median(rounds_of.iter().map(|r| r[i])) / 1e6);
    // Each round's own ratio: what slows one round slows all of its parts.
    let share = median(rounds_of.iter().map(|r| r[1] / r[0]));
    println!("gather    {gather:.2} M rows/s on one thread");
    println!("{solver:<9} {one:.2} M rows/s on one thread, {share:.3} of the gather's; {two:.2} M on two");
    Ok(())
}
