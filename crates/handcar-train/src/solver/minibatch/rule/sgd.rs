//! Stochastic gradient descent with a step size that falls as `1/√t`.

use super::{Rates, Rule, Shrink};
use crate::penalty::soft;

/// One step size for all weights: in batch `t` (from 1) of `b` rows `e = α/(b·(β + √t))` and
/// `w ← soft(w - e·g, e·P1)/(1 + e·P2)`, where `P1` and `P2` are the penalty's shares of a batch.
///
/// A batch without a key still shrinks its weight; that is caught up on when the key is met or read next ([`Shrink`]). A step beyond
/// a bound ends on it: the state is clipped whenever it is read, so that joined steps of racing threads are as well. State:
/// `[w, batches counted]`, the last one as bits of an integer.
#[derive(Clone, Debug)]
pub struct Sgd {
    rates: Rates,
    rate: f64,
    shrink: Shrink,
}

fn rate_of(rates: &Rates, batch: u64) -> f64 {
    let Rates { alpha, beta, batch_rows, .. } = *rates;
    alpha / (batch_rows.max(1) as f64 * (beta + ((batch + 1) as f64).sqrt()))
}

impl Sgd {
    #[inline(always)]
    fn caught_up(&self, w: f32, counted: f32) -> f64 {
        self.shrink.caught_up(self.rates.penalty.bounds.clip_f32(w), counted)
    }
}

impl Rule for Sgd {
    const NAME: &'static str = "sgd";
    type State = [f32; 2];

    fn new(rates: Rates) -> Self {
        let mut this = Self { rates, rate: 0.0, shrink: Shrink::new(rates, rate_of) };
        this.go_to(0);
        this
    }

    fn go_to(&mut self, batch: u64) {
        self.rate = rate_of(&self.rates, batch);
        self.shrink.go_to(batch);
    }

    #[inline(always)]
    fn weight(&self, &[w, counted]: &[f32; 2]) -> f32 {
        self.caught_up(w, counted) as f32
    }

    #[inline(always)]
    fn update(&self, state: &mut [f32; 2], g: f32) {
        let w = self.caught_up(state[0], state[1]);
        let share = self.shrink.share();
        let next = soft(w - self.rate * g as f64, self.rate * share.l1) / (1.0 + self.rate * share.l2);
        *state = [next as f32, f32::from_bits(self.shrink.batch() + 1)];
    }

    fn start(&self, w: f32) -> [f32; 2] {
        [w, 0.0]
    }

    fn settled(&self, state: &[f32; 2]) -> [f32; 2] {
        [self.weight(state), f32::from_bits(self.shrink.batch())]
    }

    fn join(base: &[f32; 2], mine: &[f32; 2], all: &[f32; 2]) -> [f32; 2] {
        [all[0] + (mine[0] - base[0]), f32::from_bits(mine[1].to_bits().max(all[1].to_bits()))]
    }
}
