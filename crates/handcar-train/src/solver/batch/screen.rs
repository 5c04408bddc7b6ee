//! Safe screening: keys whose weight is zero at every optimum, found before training from two sums a key.
//!
//! For a loss with |dloss| <= 1, `|g_k| <= max(Σ_{y_i x_ik > 0} c_i|x_ik|, Σ_{y_i x_ik < 0} c_i|x_ik|)` at any weights
//! (`c_i`: example weights). A key whose bound is at most `l1` stays zero, so it never needs to travel.

use super::sums::{Loss, Sums};
use crate::error::Result;
use handcar_data::{ColumnBlock, Entries};
use handcar_ps::Worker;

/// One in the fixed-point form of the sums.
const ONE: f64 = (1u64 << 20) as f64;

/// The keys of a block that may be nonzero.
pub(crate) struct Kept {
    /// Ids within the block, ascending.
    pub ids: Vec<u32>,
    /// For each of them `Σ_i c_i·|x_ik|` over the rows of all workers.
    pub mass: Vec<f64>,
}

/// Sums of `c·|x|` for each key of a block over this worker's rows, apart by the sign of `y·x`; each term is rounded
/// up, so the bound stays a bound.
fn sign_sums(block: &ColumnBlock<'_>, first_row: usize, labels: &[f32], weights: Option<&[f32]>) -> Vec<[i64; 2]> {
    let mut sums = vec![[0i64; 2]; block.keys.len() + 1];
    let term = |row: usize, x: f64| {
        let c = weights.map_or(1.0, |w| w[row] as f64);
        (c * x * ONE).ceil() as i64
    };
    macro_rules! dense {
        ($ids:expr) => {
            match weights {
                None => {
                    for (&id, &y) in $ids.iter().zip(labels) {
                        sums[id as usize][(y < 0.0) as usize] += ONE as i64;
                    }
                }
                Some(_) => {
                    for (row, (&id, &y)) in $ids.iter().zip(labels).enumerate() {
                        sums[id as usize][(y < 0.0) as usize] += term(row, 1.0);
                    }
                }
            }
        };
    }
    match block.entries {
        Entries::Dense8(d) => dense!(d),
        Entries::Dense16(d) => dense!(d),
        Entries::Dense32(d) => dense!(d),
        Entries::Sparse { rows, ids, values } => {
            for i in 0..rows.len() {
                let row = rows[i] as usize - first_row;
                let x = values.map_or(1.0, |v| v[i]);
                sums[ids[i] as usize + 1][(labels[row] * x < 0.0) as usize] += term(row, x.abs() as f64);
            }
        }
    }
    sums.remove(0);
    sums
}

/// The keys of every block that may be nonzero under `l1`, judged over the rows of all workers.
///
/// `blocks`: this worker's rows of each block; all workers have the same keys in the same blocks.
pub(crate) fn screen(
    worker: &mut Worker,
    over_workers: Sums,
    blocks: &[ColumnBlock<'_>],
    first_row: usize,
    labels: &[f32],
    weights: Option<&[f32]>,
    l1: f64,
) -> Result<Vec<Kept>> {
    let threshold = (l1 * ONE) as i64;
    let mut kept = Vec::with_capacity(blocks.len());
    for block in blocks {
        let mut sums = sign_sums(block, first_row, labels, weights);
        if worker.workers() > 1 {
            let words: Vec<i64> = sums.iter().flatten().copied().collect();
            let all = over_workers.over_workers(worker, words, Loss::Nothing)?;
            sums = all.chunks_exact(2).map(|s| [s[0], s[1]]).collect();
        }
        let ids: Vec<u32> =
            (0..sums.len()).filter(|&k| sums[k][0].max(sums[k][1]) > threshold).map(|k| k as u32).collect();
        let mass = ids.iter().map(|&k| (sums[k as usize][0] + sums[k as usize][1]) as f64 / ONE).collect();
        kept.push(Kept { ids, mass });
    }
    Ok(kept)
}
