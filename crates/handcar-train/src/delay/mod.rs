//! What late gradients cost, in a simulation: many workers of different pace in virtual time, one table, and the solvers that may be asked how they
//! take it. It runs the rules that servers run.
//!
//! ```
//! use handcar_data::Dataset;
//! use handcar_train::delay::{Delays, Team, simulate};
//! use handcar_train::solver::Solver;
//! let data = Dataset::from_csr(&[1.0, 1.0, -1.0, -1.0], &[0, 1, 3, 4, 4], &[0u32, 0, 1, 1], None, None)?;
//! let delays = Delays { team: Team { workers: 10, spread: 4.0, seed: 1 }, pushes: 100, ..Delays::default() };
//! let runs = simulate(&data, &delays, &[Solver::AdaDelay], &[0.1, 0.2])?;
//! assert_eq!(runs.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod run;
mod schedule;

pub use schedule::Team;

use crate::error::{Result, TrainError};
use crate::solver::Solver;
use crate::solver::minibatch::rule::with_late;
use handcar_data::{Dataset, LabelKind};
use run::Plan;
use schedule::schedule;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// What is simulated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delays {
    /// Who works.
    pub team: Team,
    /// Pushes in all; default 2000.
    pub pushes: usize,
    /// Rows of a batch; default 16.
    pub batch_rows: usize,
    /// Added to what divides the step size; default 1.
    pub beta: f64,
    /// Pushes between two looks at the loss; default 10.
    pub look_every: usize,
    /// Threads, which change no bit; default 1.
    pub threads: usize,
}

impl Default for Delays {
    fn default() -> Self {
        let team = Team { workers: 256, spread: 1.0, seed: 0 };
        Self { team, pushes: 2000, batch_rows: 16, beta: 1.0, look_every: 10, threads: 1 }
    }
}

/// One solver at one rate.
#[derive(Clone, Debug, PartialEq)]
pub struct DelayRun {
    /// The solver.
    pub solver: Solver,
    /// Its step size.
    pub rate: f64,
    /// Mean loss of all rows before the first push and after every [`Delays::look_every`]; shorter if it stopped being a number.
    pub losses: Vec<f64>,
}

impl DelayRun {
    /// Pushes until the loss is at most this, and stays so at the next look; `None` if it never is.
    pub fn pushes_to(&self, target: f64, look_every: usize) -> Option<usize> {
        let below = |i: usize| self.losses.get(i).is_none_or(|&l| l <= target);
        (0..self.losses.len()).find(|&i| below(i) && below(i + 1)).map(|i| i * look_every)
    }
}

/// Delays of a story's pushes: the quantiles 0, 1/4, 1/2, 3/4, 0.95 and 1.
pub fn delay_quantiles(delays: &Delays) -> [u64; 6] {
    let mut all: Vec<u64> =
        (0..).zip(schedule(&delays.team, delays.pushes)).map(|(before, push)| before - push.pulled).collect();
    all.sort_unstable();
    [0.0, 0.25, 0.5, 0.75, 0.95, 1.0]
        .map(|q| all.get((q * (all.len().max(1) - 1) as f64) as usize).copied().unwrap_or(0))
}

/// Runs each of some solvers at each of some rates through the same story; in that order. Equal arguments give equal bits.
///
/// # Errors
/// [`TrainError::Option`] for numbers outside their range and solvers that count no delays, [`TrainError::Data`] for labels that are not two classes.
pub fn simulate(data: &Dataset, delays: &Delays, solvers: &[Solver], rates: &[f64]) -> Result<Vec<DelayRun>> {
    let option = |what, expected, got: String| Err(TrainError::Option { what, expected, got });
    let Delays { team, pushes, batch_rows, beta, look_every, threads } = *delays;
    for (what, n, expected, most) in [
        ("workers", team.workers, "from 1 to 100000", 100_000),
        ("pushes", pushes, "from 1 to 10000000", 10_000_000),
        ("batch_rows", batch_rows, "from 1 to 131072", 131_072),
        ("look_every", look_every, "from 1 to 10000000", 10_000_000),
        ("threads", threads, "from 1 to 1024", 1024),
    ] {
        if !(1..=most).contains(&n) {
            return option(what, expected, n.to_string());
        }
    }
    if !(1.0..=1e6).contains(&team.spread) {
        return option("spread", "a number from 1 to 1e6", team.spread.to_string());
    }
    if !(beta >= 0.0 && beta.is_finite()) {
        return option("beta", "a finite number of at least 0", beta.to_string());
    }
    if let Some(rate) = rates.iter().find(|r| !(**r > 0.0 && r.is_finite())) {
        return option("rate", "a finite number above 0", rate.to_string());
    }
    if let Some(solver) = solvers.iter().find(|s| !s.is_asynchronous()) {
        return option("solver", "adadelay, async-adagrad or adaptive-revision", solver.to_string());
    }
    if data.schema().label.kind != LabelKind::Binary || data.rows() == 0 {
        return Err(TrainError::Data { expected: "rows of two classes".into(), got: format!("{} rows", data.rows()) });
    }
    let plan = Plan {
        data,
        story: schedule(&team, pushes),
        workers: team.workers,
        batch_rows,
        look_every,
        beta,
        order: Plan::order(data.rows(), team.seed),
    };
    let cells: Vec<(Solver, f64)> = solvers.iter().flat_map(|&s| rates.iter().map(move |&r| (s, r))).collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(vec![Vec::new(); cells.len()]));
    std::thread::scope(|scope| {
        for _ in 0..threads.min(cells.len()) {
            scope.spawn(|| {
                while let Some((at, &(solver, rate))) = {
                    let at = next.fetch_add(1, Relaxed);
                    cells.get(at).map(|c| (at, c))
                } {
                    let losses = with_late!(solver, R => plan.run::<R>(rate), else unreachable!("refused above"));
                    done.lock().unwrap_or_else(PoisonError::into_inner)[at] = losses;
                }
            });
        }
    });
    let losses = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(cells.into_iter().zip(losses).map(|((solver, rate), losses)| DelayRun { solver, rate, losses }).collect())
}
