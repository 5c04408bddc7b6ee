//! From a data set to a solve that can start: screening, narrow columns, tables on the servers.

use super::block::{Block, Columns};
use super::request::Request;
use super::rows::{Change, RowData, RowShard};
use super::screen::screen;
use super::sums::{Loss, Sums};
use super::{BlockState, Dbpg, Settings, updater};
use crate::error::{Result, TrainError};
use crate::solver::table_name;
use handcar_base::{Key, KeyList};
use handcar_data::{ColumnBlock, Dataset, Entries};
use handcar_ps::filter::TableFilters;
use handcar_ps::{Policy, Worker};
use std::ops::Range;

/// One in the fixed-point form of curvature bounds.
const CAP_ONE: f64 = (1u64 << 20) as f64;

impl<'w> Dbpg<'w> {
    /// Prepares a solve over `rows` of the data. Collective.
    ///
    /// `weights`: example weights of these rows, if they are not all one. `start`: the weight to
    /// begin with of each key of the data, by its index, and of the intercept (`None`).
    #[expect(clippy::too_many_arguments, reason = "a job's parts, each of another kind")]
    pub fn new(
        worker: &'w mut Worker,
        data: &Dataset,
        rows: Range<usize>,
        weights: Option<Vec<f32>>,
        threads: usize,
        settings: Settings,
        filters: &TableFilters,
        start: &dyn Fn(Option<usize>) -> f32,
    ) -> Result<Self> {
        let views: Vec<ColumnBlock<'_>> = data.blocks().iter().map(|b| b.rows(rows.clone())).collect();
        let labels = data.labels()[rows.clone()].to_vec();
        let sums = Sums::new(worker, filters, &table_name("sums", settings.stage))?;
        let kept = screen(worker, sums, &views, rows.start, &labels, weights.as_deref(), settings.penalty.l1)?;
        let rows_total = rows_that_count(worker, &labels, weights.as_deref())?;

        let exponents = exponents(worker, &views, weights.as_deref())?;
        let weight_exponent = exponents.last().copied().unwrap_or(0);
        let used = |i: &usize| !kept[*i].ids.is_empty();
        let mut mass: Vec<Vec<f64>> = (0..views.len()).filter(used).map(|i| kept[i].mass.clone()).collect();
        let mut blocks: Vec<Block> = (0..views.len())
            .filter(used)
            .map(|i| Block::compact(&views[i], rows.start, &kept[i], data.keys(), exponents[i]))
            .collect();
        let incomplete: Vec<i64> = blocks.iter().map(|b| b.incomplete_here() as i64).collect();
        for (block, incomplete) in blocks.iter_mut().zip(worker.reduce_max(&incomplete)?) {
            block.complete = incomplete == 0;
        }
        if settings.intercept {
            blocks.push(Block::intercept());
            mass.push(vec![rows_mass(worker, weights.as_deref(), rows.len())?]);
        }
        drop(kept);

        let scale = 2f32.powi(-weight_exponent);
        let data = RowData {
            labels,
            weights: weights.map_or(Vec::new(), |w| w.into_iter().map(|c| c * scale).collect()),
            weight_exponent,
            first_row: rows.start,
        };
        let pool = match threads.max(1) {
            1 => None,
            n => Some(rayon::ThreadPoolBuilder::new().num_threads(n).build().map_err(|e| TrainError::Option {
                what: "threads",
                expected: "that the system grants",
                got: format!("{n} ({e})"),
            })?),
        };
        let shards = split(rows.len(), threads.max(1)).enumerate().map(|(t, rows)| RowShard::new(t, rows)).collect();
        worker.set_policy(Policy::BoundedDelay(settings.delay as u64));
        let params = updater::params(settings.penalty);
        let table =
            worker.create_table_with(&table_name("weights", settings.stage), updater::NAME, &params, filters)?;
        let all: Vec<Key> = blocks.iter().flat_map(|b| b.keys.iter().copied()).collect();
        worker.insert(table, &key_list(all)?).wait()?;
        let counts = key_rows(worker, sums, &blocks, &mass)?;
        let states = blocks.iter().zip(counts).map(|(b, rows)| BlockState::new(b, rows)).collect::<Result<_>>()?;
        let mut solve = Self {
            worker,
            settings,
            table,
            sums,
            data,
            blocks,
            states,
            shards,
            pool,
            pending: Vec::new(),
            rows_total,
            violation: f64::INFINITY,
            dual: 0.0,
            work: 0.0,
            step_keys: (0, 0),
        };
        solve.push_caps(&mass)?;
        solve.push_start(start)?;
        Ok(solve)
    }

