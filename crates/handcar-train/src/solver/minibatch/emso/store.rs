//! Where the weights are: in this process, or on servers.

use super::super::remote::RemoteTable;
use super::super::rule::{Average, Rates, Rule};
use super::super::{Settings, fixed};
use super::subproblem::Held;
use crate::error::Result;
use crate::penalty::ElasticNet;
use handcar_data::Dataset;
use handcar_ps::{Worker, filter::TableFilters};

/// Weights of the keys of the data and, last, of the intercept.
pub(super) struct Store<'a> {
    place: Place<'a>,
    rule: Average,
    /// For the intercept.
    free: Average,
    intercept: bool,
    workers: f64,
    keys: usize,
}

enum Place<'a> {
    Here(Vec<<Average as Rule>::State>),
    There(Box<RemoteTable<'a, Average>>),
}

impl<'a> Store<'a> {
    /// Collective.
    pub fn new(
        worker: &mut Worker,
        data: &'a Dataset,
        settings: &Settings,
        rates: Rates,
        start: (&dyn Fn(usize) -> f32, f32),
    ) -> Result<Self> {
        let (rule, free) = (Average::new(rates), Average::new(Rates { penalty: ElasticNet::NONE, ..rates }));
        let keys = data.keys().len();
        let place = if worker.embedded() && settings.filters == TableFilters::default() {
            let weights = (0..keys).map(|k| rule.start(start.0(k)));
            Place::Here(weights.chain([free.start(start.1)]).collect())
        } else {
            Place::There(Box::new(RemoteTable::of_changes(worker, data, settings, rates, start)?))
        };
        let workers = worker.workers() as f64;
        Ok(Self { place, rule, free, intercept: settings.intercept, workers, keys })
    }

    fn go_to(&mut self, batch: u64) {
        self.rule.go_to(batch);
        self.free.go_to(batch);
    }

    /// The weights of some keys as a batch finds them, and what holds them there.
    pub fn read(&mut self, worker: &mut Worker, batch: u64, ids: &[u32]) -> Result<Held> {
        self.go_to(batch);
        let Self { rule, free, .. } = self;
        let intercept = (self.intercept && !ids.is_empty()).then(|| ids.len() - 1);
        let anchor = match &mut self.place {
            Place::Here(states) => {
                let weight = |(n, &id): (usize, &u32)| {
                    let rule = if intercept == Some(n) { &*free } else { &*rule };
                    rule.weight(&states[id as usize]) as f64
                };
                ids.iter().enumerate().map(weight).collect()
            }
            Place::There(table) => table.read(worker, batch, ids)?,
        };
        Ok(Held { anchor, rho: rule.rho(), share: rule.share(), intercept })
    }

    /// Takes what this worker found for a batch.
    pub fn write(&mut self, worker: &mut Worker, batch: u64, ids: &[u32], held: &Held, found: &[f64]) -> Result<()> {
        let Self { rule, free, .. } = self;
        let of = |n: usize| if held.intercept == Some(n) { &*free } else { &*rule };
        let change = |n: usize| (found[n] - of(n).weight_without_rows(held.anchor[n])) / self.workers;
        let changes = (0..ids.len()).map(|n| fixed::change(change(n)));
        match &mut self.place {
            Place::Here(states) => {
                for (n, change) in changes.enumerate().filter(|c| c.1 != 0) {
                    of(n).update(&mut states[ids[n] as usize], change as f32 * fixed::CHANGE_SCALE);
                }
                Ok(())
            }
            Place::There(table) => {
                let changes = changes.collect();
                table.write(worker, batch, ids, changes)
            }
        }
    }

    /// Waits for all that was written, and sends what filters hold back.
    pub fn settle(&mut self, worker: &mut Worker) -> Result<()> {
        match &mut self.place {
            Place::Here(_) => Ok(()),
            Place::There(table) => table.settle(worker),
        }
    }

    /// The weights of all keys of the data as a batch finds them, and the intercept.
    pub fn weights(&mut self, worker: &mut Worker, batch: u64) -> Result<(Vec<f32>, f32)> {
        self.go_to(batch);
        match &mut self.place {
            Place::Here(states) => {
                let all = states[..self.keys].iter().map(|s| self.rule.weight(s)).collect();
                let intercept = if self.intercept { self.free.weight(&states[self.keys]) } else { 0.0 };
                Ok((all, intercept))
            }
            Place::There(table) => table.weights(worker, batch),
        }
    }
}
