//! Many models in one pass: the same rows, rule and loss with other penalties and rates, side by side.
//!
//! A key's states of all models stand together, so that one look at the data and at a key's lines serves all of them, and what is
//! computed for a model is computed for sixteen at once. Each model has the bits that it would have alone.

mod gradients;
mod kernels;
mod lanes;
mod met;
mod part;
mod slots;
mod table;

use super::part::exponent;
use super::rows::RowView;
use super::rule::{AdaGrad, ByNumbers, Ftrl};
use super::{Settings, scaled};
use crate::error::Result;
use crate::loss::{Loss, Size, with_loss};
use crate::penalty::ElasticNet;
use crate::solver::Solver;
use handcar_data::Dataset;
use std::ops::Range;
use table::GridTable;

/// What one of the models is trained with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Choice {
    pub alpha: f64,
    pub beta: f64,
    pub penalty: ElasticNet,
}

/// What a batch came to: the summed loss of each model, and its rows' number and weight.
pub(crate) struct Lot<'l> {
    pub rows: Range<usize>,
    /// Of each model, in units that [`loss_value`](super::loss_value) takes with [`Grid::size`], example weights of which the largest is about 1.
    pub losses: &'l [i64],
}

/// What is told of a model's weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tally {
    /// Weights other than zero, without the intercept.
    pub nonzeros: u64,
    /// Whether all of them and the intercept are numbers.
    pub finite: bool,
}

/// Hears of each batch; whether to end after it.
pub(crate) type Hear<'h> = dyn FnMut(&Lot<'_>) -> bool + 'h;

/// Tables of many models, with their rule and loss.
trait Tables {
    fn pass(&mut self, view: &RowView<'_>, batch: u64, batch_rows: usize, hear: &mut Hear<'_>) -> Result<bool>;
    fn weights(&mut self, batch: u64, model: usize) -> (Vec<f32>, f32);
    fn tallies(&mut self, batch: u64) -> Vec<Tally>;
}

struct Many<'a, R, L, const W: usize>(GridTable<'a, R, W>, L);

impl<R: ByNumbers<W>, L: Loss, const W: usize> Tables for Many<'_, R, L, W> {
    fn pass(&mut self, view: &RowView<'_>, batch: u64, batch_rows: usize, hear: &mut Hear<'_>) -> Result<bool> {
        self.0.pass(self.1, view, batch, batch_rows, hear)
    }

    fn weights(&mut self, batch: u64, model: usize) -> (Vec<f32>, f32) {
        self.0.weights(batch, model)
    }

    fn tallies(&mut self, batch: u64) -> Vec<Tally> {
        self.0.tallies(batch)
    }
}

/// Many models that learn from the same rows, in this process.
pub(crate) struct Grid<'a> {
    tables: Box<dyn Tables + 'a>,
    labels: &'a [f32],
    weights: Vec<f32>,
    batch_rows: usize,
    size: Size,
    batch: u64,
}

impl<'a> Grid<'a> {
    /// As [`Minibatch::new`], for each of some choices; those of the settings are passed over. `None` if the solver's rule
    /// cannot be computed side by side.
    pub fn new(
        data: &'a Dataset,
        weights: Option<Vec<f32>>,
        settings: &Settings,
        choices: &[Choice],
        start: (&dyn Fn(usize) -> f32, f32),
    ) -> Result<Option<Self>> {
        let (weight_exponent, weights) = scaled(weights);
        let tables: Box<dyn Tables + 'a> = match settings.solver {
            Solver::Ftrl => with_loss!(settings.loss, loss => {
                Box::new(Many(GridTable::<Ftrl, _>::new(data, settings, choices, weight_exponent, start)?, loss))
            }),
            Solver::AdaGrad => with_loss!(settings.loss, loss => {
                Box::new(Many(GridTable::<AdaGrad, _>::new(data, settings, choices, weight_exponent, start)?, loss))
            }),
            _ => return Ok(None),
        };
        let (labels, batch_rows) = (data.labels(), settings.batch_rows);
        Ok(Some(Self {
            tables,
            labels,
            weights,
            batch_rows,
            size: settings.loss.size(exponent(data.labels())),
            batch: 0,
        }))
    }

    /// Goes through the rows once; `hear` may end the pass. Whether it did.
    pub fn pass(&mut self, hear: &mut dyn FnMut(&Lot<'_>, &[f32]) -> bool) -> Result<bool> {
        let view = RowView { labels: self.labels, weights: &self.weights, size: self.size };
        let (mut done, weights) = (0, &self.weights);
        let stopped = self.tables.pass(&view, self.batch, self.batch_rows, &mut |lot| {
            done += 1;
            hear(lot, weights.get(lot.rows.clone()).unwrap_or_default())
        })?;
        self.batch += done;
        Ok(stopped)
    }

    /// The room there is for the loss.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The weights of all keys of the data and the intercept of one of the models, as they are.
    pub fn solution(&mut self, model: usize) -> (Vec<f32>, f32) {
        self.tables.weights(self.batch, model)
    }
    /// What is told of each model as it is.
    pub fn tallies(&mut self) -> Vec<Tally> {
        self.tables.tallies(self.batch)
    }
}
