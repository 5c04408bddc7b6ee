//! Block steps and certificates of fields with a group lasso.
//!
//! The norm of a field needs all of its weights, which lie on several servers. So here the workers take the step, as they do
//! Newton's: sums over workers are integers, so each comes to the same weights, and one of them tells the servers.

use super::certificate::{Found, Point};
use super::request::Request;
use super::updater::{CURVATURE_MIN, TRUST_FIRST, TRUST_MAX, TRUST_MIN};
use super::{BlockState, Dbpg, RELAX};
use crate::error::Result;
use crate::penalty::GroupLasso;
use crate::solver::batch::{Curvature, Loss, best_bound, negative_entropy};
use handcar_kernels::elementary::exp_nonpositive;
use handcar_kernels::logistic::RowStatistics;

/// Times that keys which went too far get the bound that always holds, before all keys of their field do.
const ROUNDS: usize = 3;

/// What the worker knows of a block that is a field.
pub(super) struct Group {
    pub penalty: GroupLasso,
    /// Bounds on the curvature that always hold.
    pub caps: Vec<f64>,
    /// How far each weight of a one-hot block may move in a step.
    trusts: Vec<f32>,
}

impl Group {
    pub fn new(penalty: GroupLasso, keys: usize) -> Self {
        Self { penalty, caps: vec![f64::INFINITY; keys], trusts: vec![TRUST_FIRST; keys] }
    }

    /// The proximal step of the active weights of a block; `sums`: gradient and curvature of each.
    ///
    /// A curvature bound holds as far as the trust region reaches. Cutting single weights at its end, as block steps of the elastic net
    /// do, could raise a norm; where the step would leave it, the bound that always holds takes its place.
    fn step(&self, state: &BlockState, one_hot: bool, sums: &[[f64; 2]]) -> Vec<f32> {
        let of = |all: &[f32]| state.places.iter().map(|&p| all[p as usize] as f64).collect::<Vec<f64>>();
        let (w, trusts) = (of(&state.weights), if one_hot { of(&self.trusts) } else { vec![state.trust; sums.len()] });
        let caps: Vec<f64> = state.places.iter().map(|&p| self.caps[p as usize]).collect();
        let g: Vec<f64> = sums.iter().map(|s| s[0]).collect();
        let within = |k: usize| if one_hot { sums[k][1] / exp_nonpositive(-trusts[k]) } else { sums[k][1] };
        let safe = |u: f64| (u + CURVATURE_MIN) / RELAX;
        let mut u: Vec<f64> = (0..w.len()).map(|k| safe(within(k).min(caps[k]))).collect();
        for round in 0.. {
            let next = self.penalty.step(&w, &g, &u);
            let far: Vec<usize> =
                (0..w.len()).filter(|&k| u[k] < safe(caps[k]) && (next[k] - w[k]).abs() > trusts[k]).collect();
            if far.is_empty() {
                return next.into_iter().map(|v| v as f32).collect();
            }
            // In a one-hot block the curvature along a weight is that weight's own affair.
            if one_hot && round < ROUNDS {
                far.into_iter().for_each(|k| u[k] = safe(caps[k]));
            } else {
                u = caps.iter().map(|&cap| safe(cap)).collect();
            }
        }
        unreachable!("the bound that always holds is the last")
    }

    /// Which weights of some are active after a look at their gradients.
    fn marks(&self, w: &[f32], g: &[f64], slack: f64) -> Vec<bool> {
        let rests = slack >= 0.0 && w.iter().all(|w| *w == 0.0) && self.penalty.rests(g, slack);
        let mark = |(w, g): (&f32, &f64)| *w != 0.0 || slack < 0.0 || (!rests && g.abs() > self.penalty.l1 - slack);
        w.iter().zip(g).map(mark).collect()
    }
}

