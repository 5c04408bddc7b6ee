//! One solver at one rate, through a story.

use super::schedule::Push;
use crate::loss::{Logistic, Loss};
use crate::penalty::ElasticNet;
use crate::solver::minibatch::rule::{Late, Lateness, Rates};
use handcar_base::{ExactSum, Rng, Seed};
use handcar_data::Dataset;

/// A gradient on its way, at the weights of some clock.
#[derive(Default)]
struct Gradient {
    /// Of each key that it has, and of the intercept, which is one past the last: the sum, and what is remembered of the state.
    sums: Vec<(usize, f32, f32)>,
}

/// What the runs of a simulation share.
pub(super) struct Plan<'a> {
    pub data: &'a Dataset,
    pub story: Vec<Push>,
    pub workers: usize,
    pub batch_rows: usize,
    /// Pushes between two looks at the loss.
    pub look_every: usize,
    pub beta: f64,
    /// The rows in the order that batches take them.
    pub order: Vec<u32>,
}

impl<'a> Plan<'a> {
    pub fn order(rows: usize, seed: u64) -> Vec<u32> {
        let mut order: Vec<u32> = (0..rows as u32).collect();
        Rng::new(Seed(seed), u64::MAX).shuffle(&mut order);
        order
    }

    /// The mean loss before the first push and after every `look_every`; ends where it is no number.
    pub fn run<R: Late>(&self, rate: f64) -> Vec<f64> {
        let rates =
            Rates { alpha: rate, beta: self.beta, penalty: ElasticNet::NONE, batch_rows: 1, batches: 1, workers: 1 };
        let mut world = World::<R> {
            plan: self,
            rule: R::new(rates),
            states: vec![R::State::default(); self.data.keys().len() + 1],
            sums: vec![0.0; self.data.keys().len() + 1],
            taken: 0,
        };
        let mut under_way: Vec<Gradient> = (0..self.workers).map(|_| world.pull(Gradient::default())).collect();
        let mut losses = vec![world.loss()];
        for (t, push) in (1..).zip(&self.story) {
            let gradient = std::mem::take(&mut under_way[push.worker]);
            world.push(&gradient, Lateness { push: t, delay: t - 1 - push.pulled });
            under_way[push.worker] = world.pull(gradient);
            if (t as usize).is_multiple_of(self.look_every) {
                losses.push(world.loss());
                if !losses[losses.len() - 1].is_finite() {
                    break;
                }
            }
        }
        losses
    }
}

struct World<'p, 'a, R: Late> {
    plan: &'p Plan<'a>,
    rule: R,
    states: Vec<R::State>,
    /// For the gradient that is being computed; zeros otherwise.
    sums: Vec<f64>,
    /// Rows taken so far.
    taken: usize,
}

impl<R: Late> World<'_, '_, R> {
    fn weight(&self, key: usize) -> f64 {
        self.rule.weight(&self.states[key]) as f64
    }

    fn margin(&self, row: usize) -> f64 {
        let (ids, values) = self.plan.data.csr().row(row);
        let product = |(i, &id): (usize, &u32)| self.weight(id as usize) * values.map_or(1.0, |v| v[i] as f64);
        self.weight(self.states.len() - 1) + ids.iter().enumerate().map(product).sum::<f64>()
    }

    /// Takes the next batch and computes its gradient.
    fn pull(&mut self, mut into: Gradient) -> Gradient {
        let Plan { data, order, batch_rows, .. } = self.plan;
        into.sums.clear();
        let intercept = self.states.len() - 1;
        for i in self.taken..self.taken + batch_rows {
            let row = order[i % order.len()] as usize;
            let slope = Logistic.derivative(self.margin(row) as f32, data.labels()[row]) as f64;
            let (ids, values) = data.csr().row(row);
            for (i, &id) in ids.iter().enumerate() {
                if self.sums[id as usize] == 0.0 {
                    into.sums.push((id as usize, 0.0, 0.0));
                }
                self.sums[id as usize] += slope * values.map_or(1.0, |v| v[i] as f64);
            }
            self.sums[intercept] += slope;
        }
        into.sums.push((intercept, 0.0, 0.0));
        self.taken += batch_rows;
        for (key, sum, then) in &mut into.sums {
            *sum = std::mem::take(&mut self.sums[*key]) as f32;
            *then = R::remembered(&self.states[*key]);
        }
        into
    }

    fn push(&mut self, gradient: &Gradient, late: Lateness) {
        let ratio = late.ratio();
        self.rule.go_to(late.push - 1);
        for &(key, sum, then) in gradient.sums.iter().filter(|g| g.1 != 0.0) {
            self.rule.update_late(&mut self.states[key], sum, ratio, then);
        }
    }

    fn loss(&self) -> f64 {
        let data = self.plan.data;
        let mut sum = ExactSum::new();
        for (row, &label) in data.labels().iter().enumerate() {
            let margin = self.margin(row);
            // The loss takes what is no number for a bound.
            if !margin.is_finite() {
                return f64::INFINITY;
            }
            sum.add(Logistic.value(margin, label));
        }
        sum.value() / data.rows().max(1) as f64
    }
}
