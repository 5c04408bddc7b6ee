//! A job: its solvers one after the other, and the model of the last.

use super::evaluation::Evaluation;
use super::stage::{Solved, Stage, Start};
use super::{FitOptions, Fitted, Observer, TrainInput, batch, grid, labels, lbfgs, online};
use crate::error::{Result, TrainError};
use crate::model::{Facts, Model};
use crate::penalty::Bounds;
use crate::solver::Solver;
use handcar_base::hash;
use handcar_data::Dataset;
use handcar_ps::Worker;
use std::time::Instant;

/// Trains an L1/L2-penalised linear model by the solvers of [`FitOptions::solver`], each beginning with the weights of the
/// one before. Collective: every worker of the job calls it with equal options and its own rows.
///
/// # Errors
/// [`TrainError::Option`] and [`TrainError::Data`] before anything runs;
/// the parameter server's errors, which say who was lost or waited for;
/// [`TrainError::Diverged`] if the objective stops being a number.
pub fn fit(
    worker: &mut Worker,
    input: TrainInput<'_>,
    options: &FitOptions,
    observer: &mut dyn Observer,
) -> Result<Fitted> {
    options.check()?;
    options.check_filters(worker.filters())?;
    for (what, given) in [("hogwild", options.hogwild), ("grid", options.grid.is_some())] {
        if given && !(worker.embedded() && worker.workers() == 1) {
            let (expected, got) =
                ("one process that has the weights", format!("{} workers and servers", worker.workers()));
            return Err(TrainError::Option { what, expected, got });
        }
    }
    if options.grid.is_some() && options.passes > 1 && input.holdout.is_none() && input.valid.is_none() {
        let (expected, got) = ("one pass, or rows to choose by (holdout or validation)", options.passes.to_string());
        return Err(TrainError::Option { what: "grid", expected, got });
    }
    labels::check(options.loss, input.data)?;
    if let Some(valid) = input.valid {
        labels::check_kind(options.loss, valid)?;
    }
    same_everywhere(worker, input.data)?;
    let began = Instant::now();
    let (evaluation, weights) =
        Evaluation::new(worker, input.data, &input.rows, input.holdout, input.valid, options.seed, options.loss)?;
    let given: Option<(Vec<f32>, f64)> =
        options.init.as_ref().map(|m| (weights_of(m, input.data, options.bounds), m.intercept));
    let (mut trace, mut online) = (Vec::new(), Vec::new());
    let mut before: Option<Solved> = None;
    let mut tried = Vec::new();
    let all = options.solver.solvers();
    for (i, &solver) in all.iter().enumerate() {
        let start = match &before {
            Some(s) => Some(Start { weights: &s.weights, intercept: s.intercept }),
            None => given.as_ref().map(|(weights, intercept)| Start { weights, intercept: *intercept }),
        };
        let passes = if i + 1 == all.len() { options.passes } else { solver.default_passes() };
        let stage = Stage { began, evaluation: &evaluation, weights: weights.as_deref(), number: i, passes, start };
        let mut solved = match solver {
            Solver::Dbpg => batch::run(worker, &input, options, stage, observer)?,
            Solver::Lbfgs => lbfgs::run(worker, &input, options, stage, observer)?,
            _ if let Some(axes) = &options.grid => {
                let (solved, models) = grid::run(worker, &input, options, (solver, axes), stage, observer)?;
                tried = models;
                solved
            }
            _ => online::run(worker, &input, options, solver, stage, observer)?,
        };
        trace.append(&mut solved.trace);
        online.append(&mut solved.online);
        before = Some(solved);
        // Whoever has had enough has had enough of all solvers.
        if i + 1 < all.len() && worker.reduce_max(&[observer.stop() as i64])?[0] != 0 {
            break;
        }
    }
    let Some(end) = before else { unreachable!("there is at least one solver") };
    let chosen = tried.iter().find(|m| m.chosen);
    let facts = Facts {
        solver: options.solver.to_string(),
        loss_name: options.loss.name().into(),
        huber_delta: options.loss.delta(),
        l1: chosen.map_or(options.l1, |m| m.l1),
        l2: chosen.map_or(options.l2, |m| m.l2),
        lower: finite(options.bounds.lower()),
        upper: finite(options.bounds.upper()),
        intercept: options.intercept,
        delay: options.delay,
        tol: options.tol,
        seed: options.seed,
        holdout: input.holdout,
        rows: end.rows,
        passes: trace.len() as u64,
        objective: end.objective,
        loss: end.loss,
        gap: end.gap,
        violation: end.violation,
        converged: end.converged,
        ..Facts::default()
    };
    let model = Model::from_solution(input.data, &end.weights, end.intercept, facts);
    Ok(Fitted { model, trace, online, grid: tried, metrics: end.metrics, filters: end.filters })
}

fn finite(bound: f32) -> Option<f64> {
    bound.is_finite().then_some(bound as f64)
}

/// A model's weights for the keys of some data, brought between the bounds.
fn weights_of(model: &Model, data: &Dataset, bounds: Bounds) -> Vec<f32> {
    let mut at = 0;
    data.keys()
        .iter()
        .map(|key| {
            at += model.keys[at..].partition_point(|k| k < key);
            if model.keys.get(at) == Some(key) { bounds.clip_f32(model.weights[at]) } else { 0.0 }
        })
        .collect()
}

/// Refuses workers that hold different data: their sums would meet under the wrong keys.
fn same_everywhere(worker: &mut Worker, data: &Dataset) -> Result<()> {
    if worker.workers() == 1 {
        return Ok(());
    }
    let mut h = hash::Hasher128::new();
    data.keys().iter().for_each(|k| h.update(&k.to_le_bytes()));
    let digest = h.digest();
    let mine = [digest as i64, (digest >> 64) as i64, data.rows() as i64];
    let most = worker.reduce_max(&mine)?;
    let least = worker.reduce_max(&mine.map(|x| !x))?;
    if (0..3).any(|i| most[i] != !least[i]) {
        return Err(TrainError::Data {
            expected: "the same inputs on every worker".into(),
            got: format!("{} rows and {} keys here, other data elsewhere", data.rows(), data.keys().len()),
        });
    }
    Ok(())
}
