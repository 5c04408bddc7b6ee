//! A better point for the certificate: margins corrected beyond what weights can say.
//!
//! A dual point is scaled down until no key's gradient exceeds `l1`, so its value suffers from the single worst key -
//! and the gradient of a key that a third of all rows have moves by 0.01 when a weight moves by one bit of an f32. The
//! certificate may use any margins, so the head's part of them is corrected in f64. The weights stay as they are.

use super::head::{Head, Part};
use super::rows::Change;
use super::{Dbpg, PassEnd};
use crate::error::Result;

/// Corrections at most.
const TURNS_MAX: usize = 8;
/// What a turn must leave at most of what was missing, for another to be worth its price.
const PROGRESS: f64 = 0.7;

impl Dbpg<'_> {
    /// Raises the lower bound towards `tol` (relative) of the objective as far as corrections of the head do.
    pub(super) fn correct(&mut self, head: &Head, hessian: &[f64], end: &PassEnd, tol: f64) -> Result<()> {
        let kept: Vec<Vec<f64>> = self.shards.iter().map(|s| s.margins.clone()).collect();
        let mut at: Vec<f64> = head.collect(|b, place| self.states[b].weights[place] as f64);
        let mut missing_before = f64::INFINITY;
        for _ in 0..TURNS_MAX {
            let statistics = self.statistics();
            let gradient = self.head_gradient(head, &statistics)?;
            let next = self.head_minimum(head, hessian, &gradient, &at);
            self.move_head(head, &at, &next);
            at = next;
            let point = self.dual_point()?;
            let found = self.bound(&point, None)?;
            self.dual = self.dual.max(found.dual);
            let missing = end.objective - found.dual;
            if missing <= tol * end.objective || missing > PROGRESS * missing_before {
                break;
            }
            missing_before = missing;
        }
        self.shards.iter_mut().zip(kept).for_each(|(s, m)| s.margins = m);
        Ok(())
    }

    /// Adds a change of the head's weights to the margins, and to nothing else.
    fn move_head(&mut self, head: &Head, from: &[f64], to: &[f64]) {
        let Self { pool, shards, blocks, .. } = self;
        let change = |part: &Part| {
            let mut change = Change::for_block(&blocks[part.block]);
            let of_keys = change.of_keys(&blocks[part.block]);
            for (j, &place) in part.places.iter().enumerate() {
                of_keys[place as usize] = to[part.first + j] - from[part.first + j];
            }
            change
        };
        let changes: Vec<Change> = head.parts.iter().map(change).collect();
        let changes: Vec<_> = head.parts.iter().zip(&changes).map(|(p, c)| (&blocks[p.block], c)).collect();
        Self::on_shards(pool, shards, |s| s.add_changes(&changes));
    }
}
