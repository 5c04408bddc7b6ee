//! Stochastic gradient descent with a step size that falls as `1/√t`.

use super::{Rates, Rule};
use crate::penalty::{ElasticNet, soft};

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
    /// `(Q_t, thresholds before t)`: a pure function of the rates and `t`, kept since it is asked for often. Empty without
    /// a penalty.
    shrunk: Vec<(f64, f64)>,
}

impl Sgd {
    fn rate_of(&self, batch: u64) -> f64 {
        let Rates { alpha, beta, batch_rows, .. } = self.rates;
        alpha / (batch_rows.max(1) as f64 * (beta + ((batch + 1) as f64).sqrt()))
    }

    /// The weight after the batches that were not counted yet.
    #[inline(always)]
    fn caught_up(&self, w: f32, counted: f32) -> f64 {
        let counted = counted.to_bits();
        if counted >= self.batch || w == 0.0 || self.shrunk.is_empty() {
            return w as f64;
        }
        let ((q0, t0), (q1, t1)) = (self.shrunk[counted as usize], self.shrunk[self.batch as usize]);
        soft(w as f64 * q0, t1 - t0) / q1
    }
}

impl Rule for Sgd {
    const NAME: &'static str = "sgd";
    type State = [f32; 2];

    fn new(rates: Rates) -> Self {
        let batches = rates.batches.max(1) as f64;
        let share = ElasticNet { l1: rates.penalty.l1 / batches, l2: rates.penalty.l2 / batches };
        let shrunk = if share == ElasticNet::NONE { Vec::new() } else { vec![(1.0, 0.0)] };
        let mut this = Self { rates, share, batch: 0, rate: 0.0, shrunk };
        this.go_to(0);
        this
    }

    fn go_to(&mut self, batch: u64) {
        self.batch = batch as u32;
        self.rate = self.rate_of(batch);
        if self.share == ElasticNet::NONE {
            return;
        }
        for t in self.shrunk.len() as u64..=batch {
            let (q, threshold) = self.shrunk[t as usize - 1];
            let e = self.rate_of(t - 1);
            self.shrunk.push((q * (1.0 + e * self.share.l2), threshold + e * self.share.l1 * q));
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
}
