//! What is told of a grid while it runs.

use super::super::{FitOptions, Observer, OnlineTrace, online};
use super::least;
use crate::loss::{LossKind, Size};
use crate::solver::minibatch::{self, Lot};
use std::time::Instant;

/// Progressive losses of all models, on their way to the observer: those of the best so far.
pub(super) struct Told<'a> {
    logistic: bool,
    size: Size,
    labels: &'a [f32],
    began: Instant,
    since_told: Instant,
    pass: u64,
    pub rows: u64,
    rows_total: u64,
    next_rows: u64,
    batches: u64,
    /// Summed losses of the pass, and those when last told.
    losses: Vec<i64>,
    before: Vec<i64>,
    /// Example weights of all rows of the pass, of the positive ones, and of all when last told.
    mass: f64,
    positive: f64,
    mass_before: f64,
    rows_before: u64,
    pub trace: Vec<OnlineTrace>,
}

impl<'a> Told<'a> {
    pub fn new(options: &FitOptions, size: Size, labels: &'a [f32], models: usize, began: Instant) -> Self {
        Self {
            size,
            logistic: options.loss == LossKind::Logistic,
            labels,
            began,
            since_told: began,
            pass: 0,
            rows: 0,
            rows_total: labels.len() as u64,
            next_rows: 0,
            batches: 0,
            losses: vec![0; models],
            before: vec![0; models],
            mass: 0.0,
            positive: 0.0,
            mass_before: 0.0,
            rows_before: 0,
            trace: Vec::new(),
        }
    }

    pub fn begin(&mut self, pass: u64) {
        self.losses.fill(0);
        self.before.fill(0);
        (self.pass, self.rows, self.rows_before, self.batches, self.next_rows) = (pass, 0, 0, 0, online::FIRST_ROWS);
        (self.mass, self.positive, self.mass_before, self.since_told) = (0.0, 0.0, 0.0, Instant::now());
    }

    /// Hears of a batch; whether to end.
    pub fn hear(&mut self, lot: &Lot<'_>, weights: &[f32], observer: &mut dyn Observer) -> bool {
        self.losses.iter_mut().zip(lot.losses).for_each(|(sum, loss)| *sum += loss);
        for (i, &y) in self.labels[lot.rows.clone()].iter().enumerate() {
            let c = weights.get(i).map_or(1.0, |&c| c as f64);
            self.mass += c;
            self.positive += if y > 0.0 { c } else { 0.0 };
        }
        self.rows += lot.rows.len() as u64;
        self.batches += 1;
        if self.rows >= self.next_rows
            && self.rows < self.rows_total
            && let Some(line) = self.tell()
        {
            observer.online(&line);
        }
        if !self.batches.is_multiple_of(online::STOP_EVERY) {
            return false;
        }
        observer.progress(self.rows as f64 / self.rows_total.max(1) as f64);
        observer.stop()
    }

    /// Mean losses of the pass so far.
    pub fn means(&self) -> Vec<f64> {
        let mass = self.mass.max(f64::MIN_POSITIVE);
        self.losses.iter().map(|&sum| minibatch::loss_value(sum, self.size.value) / mass).collect()
    }

    pub fn tell(&mut self) -> Option<OnlineTrace> {
        if self.rows == self.rows_before {
            return self.trace.last().copied();
        }
        let means = self.means();
        let best = least(&means);
        let share = self.positive / self.mass.max(f64::MIN_POSITIVE);
        let entropy = -(share * share.ln() + (1.0 - share) * (1.0 - share).ln());
        let since = minibatch::loss_value(self.losses[best] - self.before[best], self.size.value);
        let line = OnlineTrace {
            pass: self.pass,
            rows: self.rows,
            seconds: self.began.elapsed().as_secs_f64(),
            loss_since: since / (self.mass - self.mass_before).max(f64::MIN_POSITIVE),
            loss: means[best],
            auc: None,
            auc_error: None,
            ne: (self.logistic && entropy > 0.0).then(|| means[best] / entropy),
            rows_per_second: (self.rows - self.rows_before) as f64 / self.since_told.elapsed().as_secs_f64().max(1e-9),
        };
        self.trace.push(line);
        self.before.copy_from_slice(&self.losses);
        (self.mass_before, self.rows_before, self.since_told) = (self.mass, self.rows, Instant::now());
        self.next_rows = 2 * self.rows;
        Some(line)
    }
}
