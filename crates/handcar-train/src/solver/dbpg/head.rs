//! The head: the active keys that most rows have, and how they curve the loss together.
//!
//! Block steps see one block at a time, and within a block of several entries a row only a diagonal bound. What they are
//! slow at lies among few keys that many rows share. For these the Hessian is small enough to be held densely; on large
//! data it is summed over a sample of the rows (the same ones for any number of workers), in integers.

use super::selection::{Part, Selection};
use super::{BlockState, Dbpg};
use crate::error::Result;
use crate::solver::batch::{Block, Columns, Loss, RowData, RowShard, on_shards};
use handcar_kernels::logistic::RowStatistics;

/// One in the fixed-point form of correlations.
const ONE: f64 = (1u64 << 30) as f64;

/// Keys at most: their Hessian takes 8 MiB.
pub(super) const KEYS_MAX: usize = 1024;
/// Products of two entries to be summed at most, about: as long as a few passes over a block.
const PRODUCTS_MAX: f64 = 3e7;
/// What a product costs, in entries of a pass.
const PRODUCT_COST: f64 = 0.5;
/// Rows at a time.
const CHUNK: usize = 1024;
/// A key must have this many sampled rows.
const SAMPLES_MIN: f64 = 30.0;
/// The head's keys, and how its Hessian is to be summed.
pub(super) struct Head {
    pub keys: Selection,
    /// Whether these are all active keys, so that a Newton step solves the whole problem.
    pub complete: bool,
    /// Products of two entries to be summed, about.
    products: f64,
    /// Share of the rows that the Hessian is summed over, as a threshold of a 32-bit hash.
    threshold: u64,
}

