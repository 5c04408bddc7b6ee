//! Minibatch solvers: SGD, AdaGrad with its kin for late gradients, FTRL-Proximal and EMSO over one table, in this process or on servers.
//!
//! The rows come in the order of the data. For each batch the margins are those that the weights give as the batch begins;
//! the sums of its gradients then update every key once, by a rule. Losses are measured before the update, so they are
//! those of rows never seen ([progressive](crate::metric::Progressive) in the first pass). All sums are integers
//! (`fixed.rs`), so equal options give equal bits for any number of threads, workers and servers.
//!
//! In one process the table belongs to the solver: each thread owns some keys with their columns, reads and updates them
//! without locks or copies, and meets the others once a batch to add up margins (`local.rs`). Whoever prefers speed to equal
//! bits lets the threads race, row by row (`hogwild/`). EMSO solves each batch, with its columns (`emso/`). On servers the same
//! rules run as updaters (`updater.rs`, `remote.rs`); rules for late gradients let workers push without waiting for each other
//! (`late/`). `docs/decisions/0010-minibatch.md` tells why.

mod emso;
mod evaluate;
mod fixed;
mod grid;
mod hogwild;
mod late;
mod local;
mod part;
mod remote;
mod resume;
mod roofline;
mod rows;
pub(crate) mod rule;
mod slot;
mod slow;
mod stream;
mod team;
mod updater;

pub use emso::{Inner, Method};
pub(crate) use evaluate::Found;
pub(crate) use fixed::{loss_value, margin_value};
pub(crate) use grid::{Choice, Grid, Lot};
pub use resume::OptimizerState;
pub use roofline::gather_time;
pub(crate) use stream::{Room, Streaming};
pub use updater::register;

use crate::error::Result;
use crate::loss::{Loss, LossKind, Size, with_loss};
use crate::model::Model;
use crate::penalty::ElasticNet;
use crate::solver::Solver;
use emso::EmsoTable;
use handcar_base::Key;
use handcar_data::Dataset;
use handcar_ps::{Worker, filter::TableFilters};
use hogwild::HogwildTable;
use late::LateTable;
use local::LocalTable;
use remote::RemoteTable;
use resume::Words;
use rows::RowView;
use rule::{Late, Rates, Rule, with_late, with_rule};
use std::ops::Range;

/// What a minibatch solver is to do.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub solver: Solver,
    pub loss: LossKind,
    pub penalty: ElasticNet,
    pub intercept: bool,
    pub alpha: f64,
    pub beta: f64,
    /// Rows of a batch, of all workers.
    pub batch_rows: usize,
    pub threads: usize,
    /// Whether threads take rows and race, instead of keys and meet.
    pub hogwild: bool,
    /// Batches that may be under way when one begins.
    pub delay: u32,
    /// How many times as long as it could each batch takes this worker.
    pub slow: f64,
    pub filters: TableFilters,
    /// How EMSO solves a batch.
    pub inner: Inner,
    /// Whether the rows are a piece of more.
    pub resumed: bool,
    /// Rows that the penalty belongs to, if not those of the data.
    pub rows_total: Option<u64>,
    /// Which of the job's solvers this is.
    pub stage: usize,
}

impl Settings {
    /// The room that sums need for the loss of some labels. Those of a piece may be far smaller than the margins that it meets.
    fn size(&self, labels: &[f32]) -> Size {
        let labels = part::exponent(labels);
        self.loss.size(if self.resumed { labels.max(0) } else { labels })
    }
}

/// A batch, or this worker's part of it, as it was before it was learned from.
#[derive(Clone)]
pub(crate) struct Seen<'s> {
    pub rows: Range<usize>,
    /// In units that [`margin_value`] takes.
    pub margins: &'s [i64],
    /// Losses, weighted by [`weights`](Self::weights), in units that [`loss_value`] takes with [`Minibatch::size`].
    pub losses: &'s [i64],
    /// Example weights, of which the largest is about 1; `None`: all 1.
    pub weights: Option<&'s [f32]>,
}

type Hear<'h> = dyn FnMut(&Seen<'_>) -> bool + 'h;
/// Hears of each batch; whether to end after it. All workers must answer alike.
pub(crate) type Listen<'h> = dyn FnMut(&mut Worker, &Seen<'_>) -> Result<bool> + 'h;

/// A table with its rule and loss.
trait Table {
    fn pass(
        &mut self,
        worker: &mut Worker,
        rows: &RowView<'_>,
        batch: u64,
        batch_rows: usize,
        listen: &mut Listen<'_>,
    ) -> Result<bool>;
    fn weights(&mut self, worker: &mut Worker, batch: u64) -> Result<(Vec<f32>, f32)>;
    /// Goes on from a state, if the table can; `keys`: those of the data.
    fn restore(&mut self, _state: &OptimizerState, _keys: &[Key]) {}
    /// What the rule keeps, if the table can tell.
    fn words(&mut self) -> Option<Words> {
        None
    }
}

