//! Passes of a minibatch solver: predict, measure, learn; and what the objective is after each.

use super::at_zero::AtZero;
use super::stage::{Solved, Stage};
use super::{FitOptions, Observer, OnlineTrace, PassTrace, TrainInput, savings};
use crate::error::{Result, TrainError};
use crate::loss::{LossKind, Size};
use crate::metric::Progressive;
use crate::penalty::ElasticNet;
use crate::solver::Solver;
use crate::solver::minibatch::{self, Found, Minibatch, Seen, Settings};
use handcar_data::LabelKind;
use handcar_ps::Worker;
use std::time::Instant;

/// The first progressive measures come after about this many rows, the next after twice as many, and so on.
pub(super) const FIRST_ROWS: u64 = 1000;
/// A solver has diverged if the loss is so many times that of weights of zero.
pub(super) const HOPELESS: f64 = 100.0;
/// Batches between questions whether to stop.
pub(super) const STOP_EVERY: u64 = 64;

/// Runs a minibatch solver.
pub(super) fn run(
    worker: &mut Worker,
    input: &TrainInput<'_>,
    options: &FitOptions,
    solver: Solver,
    stage: Stage<'_>,
    observer: &mut dyn Observer,
) -> Result<Solved> {
    let Stage { began, evaluation, weights, number, passes, start, mut patience } = stage;
    let (data, penalty) = (input.data, options.penalty());
    let settings = Settings { stage: number, ..settings(options, solver, penalty) };
    let (rate, threads) = (settings.alpha, settings.threads);
    let first = |i: usize| start.map_or(0.0, |s| s.weights[i]);
    let intercept = start.map_or(0.0, |s| s.intercept as f32);
    let mut solve = Minibatch::new(worker, data, weights.map(<[f32]>::to_vec), settings, (&first, intercept))?;
    if let Some(resume) = &options.resume {
        solve.resume(resume.from.clone(), options.init.as_ref())?;
    }
    let count = |w: &[f32]| w.iter().filter(|&&c| c > 0.0).count();
    let rows = weights.map_or(data.rows(), count) as u64;
    let example = |row: usize| weights.map_or(1.0, |w| w[row]);
    let mut at_zero = AtZero::new(options.loss);
    data.labels().iter().enumerate().for_each(|(row, &label)| at_zero.add(label, example(row) as f64));

    let mut telling = Telling::new(options, solve.size(), data.rows() as u64, began);
    telling.alone = solver.is_asynchronous() && options.delay > 0 && worker.workers() > 1;
    let mut trace: Vec<PassTrace> = Vec::new();
    let (mut before, stats) = (f64::INFINITY, worker.stats());
    let (mut sent, mut plain) = (stats.bytes_sent, stats.plain_sent);
    let found = loop {
        let pass = trace.len() as u64 + 1;
        let started = Instant::now();
        telling.begin(pass);
        let mut stopped =
            solve.pass(worker, &mut |worker, seen| telling.hear(worker, seen, data.labels(), observer))?;
        let told = telling.tell(worker)?;
        let online = told.or(telling.trace.last().copied());
        let rows_done = told.filter(|_| telling.alone).map_or(telling.rows_done(), |line| line.rows);
        let rows_per_second = rows_done as f64 / started.elapsed().as_secs_f64().max(1e-9);
        let solution = solve.solution(worker)?;
        let found = Found::new(worker, data, input.rows.clone(), solution, options.loss, penalty, &example, threads)?;
        let sound = found.objective.is_finite() && found.weights.iter().all(|w| w.is_finite());
        // Nobody wants weights that are so much worse than none, and the numbers are at their bounds long before infinity. A
        // step that falls may still bring them back in a later pass, if they are on their way.
        let worse = found.loss > HOPELESS * at_zero.sum();
        // A piece of a stream may have labels far from those that the weights come from.
        let hopeless = worse && !options.goes_on() && (pass >= passes as u64 || found.objective > before);
        if !sound || hopeless || !found.intercept.is_finite() {
            let (solver, rate) = (solver.name(), Some(rate));
            return Err(TrainError::Diverged { solver, pass, objective: found.objective, rate });
        }
        let others = if evaluation.has_own_keys() { solve.known() } else { Vec::new() };
        let found = Found { others, ..found };
        let measured = evaluation.measure(&mut (&mut *worker, &found))?.map(|m| m.metrics);
        let spent = match &mut patience {
            Some(p) => p.hear(&mut (&mut *worker, &found), data.keys().len(), (solver, pass), measured)?,
            None => false,
        };
        let stats = worker.stats();
        let relative_change = (before - found.objective) / found.objective.abs().max(f64::MIN_POSITIVE);
        trace.push(PassTrace {
            solver,
            pass,
            seconds: began.elapsed().as_secs_f64(),
            objective: found.objective,
            relative_change,
            nnz: found.nonzeros,
            active: 1.0,
            violation: None,
            gap: None,
            valid: measured,
            online,
            rows_per_second,
            bytes_sent: stats.bytes_sent - sent,
            plain_sent: stats.plain_sent - plain,
        });
        if let Some(last) = trace.last() {
            observer.pass(last);
        }
        (before, sent, plain) = (found.objective, stats.bytes_sent, stats.plain_sent);
        // Workers that do not go in step may not all have seen who ended the pass.
        stopped = worker.reduce_max(&[(stopped || observer.stop()) as i64])?[0] != 0;
        if stopped || spent || pass >= passes as u64 {
            break found;
        }
    };
    let metrics = evaluation.measure(&mut (&mut *worker, &found))?;
    let state = options.resume.as_ref().and_then(|_| solve.state());
    Ok(Solved {
        state,
        intercept: found.intercept as f64,
        objective: found.objective,
        loss: found.loss,
        rows,
        gap: None,
        violation: None,
        converged: false,
        trace,
        online: telling.trace,
        metrics,
        filters: savings::of_worker(worker, &options.filters)?,
        weights: found.weights,
    })
}

