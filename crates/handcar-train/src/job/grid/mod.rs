//! Many models in one pass over the data: what to try, and which of them is best.

mod axes;
mod told;

pub use axes::GridAxes;

use super::evaluation::Evaluation;
use super::stage::{Solved, Stage};
use super::{FitOptions, Measured, Observer, PassTrace, TrainInput, online};
use crate::error::{Result, TrainError};
use crate::penalty::ElasticNet;
use crate::solver::Solver;
use crate::solver::minibatch::{Choice, Found, Grid, Settings};
use handcar_ps::Worker;
use std::time::Instant;
use told::Told;

/// One of the models of a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct GridModel {
    /// Weight of `‖w‖₁`.
    pub l1: f64,
    /// Weight of `‖w‖²/2`.
    pub l2: f64,
    /// Step size.
    pub rate: f64,
    /// Added to what divides the step size.
    pub beta: f64,
    /// Mean progressive loss over the first pass: of rows that were predicted before they were learned from. Infinite of a model
    /// that diverged.
    pub loss: f64,
    /// Nonzero weights.
    pub nonzeros: u64,
    /// Measures on the validation rows, or else on the holdout.
    pub metrics: Option<Measured>,
    /// Whether this is the job's model: the one with the least loss on validation or held-out rows, or else the least progressive
    /// loss.
    pub chosen: bool,
}

/// Trains all models and gives the best, and what became of each.
pub(super) fn run(
    worker: &mut Worker,
    input: &TrainInput<'_>,
    options: &FitOptions,
    (solver, axes): (Solver, &GridAxes),
    stage: Stage<'_>,
    observer: &mut dyn Observer,
) -> Result<(Solved, Vec<GridModel>)> {
    let Stage { began, evaluation, weights, number, passes, start, .. } = stage;
    let data = input.data;
    let points = axes.points(options, solver);
    let penalty = |p: &[f64; 4]| ElasticNet { l1: p[0], l2: p[1], bounds: options.bounds };
    let choices: Vec<Choice> = points.iter().map(|p| Choice { alpha: p[2], beta: p[3], penalty: penalty(p) }).collect();
    let settings = Settings { stage: number, ..online::settings(options, solver, ElasticNet::NONE) };
    let first = |i: usize| start.map_or(0.0, |s| s.weights[i]);
    let intercept = start.map_or(0.0, |s| s.intercept as f32);
    let mut grid =
        Grid::new(data, weights.map(<[f32]>::to_vec), &settings, &choices, (&first, intercept))?.ok_or_else(|| {
            TrainError::Option { what: "grid", expected: "solver ftrl or adagrad", got: solver.to_string() }
        })?;
    let rows = weights.map_or(data.rows(), |w| w.iter().filter(|&&c| c > 0.0).count()) as u64;
    let example = |row: usize| weights.map_or(1.0, |w| w[row]);
    let mut told = Told::new(options, grid.size(), data.labels(), points.len(), began);
    let mut trace: Vec<PassTrace> = Vec::new();
    let mut first_pass = Vec::new();
    let mut last;
    loop {
        let (pass, started) = (trace.len() as u64 + 1, Instant::now());
        told.begin(pass);
        let mut stopped = grid.pass(&mut |lot, weights| told.hear(lot, weights, observer))?;
        let line = told.tell();
        let seconds = started.elapsed().as_secs_f64().max(1e-9);
        if pass == 1 {
            first_pass = told.means();
        }
        let best = least(&told.means());
        let found = found(worker, input, options, &example, penalty(&points[best]), grid.solution(best))?;
        let measured = evaluation.measure(&mut (&mut *worker, &found))?;
        let before = trace.last().map_or(f64::INFINITY, |p| p.objective);
        trace.push(PassTrace {
            solver,
            pass,
            seconds: began.elapsed().as_secs_f64(),
            objective: found.objective,
            relative_change: (before - found.objective) / found.objective.abs().max(f64::MIN_POSITIVE),
            nnz: found.nonzeros,
            active: 1.0,
            violation: None,
            gap: None,
            valid: measured.map(|m| m.metrics),
            online: line,
            rows_per_second: told.rows as f64 / seconds,
            bytes_sent: 0,
            plain_sent: 0,
        });
        if let Some(line) = trace.last() {
            observer.pass(line);
        }
        last = (best, found);
        stopped = stopped || observer.stop();
        if stopped || pass >= passes as u64 {
            break;
        }
    }
    let mut models = Vec::with_capacity(points.len());
    for (i, (p, tally)) in points.iter().zip(grid.tallies()).enumerate() {
        let sound = first_pass[i].is_finite() && tally.finite;
        let metrics = match evaluation {
            Evaluation::None => None,
            _ if sound => measure(worker, input, options, evaluation, &example, grid.solution(i))?,
            _ => None,
        };
        let (loss, nonzeros) = (if sound { first_pass[i] } else { f64::INFINITY }, tally.nonzeros);
        models.push(GridModel { l1: p[0], l2: p[1], rate: p[2], beta: p[3], loss, nonzeros, metrics, chosen: false });
    }
    let worth: Vec<f64> = models.iter().map(worth).collect();
    let best = least(&worth);
    if worth[best].is_infinite() {
        let rate = points.iter().map(|p| p[2]).fold(f64::INFINITY, f64::min);
        let (solver, pass) = (solver.name(), trace.len() as u64);
        return Err(TrainError::Diverged { solver, pass, objective: f64::INFINITY, rate: Some(rate) });
    }
    models[best].chosen = true;
    let found = match last {
        (model, found) if model == best => found,
        _ => found(worker, input, options, &example, penalty(&points[best]), grid.solution(best))?,
    };
    let metrics = models[best].metrics.clone();
    let solved = Solved {
        state: None,
        intercept: found.intercept as f64,
        objective: found.objective,
        loss: found.loss,
        rows,
        gap: None,
        violation: None,
        converged: false,
        trace,
        online: told.trace,
        metrics,
        filters: Vec::new(),
        weights: found.weights,
    };
    Ok((solved, models))
}