struct Here<'a, R: Rule, L>(LocalTable<'a, R>, L);
struct Racing<'a, R: Rule, L>(HogwildTable<'a, R>, L);
struct There<'a, R: Rule, L>(RemoteTable<'a, R>, L);
struct Emso<'a, L>(EmsoTable<'a>, L);
struct Alone<'a, R: Late, L>(LateTable<'a, R>, L);

/// Lets who hears fail: the pass ends, and fails with what went wrong.
fn hear_with(
    worker: &mut Worker,
    listen: &mut Listen<'_>,
    pass: impl FnOnce(&mut Hear<'_>) -> Result<bool>,
) -> Result<bool> {
    let mut failed = None;
    let stopped = pass(&mut |seen| {
        listen(worker, seen).unwrap_or_else(|e| {
            failed = Some(e);
            true
        })
    })?;
    failed.map_or(Ok(stopped), Err)
}

impl<R: Rule, L: Loss> Table for Here<'_, R, L> {
    fn pass(
        &mut self,
        worker: &mut Worker,
        rows: &RowView<'_>,
        batch: u64,
        batch_rows: usize,
        listen: &mut Listen<'_>,
    ) -> Result<bool> {
        hear_with(worker, listen, |hear| self.0.pass(self.1, rows, batch, batch_rows, hear))
    }

    fn weights(&mut self, _worker: &mut Worker, batch: u64) -> Result<(Vec<f32>, f32)> {
        Ok(self.0.weights(batch))
    }

    fn restore(&mut self, state: &OptimizerState, keys: &[Key]) {
        self.0.restore(state, keys);
    }

    fn words(&mut self) -> Option<Words> {
        Some(self.0.words())
    }
}

impl<R: Rule, L: Loss> Table for Racing<'_, R, L> {
    fn pass(
        &mut self,
        worker: &mut Worker,
        rows: &RowView<'_>,
        _batch: u64,
        batch_rows: usize,
        listen: &mut Listen<'_>,
    ) -> Result<bool> {
        hear_with(worker, listen, |hear| self.0.pass(self.1, rows, batch_rows, hear))
    }

    fn weights(&mut self, _worker: &mut Worker, _batch: u64) -> Result<(Vec<f32>, f32)> {
        Ok(self.0.weights())
    }
}

impl<R: Rule, L: Loss> Table for There<'_, R, L> {
    fn pass(
        &mut self,
        worker: &mut Worker,
        rows: &RowView<'_>,
        batch: u64,
        batch_rows: usize,
        listen: &mut Listen<'_>,
    ) -> Result<bool> {
        self.0.pass(worker, self.1, rows, batch, batch_rows, listen)
    }

    fn weights(&mut self, worker: &mut Worker, batch: u64) -> Result<(Vec<f32>, f32)> {
        self.0.weights(worker, batch)
    }
}

impl<L: Loss> Table for Emso<'_, L> {
    fn pass(
        &mut self,
        worker: &mut Worker,
        rows: &RowView<'_>,
        batch: u64,
        batch_rows: usize,
        listen: &mut Listen<'_>,
    ) -> Result<bool> {
        self.0.pass(worker, self.1, rows, batch, batch_rows, listen)
    }

    fn weights(&mut self, worker: &mut Worker, batch: u64) -> Result<(Vec<f32>, f32)> {
        self.0.weights(worker, batch)
    }
}

impl<R: Late, L: Loss> Table for Alone<'_, R, L> {
    fn pass(
        &mut self,
        worker: &mut Worker,
        rows: &RowView<'_>,
        _batch: u64,
        batch_rows: usize,
        listen: &mut Listen<'_>,
    ) -> Result<bool> {
        self.0.pass(worker, self.1, rows, batch_rows, listen)
    }

    fn weights(&mut self, worker: &mut Worker, _batch: u64) -> Result<(Vec<f32>, f32)> {
        self.0.weights(worker)
    }
}

/// A running solve on one worker.
pub(crate) struct Minibatch<'a> {
    settings: Settings,
    rates: Rates,
    table: Box<dyn Table + 'a>,
    keys: &'a [Key],
    labels: &'a [f32],
    size: Size,
    /// Example weights, scaled into `[0, 1]`; empty for all ones.
    weights: Vec<f32>,
    /// Batches done.
    batch: u64,
    /// What it has gone on from.
    before: Option<OptimizerState>,
}