/// What a solver is to do, as the job's options say.
pub(super) fn settings(options: &FitOptions, solver: Solver, penalty: ElasticNet) -> Settings {
    // Threads meet by spinning: more than there are cores would wait for each other. Bits do not depend on them; who races
    // gains nothing from more.
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    Settings {
        solver,
        loss: options.loss,
        penalty,
        intercept: options.intercept,
        alpha: options.rate.unwrap_or(solver.default_rate()),
        beta: options.beta,
        batch_rows: options.batch_rows as usize,
        threads: options.threads.min(cores),
        hogwild: options.hogwild,
        delay: options.delay,
        slow: options.slow,
        filters: options.filters.clone(),
        inner: options.inner,
        resumed: options.resume.is_some(),
        rows_total: options.resume.as_ref().and_then(|r| r.rows_total),
        stage: 0,
    }
}

/// Progressive measures on their way to the observer.
pub(super) struct Telling {
    loss: LossKind,
    size: Size,
    rows_total: u64,
    batch_rows: u64,
    /// Whether workers do not go in step: then they meet at the end of a pass only.
    alone: bool,
    began: Instant,
    pass: u64,
    /// Batches of this pass so far.
    batches: u64,
    /// This worker's rows of this pass, and since the last line.
    all: Progressive,
    since: Progressive,
    next_rows: u64,
    told: Instant,
    pub trace: Vec<OnlineTrace>,
}

impl Telling {
    pub fn new(options: &FitOptions, size: Size, rows_total: u64, began: Instant) -> Self {
        Self {
            loss: options.loss,
            size,
            rows_total,
            batch_rows: options.batch_rows as u64,
            alone: false,
            began,
            pass: 0,
            batches: 0,
            all: Progressive::new(),
            since: Progressive::new(),
            next_rows: 0,
            told: began,
            trace: Vec::new(),
        }
    }

