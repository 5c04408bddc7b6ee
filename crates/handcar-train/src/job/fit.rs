//! A job: its solvers one after the other, and the model of the last.

use super::evaluation::Evaluation;
use super::holdout::Holdout;
use super::patience::{Best, Patience};
use super::stage::{Solved, Stage, Start};
use super::{FitOptions, Fitted, Observer, TrainInput, batch, grid, labels, lbfgs, online};
use crate::error::{Result, TrainError};
use crate::model::{Facts, Model};
use crate::penalty::Bounds;
use crate::solver::{Solver, field_ranges, minibatch::Found, relative_gap};
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
    fit_from(worker, input, options, observer, 0)
}

/// As [`fit`]; `first`: the number of the first solver, so that several fits of one job have tables of their own.
pub(super) fn fit_from(
    worker: &mut Worker,
    input: TrainInput<'_>,
    options: &FitOptions,
    observer: &mut dyn Observer,
    first: usize,
) -> Result<Fitted> {
    options.check()?;
    options.check_filters(worker.filters())?;
    for (what, given) in
        [("hogwild", options.hogwild), ("grid", options.grid.is_some()), ("resume", options.resume.is_some())]
    {
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
    if let Some(patience) = options.patience.filter(|_| input.holdout.is_none() && input.valid.is_none()) {
        let (expected, got) = ("with rows to measure on (holdout or validation)", format!("{patience} without"));
        return Err(TrainError::Option { what: "patience", expected, got });
    }
    options.check_loss_before()?;
    options.check_group_lasso(input.data, worker.filters())?;
    labels::check(options.loss, input.data, options.goes_on())?;
    if let Some(valid) = input.valid {
        labels::check_kind(options.loss, valid)?;
    }
    same_everywhere(worker, input.data)?;
    let began = Instant::now();
    let (evaluation, weights) =
        Evaluation::new(worker, input.data, &input.rows, input.holdout, input.valid, options.seed, options.loss)?;
    if options.patience.is_some() && evaluation.rows() == 0 {
        return Err(TrainError::Data { expected: "rows to measure on, for patience".into(), got: "none".into() });
    }
    let given: Option<(Vec<f32>, f64)> =
        options.init.as_ref().map(|m| (weights_of(m, input.data, options.bounds), m.intercept));
    let (mut trace, mut online) = (Vec::new(), Vec::new());
    let mut before: Option<Solved> = None;
    let mut tried = Vec::new();
    let mut patience = options.patience.map(Patience::new);
    let all = options.solver.solvers();
    for (i, &solver) in all.iter().enumerate() {
        let best: Option<(Vec<f32>, f64)> = patience.as_ref().and_then(|p| p.weights()).map(|(w, b)| (w.to_vec(), b));
        let start = match &before {
            _ if let Some((weights, intercept)) = &best => {
                Some(Start { weights, intercept: *intercept, objective: None })
            }
            Some(s) => Some(Start { weights: &s.weights, intercept: s.intercept, objective: Some(s.objective) }),
            None => {
                given.as_ref().map(|(weights, intercept)| Start { weights, intercept: *intercept, objective: None })
            }
        };
        let passes = if i + 1 == all.len() { options.passes } else { solver.default_passes() };
        patience.iter_mut().for_each(Patience::begin);
        let (weights, patience) = (weights.as_deref(), patience.as_mut());
        let stage = Stage { began, evaluation: &evaluation, weights, number: first + i, passes, start, patience };
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
    let Some(mut end) = before else { unreachable!("there is at least one solver") };
    let best = patience.and_then(Patience::best);
    let kept = best.as_ref().map(|best| best.kept);
    if let Some(best) = best.filter(|best| best.number != trace.len()) {
        end = at_best(worker, &input, options, weights.as_deref(), &evaluation, best, end)?;
    }
    let chosen = tried.iter().find(|m| m.chosen);
    let facts = Facts {
        group_lasso: options.group_lasso,
        fields: (options.group_lasso > 0.0).then(|| field_ranges(input.data.keys()).len() as u64),
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
        holdout: input.holdout.and_then(Holdout::share),
        rows: end.rows,
        passes: trace.len() as u64,
        objective: end.objective,
        loss: end.loss,
        gap: end.gap,
        violation: end.violation,
        converged: end.converged,
        ..Facts::default()
    };
    let mut model = Model::from_solution(input.data, &end.weights, end.intercept, facts);
    if let Some(state) = &end.state {
        model = model.with_others(options.init.as_ref(), state.keys(), &state.weights());
    }
    let Solved { state, metrics, filters, .. } = end;
    Ok(Fitted { state, model, trace, online, grid: tried, metrics, kept, filters })
}

/// What the solvers have found, with the weights of the best pass instead of the last.
fn at_best(
    worker: &mut Worker,
    input: &TrainInput<'_>,
    options: &FitOptions,
    weights: Option<&[f32]>,
    evaluation: &Evaluation<'_>,
    best: Best,
    end: Solved,
) -> Result<Solved> {
    let example = |row: usize| weights.map_or(1.0, |w| w[row]);
    let penalty = options.penalty();
    let solution = (best.weights, best.intercept);
    let (data, rows, threads) = (input.data, input.rows.clone(), options.threads);
    let mut found = Found::new(worker, data, rows, solution, options.loss, penalty, &example, threads)?;
    found.objective += options.field_norms(data, &found.weights);
    // No objective is below a lower bound, whatever weights it was found with.
    let gap = end.gap.map(|gap| relative_gap(found.objective, end.objective * (1.0 - gap)));
    Ok(Solved {
        metrics: evaluation.measure(&mut (&mut *worker, &found))?,
        intercept: found.intercept as f64,
        objective: found.objective,
        loss: found.loss,
        gap,
        violation: None,
        converged: gap.is_some_and(|g| g <= options.tol),
        weights: found.weights,
        ..end
    })
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
