//! The objective at given weights.

use super::{fixed, remote::for_each};
use crate::error::Result;
use crate::loss::{Loss, LossKind, with_loss};
use crate::penalty::ElasticNet;
use handcar_base::{ExactSum, Key};
use handcar_data::{Dataset, Entries};
use handcar_kernels::{Kernel, run};
use handcar_ps::Worker;
use std::ops::Range;

/// Rows scored at a time: their margins stay in the first-level cache.
const CHUNK: usize = 1024;
/// Entries looked up at a time.
const TILE: usize = 64;

/// Weights, and what the objective is there.
pub(crate) struct Found {
    /// Of every key of the data.
    pub weights: Vec<f32>,
    pub intercept: f32,
    /// Of keys that the data may lack, in their order: those of fits before, where there were some.
    pub others: Vec<(Key, f32)>,
    /// Of this worker's rows.
    pub margins: Vec<f64>,
    pub objective: f64,
    pub loss: f64,
    pub nonzeros: u64,
}

impl Found {
    /// Evaluates the objective over the rows of all workers, of which `rows` are this one's. Collective. `example`: the
    /// example weight of a row.
    #[expect(clippy::too_many_arguments, reason = "the parts of an objective")]
    pub fn new(
        worker: &mut Worker,
        data: &Dataset,
        rows: Range<usize>,
        (weights, intercept): (Vec<f32>, f32),
        loss: LossKind,
        penalty: ElasticNet,
        example: &(dyn Fn(usize) -> f32 + Sync),
        threads: usize,
    ) -> Result<Self> {
        let mut margins = vec![0.0; rows.len()];
        let share = rows.len().div_ceil(threads.max(1)).max(1);
        let mut sum = ExactSum::new();
        std::thread::scope(|scope| {
            let shares: Vec<_> = margins
                .chunks_mut(share)
                .enumerate()
                .map(|(t, out)| {
                    let (weights, first) = (&weights, rows.start + t * share);
                    scope.spawn(move || score(data, first, weights, intercept, loss, example, out))
                })
                .collect();
            for share in shares {
                match share.join() {
                    Ok(part) => sum.merge(&part),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        let loss = ExactSum::from_words(&worker.reduce(&sum.to_words())?).value();
        let (mut absolute, mut squares, mut nonzeros) = (ExactSum::new(), ExactSum::new(), 0);
        for w in weights.iter().map(|&w| w as f64).filter(|w| *w != 0.0) {
            absolute.add(w.abs());
            squares.add(w * w);
            nonzeros += 1;
        }
        let objective = loss + penalty.l1 * absolute.value() + 0.5 * penalty.l2 * squares.value();
        Ok(Self { weights, intercept, others: Vec::new(), margins, objective, loss, nonzeros })
    }
}

/// Margins of the rows from `first` on, and their summed loss.
fn score(
    data: &Dataset,
    first: usize,
    weights: &[f32],
    intercept: f32,
    loss: LossKind,
    example: &(dyn Fn(usize) -> f32 + Sync),
    out: &mut [f64],
) -> ExactSum {
    let blocks = data.blocks();
    let mut sum = ExactSum::new();
    let (mut margins, mut losses) = (vec![0i64; CHUNK], vec![0f64; CHUNK]);
    for (c, out) in out.chunks_mut(CHUNK).enumerate() {
        let rows = first + c * CHUNK..first + c * CHUNK + out.len();
        let margins = &mut margins[..out.len()];
        margins.fill(fixed::margin(intercept));
        for block in &blocks {
            let of_block = &weights[block.keys.clone()];
            match block.entries {
                Entries::Dense8(d) => run(AddMargins { ids: &d[rows.clone()], weights: of_block, margins }),
                Entries::Dense16(d) => run(AddMargins { ids: &d[rows.clone()], weights: of_block, margins }),
                Entries::Dense32(d) => run(AddMargins { ids: &d[rows.clone()], weights: of_block, margins }),
                Entries::Sparse { .. } => {
                    for_each(block, &rows, |row, id, x| margins[row] += fixed::margin(weights[id] * x));
                }
            }
        }
        out.iter_mut().zip(&*margins).for_each(|(m, &sum)| *m = fixed::margin_value(sum));
        let losses = &mut losses[..out.len()];
        with_loss!(loss, loss => run(Losses(loss, out, &data.labels()[rows.clone()], losses)));
        for (row, l) in rows.zip(&*losses) {
            sum.add(l * example(row) as f64);
        }
    }
    sum
}

/// Looks weights up a tile at a time, then turns them into contributions side by side.
struct AddMargins<'a, I> {
    /// 0 for no entry, else 1 + id.
    ids: &'a [I],
    weights: &'a [f32],
    margins: &'a mut [i64],
}

impl<I: Copy + Into<u32>> Kernel for AddMargins<'_, I> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut found = [0f32; TILE];
        for (ids, margins) in self.ids.chunks(TILE).zip(self.margins.chunks_mut(TILE)) {
            for (w, &id) in found.iter_mut().zip(ids) {
                // The id before 0 is none of the block's.
                *w = self.weights.get(id.into().wrapping_sub(1) as usize).copied().unwrap_or(0.0);
            }
            for (m, &w) in margins.iter_mut().zip(&found) {
                *m += fixed::margin(w);
            }
        }
    }
}

struct Losses<'a, L>(L, &'a [f64], &'a [f32], &'a mut [f64]);

impl<L: Loss> Kernel for Losses<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self(loss, margins, labels, out) = self;
        for ((out, &m), &y) in out.iter_mut().zip(margins).zip(labels) {
            *out = loss.value(m, y);
        }
    }
}