/// Whether a row is in the sample.
fn sampled(global_row: usize, threshold: u64) -> bool {
    let mixed = (global_row as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 32 < threshold
}

impl Head {
    /// The active keys that most rows have. Every worker chooses the same.
    pub fn choose(states: &[BlockState], rows: u64) -> Self {
        let mut all: Vec<(f64, usize, u32)> = Vec::new();
        for (b, state) in states.iter().enumerate() {
            let active = state.marks.iter().zip(&state.rows).enumerate().filter(|(_, (mark, _))| **mark);
            all.extend(active.map(|(place, (_, &rows))| (rows, b, place as u32)));
        }
        let active = all.len();
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        all.truncate(KEYS_MAX);
        let entries: f64 = all.iter().map(|a| a.0).sum();
        let a_row = entries / rows as f64;
        let rate = (PRODUCTS_MAX / (0.5 * entries * a_row).max(1.0)).min(1.0);
        if rate < 1.0 {
            all.retain(|a| a.0 * rate >= SAMPLES_MIN);
        }
        all.sort_by_key(|a| (a.1, a.2));
        let keys = Selection::new(all.iter().map(|a| (a.1, a.2)));
        Self {
            complete: keys.len == active && rate == 1.0,
            keys,
            products: rate * 0.5 * entries * a_row,
            threshold: (rate * (1u64 << 32) as f64) as u64,
        }
    }

    /// One thread's part of the Hessian: sums of `h·x_j·x_k` for `k <= j`, values scaled into [-1, 1] by block.
    fn gram(&self, shard: &RowShard, data: &RowData, blocks: &[Block], statistics: &[RowStatistics]) -> Vec<i64> {
        let rows: Vec<u32> = shard
            .rows
            .clone()
            .filter(|&row| sampled(data.first_row + row, self.threshold))
            .map(|row| row as u32)
            .collect();
        // By id: 0 for keys outside the head, else 1 + position in it.
        let positions: Vec<Vec<u32>> =
            self.keys.parts.iter().map(|part| positions(part, &blocks[part.block])).collect();
        let mut cursors = vec![0; positions.len()];
        let mut sums = vec![0i64; self.keys.len * (self.keys.len + 1) / 2];
        let mut entries: Vec<Vec<(u32, f32)>> = vec![Vec::new(); CHUNK];
        for rows in rows.chunks(CHUNK) {
            entries.iter_mut().for_each(Vec::clear);
            for ((part, position), cursor) in self.keys.parts.iter().zip(&positions).zip(&mut cursors) {
                gather(&blocks[part.block], rows, position, cursor, &mut entries);
            }
            for (row, entries) in rows.iter().zip(&entries) {
                debug_assert!(entries.is_sorted_by_key(|e| e.0), "ids ascend within a row");
                let h = statistics[*row as usize - shard.rows.start][1];
                for (i, &(j, x)) in entries.iter().enumerate() {
                    let line = &mut sums[j as usize * (j as usize + 1) / 2..][..j as usize + 1];
                    let hx = h as f64 * x as f64;
                    for &(k, y) in &entries[..=i] {
                        line[k as usize] += (hx * y as f64) as i64;
                    }
                }
            }
        }
        sums
    }
}

fn positions(part: &Part, block: &Block) -> Vec<u32> {
    let shift = block.columns.one_hot() as usize;
    let mut position = vec![0u32; block.keys.len() + 1];
    for (j, &place) in part.places.iter().enumerate() {
        position[place as usize + shift] = (part.first + j + 1) as u32;
    }
    position
}

/// Appends a block's entries of these rows to their lists. `cursor`: where entries of later rows begin.
fn gather(block: &Block, rows: &[u32], position: &[u32], cursor: &mut usize, lists: &mut [Vec<(u32, f32)>]) {
    let mut put = |i: usize, id: usize, x: f32| {
        if let Some(p) = position[id].checked_sub(1) {
            lists[i].push((p, x));
        }
    };
    match &block.columns {
        Columns::OneHot8(d) => rows.iter().enumerate().for_each(|(i, &r)| put(i, d[r as usize] as usize, 1.0)),
        Columns::OneHot16(d) => rows.iter().enumerate().for_each(|(i, &r)| put(i, d[r as usize] as usize, 1.0)),
        Columns::OneHot32(d) => rows.iter().enumerate().for_each(|(i, &r)| put(i, d[r as usize] as usize, 1.0)),
        Columns::Ones => (0..rows.len()).for_each(|i| put(i, 1, 1.0)),
        Columns::Entries { rows: at, ids, values } => {
            let scale = 2f32.powi(-block.exponent);
            for (i, &row) in rows.iter().enumerate() {
                *cursor += at[*cursor..].partition_point(|&r| r < row);
                while *cursor < at.len() && at[*cursor] == row {
                    put(i, ids[*cursor] as usize, values.as_ref().map_or(1.0, |v| v[*cursor] * scale));
                    *cursor += 1;
                }
            }
        }
    }
}

impl Dbpg<'_> {
    /// The head of the active keys as they are.
    pub(super) fn head(&self) -> Head {
        Head::choose(&self.states, self.rows_total)
    }

    /// Whether the head holds all active keys, over all rows: then Newton steps solve the whole problem.
    pub fn head_is_complete(&self) -> bool {
        let active: usize = self.states.iter().map(|s| s.places.len()).sum();
        active <= KEYS_MAX && self.head().complete
    }

    /// The Hessian of the loss in the head's weights, at given statistics of the rows; `l2` included.
    pub(super) fn head_hessian(&mut self, head: &Head, statistics: &[Vec<RowStatistics>]) -> Result<Vec<f64>> {
        let Self { pool, shards, data, blocks, .. } = self;
        let parts = std::sync::Mutex::new(vec![0i64; head.keys.len * (head.keys.len + 1) / 2]);
        on_shards(pool, shards, |s| {
            let mine = head.gram(s, data, blocks, &statistics[s.thread]);
            let mut all = parts.lock().unwrap_or_else(|e| e.into_inner());
            all.iter_mut().zip(mine).for_each(|(a, m)| *a += m);
        });
        self.work += PRODUCT_COST * head.products;
        let mine = parts.into_inner().unwrap_or_else(|e| e.into_inner());
        let n = head.keys.len;
        let (sums, error) = self.gram_over_workers(n, mine)?;
        let rate = head.threshold as f64 / (1u64 << 32) as f64;
        let scale = head.keys.collect(|b, _| 2f64.powi(self.blocks[b].exponent));
        let unit = 2f64.powi(self.data.weight_exponent - 30) / rate;
        let l2 = head.keys.collect(|b, _| if self.blocks[b].is_intercept() { 0.0 } else { self.settings.penalty.l2 });
        let mut hessian = vec![0.0; n * n];
        for j in 0..n {
            for k in 0..=j {
                let h = sums[j * (j + 1) / 2 + k] * (unit * scale[j] * scale[k]);
                hessian[j * n + k] = h;
                hessian[k * n + j] = h;
            }
            // Random errors with standard deviation σ move the least eigenvalue of a symmetric matrix by about 2·√n·σ
            // (Wigner); it must not become negative.
            hessian[j * n + j] *= 1.0 + 2.0 * (n as f64).sqrt() * error;
            hessian[j * n + j] += l2[j];
        }
        Ok(hessian)
    }

    /// The lower triangles of all workers added up, and the standard deviation of what rounding did to each element,
    /// relative to the geometric mean of its two diagonal elements.
    fn gram_over_workers(&mut self, n: usize, mine: Vec<i64>) -> Result<(Vec<f64>, f64)> {
        let Some(error) = self.sums.error(self.worker) else {
            let all = self.sums.over_workers(self.worker, mine, Loss::Nothing)?;
            return Ok((all.into_iter().map(|s| s as f64).collect(), 0.0));
        };
        let diagonal = (0..n).map(|j| mine[j * (j + 1) / 2 + j]).collect();
        let diagonal = self.sums.over_workers(self.worker, diagonal, Loss::Nothing)?;
        // As correlations, in [-1, 1], all elements bear the same error.
        let roots: Vec<f64> = diagonal.iter().map(|&d| (d as f64).sqrt()).collect();
        let pairs = || (0..n).flat_map(|j| (0..=j).map(move |k| (j, k)));
        let correlation = |(&s, (j, k)): (&i64, (usize, usize))| {
            if j == k || s == 0 { 0 } else { (s as f64 / (roots[j] * roots[k]) * ONE).round() as i64 }
        };
        let correlations = mine.iter().zip(pairs()).map(correlation).collect();
        let all = self.sums.over_workers(self.worker, correlations, Loss::Rounding)?;
        let element = |(s, (j, k)): (i64, (usize, usize))| {
            if j == k { diagonal[j] as f64 } else { s as f64 / ONE * roots[j] * roots[k] }
        };
        Ok((all.into_iter().zip(pairs()).map(element).collect(), error))
    }
}