impl Dbpg<'_> {
    /// The norms of all fields, with their strengths; 0 without a group lasso.
    pub(super) fn field_norms(&self) -> f64 {
        let norm = |(g, s): (&Group, &BlockState)| g.penalty.norm(s.weights.iter().map(|&w| w as f64));
        self.groups.iter().zip(&self.states).map(norm).sum()
    }

    /// Keys in the active set.
    pub(super) fn active_here(&self) -> u64 {
        self.states.iter().flat_map(|s| &s.marks).filter(|mark| **mark).count() as u64
    }

    /// One step of a field, here and on the servers. Collective.
    pub(super) fn step_field(&mut self, at: usize, slack: f64) -> Result<()> {
        self.renew_active(at)?;
        self.step_keys.0 += self.states[at].all.len() as u64;
        self.step_keys.1 += self.states[at].places.len() as u64;
        if self.states[at].places.is_empty() {
            return Ok(());
        }
        let one_hot = self.blocks[at].columns.one_hot();
        let trust = self.states[at].trust;
        self.sweep(at, if one_hot { Curvature::None } else { Curvature::Within(trust) });
        let sums = self.shards[0].sums(&self.blocks[at]);
        let mine = self.states[at].places.iter().flat_map(|&p| sums[p as usize]).collect();
        let all = self.sums.over_workers(self.worker, mine, Loss::Nothing)?;
        let scales = self.scales(at);
        let number = |s: &[i64]| [s[0] as f64 * scales.gradient, s[1] as f64 * scales.curvature];
        let sums: Vec<[f64; 2]> = all.chunks_exact(2).map(number).collect();

        let (group, state) = (&mut self.groups[at], &mut self.states[at]);
        let next = group.step(state, one_hot, &sums);
        let g: Vec<f64> = sums.iter().map(|s| s[0]).collect();
        let w: Vec<f64> = state.places.iter().map(|&p| state.weights[p as usize] as f64).collect();
        self.violation = self.violation.max(group.penalty.violation(&w, &g));
        let marks = group.marks(&next, &g, slack);
        let change = state.change.of_keys(&self.blocks[at]);
        change.fill(0.0);
        let mut most = 0.0f64;
        for ((&place, &next), mark) in state.places.iter().zip(&next).zip(marks) {
            let place = place as usize;
            let moved = next as f64 - state.weights[place] as f64;
            change[place] = moved;
            most = most.max(moved.abs());
            group.trusts[place] = (2.0 * moved.abs() as f32 + TRUST_MIN).min(TRUST_MAX);
            state.weights[place] = next;
            state.marks[place] = mark;
        }
        state.trust = (2.0 * most + TRUST_MIN as f64).min(TRUST_MAX as f64);
        if most == 0.0 {
            return Ok(());
        }
        self.pending.push(at);
        let mine = self.worker.rank() == 0;
        let push = next.iter().flat_map(|w| [if mine { w.to_bits() as i64 } else { 0 }, 0]).collect();
        let keys = self.states[at].active.clone();
        self.exactly(&keys, push, Request::Set, false).wait()?;
        Ok(())
    }

    /// As [`bound`](Self::bound), where fields have norms.
    pub(super) fn bound_of_fields(&mut self, point: &Point, renew: Option<f64>) -> Result<Found> {
        let (mut shrink, mut whole, mut violation) = (1.0, 0.0, 0.0f64);
        for at in 0..self.groups.len() {
            self.scatter(at, &point.statistics);
            let mine = self.shards[0].sums(&self.blocks[at]).iter().map(|s| s[0]).collect();
            let all = self.sums.over_workers(self.worker, mine, Loss::Nothing)?;
            let scale = self.scales(at).gradient;
            let g: Vec<f64> = all.into_iter().map(|s| s as f64 * scale).collect();
            let (group, state) = (&self.groups[at], &mut self.states[at]);
            let w: Vec<f64> = state.weights.iter().map(|&w| w as f64).collect();
            violation = violation.max(group.penalty.violation(&w, &g));
            shrink = group.penalty.share(&g, shrink);
            whole += group.penalty.conjugate(&g);
            if let Some(slack) = renew {
                state.marks = group.marks(&state.weights, &g, slack);
            }
        }
        let slip = self.slip(point);
        let whole = (self.settings.penalty.l2 > 0.0).then_some(whole);
        let Self { worker, shards, data, .. } = self;
        let q = |s: &RowStatistics| (s[0].unsigned_abs(), 1.0);
        let dual = best_bound(shrink, slip, whole, &mut |shrink| {
            negative_entropy(worker, shards, data, &point.statistics, shrink, q)
        })?;
        Ok(Found { dual, violation })
    }
}
