//! Stochastic gradient descent with a step size that falls as `1/√t`.

use super::{Rates, Rule};
use crate::penalty::{ElasticNet, soft};
use std::sync::{Arc, Mutex, PoisonError};

/// One step size for all weights: in batch `t` (from 1) of `b` rows `e = α/(b·(β + √t))` and
/// `w ← soft(w - e·g, e·P1)/(1 + e·P2)`, where `P1` and `P2` are the penalty's shares of a batch.
///
/// A batch without a key still shrinks its weight; that is caught up on when the key is met or read next: with
/// `Q_t = Π(1 + e_s·P2)` the product `w·Q` is only ever soft-thresholded, by `e_s·P1·Q_s`, and thresholds add up. State:
/// `[w, batches counted]`, the last one as bits of an integer.
#[derive(Clone, Debug)]
pub struct Sgd {
    rates: Rates,
    /// The penalty's shares of a batch.
    share: ElasticNet,
    batch: u32,
    rate: f64,
    /// Empty without a penalty.
    shrunk: Vec<Arc<Run>>,
    /// The runs that any clone of this rule has computed.
    all: Arc<Mutex<Vec<Arc<Run>>>>,
}

/// `(Q_t, thresholds before t)` for batches one after the other: a pure function of the rates and `t`, kept since it is asked for
/// often, and once for all clones.
type Run = [(f64, f64); RUN];
const RUN: usize = 4096;

impl Sgd {
    fn rate_of(&self, batch: u64) -> f64 {
        let Rates { alpha, beta, batch_rows, .. } = self.rates;
        alpha / (batch_rows.max(1) as f64 * (beta + ((batch + 1) as f64).sqrt()))
    }

    /// The run whose first batch is `t`, given the numbers of the batch before.
    fn run_after(&self, before: Option<(f64, f64)>, t: u64) -> Run {
        let mut last = before;
        std::array::from_fn(|i| {
            let next = last.map_or((1.0, 0.0), |(q, threshold)| {
                let e = self.rate_of(t + i as u64 - 1);
                // At its bound no weight is left to shrink.
                ((q * (1.0 + e * self.share.l2)).min(1e300), threshold + e * self.share.l1 * q)
            });
            last = Some(next);
            next
        })
    }

    /// The weight after the batches that were not counted yet.
    #[inline(always)]
    fn caught_up(&self, w: f32, counted: f32) -> f64 {
        let counted = counted.to_bits();
        if counted >= self.batch || w == 0.0 || self.shrunk.is_empty() {
            return w as f64;
        }
        let at = |t: u32| self.shrunk[t as usize / RUN][t as usize % RUN];
        let ((q0, t0), (q1, t1)) = (at(counted), at(self.batch));
        soft(w as f64 * q0, t1 - t0) / q1
    }
}

impl Rule for Sgd {
    const NAME: &'static str = "sgd";
    type State = [f32; 2];

    fn new(rates: Rates) -> Self {
        let batches = rates.batches.max(1) as f64;
        let share = ElasticNet { l1: rates.penalty.l1 / batches, l2: rates.penalty.l2 / batches };
        let mut this = Self { rates, share, batch: 0, rate: 0.0, shrunk: Vec::new(), all: Arc::default() };
        this.go_to(0);
        this
    }

    fn go_to(&mut self, batch: u64) {
        self.batch = batch as u32;
        self.rate = self.rate_of(batch);
        if self.share == ElasticNet::NONE {
            return;
        }
        if self.shrunk.len() <= batch as usize / RUN {
            let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            while all.len() <= batch as usize / RUN {
                let next = self.run_after(all.last().map(|run| run[RUN - 1]), (all.len() * RUN) as u64);
                all.push(Arc::new(next));
            }
            self.shrunk = all.clone();
        }
    }

    #[inline(always)]
    fn weight(&self, &[w, counted]: &[f32; 2]) -> f32 {
        self.caught_up(w, counted) as f32
    }

    #[inline(always)]
    fn update(&self, state: &mut [f32; 2], g: f32) {
        let w = self.caught_up(state[0], state[1]);
        let next = soft(w - self.rate * g as f64, self.rate * self.share.l1) / (1.0 + self.rate * self.share.l2);
        *state = [next as f32, f32::from_bits(self.batch + 1)];
    }

    fn start(&self, w: f32) -> [f32; 2] {
        [w, 0.0]
    }

    fn join(base: &[f32; 2], mine: &[f32; 2], all: &[f32; 2]) -> [f32; 2] {
        [all[0] + (mine[0] - base[0]), f32::from_bits(mine[1].to_bits().max(all[1].to_bits()))]
    }
}