    /// Tells the servers each key's curvature bound that always holds: `Σ_i m_i·c_i·x_ik²/4`, where `m_i` is the number
    /// of entries of row `i` that may move together: those in the block at τ = 0, else those in any τ+1 blocks, at most
    /// τ+1 times the most in one.
    fn push_caps(&mut self, mass: &[Vec<f64>]) -> Result<()> {
        let together = self.settings.delay as f64 + 1.0;
        let mixed = self.blocks.iter().any(|b| !b.columns.one_hot());
        let row_most = (mixed && self.settings.delay > 0).then(|| self.row_most());
        for (i, mass) in mass.iter().enumerate() {
            let block = &self.blocks[i];
            let exponent = 2 * block.exponent + self.data.weight_exponent;
            let mut values = vec![0i64; 2 * block.keys.len()];
            if block.columns.one_hot() && row_most.is_none() {
                // The mass is joined over workers already: one of them tells it.
                if self.worker.rank() == 0 {
                    let scale = together * 0.25 * CAP_ONE * 2f64.powi(-exponent);
                    values.chunks_exact_mut(2).zip(mass).for_each(|(v, m)| v[0] = (m * scale).ceil() as i64);
                }
            } else {
                for (v, cap) in values.chunks_exact_mut(2).zip(self.caps_here(block, row_most.as_deref(), together)) {
                    v[0] = (cap * 0.25 * CAP_ONE).ceil() as i64;
                }
            }
            let request = Request::Cap { scale: 2f64.powi(exponent) / CAP_ONE };
            let keys = self.states[i].all.clone();
            self.exactly(&keys, values, request, false).wait()?;
        }
        Ok(())
    }

    /// `Σ_i m_i·c_i·x_ik²` over this worker's rows, values and weights scaled into `[-1, 1]`.
    fn caps_here(&self, block: &Block, row_most: Option<&[u32]>, together: f64) -> Vec<f64> {
        let mut caps = vec![0.0; block.keys.len()];
        let weight = |row: usize| if self.data.weights.is_empty() { 1.0 } else { self.data.weights[row] as f64 };
        let multiple =
            |row: usize, here: usize| row_most.map_or(here as f64, |most| together * most[row].max(1) as f64);
        match &block.columns {
            Columns::OneHot8(d) => one_hot_caps(d.iter().map(|&i| i as usize), &weight, &multiple, &mut caps),
            Columns::OneHot16(d) => one_hot_caps(d.iter().map(|&i| i as usize), &weight, &multiple, &mut caps),
            Columns::OneHot32(d) => one_hot_caps(d.iter().map(|&i| i as usize), &weight, &multiple, &mut caps),
            Columns::Ones => {
                caps[0] = (0..self.data.labels.len()).map(|row| weight(row) * multiple(row, 1)).sum();
            }
            Columns::Entries { rows, ids, values } => {
                let scale = 2f64.powi(-block.exponent);
                for run in runs(rows) {
                    let row = rows[run.start] as usize;
                    let m = weight(row) * multiple(row, run.len());
                    for e in run {
                        let x = values.as_ref().map_or(1.0, |v| v[e] as f64 * scale);
                        caps[ids[e] as usize] += m * x * x;
                    }
                }
            }
        }
        caps
    }

    /// The most entries that each row has in one block.
    fn row_most(&self) -> Vec<u32> {
        let mut most = vec![1u32; self.data.labels.len()];
        for block in &self.blocks {
            if let Columns::Entries { rows, .. } = &block.columns {
                for run in runs(rows) {
                    let m = &mut most[rows[run.start] as usize];
                    *m = (*m).max(run.len() as u32);
                }
            }
        }
        most
    }

    /// Puts the weights to begin with on the servers and into the margins.
    fn push_start(&mut self, start: &dyn Fn(Option<usize>) -> f32) -> Result<()> {
        for i in 0..self.blocks.len() {
            let block = &self.blocks[i];
            let weights: Vec<f32> = match block.is_intercept() {
                true => vec![start(None)],
                false => block.index.iter().map(|&k| start(Some(k as usize))).collect(),
            };
            // Equal on all workers, so all skip the same blocks.
            if weights.iter().all(|&w| w == 0.0) {
                continue;
            }
            let mine = self.worker.rank() == 0;
            let values: Vec<i64> =
                weights.iter().flat_map(|w| [if mine { w.to_bits() as i64 } else { 0 }, 0]).collect();
            let keys = self.states[i].all.clone();
            self.exactly(&keys, values, Request::Start, false).wait()?;
            let (block, state) = (&self.blocks[i], &mut self.states[i]);
            for (c, &w) in state.change.of_keys(block).iter_mut().zip(&weights) {
                *c = w as f64;
            }
            state.before.clone_from(&weights);
            state.weights = weights;
            self.pending.push(i);
        }
        Ok(())
    }
}

impl BlockState {
    fn new(block: &Block, rows: Vec<f64>) -> Result<Self> {
        let n = block.keys.len();
        let all = key_list(block.keys.clone())?;
        Ok(Self {
            active: all.clone(),
            all,
            places: (0..n as u32).collect(),
            weights: vec![0.0; n],
            before: vec![0.0; n],
            marks: vec![true; n],
            rows,
            trust: 1.0,
            change: Change::for_block(block),
            pushed: Vec::new(),
            pulled: Vec::new(),
        })
    }
}

