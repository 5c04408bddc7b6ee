//! One thread's share of a worker's rows: margins, and the tables that sums over rows go to.

use super::block::{Block, Columns};
use super::change::Change;
use super::tables::Tables;
use handcar_base::ExactSum;
use handcar_kernels::columns::{self, ColumnSums};
use handcar_kernels::elementary::exp_nonpositive;
use handcar_kernels::huge_pages;
use handcar_kernels::logistic::{self, RowStatistics};
use std::ops::Range;

/// Rows handled at a time: margins, labels and statistics of a chunk stay in the first-level cache.
const CHUNK: usize = 1024;

/// What a worker knows of its rows.
pub(crate) struct RowData {
    /// ±1.
    pub labels: Vec<f32>,
    /// Example weights divided by `2^weight_exponent`; empty for all ones. A held-out row has weight 0.
    pub weights: Vec<f32>,
    pub weight_exponent: i32,
    /// Where this worker's rows start among those of all workers.
    pub first_row: usize,
}

impl RowData {
    /// The true example weight of a row.
    pub fn weight(&self, row: usize) -> f64 {
        if self.weights.is_empty() { 1.0 } else { self.weights[row] as f64 * 2f64.powi(self.weight_exponent) }
    }

    /// Example weights of some rows, scaled; none if all are one.
    pub fn weights(&self, rows: Range<usize>) -> &[f32] {
        if self.weights.is_empty() { &[] } else { &self.weights[rows] }
    }
}

/// How a curvature bound is formed for a block with several entries a row.
#[derive(Clone, Copy)]
pub(crate) enum Curvature {
    /// From the current model: no weight of the block will move further than this.
    Within(f64),
    /// Not needed: the servers hold a bound that always holds.
    None,
}

/// What the second half of a row's statistics is, beside a gradient.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Second {
    /// The curvature.
    Curvature,
    /// The gradient of rows of the other class.
    Class,
    /// What is left of the gradient, times 2^30.
    Rest,
}

impl Second {
    /// The statistics of an entry of this value, in `[-1, 1]`.
    #[inline(always)]
    fn times(self, [g, h]: RowStatistics, x: f64) -> [i64; 2] {
        let (g, h) = (g as f64 * x, h as f64 * x);
        match self {
            Self::Curvature => [g as i64, (h * x) as i64],
            Self::Class => [g.round() as i64, h.round() as i64],
            Self::Rest => [g as i64, ((g - g.trunc()) * logistic::ONE as f64 + h).round() as i64],
        }
    }
}

/// A thread's rows.
pub(crate) struct RowShard {
    /// Which thread.
    pub thread: usize,
    /// Which of the worker's rows.
    pub rows: Range<usize>,
    /// `⟨x_i, w⟩` of each row, intercept included.
    pub margins: Vec<f64>,
    statistics: Vec<RowStatistics>,
    tables: Tables,
}

impl RowShard {
    pub fn new(thread: usize, rows: Range<usize>) -> Self {
        let margins = vec![0.0; rows.len()];
        huge_pages::advise(&margins);
        Self { thread, margins, statistics: vec![[0; 2]; CHUNK], tables: Tables::new(), rows }
    }

    /// Adds pending changes to the margins and, in the same sweep, sums the rows' gradient and curvature over the
    /// columns of `next`; [`sums`](Self::sums) then holds them.
    pub fn sweep(&mut self, data: &RowData, pending: &[(&Block, &Change)], next: &Block, curvature: Curvature) {
        self.tables.clear(next);
        if let Columns::Entries { .. } = &next.columns {
            self.add_changes(pending);
            self.scatter_entries(data, next, curvature);
            return;
        }
        self.for_each_chunk(pending, |shard, local| {
            let rows = shard.rows.start + local.start..shard.rows.start + local.end;
            let statistics = &mut shard.statistics[..local.len()];
            let (labels, weights) = (&data.labels[rows.clone()], data.weights(rows.clone()));
            logistic::statistics(&shard.margins[local.clone()], labels, weights, statistics);
            shard.tables.scatter_one_hot(next, rows, statistics);
        });
        self.tables.merge_replicas(next);
    }

    /// Adds pending changes to the margins.
    pub fn add_changes(&mut self, pending: &[(&Block, &Change)]) {
        self.for_each_chunk(pending, |_, _| {});
    }

