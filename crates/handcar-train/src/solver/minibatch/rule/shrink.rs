//! The shrinking of weights that batches have no rows of, caught up on when their keys are met.

use super::Rates;
use crate::penalty::{ElasticNet, soft};
use std::sync::{Arc, Mutex, PoisonError};

/// Proximal steps of every batch `s` with step size `e_s` on `w`: `w ← soft(w, e_s·P1)/(1 + e_s·P2)`, where `P1` and `P2` are
/// the penalty's shares of a batch.
///
/// With `Q_t = Π(1 + e_s·P2)` the product `w·Q` is only ever soft-thresholded, by `e_s·P1·Q_s`, and thresholds add up: any
/// number of steps is one. No step meets a bound, as zero lies between them.
#[derive(Clone, Debug)]
pub struct Shrink {
    rates: Rates,
    rate: fn(&Rates, u64) -> f64,
    share: ElasticNet,
    batch: u32,
    /// Empty without a penalty.
    runs: Vec<Arc<Run>>,
    /// The runs that any clone of this has computed.
    all: Arc<Mutex<Vec<Arc<Run>>>>,
}

/// `(Q_t, thresholds before t)` for batches one after the other: a pure function of the rates and `t`, kept since it is asked for
/// often, and once for all clones.
type Run = [(f64, f64); RUN];
const RUN: usize = 4096;

impl Shrink {
    /// `rate`: the step size of a batch, counted from 0.
    pub fn new(rates: Rates, rate: fn(&Rates, u64) -> f64) -> Self {
        Self { rates, rate, share: rates.share(), batch: 0, runs: Vec::new(), all: Arc::default() }
    }

    /// The penalty's share of a batch.
    pub fn share(&self) -> ElasticNet {
        self.share
    }

    /// The batch that weights are asked for.
    pub fn batch(&self) -> u32 {
        self.batch
    }

    /// Goes to a batch.
    pub fn go_to(&mut self, batch: u64) {
        self.batch = batch as u32;
        if self.share.is_free() {
            return;
        }
        if self.runs.len() <= batch as usize / RUN {
            let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            while all.len() <= batch as usize / RUN {
                let next = self.run_after(all.last().map(|run| run[RUN - 1]), (all.len() * RUN) as u64);
                all.push(Arc::new(next));
            }
            self.runs = all.clone();
        }
    }

    /// The run whose first batch is `t`, given the numbers of the batch before.
    fn run_after(&self, before: Option<(f64, f64)>, t: u64) -> Run {
        let mut last = before;
        std::array::from_fn(|i| {
            let next = last.map_or((1.0, 0.0), |(q, threshold)| {
                let e = (self.rate)(&self.rates, t + i as u64 - 1);
                // At its bound no weight is left to shrink.
                ((q * (1.0 + e * self.share.l2)).min(1e300), threshold + e * self.share.l1 * q)
            });
            last = Some(next);
            next
        })
    }

    /// The weight after the batches from number `counted` (as the bits of an integer) to this one.
    #[inline(always)]
    pub fn caught_up(&self, w: f32, counted: f32) -> f64 {
        let counted = counted.to_bits();
        if counted >= self.batch || w == 0.0 || self.runs.is_empty() {
            return w as f64;
        }
        let at = |t: u32| self.runs[t as usize / RUN][t as usize % RUN];
        let ((q0, t0), (q1, t1)) = (at(counted), at(self.batch));
        soft(w as f64 * q0, t1 - t0) / q1
    }
}