pub(super) fn key_list(keys: Vec<Key>) -> Result<KeyList> {
    KeyList::new(keys)
        .map_err(|e| TrainError::Data { expected: "ascending keys in the data set".into(), got: e.to_string() })
}

/// Contiguous shares of `n` rows, whole chunks of 64 so that no two threads share a cache line.
fn split(n: usize, threads: usize) -> impl Iterator<Item = Range<usize>> {
    let cut = move |t: usize| if t == threads { n } else { n * t / threads / 64 * 64 };
    (0..threads).map(move |t| cut(t)..cut(t + 1))
}

/// Positions of each row's entries.
fn runs(rows: &[u32]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let row = *rows.get(at)?;
        let start = at;
        at += rows[at..].iter().take_while(|&&r| r == row).count();
        Some(start..at)
    })
}

fn one_hot_caps(
    ids: impl Iterator<Item = usize>,
    weight: &dyn Fn(usize) -> f64,
    multiple: &dyn Fn(usize, usize) -> f64,
    caps: &mut [f64],
) {
    for (row, id) in ids.enumerate().filter(|(_, id)| *id > 0) {
        caps[id - 1] += weight(row) * multiple(row, 1);
    }
}

/// How many rows of all workers have each key; for one-hot blocks their mass says so, if rows weigh one on average.
fn key_rows(worker: &mut Worker, sums: Sums, blocks: &[Block], mass: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
    let mut counts = Vec::with_capacity(blocks.len());
    for (block, mass) in blocks.iter().zip(mass) {
        let Columns::Entries { ids, .. } = &block.columns else {
            counts.push(mass.clone());
            continue;
        };
        let mut here = vec![0i64; block.keys.len()];
        ids.iter().for_each(|&id| here[id as usize] += 1);
        counts.push(sums.over_workers(worker, here, Loss::Nothing)?.into_iter().map(|n| n as f64).collect());
    }
    Ok(counts)
}

/// Rows of all workers with a positive weight. Refuses rows that all have one label: their loss has no minimum.
fn rows_that_count(worker: &mut Worker, labels: &[f32], weights: Option<&[f32]>) -> Result<u64> {
    let mut counts = [0i64; 2];
    for (i, &y) in labels.iter().enumerate() {
        counts[(y > 0.0) as usize] += weights.is_none_or(|w| w[i] != 0.0) as i64;
    }
    let counts = worker.reduce(&counts)?;
    let refuse = |expected: &str, got: String| Err(TrainError::Data { expected: expected.into(), got });
    match counts[..] {
        [0, 0] => refuse("at least one row with a positive weight", "none".into()),
        [n, 0] => refuse("rows of both classes", format!("{n} rows, all of the negative class")),
        [0, n] => refuse("rows of both classes", format!("{n} rows, all of the positive class")),
        [down, up] => Ok((down + up) as u64),
        _ => unreachable!("as many sums as were given"),
    }
}

/// Sum of the example weights of all workers.
fn rows_mass(worker: &mut Worker, weights: Option<&[f32]>, rows: usize) -> Result<f64> {
    let mine: handcar_base::ExactSum = match weights {
        None => std::iter::once(rows as f64).collect(),
        Some(w) => w.iter().map(|&c| c as f64).collect(),
    };
    Ok(handcar_base::ExactSum::from_words(&worker.reduce(&mine.to_words())?).value())
}

/// For each block the exponent `e` with `|x| <= 2^e` over all workers; last that of the example weights.
fn exponents(worker: &mut Worker, blocks: &[ColumnBlock<'_>], weights: Option<&[f32]>) -> Result<Vec<i32>> {
    fn exponent(values: &[f32]) -> i64 {
        let most = values.iter().fold(0f32, |m, x| m.max(x.abs()));
        if most == 0.0 {
            i32::MIN as i64
        } else {
            most.log2().ceil() as i64 + (most > most.log2().ceil().exp2()) as i64
        }
    }
    let mut mine: Vec<i64> = blocks
        .iter()
        .map(|b| match b.entries {
            Entries::Sparse { values: Some(v), .. } => exponent(v),
            _ => 0,
        })
        .collect();
    mine.push(weights.map_or(0, exponent));
    Ok(worker.reduce_max(&mine)?.into_iter().map(|e| e.clamp(-120, 120) as i32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_all_rows_once() {
        for (n, threads) in [(0, 2), (63, 2), (1000, 3), (64, 1)] {
            let parts: Vec<_> = split(n, threads).collect();
            assert_eq!((parts[0].start, parts[threads - 1].end), (0, n));
            assert!(parts.windows(2).all(|p| p[0].end == p[1].start));
        }
    }
}
