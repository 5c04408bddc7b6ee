//! A better point for the certificate: one Newton step in the margins alone.
//!
//! A dual point is scaled down until no key's gradient exceeds `l1`, so its value suffers from the single worst
//! violation - and the gradient of a key that a third of all rows have moves by 0.01 when a weight moves by one bit of
//! an f32. The certificate may use any margins, not only those of representable weights. So this solves
//! `H_AA·x = -(g_A + l1·sign)` over the active keys A by conjugate gradients (diagonal preconditioner) and hands
//! `X·x` in f64 to be added to the margins for the certificate only. The weights stay as they are.
//!
//! Every product with `H = Xᵀ·diag(h)·X` is an integer sum over rows, joined by one reduction; the vectors are short
//! and every worker computes the same.

use super::pass::merge;
use super::rows::Change;
use super::{Dbpg, block::Block};
use crate::error::Result;
use handcar_kernels::logistic::RowStatistics;

/// Products with the Hessian at most: each costs about half a pass.
const ITERATIONS_MAX: usize = 60;

/// The active keys of a block.
struct Part {
    block: usize,
    places: Vec<u32>,
    first: usize,
}

impl Dbpg<'_> {
    /// The change of every row's margin (by thread) that brings the gradient of the active keys to within `goal` of
    /// what optimality asks, to first order. `statistics`: gradient and curvature of the rows.
    pub(super) fn newton_margins(&mut self, statistics: &[Vec<RowStatistics>], goal: f64) -> Result<Vec<Vec<f64>>> {
        let parts = self.active_parts();
        let n = parts.last().map_or(0, |p| p.first + p.places.len());
        let mut moved: Vec<Vec<f64>> = self.shards.iter().map(|s| vec![0.0; s.margins.len()]).collect();
        if n == 0 {
            return Ok(moved);
        }
        let sums = self.sums_of(&parts, statistics, n)?;
        let mut residual = vec![0.0; n];
        let mut inverse = vec![0.0; n];
        let l1 = self.settings.penalty.l1;
        for part in &parts {
            let scales = self.scales(part.block);
            let penalised = !self.blocks[part.block].index.is_empty();
            for (j, &place) in part.places.iter().enumerate() {
                let k = part.first + j;
                let w = self.states[part.block].weights[place as usize] as f64;
                let g = sums[2 * k] as f64 * scales.gradient;
                // A zero weight that wants to leave zero goes against its gradient; one that does not stays.
                let sign = if w != 0.0 { w.signum() } else { -g.signum() };
                let pull = if penalised { l1 * sign + self.settings.penalty.l2 * w } else { 0.0 };
                let stays = penalised && w == 0.0 && g.abs() <= l1;
                residual[k] = if stays { 0.0 } else { -(g + pull) };
                let h = sums[2 * k + 1] as f64 * scales.curvature + self.settings.penalty.l2;
                inverse[k] = if stays || h <= 0.0 { 0.0 } else { 1.0 / h };
            }
        }
        let mut changes: Vec<Change> = parts.iter().map(|p| Change::for_block(&self.blocks[p.block])).collect();
        let mut direction: Vec<f64> = residual.iter().zip(&inverse).map(|(r, i)| r * i).collect();
        let mut energy: f64 = residual.iter().zip(&direction).map(|(r, d)| r * d).sum();
        for _ in 0..ITERATIONS_MAX {
            let worst =
                residual.iter().zip(&inverse).filter(|(_, i)| **i > 0.0).fold(0.0f64, |m, (r, _)| m.max(r.abs()));
            if worst <= goal || energy <= 0.0 {
                break;
            }
            let z = self.times_rows(&parts, &direction, &mut changes);
            let product = self.times_columns(&parts, &z, statistics, n)?;
            let l2 = self.settings.penalty.l2;
            let curved: f64 =
                (0..n).filter(|&k| inverse[k] > 0.0).map(|k| direction[k] * (product[k] + l2 * direction[k])).sum();
            if curved <= 0.0 {
                break;
            }
            let step = energy / curved;
            for (moved, z) in moved.iter_mut().zip(&z) {
                moved.iter_mut().zip(z).for_each(|(m, z)| *m += step * z);
            }
            let before = energy;
            energy = 0.0;
            for k in 0..n {
                if inverse[k] > 0.0 {
                    residual[k] -= step * (product[k] + l2 * direction[k]);
                    energy += residual[k] * residual[k] * inverse[k];
                }
            }
            for k in 0..n {
                direction[k] = residual[k] * inverse[k] + energy / before * direction[k];
            }
        }
        Ok(moved)
    }

    fn active_parts(&self) -> Vec<Part> {
        let mut first = 0;
        let mut parts = Vec::new();
        for (block, state) in self.states.iter().enumerate() {
            let places: Vec<u32> = (0..state.marks.len() as u32).filter(|&p| state.marks[p as usize]).collect();
            if !places.is_empty() {
                let n = places.len();
                parts.push(Part { block, places, first });
                first += n;
            }
        }
        parts
    }

    /// Gradient and curvature sums of the active keys, over the rows of all workers.
    fn sums_of(&mut self, parts: &[Part], statistics: &[Vec<RowStatistics>], n: usize) -> Result<Vec<i64>> {
        let mut sums = vec![0i64; 2 * n];
        for part in parts {
            self.scatter(part.block, statistics);
            let found = self.shards[0].sums(&self.blocks[part.block]);
            for (j, &place) in part.places.iter().enumerate() {
                sums[2 * (part.first + j)..][..2].copy_from_slice(&found[place as usize]);
            }
        }
        Ok(self.worker.reduce(&sums)?)
    }

    /// Sums given statistics of all rows over the columns of a block, into the first thread's table.
    pub(super) fn scatter(&mut self, at: usize, statistics: &[Vec<RowStatistics>]) {
        let Self { pool, shards, blocks, .. } = self;
        let block: &Block = &blocks[at];
        Self::on_shards(pool, shards, |s| s.scatter(&statistics[s.thread], block));
        merge(shards, block);
    }

    /// `X·direction` for each thread's rows.
    fn times_rows(&mut self, parts: &[Part], direction: &[f64], changes: &mut [Change]) -> Vec<Vec<f64>> {
        for (part, change) in parts.iter().zip(changes.iter_mut()) {
            let change = change.of_keys(&self.blocks[part.block]);
            for (j, &place) in part.places.iter().enumerate() {
                change[place as usize] = direction[part.first + j];
            }
        }
        let Self { pool, shards, blocks, .. } = self;
        let pending: Vec<_> = parts.iter().zip(changes.iter()).map(|(p, c)| (&blocks[p.block], c)).collect();
        // The margins make room for the products, which then change places with them.
        let swap = |shards: &mut [super::RowShard], z: &mut [Vec<f64>]| {
            shards.iter_mut().zip(z).for_each(|(s, z)| std::mem::swap(&mut s.margins, z));
        };
        let mut z: Vec<Vec<f64>> = shards.iter().map(|s| vec![0.0; s.margins.len()]).collect();
        swap(shards, &mut z);
        Self::on_shards(pool, shards, |s| s.add_changes(&pending));
        swap(shards, &mut z);
        z
    }

    /// `Xᵀ·diag(h)·z` for the active keys, over the rows of all workers.
    fn times_columns(
        &mut self,
        parts: &[Part],
        z: &[Vec<f64>],
        statistics: &[Vec<RowStatistics>],
        n: usize,
    ) -> Result<Vec<f64>> {
        let most = z.iter().flatten().fold(0.0f64, |m, z| m.max(z.abs()));
        let exponent = if most > 0.0 { most.log2().floor() as i64 + 1 } else { -1000 };
        let exponent = self.worker.reduce_max(&[exponent])?[0].max(-1000) as i32;
        let scale = 2f64.powi(-exponent);
        let rows: Vec<Vec<RowStatistics>> = z
            .iter()
            .zip(statistics)
            .map(|(z, s)| z.iter().zip(s).map(|(z, s)| [(s[1] as f64 * (z * scale)) as i32, 0]).collect())
            .collect();
        let sums = self.sums_of(parts, &rows, n)?;
        let mut product = vec![0.0; n];
        for part in parts {
            let scale = self.scales(part.block).gradient / scale;
            for k in part.first..part.first + part.places.len() {
                product[k] = sums[2 * k] as f64 * scale;
            }
        }
        Ok(product)
    }
}