    /// Runs `then` on every chunk of rows after adding pending changes to its margins.
    fn for_each_chunk(&mut self, pending: &[(&Block, &Change)], mut then: impl FnMut(&mut Self, Range<usize>)) {
        let n = self.margins.len();
        let mut cursors: Vec<usize> = pending.iter().map(|(b, _)| first_entry(b, self.rows.start)).collect();
        let mut start = 0;
        while start < n {
            let end = (start + CHUNK).min(n);
            let rows = self.rows.start + start..self.rows.start + end;
            let margins = &mut self.margins[start..end];
            for ((block, change), cursor) in pending.iter().zip(&mut cursors) {
                match (&block.columns, change) {
                    (Columns::OneHot8(ids), Change::Small(c)) => {
                        columns::add_to_margins_u8(margins, &ids[rows.clone()], c);
                    }
                    (Columns::OneHot16(ids), Change::Medium(c)) => {
                        columns::add_to_margins_u16(margins, &ids[rows.clone()], c);
                    }
                    (Columns::OneHot32(ids), Change::Large(c)) => {
                        columns::add_to_margins_u32(margins, &ids[rows.clone()], c);
                    }
                    (Columns::Entries { rows: at, ids, values }, Change::Large(c)) => {
                        while *cursor < at.len() && (at[*cursor] as usize) < rows.end {
                            let x = values.as_ref().map_or(1.0, |v| v[*cursor] as f64);
                            margins[at[*cursor] as usize - rows.start] += x * c[ids[*cursor] as usize];
                            *cursor += 1;
                        }
                    }
                    (Columns::Ones, Change::Large(c)) => margins.iter_mut().for_each(|m| *m += c[0]),
                    _ => unreachable!("a change is made for its block"),
                }
            }
            then(self, start..end);
            start = end;
        }
    }

    /// The sums of the last sweep, one for each of the block's keys.
    pub fn sums(&mut self, block: &Block) -> &mut [ColumnSums] {
        self.tables.of_keys(block)
    }

