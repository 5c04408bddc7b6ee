//! AdaGrad (Duchi, Hazan and Singer, JMLR 2011).

use super::{Rates, Rule, soft};

/// A step size for each weight, from the length of its own gradients: with `r = √Σg²` and `e = α/(β + r)`,
/// `w ← soft(w - e·g, e·P1)/(1 + e·P2)`, where `P1` and `P2` are the penalty's shares of a batch.
///
/// A batch without a key still shrinks its weight; that is caught up on when the key is met or read next. State:
/// `[w, r, batches counted]`, the last one as bits of an integer.
#[derive(Clone, Debug)]
pub struct AdaGrad {
    alpha: f32,
    beta: f32,
    p1: f32,
    p2: f32,
    batch: u32,
}

impl AdaGrad {
    #[inline(always)]
    fn rate(&self, r: f32) -> f32 {
        let divisor = self.beta + r;
        if divisor > 0.0 { self.alpha / divisor } else { 0.0 }
    }
}

impl Rule for AdaGrad {
    const NAME: &'static str = "adagrad";
    type State = [f32; 3];

    fn new(rates: Rates) -> Self {
        let batches = rates.batches.max(1) as f64;
        let (p1, p2) = (rates.penalty.l1 / batches, rates.penalty.l2 / batches);
        Self { alpha: rates.alpha as f32, beta: rates.beta as f32, p1: p1 as f32, p2: p2 as f32, batch: 0 }
    }

    fn go_to(&mut self, batch: u64) {
        self.batch = batch as u32;
    }

    #[inline(always)]
    fn weight(&self, &[w, r, counted]: &[f32; 3]) -> f32 {
        if self.p1 == 0.0 && self.p2 == 0.0 {
            return w;
        }
        let missed = self.batch.wrapping_sub(counted.to_bits());
        let e = self.rate(r);
        if self.p2 == 0.0 {
            return soft(w, missed as f32 * e * self.p1);
        }
        // `missed` steps of w ← soft(w, e·P1)·q: thresholds add up as a geometric series.
        let q = 1.0 / (1.0 + e * self.p2);
        let kept = q.powi(missed as i32);
        soft(w * kept, e * self.p1 * q * (1.0 - kept) / (1.0 - q).max(f32::MIN_POSITIVE))
    }

    #[inline(always)]
    fn update(&self, state: &mut [f32; 3], g: f32) {
        let w = self.weight(state);
        let r = (state[1] * state[1] + g * g).sqrt();
        let e = self.rate(r);
        let next = soft(w - e * g, e * self.p1) / (1.0 + e * self.p2);
        *state = [next, r, f32::from_bits(self.batch + 1)];
    }

    fn start(&self, w: f32) -> [f32; 3] {
        [w, 0.0, 0.0]
    }
}
