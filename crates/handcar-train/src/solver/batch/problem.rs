//! From a data set to rows that a batch solver can work on: screening, narrow columns, shares of threads.

use super::block::Block;
use super::fields::{by_field, joined};
use super::rows::{RowData, RowShard};
use super::screen::screen;
use super::sums::Sums;
use crate::error::{Result, TrainError};
use crate::loss::LossKind;
use crate::solver::table_name;
use handcar_base::{ExactSum, Key, KeyList};
use handcar_data::{ColumnBlock, Dataset, Entries};
use handcar_ps::{Worker, filter::TableFilters};
use std::ops::Range;

/// What the rows are prepared for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    pub loss: LossKind,
    /// Keys that this keeps at zero for certain are left out, if the loss is logistic.
    pub l1: f64,
    pub intercept: bool,
    /// Whether every field is to be one block.
    pub by_field: bool,
    pub threads: usize,
    /// Which of the job's solvers this is: tables of several must not share a name.
    pub stage: usize,
}

/// A worker's rows with the columns of all keys that survived screening.
pub(crate) struct Problem {
    pub data: RowData,
    /// The intercept's comes last.
    pub blocks: Vec<Block>,
    /// For each key `Σ_i c_i·|x_ik|` over the rows of all workers.
    pub mass: Vec<Vec<f64>>,
    /// One for each thread.
    pub shards: Vec<RowShard>,
    pub pool: Option<rayon::ThreadPool>,
    pub sums: Sums,
    /// Rows of all workers that count.
    pub rows_total: u64,
}

impl Problem {
    /// Collective. `weights`: example weights of these rows, if they are not all one.
    pub fn new(
        worker: &mut Worker,
        data: &Dataset,
        rows: Range<usize>,
        weights: Option<Vec<f32>>,
        task: Task,
        filters: &TableFilters,
    ) -> Result<Self> {
        let views: Vec<ColumnBlock<'_>> = data.blocks().iter().map(|b| b.rows(rows.clone())).collect();
        if task.by_field {
            check_scales(worker, &views)?;
        }
        let fields = task.by_field.then(|| joined(&views, rows.start));
        let views = fields.as_ref().map_or_else(|| views.clone(), |fields| by_field(&views, fields));
        let labels = data.labels()[rows.clone()].to_vec();
        let sums = Sums::new(worker, filters, &table_name("sums", task.stage))?;
        let logistic = task.loss == LossKind::Logistic;
        // Screening rests on slopes of at most one. No sum of magnitudes is below zero: all keys survive a threshold of -1.
        let l1 = if logistic { task.l1 } else { -1.0 };
        let kept = screen(worker, sums, &views, rows.start, &labels, weights.as_deref(), l1)?;
        let rows_total = rows_that_count(worker, &labels, weights.as_deref(), logistic)?;

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
        if task.intercept {
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
        let threads = task.threads.max(1);
        let pool = match threads {
            1 => None,
            n => Some(rayon::ThreadPoolBuilder::new().num_threads(n).build().map_err(|e| TrainError::Option {
                what: "threads",
                expected: "that the system grants",
                got: format!("{n} ({e})"),
            })?),
        };
        let shards = split(rows.len(), threads).enumerate().map(|(t, rows)| RowShard::new(t, rows)).collect();
        Ok(Self { data, blocks, mass, shards, pool, sums, rows_total })
    }
}

/// Runs on every thread's rows.
pub(crate) fn on_shards(
    pool: &Option<rayon::ThreadPool>,
    shards: &mut [RowShard],
    work: impl Fn(&mut RowShard) + Sync + Send,
) {
    use rayon::prelude::*;
    match pool {
        None => shards.iter_mut().for_each(work),
        Some(pool) => pool.install(|| shards.par_iter_mut().for_each(work)),
    }
}

/// Adds every thread's sums to the first one's.
pub(crate) fn merge(shards: &mut [RowShard], block: &Block) {
    let Some((first, rest)) = shards.split_first_mut() else { return };
    for shard in rest {
        for (a, b) in first.sums(block).iter_mut().zip(shard.sums(block)) {
            a[0] += b[0];
            a[1] += b[1];
        }
    }
}

pub(crate) fn key_list(keys: Vec<Key>) -> Result<KeyList> {
    KeyList::new(keys)
        .map_err(|e| TrainError::Data { expected: "ascending keys in the data set".into(), got: e.to_string() })
}

/// Contiguous shares of `n` rows, whole chunks of 64 so that no two threads share a cache line.
fn split(n: usize, threads: usize) -> impl Iterator<Item = Range<usize>> {
    let cut = move |t: usize| if t == threads { n } else { n * t / threads / 64 * 64 };
    (0..threads).map(move |t| cut(t)..cut(t + 1))
}

/// Rows of all workers with a positive weight. Refuses rows that all have one label where their loss then has no minimum.
fn rows_that_count(worker: &mut Worker, labels: &[f32], weights: Option<&[f32]>, both_classes: bool) -> Result<u64> {
    let mut counts = [0i64; 2];
    for (i, &y) in labels.iter().enumerate() {
        counts[(y > 0.0) as usize] += weights.is_none_or(|w| w[i] != 0.0) as i64;
    }
    let counts = worker.reduce(&counts)?;
    let refuse = |expected: &str, got: String| Err(TrainError::Data { expected: expected.into(), got });
    match counts[..] {
        [0, 0] => refuse("at least one row with a positive weight", "none".into()),
        [n, 0] if both_classes => refuse("rows of both classes", format!("{n} rows, all of the negative class")),
        [0, n] if both_classes => refuse("rows of both classes", format!("{n} rows, all of the positive class")),
        [down, up] => Ok((down + up) as u64),
        _ => unreachable!("as many sums as were given"),
    }
}

/// Sum of the example weights of all workers.
fn rows_mass(worker: &mut Worker, weights: Option<&[f32]>, rows: usize) -> Result<f64> {
    let mine: ExactSum = match weights {
        None => std::iter::once(rows as f64).collect(),
        Some(w) => w.iter().map(|&c| c as f64).collect(),
    };
    Ok(ExactSum::from_words(&worker.reduce(&mine.to_words())?).value())
}

/// How many powers of two the largest values of a field's blocks may be apart: joined, they share the fixed point of the largest, and those of
/// the smallest must keep enough digits for gradients that are certified.
const SCALES_APART: i32 = 12;

/// Refuses fields whose blocks are of very different size.
fn check_scales(worker: &mut Worker, blocks: &[ColumnBlock<'_>]) -> Result<()> {
    let all = exponents(worker, blocks, None)?;
    let mut at = 0;
    for field in blocks.chunk_by(|a, b| a.field == b.field) {
        let of_field = &all[at..at + field.len()];
        at += field.len();
        let (least, most) = of_field.iter().fold((i32::MAX, i32::MIN), |(a, b), &e| (a.min(e), b.max(e)));
        if most - least > SCALES_APART {
            let expected = "values of one field within a factor of 4096 of each other, for a group lasso (scale the larger ones, or make \
                            a field of them)";
            let got = format!("some near 2^{least} and some near 2^{most} in field {}", field[0].field);
            return Err(TrainError::Data { expected: expected.into(), got });
        }
    }
    Ok(())
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
