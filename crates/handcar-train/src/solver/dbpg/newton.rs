//! Proximal Newton steps on the head: the part of the problem that block steps are slow at, solved as one.
//!
//! The loss's quadratic model plus penalty is minimised over the head's keys ([`Quadratic`]), and the weights take the
//! share of the way that lowers the objective. Where all active keys are in the head this is a proximal Newton method
//! for the whole problem (Lee, Sun and Saunders, 2014).

use super::head::Head;
use super::quadratic::Quadratic;
use super::request::Request;
use super::selection::Selection;
use super::updater::replace;
use super::{Dbpg, PassEnd};
use crate::error::Result;
use crate::penalty::{Bounds, ElasticNet};

/// Shares of a step that are tried, in order.
const SHARES: [f64; 4] = [1.0, 0.5, 0.25, 0.0625];
/// What an entry of the model's Hessian costs when it is read, in entries of a pass.
const READ_COST: f64 = 0.05;
/// The model is minimised until what optimality misses has shrunk to this.
const ACCURACY: f64 = 0.01;

impl Dbpg<'_> {
    /// The weights that minimise the model of the head around `start`, where the loss has this gradient.
    pub(super) fn head_minimum(&mut self, head: &Head, hessian: &[f64], gradient: &[f64], start: &[f64]) -> Vec<f64> {
        let penalties = self.selected_penalties(&head.keys);
        let l1: Vec<f64> = penalties.iter().map(|p| p.l1).collect();
        let bounds: Vec<Bounds> = penalties.iter().map(|p| p.bounds).collect();
        let smooth: Vec<f64> = gradient.iter().zip(start).zip(&penalties).map(|((g, w), p)| g + p.l2 * w).collect();
        let violation = |k: usize| penalties[k].violation(start[k], gradient[k]);
        let worst = (0..head.keys.len).map(violation).fold(0.0, f64::max);
        let found =
            Quadratic { hessian, gradient: &smooth, start, l1: &l1, bounds: &bounds }.minimise(ACCURACY * worst);
        self.work += READ_COST * (found.reads * head.keys.len) as f64;
        found.at
    }

    /// Moves the chosen weights towards `target` as far as the objective falls; what it then is.
    pub(super) fn step_towards(&mut self, chosen: &Selection, target: &[f64], end: PassEnd) -> Result<PassEnd> {
        let start: Vec<f32> = chosen.collect(|b, place| self.states[b].weights[place]);
        let penalties = self.selected_penalties(chosen);
        self.settle();
        let (kept, norms) = (self.margins(), self.field_norms());
        for share in SHARES {
            let way = |(&w, &t): (&f32, &f64)| if share == 1.0 { t as f32 } else { between(w, t, share) };
            let bounded = |(w, p): (f32, &ElasticNet)| p.bounds.clip_f32(w);
            let next: Vec<f32> = start.iter().zip(target).map(way).zip(&penalties).map(bounded).collect();
            self.set_weights(chosen, &next);
            let loss = self.loss()?;
            let more: f64 =
                start.iter().zip(&next).zip(&penalties).map(|((&w, &n), p)| value(p, n) - value(p, w)).sum();
            let more = more + (self.field_norms() - norms);
            if loss + (end.objective - end.loss) + more < end.objective {
                self.tell_servers(chosen, &start, &next)?;
                return self.end(loss);
            }
        }
        self.set_weights(chosen, &start);
        self.pending.clear();
        // Not by adding the way back, which rounds.
        self.restore_margins(kept);
        Ok(end)
    }

    /// Sets the chosen weights here; margins follow with the next sweep.
    fn set_weights(&mut self, chosen: &Selection, next: &[f32]) {
        for part in &chosen.parts {
            let waits = self.pending.contains(&part.block);
            let (block, state) = (&self.blocks[part.block], &mut self.states[part.block]);
            let change = state.change.of_keys(block);
            if !waits {
                change.fill(0.0);
                self.pending.push(part.block);
            }
            for (&place, &w) in part.places.iter().zip(&next[part.first..]) {
                change[place as usize] += w as f64 - state.weights[place as usize] as f64;
                state.weights[place as usize] = w;
            }
        }
    }

    fn tell_servers(&mut self, chosen: &Selection, start: &[f32], next: &[f32]) -> Result<()> {
        let mine = self.worker.rank() == 0;
        let push: Vec<i64> = next.iter().flat_map(|w| [if mine { w.to_bits() as i64 } else { 0 }, 0]).collect();
        let keys = self.selected_keys(chosen)?;
        self.exactly(&keys, push, Request::Place, false).wait()?;
        chosen.for_each(|k, block, place| {
            let (mut w, state) = (start[k], &mut self.states[block]);
            replace(&mut w, &mut state.before[place], &mut state.marks[place], next[k]);
        });
        Ok(())
    }
}

fn between(from: f32, to: f64, share: f64) -> f32 {
    (from as f64 + share * (to - from as f64)) as f32
}

fn value(p: &ElasticNet, w: f32) -> f64 {
    p.l1 * w.abs() as f64 + 0.5 * p.l2 * (w as f64).powi(2)
}
