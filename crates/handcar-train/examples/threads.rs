//! Question: how much sooner do two threads finish a pass, against what two cores of this machine can give at all?
//! Data: any file; drawn clicks, say. Control: the loss kernel on margins that stay in a core's own cache, no memory
//! shared, timed in turns with the passes, since two cores are not always two whole ones.
//!
//! `cargo run --release -p handcar-train --example threads -- FILE [ROUNDS]` prints medians.

use handcar_data::{CachePolicy, Dataset, ReadOptions, read};
use handcar_kernels::logistic;
use handcar_train::job::{self, FitOptions, Silent, TrainInput};
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
        times.push([passes(&data, 1)?, control(1), passes(&data, 2)?, control(2)]);
    }
    let [pass1, control1, pass2, control2] = [0, 1, 2, 3].map(|i| median(times.iter().map(|t| t[i])));
    // Each round's own ratio: what slows one round slows both of its parts.
    let passes = median(times.iter().map(|t| t[0] / t[2]));
    let cores = median(times.iter().map(|t| t[1] / t[3]));
    let share = median(times.iter().map(|t| (t[0] / t[2]) / (t[1] / t[3])));
    println!("pass      1 thread {pass1:.4} s, 2 threads {pass2:.4} s: {passes:.3} x");
    println!("control   1 thread {control1:.4} s, 2 threads {control2:.4} s: {cores:.3} x");
    println!("scaling   {share:.3} of the control's, median of {rounds} rounds");
    Ok(())
}
