//! L-BFGS's iterations: each is a pass of the table, with its bound.

use super::stage::{Solved, Stage};
use super::{FitOptions, Observer, PassTrace, TrainInput, savings};
use crate::error::{Result, TrainError};
use crate::solver::lbfgs::{Lbfgs, Settings};
use crate::solver::{Solver, relative_gap};
use handcar_ps::Worker;

/// Of losses without a certificate: iterations that come first, and the share of the tolerance that an iteration must lower
/// the objective by, relative to where it began (Andrew and Gao's release stops at 1e-5, which is this at 1e-4).
const SETTLED_AFTER: u64 = 5;
const SETTLED: f64 = 0.1;

/// Runs L-BFGS to the tolerance.
pub(super) fn run(
    worker: &mut Worker,
    input: &TrainInput<'_>,
    options: &FitOptions,
    stage: Stage<'_>,
    observer: &mut dyn Observer,
) -> Result<Solved> {
    let Stage { began, evaluation, weights, number, passes, start, mut patience } = stage;
    // What a solver before this one has taken and sent is that one's.
    let (mut seconds_before, stats) = (began.elapsed().as_secs_f64(), worker.stats());
    let (mut sent_before, mut plain_before) = (stats.bytes_sent, stats.plain_sent);
    let settings = Settings {
        loss: options.loss,
        penalty: options.penalty(),
        intercept: options.intercept,
        history: options.history as usize,
        threads: options.threads,
        stage: number,
    };
    let first = |index: Option<usize>| start.map_or(0.0, |s| index.map_or(s.intercept as f32, |i| s.weights[i]));
    let weights = weights.map(|w| w[input.rows.clone()].to_vec());
    let mut solve = Lbfgs::new(worker, input.data, input.rows.clone(), weights, settings, &options.filters, &first)?;

    let mut trace: Vec<PassTrace> = Vec::new();
    let origin = solve.at().objective;
    let mut before = if start.is_some() { origin } else { f64::INFINITY };
    let mut converged = false;
    let mut gap = None;
    for pass in 1.. {
        observer.progress(0.0);
        let from = solve.at().objective;
        let moved = solve.iterate()?;
        let objective = solve.at().objective;
        if !objective.is_finite() {
            let solver = Solver::Lbfgs.name();
            return Err(TrainError::Diverged { solver, pass, objective, rate: None });
        }
        gap = solve.certify()?;
        let last = solve.any(observer.stop())? || pass >= passes as u64 || !moved;
        let enough = match gap {
            Some(gap) => gap <= options.tol,
            None => pass > SETTLED_AFTER && from - objective <= SETTLED * options.tol * origin.abs(),
        };
        let mut done = false;
        if enough || last {
            // The last table row and the report speak of the weights that models hold, which are of f32.
            let good = |objective: f64, dual: f64| gap.is_none() || relative_gap(objective, dual) <= options.tol;
            let rounded = solve.round(|at, dual| last || good(at.objective, dual))?;
            gap = solve.gap();
            done = rounded;
            converged = enough && rounded && gap.is_none_or(|g| g <= options.tol);
        }
        let at = solve.at();
        let measured = evaluation.measure(&mut solve)?.map(|m| m.metrics);
        let spent = match &mut patience {
            Some(p) => p.hear(&mut solve, input.data.keys().len(), (Solver::Lbfgs, pass), measured)?,
            None => false,
        };
        let (seconds, stats) = (began.elapsed().as_secs_f64(), solve.worker.stats());
        let (sent, plain) = (stats.bytes_sent, stats.plain_sent);
        trace.push(PassTrace {
            solver: Solver::Lbfgs,
            pass,
            seconds,
            objective: at.objective,
            relative_change: (before - at.objective) / at.objective.abs().max(f64::MIN_POSITIVE),
            nnz: at.nonzeros,
            active: solve.active(input.data.keys().len()),
            violation: Some(solve.violation()),
            gap,
            valid: measured,
            online: None,
            rows_per_second: solve.rows_total() as f64 / (seconds - seconds_before).max(1e-9),
            bytes_sent: sent - sent_before,
            plain_sent: plain - plain_before,
        });
        if let Some(last) = trace.last() {
            observer.pass(last);
        }
        (before, seconds_before) = (at.objective, seconds);
        (sent_before, plain_before) = (sent, plain);
        if done || last || spent {
            break;
        }
    }

    let at = solve.at();
    let mut weights = vec![0.0f32; input.data.keys().len()];
    solve.for_each_weight(|i, w| weights[i] = w);
    Ok(Solved {
        state: None,
        weights,
        intercept: solve.intercept(),
        objective: at.objective,
        loss: at.loss,
        rows: solve.rows_total(),
        gap,
        violation: Some(solve.violation()),
        converged,
        trace,
        online: Vec::new(),
        metrics: evaluation.measure(&mut solve)?,
        filters: savings::of_worker(solve.worker, &options.filters)?,
    })
}
