//! The mean of what workers found: the server half of EMSO.

use super::{Rates, Rule, Shrink};
use crate::penalty::ElasticNet;

/// Weights this small are rounding errors of the fixed point that they are pushed in.
const ROUNDING: f64 = 1.0 / (1u64 << 34) as f64;

/// Adds the mean of the workers' changes to a weight. State: `[w, batches counted]`, the last one as bits of an integer.
///
/// In batch `t` (from 1) of `b` rows `ρ = (β + √(t·b))/α`. A batch without a key leaves only the penalty's share and the pull
/// towards the weight before, whose minimum is the proximal step of size `1/ρ` on the penalty: that is caught up on when the key
/// is met ([`Shrink`]). A mean of weights some of which are zero is not zero; with more than one worker what one such
/// step would take to zero is set to zero. A mean of weights between the bounds is between them, but for rounding.
#[derive(Clone, Debug)]
pub struct Average {
    rates: Rates,
    /// What is set to zero.
    threshold: f64,
    shrink: Shrink,
}

/// `1/ρ`.
fn rate_of(rates: &Rates, batch: u64) -> f64 {
    rates.alpha / (rates.beta + ((batch + 1) as f64 * rates.batch_rows.max(1) as f64).sqrt())
}

impl Average {
    /// How strongly this batch holds weights where they are.
    pub fn rho(&self) -> f64 {
        1.0 / rate_of(&self.rates, self.shrink.batch() as u64)
    }

    /// The penalty's share of a batch.
    pub fn share(&self) -> ElasticNet {
        self.shrink.share()
    }

    /// What a batch without rows makes of a weight.
    pub fn weight_without_rows(&self, weight: f64) -> f64 {
        self.shrink.share().step(weight, 0.0, self.rho())
    }
}

impl Rule for Average {
    const NAME: &'static str = "emso";
    type State = [f32; 2];

    fn new(rates: Rates) -> Self {
        let mut this = Self { rates, threshold: 0.0, shrink: Shrink::new(rates, rate_of) };
        this.go_to(0);
        this
    }

    fn go_to(&mut self, batch: u64) {
        let step = rate_of(&self.rates, batch) * self.shrink.share().l1;
        self.threshold = if self.rates.workers > 1 { step.max(ROUNDING) } else { ROUNDING };
        self.shrink.go_to(batch);
    }

    #[inline(always)]
    fn weight(&self, &[w, counted]: &[f32; 2]) -> f32 {
        self.shrink.caught_up(w, counted) as f32
    }

    /// Takes the mean change, from [`weight_without_rows`](Self::weight_without_rows).
    #[inline(always)]
    fn update(&self, state: &mut [f32; 2], change: f32) {
        let w = self.weight_without_rows(self.weight(state) as f64) + change as f64;
        let next = if w.abs() <= self.threshold { 0.0 } else { self.rates.penalty.bounds.clip(w) };
        *state = [next as f32, f32::from_bits(self.shrink.batch() + 1)];
    }

    fn start(&self, w: f32) -> [f32; 2] {
        [w, 0.0]
    }

    fn join(base: &[f32; 2], mine: &[f32; 2], all: &[f32; 2]) -> [f32; 2] {
        [all[0] + (mine[0] - base[0]), f32::from_bits(mine[1].to_bits().max(all[1].to_bits()))]
    }
}
