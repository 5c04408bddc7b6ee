//! Newton's method on all active keys, in margins of f64: for a better point of the certificate, and better weights.
//!
//! A dual point is scaled down until no key's gradient exceeds `l1`, so its value suffers from the single worst key -
//! and the gradient of a key that a third of all rows have moves by 0.01 when a weight moves by one bit of an f32. The
//! certificate may use any margins. So weights are continued in f64 here, in turns: the head by the minimum of its
//! model, which settles signs; then all active keys at once by a Newton step. The weights take what they can.

use super::head::Head;
use super::selection::Selection;
use super::{Dbpg, PassEnd};
use crate::error::Result;
use crate::solver::batch::relative_gap;

/// Turns at most.
const TURNS_MAX: usize = 8;
/// Shares of a step that are tried, each 0.4 of the one before.
const TRIES: usize = 6;
/// What a turn should leave at most of what was missing from the bound.
const PROGRESS: f64 = 0.8;
/// Turns in a row that may leave more; full Newton steps do not count, since the bound often rises only after several.
const PATIENCE: usize = 2;

impl Dbpg<'_> {
    /// Raises the lower bound to within `tol` (relative) of the objective, if it can, and lowers the objective.
    pub(super) fn correct(
        &mut self,
        head: &Head,
        hessian: &[f64],
        end: PassEnd,
        slack: f64,
        tol: f64,
        watch: &mut dyn FnMut(u64, f64) -> bool,
    ) -> Result<PassEnd> {
        let kept = self.margins();
        let widen = |w: &Vec<f32>| w.iter().map(|&w| w as f64).collect();
        let mut weights: Vec<Vec<f64>> = self.states.iter().map(|s| widen(&s.weights)).collect();
        let (mut least, mut strikes, mut full) = (f64::INFINITY, 0, false);
        for turn in 0.. {
            // The model of the head knows no norms: of fields the block steps settle what is zero.
            if self.groups.is_empty() {
                let statistics = self.statistics();
                let gradient = self.selected_gradient(&head.keys, &statistics)?;
                let at = head.keys.collect(|b, place| weights[b][place]);
                let next = self.head_minimum(head, hessian, &gradient, &at);
                self.move_both(&head.keys, &next, &mut weights);
            }

            let point = self.dual_point()?;
            let found = self.bound(&point, Some(slack))?;
            self.dual = self.dual.max(found.dual);
            let missing = end.objective - found.dual;
            strikes = if full || missing <= PROGRESS * least { 0 } else { strikes + 1 };
            least = least.min(missing);
            let enough = least <= tol * end.objective || strikes == PATIENCE || turn == TURNS_MAX;
            let stop = watch(turn as u64 + 2, relative_gap(end.objective, self.dual));
            if self.any(enough || stop)? {
                break;
            }

            let statistics = self.statistics();
            let chosen = self.active(&weights);
            let at = chosen.collect(|b, place| weights[b][place]);
            let (way, signs) = self.tail_step(head, hessian, &chosen, &at, &statistics)?;
            match self.move_downhill(&chosen, &at, &way, &signs, &mut weights)? {
                None => break,
                Some(share) => full = share == 1.0,
            }
        }
        self.restore_margins(kept);
        let chosen = self.active(&weights);
        let target = chosen.collect(|b, place| weights[b][place]);
        self.step_towards(&chosen, &target, end)
    }

    /// Moves margins and weights as far along `way` as the objective falls, each weight at most to zero or its bound;
    /// which share of it that was.
    fn move_downhill(
        &mut self,
        keys: &Selection,
        at: &[f64],
        way: &[f64],
        signs: &[f64],
        weights: &mut [Vec<f64>],
    ) -> Result<Option<f64>> {
        let before = self.loss()? + self.penalty_of(weights);
        let margins = self.margins();
        let kept = weights.to_vec();
        let penalties = self.selected_penalties(keys);
        let mut share = 1.0;
        for _ in 0..TRIES {
            let stop = |k: usize| match at[k] + share * way[k] {
                next if next * signs[k] < 0.0 => 0.0,
                next => penalties[k].bounds.clip(next),
            };
            let next: Vec<f64> = (0..keys.len).map(stop).collect();
            self.move_both(keys, &next, weights);
            if self.loss()? + self.penalty_of(weights) < before {
                return Ok(Some(share));
            }
            self.restore_margins(margins.clone());
            weights.clone_from_slice(&kept);
            share *= 0.4;
        }
        Ok(None)
    }

    fn penalty_of(&self, weights: &[Vec<f64>]) -> f64 {
        let p = self.settings.penalty;
        let of_block = |w: &Vec<f64>| w.iter().map(|w| p.l1 * w.abs() + 0.5 * p.l2 * w * w).sum::<f64>();
        let elastic: f64 =
            self.blocks.iter().zip(weights).filter(|(b, _)| !b.is_intercept()).map(|(_, w)| of_block(w)).sum();
        let norms: f64 = self.groups.iter().zip(weights).map(|(g, w)| g.penalty.norm(w.iter().copied())).sum();
        elastic + norms
    }

    /// Sets the weights continued here, and moves the margins along.
    fn move_both(&mut self, keys: &Selection, next: &[f64], weights: &mut [Vec<f64>]) {
        let mut by = next.to_vec();
        keys.for_each(|k, block, place| {
            by[k] -= weights[block][place];
            weights[block][place] = next[k];
        });
        self.move_margins(keys, &by);
    }

    /// Keys that are active or nonzero here.
    fn active(&self, weights: &[Vec<f64>]) -> Selection {
        let of_block = |(block, w): (usize, &Vec<f64>)| {
            let state = &self.states[block];
            let here = |&k: &usize| state.marks[k] || w[k] != 0.0 || state.weights[k] != 0.0;
            (0..w.len()).filter(here).map(move |k| (block, k as u32)).collect::<Vec<_>>()
        };
        Selection::new(weights.iter().enumerate().flat_map(of_block))
    }
}