/// What is to be least.
fn worth(model: &GridModel) -> f64 {
    match &model.metrics {
        _ if model.loss.is_infinite() => f64::INFINITY,
        Some(m) => m.metrics.logloss.or(m.metrics.loss).unwrap_or(model.loss),
        None => model.loss,
    }
}

/// Where the least number is; the first of equal ones.
fn least(numbers: &[f64]) -> usize {
    let best = numbers.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(i, _)| i)
}

fn found(
    worker: &mut Worker,
    input: &TrainInput<'_>,
    options: &FitOptions,
    example: &(dyn Fn(usize) -> f32 + Sync),
    penalty: ElasticNet,
    solution: (Vec<f32>, f32),
) -> Result<Found> {
    let (data, rows) = (input.data, input.rows.clone());
    Found::new(worker, data, rows, solution, options.loss, penalty, example, options.threads)
}

/// Measures a model; where its rows are others than those of training these need not be scored.
fn measure(
    worker: &mut Worker,
    input: &TrainInput<'_>,
    options: &FitOptions,
    evaluation: &Evaluation<'_>,
    example: &(dyn Fn(usize) -> f32 + Sync),
    (weights, intercept): (Vec<f32>, f32),
) -> Result<Option<Measured>> {
    let found = match evaluation {
        Evaluation::None => return Ok(None),
        Evaluation::Holdout { .. } => found(worker, input, options, example, ElasticNet::NONE, (weights, intercept))?,
        Evaluation::Valid { .. } => {
            let (others, margins) = (Vec::new(), Vec::new());
            Found { weights, intercept, others, margins, objective: 0.0, loss: 0.0, nonzeros: 0 }
        }
    };
    evaluation.measure(&mut (worker, &found))
}