impl<'a> Minibatch<'a> {
    /// Prepares a solve over all rows of the data. Collective. `weights`: example weights of all rows, if they are not all
    /// one. `start`: the weight to begin with of each key of the data, and of the intercept.
    pub fn new(
        worker: &mut Worker,
        data: &'a Dataset,
        weights: Option<Vec<f32>>,
        settings: Settings,
        start: (&dyn Fn(usize) -> f32, f32),
    ) -> Result<Self> {
        let batches = settings.rows_total.unwrap_or(data.rows() as u64).div_ceil(settings.batch_rows as u64);
        let Settings { alpha, beta, penalty, .. } = settings;
        let rates = Rates {
            alpha,
            beta,
            penalty,
            batch_rows: settings.batch_rows as u64,
            batches,
            workers: worker.workers() as u64,
        };
        let (weight_exponent, weights) = scaled(weights);
        // Delay and filters are the servers' business.
        let here = worker.embedded() && settings.filters == TableFilters::default() && settings.delay == 0;
        let table: Box<dyn Table + 'a> = with_rule!(settings.solver, R => with_loss!(settings.loss, loss => {
            if settings.hogwild {
                Box::new(Racing(HogwildTable::<R>::new(data, &settings, rates, weight_exponent, start)?, loss))
            } else if here {
                Box::new(Here(LocalTable::<R>::new(data, &settings, rates, weight_exponent, start)?, loss))
            } else {
                Box::new(There(RemoteTable::<R>::new(worker, data, &settings, rates, weight_exponent, start)?, loss))
            }
        }), else with_late!(settings.solver, R => with_loss!(settings.loss, loss => {
            if settings.delay > 0 {
                Box::new(Alone(LateTable::<R>::new(worker, data, &settings, rates, weight_exponent, start)?, loss))
            } else if here {
                Box::new(Here(LocalTable::<R>::new(data, &settings, rates, weight_exponent, start)?, loss))
            } else {
                Box::new(There(RemoteTable::<R>::new(worker, data, &settings, rates, weight_exponent, start)?, loss))
            }
        }), else with_loss!(settings.loss, loss => {
            Box::new(Emso(EmsoTable::new(worker, data, &settings, rates, weight_exponent, start)?, loss))
        })));
        let size = settings.size(data.labels());
        Ok(Self {
            settings,
            rates,
            table,
            keys: data.keys(),
            labels: data.labels(),
            size,
            weights,
            batch: 0,
            before: None,
        })
    }

    /// Goes on from a state, or else from the weights of a model, of which other keys than the data's stay as well.
    ///
    /// # Errors
    /// [`TrainError::Option`](crate::TrainError) if the state is that of other options.
    pub fn resume(&mut self, state: Option<OptimizerState>, model: Option<&Model>) -> Result<()> {
        let begun = || model.map(|m| OptimizerState::begin(&self.settings, self.rates, m));
        let Some(state) = state.or_else(begun) else { return Ok(()) };
        let state = state.under(&self.settings, self.rates)?;
        self.table.restore(&state, self.keys);
        self.batch = state.batches();
        self.before = Some(state);
        Ok(())
    }

    /// The state so far, of tables that can tell.
    pub fn state(&mut self) -> Option<OptimizerState> {
        let (before, batch) = (self.before.as_ref(), self.batch);
        let words = self.table.words()?;
        Some(OptimizerState::after(before, self.settings.solver, self.rates, batch, self.keys, words))
    }

    /// The room that sums have for the loss.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Goes through the rows once; `listen` may end the pass. Whether it did.
    pub fn pass(&mut self, worker: &mut Worker, listen: &mut Listen<'_>) -> Result<bool> {
        let view = RowView { labels: self.labels, weights: &self.weights, size: self.size };
        let rows = self.settings.batch_rows;
        let (mut done, weights) = (0, &self.weights);
        let stopped = self.table.pass(worker, &view, self.batch, rows, &mut |worker, seen| {
            done += 1;
            let seen = Seen { weights: weights.get(seen.rows.clone()), ..seen.clone() };
            listen(worker, &seen)
        })?;
        self.batch += done;
        Ok(stopped)
    }

    /// The weights of all keys of the data and the intercept, as they are.
    pub fn solution(&mut self, worker: &mut Worker) -> Result<(Vec<f32>, f32)> {
        self.table.weights(worker, self.batch)
    }

    /// The weights of all keys that it or what it has gone on from has seen, as they are, in the order of the keys; empty if it
    /// has not gone on from anything.
    pub fn known(&mut self) -> Vec<(Key, f32)> {
        let state = if self.before.is_some() { self.state() } else { None };
        state.map_or(Vec::new(), |s| s.keys().iter().copied().zip(s.weights()).collect())
    }
}

/// Example weights as numbers up to one, and the power of two that they were divided by.
fn scaled(weights: Option<Vec<f32>>) -> (i32, Vec<f32>) {
    let exponent = weights.as_deref().map_or(0, part::exponent);
    let scale = 2f32.powi(-exponent);
    (exponent, weights.map_or(Vec::new(), |w| w.into_iter().map(|c| c * scale).collect()))
}
