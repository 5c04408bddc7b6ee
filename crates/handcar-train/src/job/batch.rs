//! DBPG's passes: sweep, shift, measure, certify, extrapolate, stop.

use super::stage::{Solved, Stage, Start};
use super::{FitOptions, Observer, PassTrace, TrainInput, savings};
use crate::error::{Result, TrainError};
use crate::solver::Solver;
use crate::solver::dbpg::{Certificate, Dbpg, Momentum, Settings};
use crate::solver::relative_gap;
use handcar_base::Seed;
use handcar_ps::Worker;

/// Passes that come first where training begins with nothing.
const PLAIN_PASSES: u64 = 2;
/// Passes between measurements of every key at most.
const MEASURE_EVERY: u64 = 8;
/// What acceleration may cost, relative to the passes so far.
const ACCELERATION_SHARE: f64 = 2.0;
/// Passes have done their part when they change the objective by less than this share of the tolerance.
const SETTLED: f64 = 0.1;

/// Runs DBPG to the tolerance. `start`: the weights to begin with, if there are any.
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
        penalty: options.penalty(),
        group_lasso: options.group_lasso,
        intercept: options.intercept,
        delay: options.delay,
        filter: options.kkt_filter,
        seed: Seed(options.seed),
        stage: number,
    };
    let first = |index: Option<usize>| start.map_or(0.0, |s| index.map_or(s.intercept as f32, |i| s.weights[i]));
    let weights = weights.map(|w| w[input.rows.clone()].to_vec());
    let rows = input.rows.clone();
    let mut solve = Dbpg::new(worker, input.data, rows, weights, options.threads, settings, &options.filters, &first)?;

    let mut trace: Vec<PassTrace> = Vec::new();
    let mut momentum = Momentum::new();
    let mut certificate: Option<Certificate> = None;
    let warm = start.is_some();
    let mut before = match start {
        Some(Start { objective: Some(objective), .. }) => objective,
        Some(_) => solve.evaluate()?.objective,
        None => f64::INFINITY,
    };
    for pass in 0.. {
        let mut end = solve.pass(pass, &mut |done| observer.progress(done))?;
        if !end.objective.is_finite() {
            let solver = Solver::Dbpg.name();
            return Err(TrainError::Diverged { solver, pass: pass + 1, objective: end.objective, rate: None });
        }
        let relative_change = (before - end.objective) / end.objective.abs().max(f64::MIN_POSITIVE);
        let stopped = solve.any(observer.stop())?;
        let mut last = stopped || pass + 1 >= passes as u64;
        // What accelerates and certifies at once costs several passes, so it waits until the passes have done their
        // part, and takes a share of the work - unless it solves the whole problem.
        let settled = relative_change.abs() <= (SETTLED * options.tol).max(1e-12);
        let affordable = solve.work() <= ACCELERATION_SHARE * pass as f64 * solve.entries();
        let due = (settled && affordable) || solve.head_is_complete();
        let accelerate = !stopped && (last || (due && (pass >= PLAIN_PASSES || warm)));
        let slack = solve.slack(pass + 1);
        let mut found = match accelerate || last || pass % MEASURE_EVERY == MEASURE_EVERY - 1 {
            true => Some(solve.certify(slack)?),
            false => None,
        };
        if accelerate && found.is_some_and(|c| relative_gap(end.objective, c.dual) > options.tol) {
            end = solve.accelerate(slack, end, options.tol, &mut |step, gap| {
                observer.newton(step, gap);
                observer.stop()
            })?;
            last = last || solve.any(observer.stop())?;
            // The last table row and the report speak of the weights that the steps have left.
            let done = relative_gap(end.objective, solve.dual()) <= options.tol;
            found = if done || last { Some(solve.certify(slack)?) } else { found };
        }
        let gap = found.map(|_| relative_gap(end.objective, solve.dual()));
        if found.is_some() {
            certificate = found;
        }
        let measured = evaluation.measure(&mut solve)?.map(|m| m.metrics);
        let spent = match &mut patience {
            Some(p) => p.hear(&mut solve, input.data.keys().len(), (Solver::Dbpg, pass + 1), measured)?,
            None => false,
        };
        let (seconds, stats) = (began.elapsed().as_secs_f64(), solve.worker.stats());
        let (sent, plain) = (stats.bytes_sent, stats.plain_sent);
        trace.push(PassTrace {
            solver: Solver::Dbpg,
            pass: pass + 1,
            seconds,
            objective: end.objective,
            relative_change: (before - end.objective) / end.objective.abs().max(f64::MIN_POSITIVE),
            nnz: end.nonzeros,
            active: end.active as f64 / (input.data.keys().len() as f64).max(1.0),
            violation: Some(found.map_or(end.violation, |c| c.violation)),
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
        (before, seconds_before) = (end.objective, seconds);
        (sent_before, plain_before) = (sent, plain);
        if last || spent || gap.is_some_and(|g| g <= options.tol) {
            break;
        }
        solve.extrapolate(momentum.next(end.objective))?;
    }

    let end = solve.evaluate()?;
    let gap = certificate.map(|c| relative_gap(end.objective, c.dual));
    let mut weights = vec![0.0f32; input.data.keys().len()];
    solve.for_each_weight(|i, w| weights[i] = w);
    let intercept = solve.intercept();
    let rows = solve.rows_total();
    let metrics = evaluation.measure(&mut solve)?;
    Ok(Solved {
        state: None,
        weights,
        intercept,
        objective: end.objective,
        loss: end.loss,
        rows,
        gap,
        violation: certificate.map(|c| c.violation),
        converged: gap.is_some_and(|g| g <= options.tol),
        trace,
        online: Vec::new(),
        metrics,
        filters: savings::joined(&mut solve, &options.filters)?,
    })
}
