//! The optimality certificate of logistic regression: the value of a dual feasible point, so that no weights can have an
//! objective below it.
//!
//! For `F(w) = Σ c_i·log(1+exp(-y_i·m_i)) + l1·‖w‖₁ + (l2/2)·‖w‖²` and any `q` in [0,1]^n, with `a = Σ c_i·y_i·q_i·x_i`
//! and `H(q) = Σ c_i·(q_i·ln q_i + (1-q_i)·ln(1-q_i))`: `-H(q) - ‖soft(a,l1)‖²/(2·l2)` is a lower bound on F, and so is
//! `-H(s·q)` with `s = min(1, l1/max|a_k|)`. An unpenalised intercept demands `Σ c_i·y_i·q_i = 0`: the heavier class is
//! scaled down until the two agree.
//!
//! **Bounds** on weights, `lower <= w_k <= upper`, only help. A weight that a finite bound stops on the side that `a_k` pulls to costs
//! `r*(a_k) = sup_v a_k·v - l1·|v| - (l2/2)·v²` over the box, which is finite for every `a_k`: no scaling is asked for such a key.
//! `r*` is convex and zero at zero, so `r*(s·a) <= s·r*(a)`, and `s` times the sum of `r*(a_k)` is enough to take off.
//!
//! **A group lasso** adds `Σ_f G_f·‖w_f‖` over fields. The conjugate of a field's penalty is zero where `‖soft(a_f,l1)‖ <= G_f`, and with
//! `l2` it is `max(‖soft(a_f,l1)‖ - G_f, 0)²/(2·l2)`. So `s` is the largest share for which all fields have room, and the other bound takes
//! off these squares in place of `‖soft(a,l1)‖²`.
//!
//! `q` here is the fixed-point number that the gradient sums are made of, so the bound holds for the very sums that
//! were added. Screened keys have `|a_k| <= l1` for every `q`, so they need not be asked.

use super::rows::{RowData, RowShard};
use crate::error::Result;
use crate::penalty::ElasticNet;
use handcar_base::ExactSum;
use handcar_kernels::logistic::{self, RowStatistics};
use handcar_ps::Worker;

/// `(F - D)/F`, at least 0.
pub(crate) fn relative_gap(objective: f64, dual: f64) -> f64 {
    if objective > 0.0 { ((objective - dual) / objective).max(0.0) } else { 0.0 }
}

/// What the bound needs of `a`, over all penalised keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DualGradient {
    /// Largest `|a_k|` of keys that no bound holds on that side.
    pub max: f64,
    /// `‖soft(a,l1)‖²` of these.
    pub squares: f64,
    /// `Σ r*(a_k)` of the others.
    pub conjugate: f64,
}

impl DualGradient {
    /// The best lower bound that `q` gives. `entropy`: `H(s·q)` for a given `s`. `slip`: what a small imbalance of the
    /// classes could be worth to the intercept.
    pub fn bound(&self, penalty: ElasticNet, slip: f64, mut entropy: impl FnMut(f64) -> Result<f64>) -> Result<f64> {
        let ElasticNet { l1, l2, .. } = penalty;
        let shrink = if self.max > l1 { l1 / self.max } else { 1.0 };
        let whole = (l2 > 0.0).then(|| self.squares / (2.0 * l2));
        best_bound(shrink, slip + self.conjugate, whole, &mut entropy)
    }
}

/// The better of two lower bounds: that of `s·q` with `s` = `shrink`, from which `s·cost` is taken off, and that of `q` itself, which costs
/// `whole` more, if that is finite.
pub(crate) fn best_bound(
    shrink: f64,
    cost: f64,
    whole: Option<f64>,
    entropy: &mut dyn FnMut(f64) -> Result<f64>,
) -> Result<f64> {
    let dual = -entropy(shrink)? - shrink * cost;
    Ok(match whole {
        Some(whole) => dual.max(-entropy(1.0)? - whole - cost),
        None => dual,
    })
}

/// `H(s·q)` over the rows of all workers. Collective. `q`: from the statistics of a row `c·q`, in fixed point and with `c`
/// scaled as in [`RowData`], and what it is to be multiplied by beside `shrink`.
pub(crate) fn negative_entropy(
    worker: &mut Worker,
    shards: &[RowShard],
    data: &RowData,
    statistics: &[Vec<RowStatistics>],
    shrink: f64,
    q: impl Fn(&RowStatistics) -> (u32, f64),
) -> Result<f64> {
    const CHUNK: usize = 1024;
    let one = logistic::ONE as f64;
    let mut sum = ExactSum::new();
    let (mut p, mut h) = ([0.0; CHUNK], [0.0; CHUNK]);
    for (shard, all) in shards.iter().zip(statistics) {
        for (c, chunk) in all.chunks(CHUNK).enumerate() {
            let first = shard.rows.start + c * CHUNK;
            for (i, s) in chunk.iter().enumerate() {
                let (fixed, factor) = q(s);
                let of_row = fixed as f64 / one;
                let scaled = match data.weights.get(first + i) {
                    None => of_row,
                    Some(0.0) => 0.0,
                    Some(&c) => (of_row / c as f64).min(1.0),
                };
                p[i] = shrink * (factor * scaled);
            }
            logistic::negative_entropies(&p[..chunk.len()], &mut h[..chunk.len()]);
            for (i, &h) in h[..chunk.len()].iter().enumerate() {
                sum.add(if data.weights.is_empty() { h } else { h * data.weight(first + i) });
            }
        }
    }
    Ok(ExactSum::from_words(&worker.reduce(&sum.to_words())?).value())
}