    /// Gradient and safe curvature over the columns of a block with several entries a row (`algorithms`: a diagonal
    /// bound is safe when each row's curvature is multiplied by its number of entries in the block).
    fn scatter_entries(&mut self, data: &RowData, block: &Block, curvature: Curvature) {
        let Columns::Entries { rows, ids, values } = &block.columns else { return };
        let scale = 2f64.powi(-block.exponent);
        let mut at = first_entry(block, self.rows.start);
        let end = first_entry(block, self.rows.end);
        let (mut margins, mut labels, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        let mut runs: Vec<Range<usize>> = Vec::with_capacity(CHUNK);
        while at < end {
            margins.clear();
            labels.clear();
            weights.clear();
            runs.clear();
            while at < end && runs.len() < CHUNK {
                let row = rows[at];
                let length = rows[at..end].iter().take_while(|&&r| r == row).count();
                runs.push(at..at + length);
                at += length;
                margins.push(self.margins[row as usize - self.rows.start]);
                labels.push(data.labels[row as usize]);
                weights.extend_from_slice(data.weights(row as usize..row as usize + 1));
            }
            let statistics = &mut self.statistics[..runs.len()];
            logistic::statistics(&margins, &labels, &weights, statistics);
            for (j, (run, s)) in runs.iter().zip(statistics.iter()).enumerate() {
                let cap = 0.25 * logistic::ONE as f64 * weights.get(j).map_or(1.0, |&c| c as f64);
                let h = match curvature {
                    Curvature::None => 0.0,
                    Curvature::Within(trust) => {
                        let reach: f64 = match values {
                            None => run.len() as f64 * trust,
                            Some(v) => v[run.clone()].iter().map(|x| x.abs() as f64).sum::<f64>() * trust,
                        };
                        // |d ln(q(1-q))/dm| <= 1; capped before multiplying, so that 0·inf cannot arise.
                        run.len() as f64 * (s[1] as f64 / exp_nonpositive(-reach.min(30.0))).min(cap)
                    }
                };
                for e in run.clone() {
                    let sum = &mut self.tables.large[ids[e] as usize];
                    match values {
                        None => {
                            sum[0] += s[0] as i64;
                            sum[1] += h as i64;
                        }
                        Some(v) => {
                            let x = v[e] as f64 * scale;
                            sum[0] += (s[0] as f64 * x) as i64;
                            sum[1] += (h * x * x) as i64;
                        }
                    }
                }
            }
        }
    }

    /// The loss over this thread's rows.
    pub fn loss(&self, data: &RowData) -> ExactSum {
        let mut sum = ExactSum::new();
        let mut out = [0.0; CHUNK];
        for start in (0..self.margins.len()).step_by(CHUNK) {
            let end = (start + CHUNK).min(self.margins.len());
            let out = &mut out[..end - start];
            let first = self.rows.start + start;
            logistic::losses(&self.margins[start..end], &data.labels[first..first + out.len()], out);
            for (i, &l) in out.iter().enumerate() {
                if data.weights.is_empty() {
                    sum.add(l);
                } else {
                    sum.add(l * data.weight(first + i));
                }
            }
        }
        sum
    }

    /// Row statistics of all rows at the current margins; kept for a whole certificate.
    pub fn all_statistics(&self, data: &RowData) -> Vec<RowStatistics> {
        let mut out = vec![[0; 2]; self.rows.len()];
        logistic::statistics(&self.margins, &data.labels[self.rows.clone()], data.weights(self.rows.clone()), &mut out);
        out
    }

    /// Sums given statistics of all rows over the columns of a block.
    pub fn scatter(&mut self, all: &[RowStatistics], block: &Block, second: Second) {
        self.tables.clear(block);
        if let Columns::Entries { rows, ids, values } = &block.columns {
            let scale = 2f64.powi(-block.exponent);
            for e in first_entry(block, self.rows.start)..first_entry(block, self.rows.end) {
                let s = all[rows[e] as usize - self.rows.start];
                let sum = &mut self.tables.large[ids[e] as usize];
                let [a, b] = match values {
                    None => [s[0] as i64, s[1] as i64],
                    Some(v) => second.times(s, v[e] as f64 * scale),
                };
                *sum = [sum[0] + a, sum[1] + b];
            }
            return;
        }
        for start in (0..all.len()).step_by(CHUNK) {
            let end = (start + CHUNK).min(all.len());
            self.tables.scatter_one_hot(block, self.rows.start + start..self.rows.start + end, &all[start..end]);
        }
        self.tables.merge_replicas(block);
    }
}

/// Index of the first entry of a row or a later one; 0 for one-hot blocks.
fn first_entry(block: &Block, row: usize) -> usize {
    match &block.columns {
        Columns::Entries { rows, .. } => rows.partition_point(|&r| (r as usize) < row),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use handcar_base::{Rng, Seed};

    /// The loss's model of gradient and curvature sums lies above the loss wherever no weight of the block moves further
    /// than the trust region, for rows with several entries of any values.
    #[test]
    fn the_curvature_bound_majorises_the_loss_inside_the_trust_region() {
        let mut r = Rng::new(Seed(21), 0);
        for case in 0..200 {
            let (n, keys) = (1 + r.below(30) as usize, 5usize);
            let (mut rows, mut ids, mut values) = (Vec::new(), Vec::new(), Vec::new());
            for row in 0..n as u32 {
                for id in (0..keys as u32).filter(|_| r.below(2) == 0).collect::<Vec<_>>() {
                    rows.push(row);
                    ids.push(id);
                    values.push((r.uniform() * 8.0 - 4.0) as f32);
                }
            }
            let columns = Columns::Entries { rows, ids, values: (case % 2 == 0).then_some(values) };
            let block = Block {
                keys: (0..keys as u64).collect(),
                index: (0..keys as u32).collect(),
                columns,
                exponent: if case % 2 == 0 { 2 } else { 0 },
                complete: false,
            };
            let labels = (0..n).map(|_| if r.below(2) == 0 { 1.0 } else { -1.0 }).collect();
            let data = RowData { labels, weights: Vec::new(), weight_exponent: 0, first_row: 0 };
            let mut shard = RowShard::new(0, 0..n);
            shard.margins.iter_mut().for_each(|m| *m = r.uniform() * 8.0 - 4.0);
            let before = shard.loss(&data).value();
            let trust = 0.05 + r.uniform();
            shard.sweep(&data, &[], &block, Curvature::Within(trust));
            let sums = shard.sums(&block).to_vec();
            let (one, scale) = (2f64.powi(-30), 2f64.powi(block.exponent));
            for _ in 0..20 {
                let mut change = Change::for_block(&block);
                let mut model = before;
                for (d, [g, h]) in change.of_keys(&block).iter_mut().zip(&sums) {
                    *d = (r.uniform() * 2.0 - 1.0) * trust;
                    model += *g as f64 * one * scale * *d + 0.5 * *h as f64 * one * scale * scale * *d * *d;
                }
                let mut moved = RowShard::new(0, 0..n);
                moved.margins.clone_from(&shard.margins);
                moved.add_changes(&[(&block, &change)]);
                let after = moved.loss(&data).value();
                assert!(after <= model + 1e-6 * before, "case {case}: {after} > {model}");
            }
        }
    }
}