    pub fn begin(&mut self, pass: u64) {
        (self.pass, self.batches, self.next_rows, self.told) = (pass, 0, FIRST_ROWS, Instant::now());
        (self.all, self.since) = (Progressive::new(), Progressive::new());
    }

    /// Goes over to the units of sums that have more room; example weights are shares of what is `2^weight` times as much.
    pub fn make_room(&mut self, size: Size, weight: i32) {
        let loss = size.value - self.size.value + weight;
        [&mut self.all, &mut self.since].into_iter().for_each(|p| p.coarsen(loss, weight));
        self.size = size;
    }

    /// Example weight of the rows so far in this pass, in the unit of the largest.
    pub fn mass(&self) -> f64 {
        self.all.mass()
    }

    /// Hears of a batch; whether to end.
    pub fn hear(
        &mut self,
        worker: &mut Worker,
        seen: &Seen<'_>,
        labels: &[f32],
        observer: &mut dyn Observer,
    ) -> Result<bool> {
        let labels = &labels[seen.rows.clone()];
        let classes = self.loss.labels() == LabelKind::Binary;
        for (i, ((&margin, &loss), &label)) in seen.margins.iter().zip(seen.losses).zip(labels).enumerate() {
            let weight = seen.weights.map_or(1.0, |w| w[i]);
            match classes {
                true => self.since.add(minibatch::margin_value(margin) as f32, label > 0.0, weight, loss),
                false => self.since.add_loss(weight, loss),
            }
        }
        self.batches += 1;
        if self.alone {
            // Batches are taken in order, so the last row tells how far all have come. Who stops ends the pass for all.
            if self.batches.is_multiple_of(STOP_EVERY) {
                observer.progress(seen.rows.end as f64 / self.rows_total.max(1) as f64);
            }
            return Ok(observer.stop());
        }
        let done = self.rows_done();
        let due = done >= self.next_rows && done < self.rows_total;
        if due && let Some(line) = self.tell(worker)? {
            observer.online(&line);
        }
        if !self.batches.is_multiple_of(STOP_EVERY) {
            return Ok(false);
        }
        // Of a stream nobody knows the length.
        if self.rows_total != u64::MAX {
            observer.progress(self.rows_done() as f64 / self.rows_total.max(1) as f64);
        }
        Ok(worker.reduce_max(&[observer.stop() as i64])?[0] != 0)
    }

    /// Rows of all workers so far in this pass, by its batches: equal on all of them.
    fn rows_done(&self) -> u64 {
        (self.batches * self.batch_rows).min(self.rows_total)
    }

    /// Tells of the rows so far, all workers' together.
    pub fn tell(&mut self, worker: &mut Worker) -> Result<Option<OnlineTrace>> {
        self.all.join(&self.since);
        let [all, since] = [&self.all, &self.since].map(|p| {
            let mut joined = Progressive::new();
            worker.reduce(&p.to_words()).map(|words| {
                joined.read_words(&words);
                joined
            })
        });
        let (all, since) = (all?, since?);
        if since.rows() == 0 {
            return Ok(None);
        }
        let sum = |p: &Progressive| minibatch::loss_value(p.loss(), self.size.value);
        let mean = |p: &Progressive| sum(p) / p.mass().max(f64::MIN_POSITIVE);
        let logloss = (self.loss == LossKind::Logistic).then(|| sum(&all));
        let metrics = all.metrics(logloss);
        let seconds = self.told.elapsed().as_secs_f64().max(1e-9);
        let line = OnlineTrace {
            pass: self.pass,
            rows: all.rows(),
            seconds: self.began.elapsed().as_secs_f64(),
            loss_since: mean(&since),
            loss: mean(&all),
            auc: metrics.auc,
            auc_error: all.auc_error(),
            ne: metrics.ne,
            rows_per_second: since.rows() as f64 / seconds,
        };
        self.trace.push(line);
        self.since = Progressive::new();
        self.told = Instant::now();
        self.next_rows = 2 * self.rows_done();
        Ok(Some(line))
    }
}
