//! Question: how much sooner do two threads finish a pass of the batch solver, of a minibatch solver, and of one whose threads race,
//! against what two cores of this machine can give at all?
//! Data: any file; drawn clicks, say. Control: the loss kernel on margins that stay in a core's own cache, no memory
//! shared, timed in turns with the passes, since two cores are not always two whole ones.
//!
//! `cargo run --release -p handcar-train --example threads -- FILE [ROUNDS]` prints medians.

use handcar_data::{CachePolicy, Dataset, ReadOptions, read};
use handcar_kernels::logistic;
use handcar_train::job::{self, FitOptions, Silent, TrainInput};
use handcar_train::solver::Solver;
use std::time::Instant;

/// Passes of a fit; the first (which also sets up) and the last (which also certifies) are not counted.
const PASSES: u32 = 9;
/// Calls of the kernel in the control, and margins a call.
const CALLS: usize = 480_000;
const MARGINS: usize = 1024;

fn passes(data: &Dataset, threads: usize) -> Result<f64, Box<dyn std::error::Error>> {
    let mut worker = handcar_ps::driver::local::cluster(1, 1, &job::registry()).remove(0);
    let options = FitOptions { l1: 4.0, tol: 0.0, passes: PASSES, threads, intercept: false, ..FitOptions::default() };
    let fitted = job::fit(&mut worker, TrainInput::new(data), &options, &mut Silent)?;
    worker.finish()?;
    let seconds = |pass: usize| fitted.trace[pass].seconds;
    Ok((seconds(PASSES as usize - 2) - seconds(0)) / (PASSES - 2) as f64)
}

/// The time of FTRL's only pass, without what comes after it.
fn online(data: &Dataset, threads: usize, hogwild: bool) -> Result<f64, Box<dyn std::error::Error>> {
    let mut worker = handcar_ps::driver::local::cluster(1, 1, &job::registry()).remove(0);
    let options = FitOptions { solver: Solver::Ftrl.into(), passes: 1, threads, hogwild, ..FitOptions::default() };
    let fitted = job::fit(&mut worker, TrainInput::new(data), &options, &mut Silent)?;
    worker.finish()?;
    Ok(data.rows() as f64 / fitted.trace[0].rows_per_second)
}

fn control(threads: usize) -> f64 {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let margins: Vec<f64> = (0..MARGINS).map(|i| i as f64 * 0.01 - 5.0).collect();
                let labels = vec![1f32; MARGINS];
                let mut out = vec![[0; 2]; MARGINS];
                for _ in 0..CALLS / threads {
                    logistic::statistics(std::hint::black_box(&margins), &labels, &[], &mut out);
                    std::hint::black_box(&mut out);
                }
            });
        }
    });
    start.elapsed().as_secs_f64()
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
    let data = read(&[file], &ReadOptions { threads: 2, cache: CachePolicy::off(), ..ReadOptions::default() })?;
    let mut times = Vec::new();
    for _ in 0..rounds {
        let of = |threads: usize| -> Result<[f64; 4], Box<dyn std::error::Error>> {
            let (batches, racing) = (online(&data, threads, false)?, online(&data, threads, true)?);
            Ok([control(threads), passes(&data, threads)?, batches, racing])
        };
        times.push((of(1)?, of(2)?));
    }
    // Each round's own ratio: what slows one round slows both of its parts.
    let ratio = |t: &([f64; 4], [f64; 4]), i: usize| t.0[i] / t.1[i];
    for (i, what) in ["control", "pass", "online", "hogwild"].into_iter().enumerate() {
        let [one, two] = [median(times.iter().map(|t| t.0[i])), median(times.iter().map(|t| t.1[i]))];
        let scaling = median(times.iter().map(|t| ratio(t, i)));
        let share = median(times.iter().map(|t| ratio(t, i) / ratio(t, 0)));
        println!("{what:<9} 1 thread {one:.4} s, 2 threads {two:.4} s: {scaling:.3} x, {share:.3} of the control's");
    }
    println!("medians of {rounds} rounds");
    Ok(())
}
