//! Some of the keys, by block: what a step that spans blocks works on.

use super::Dbpg;
use crate::error::Result;
use crate::penalty::ElasticNet;
use crate::solver::batch::{Change, Loss, key_list, on_shards};
use handcar_base::KeyList;
use handcar_kernels::logistic::RowStatistics;

/// The chosen keys of one block.
pub(super) struct Part {
    pub block: usize,
    /// Ascending.
    pub places: Vec<u32>,
    /// Position of the first one among all that are chosen.
    pub first: usize,
}

/// Chosen keys, ascending.
pub(super) struct Selection {
    pub parts: Vec<Part>,
    pub len: usize,
}

impl Selection {
    /// From `(block, place)`, ascending.
    pub fn new(keys: impl IntoIterator<Item = (usize, u32)>) -> Self {
        let mut parts: Vec<Part> = Vec::new();
        let mut len = 0;
        for (block, place) in keys {
            match parts.last_mut() {
                Some(p) if p.block == block => p.places.push(place),
                _ => parts.push(Part { block, places: vec![place], first: len }),
            }
            len += 1;
        }
        Self { parts, len }
    }

    /// A value of each key, from its block and place.
    pub fn collect<T>(&self, of_block: impl Fn(usize, usize) -> T) -> Vec<T> {
        let mut values = Vec::with_capacity(self.len);
        for part in &self.parts {
            values.extend(part.places.iter().map(|&place| of_block(part.block, place as usize)));
        }
        values
    }

    /// Calls `visit(position, block, place)` for each key.
    pub fn for_each(&self, mut visit: impl FnMut(usize, usize, usize)) {
        for part in &self.parts {
            part.places.iter().enumerate().for_each(|(j, &p)| visit(part.first + j, part.block, p as usize));
        }
    }
}

impl Dbpg<'_> {
    /// A copy of the margins, by thread.
    pub(super) fn margins(&self) -> Vec<Vec<f64>> {
        self.shards.iter().map(|s| s.margins.clone()).collect()
    }

    pub(super) fn restore_margins(&mut self, margins: Vec<Vec<f64>>) {
        self.shards.iter_mut().zip(margins).for_each(|(s, m)| s.margins = m);
    }

    pub(super) fn selected_keys(&self, selection: &Selection) -> Result<KeyList> {
        key_list(selection.collect(|b, place| self.blocks[b].keys[place]))
    }

    pub(super) fn selected_penalties(&self, selection: &Selection) -> Vec<ElasticNet> {
        selection.collect(|b, _| if self.blocks[b].is_intercept() { ElasticNet::NONE } else { self.settings.penalty })
    }

    /// Gradient and curvature sums in fixed point, at given statistics of the rows of all workers.
    pub(super) fn selected_sums(
        &mut self,
        selection: &Selection,
        statistics: &[Vec<RowStatistics>],
        loss: Loss,
    ) -> Result<Vec<i64>> {
        self.work += SUMS_COST * self.entries();
        let mut sums = Vec::with_capacity(2 * selection.len);
        for part in &selection.parts {
            self.scatter(part.block, statistics);
            let found = self.shards[0].sums(&self.blocks[part.block]);
            sums.extend(part.places.iter().flat_map(|&p| found[p as usize]));
        }
        self.sums.over_workers(self.worker, sums, loss)
    }

    /// Gradient of the loss in the chosen weights.
    pub(super) fn selected_gradient(
        &mut self,
        selection: &Selection,
        statistics: &[Vec<RowStatistics>],
    ) -> Result<Vec<f64>> {
        let sums = self.selected_sums(selection, statistics, Loss::Nothing)?;
        let scales = selection.collect(|b, _| self.scales(b).gradient);
        Ok(sums.chunks_exact(2).zip(scales).map(|(s, scale)| s[0] as f64 * scale).collect())
    }

    /// Adds `X·by` to the margins, and nothing to the weights.
    pub(super) fn move_margins(&mut self, selection: &Selection, by: &[f64]) {
        let Self { pool, shards, blocks, .. } = self;
        let mut changes: Vec<Change> = selection.parts.iter().map(|p| Change::for_block(&blocks[p.block])).collect();
        for (part, change) in selection.parts.iter().zip(&mut changes) {
            let of_keys = change.of_keys(&blocks[part.block]);
            for (&place, by) in part.places.iter().zip(&by[part.first..]) {
                of_keys[place as usize] = *by;
            }
        }
        let changes: Vec<_> = selection.parts.iter().zip(&changes).map(|(p, c)| (&blocks[p.block], c)).collect();
        on_shards(pool, shards, |s| s.add_changes(&changes));
    }
}

/// What summing over all rows costs, in passes.
const SUMS_COST: f64 = 0.4;
