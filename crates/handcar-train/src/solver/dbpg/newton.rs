//! Proximal Newton steps on the head: the part of the problem that block steps are slow at, solved as one.
//!
//! The loss's quadratic model plus penalty is minimised over the head's keys ([`Quadratic`]), and the weights take the
//! share of the way that lowers the objective. Where all active keys are in the head this is a proximal Newton method
//! for the whole problem (Lee, Sun and Saunders, 2014).

use super::head::Head;
use super::quadratic::Quadratic;
use super::request::Request;
use super::setup::key_list;
use super::updater::replace;
use super::{Dbpg, PassEnd};
use crate::error::Result;
use crate::penalty::ElasticNet;
use handcar_kernels::logistic::RowStatistics;

/// Shares of a step that are tried, in order.
const SHARES: [f64; 4] = [1.0, 0.5, 0.25, 0.0625];
/// What an entry of the model's Hessian costs when it is read, in entries of a pass.
const READ_COST: f64 = 0.05;
/// The model is minimised until what optimality misses has shrunk to this.
const ACCURACY: f64 = 0.01;

impl Dbpg<'_> {
    /// The weights that minimise the model of the head around `start`, where the loss has this gradient.
    pub(super) fn head_minimum(&mut self, head: &Head, hessian: &[f64], gradient: &[f64], start: &[f64]) -> Vec<f64> {
        let penalties = self.head_penalties(head);
        let l1: Vec<f64> = penalties.iter().map(|p| p.l1).collect();
        let smooth: Vec<f64> = gradient.iter().zip(start).zip(&penalties).map(|((g, w), p)| g + p.l2 * w).collect();
        let violation = |k: usize| penalties[k].violation(start[k], gradient[k]);
        let worst = (0..head.len).map(violation).fold(0.0, f64::max);
        let found = Quadratic { hessian, gradient: &smooth, start, l1: &l1 }.minimise(ACCURACY * worst);
        self.work += READ_COST * (found.reads * head.len) as f64;
        found.at
    }

    /// Takes a Newton step from the weights as they are, as far as the objective falls; what it then is.
    pub(super) fn newton_step(
        &mut self,
        head: &Head,
        hessian: &[f64],
        statistics: &[Vec<RowStatistics>],
        end: PassEnd,
    ) -> Result<PassEnd> {
        let start: Vec<f32> = head.collect(|b, place| self.states[b].weights[place]);
        let from: Vec<f64> = start.iter().map(|&w| w as f64).collect();
        let gradient = self.head_gradient(head, statistics)?;
        let to = self.head_minimum(head, hessian, &gradient, &from);
        let penalties = self.head_penalties(head);
        for share in SHARES {
            let next: Vec<f32> = from
                .iter()
                .zip(&to)
                .map(|(w, t)| if share == 1.0 { *t as f32 } else { (w + share * (t - w)) as f32 })
                .collect();
            self.set_weights(head, &next);
            let loss = self.loss()?;
            let more: f64 =
                start.iter().zip(&next).zip(&penalties).map(|((&w, &n), p)| value(p, n) - value(p, w)).sum();
            if loss + (end.objective - end.loss) + more < end.objective {
                self.tell_servers(head, &start, &next)?;
                return self.end(loss);
            }
        }
        self.set_weights(head, &start);
        Ok(end)
    }

    /// Gradient of the loss in the head's weights, at given statistics of the rows.
    pub(super) fn head_gradient(&mut self, head: &Head, statistics: &[Vec<RowStatistics>]) -> Result<Vec<f64>> {
        self.work += self.entries();
        let mut sums = Vec::with_capacity(head.len);
        for part in &head.parts {
            self.scatter(part.block, statistics);
            let found = self.shards[0].sums(&self.blocks[part.block]);
            sums.extend(part.places.iter().map(|&p| found[p as usize][0]));
        }
        let sums = self.worker.reduce(&sums)?;
        let scales = head.collect(|b, _| self.scales(b).gradient);
        Ok(sums.iter().zip(scales).map(|(&s, scale)| s as f64 * scale).collect())
    }

    fn head_penalties(&self, head: &Head) -> Vec<ElasticNet> {
        head.collect(|b, _| if self.blocks[b].is_intercept() { ElasticNet::NONE } else { self.settings.penalty })
    }

    /// Sets the head's weights here; margins follow with the next sweep.
    fn set_weights(&mut self, head: &Head, next: &[f32]) {
        for part in &head.parts {
            let waits = self.pending.contains(&part.block);
            let (block, state) = (&self.blocks[part.block], &mut self.states[part.block]);
            let change = state.change.of_keys(block);
            if !waits {
                change.fill(0.0);
                self.pending.push(part.block);
            }
            for (j, &place) in part.places.iter().enumerate() {
                let (place, w) = (place as usize, next[part.first + j]);
                change[place] += w as f64 - state.weights[place] as f64;
                state.weights[place] = w;
            }
        }
    }

    fn tell_servers(&mut self, head: &Head, start: &[f32], next: &[f32]) -> Result<()> {
        let mine = self.worker.rank() == 0;
        let push: Vec<i64> = next.iter().flat_map(|w| [if mine { w.to_bits() as i64 } else { 0 }, 0]).collect();
        let keys = key_list(head.collect(|b, place| self.blocks[b].keys[place]))?;
        self.worker.push(self.table, &keys, push).args(&Request::Place.to_bytes()).wait()?;
        for part in &head.parts {
            let state = &mut self.states[part.block];
            for (j, &place) in part.places.iter().enumerate() {
                let (k, mut w) = (place as usize, start[part.first + j]);
                replace(&mut w, &mut state.before[k], &mut state.marks[k], next[part.first + j]);
            }
        }
        Ok(())
    }
}

fn value(p: &ElasticNet, w: f32) -> f64 {
    p.l1 * w.abs() as f64 + 0.5 * p.l2 * (w as f64).powi(2)
}
