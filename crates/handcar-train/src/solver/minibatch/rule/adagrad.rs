//! AdaGrad (Duchi, Hazan and Singer, JMLR 2011).

use super::{ByNumbers, NUMBERS, Rates, Rule, joined_length, soft};
use crate::penalty::Bounds;
use handcar_kernels::elementary::{exp_nonpositive, ln, ln_1p_unit};

/// A step size for each weight, from the length of its own gradients: with `r = √Σg²` and `e = α/(β + r)`,
/// `w ← soft(w - e·g, e·P1)/(1 + e·P2)`, where `P1` and `P2` are the penalty's shares of a batch.
///
/// A batch without a key still shrinks its weight; that is caught up on when the key is met or read next. A step beyond a bound ends
/// on it: the state is clipped whenever it is read, so that joined steps of racing threads are as well. State:
/// `[w, r, batches counted]`, the last one as bits of an integer.
#[derive(Clone, Debug)]
pub struct AdaGrad {
    alpha: f32,
    beta: f32,
    p1: f32,
    p2: f32,
    batch: u32,
    bounds: Bounds,
}

impl AdaGrad {
    #[inline(always)]
    fn rate(&self, r: f32) -> f32 {
        let divisor = self.beta + r;
        if divisor > 0.0 { self.alpha / divisor } else { 0.0 }
    }

    /// A proximal step from the weight `w` along `g` of rate `α/(β + length)`, after which the key's gradients have length `r`.
    #[inline(always)]
    pub(super) fn step(&self, state: &mut [f32; 3], w: f32, g: f32, r: f32, length: f32) {
        let e = self.rate(length);
        let next = soft(w - e * g, e * self.p1) / (1.0 + e * self.p2);
        // What comes late may have been overtaken by a later push.
        let counted = state[2].to_bits().max(self.batch + 1);
        *state = [next, r, f32::from_bits(counted)];
    }
}

impl Rule for AdaGrad {
    const NAME: &'static str = "adagrad";
    type State = [f32; 3];

    fn new(rates: Rates) -> Self {
        let batches = rates.batches.max(1) as f64;
        let (p1, p2) = (rates.penalty.l1 / batches, rates.penalty.l2 / batches);
        let (alpha, beta, bounds) = (rates.alpha as f32, rates.beta as f32, rates.penalty.bounds);
        Self { alpha, beta, p1: p1 as f32, p2: p2 as f32, batch: 0, bounds }
    }

    fn go_to(&mut self, batch: u64) {
        self.batch = batch as u32;
    }

    #[inline(always)]
    fn weight(&self, &[w, r, counted]: &[f32; 3]) -> f32 {
        let w = self.bounds.clip_f32(w);
        if self.p1 == 0.0 && self.p2 == 0.0 {
            return w;
        }
        let missed = self.batch.saturating_sub(counted.to_bits());
        let e = self.rate(r);
        if self.p2 == 0.0 {
            return soft(w, missed as f32 * e * self.p1);
        }
        // `missed` steps of w ← soft(w, e·P1)·q, q = 1/(1 + e·P2): thresholds add up as a geometric series, to
        // P1/P2·(1 - q^missed). In f64, as q may be closer to 1 than f32 can tell.
        let x = e as f64 * self.p2 as f64;
        let per_batch = if x <= 1.0 { ln_1p_unit(x) } else { ln(1.0 + x) };
        let kept = exp_nonpositive(-(missed as f64 * per_batch));
        soft((w as f64 * kept) as f32, (self.p1 as f64 / self.p2 as f64 * (1.0 - kept)) as f32)
    }

    #[inline(always)]
    fn update(&self, state: &mut [f32; 3], g: f32) {
        self.follow(state, self.weight(state), g);
    }

    fn start(&self, w: f32) -> [f32; 3] {
        [w, 0.0, 0.0]
    }

    fn settled(&self, state: &[f32; 3]) -> [f32; 3] {
        [self.weight(state), state[1], f32::from_bits(self.batch)]
    }

    fn join(base: &[f32; 3], mine: &[f32; 3], all: &[f32; 3]) -> [f32; 3] {
        let counted = mine[2].to_bits().max(all[2].to_bits());
        [all[0] + (mine[0] - base[0]), joined_length(base[1], mine[1], all[1]), f32::from_bits(counted)]
    }
}

impl ByNumbers<3> for AdaGrad {
    #[inline(always)]
    fn numbers(&self) -> [f32; NUMBERS] {
        [self.alpha, self.beta, self.p1, self.p2, f32::from_bits(self.batch)]
    }

    fn bounds(&self) -> Bounds {
        self.bounds
    }

    #[inline(always)]
    fn of_numbers([alpha, beta, p1, p2, batch]: [f32; NUMBERS], bounds: Bounds) -> Self {
        Self { alpha, beta, p1, p2, batch: batch.to_bits(), bounds }
    }

    #[inline(always)]
    fn follow(&self, state: &mut [f32; 3], w: f32, g: f32) {
        let r = (state[1] * state[1] + g * g).sqrt();
        self.step(state, w, g, r, r);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::penalty::ElasticNet;

    #[test]
    fn a_hundred_thousand_missed_batches_are_caught_up_on() {
        for (l1, l2) in [(4.0, 1.0), (20.0, 1e-3), (0.0, 5.0), (0.5, 1e4)] {
            let rates = Rates {
                alpha: 0.1,
                beta: 1.0,
                penalty: ElasticNet::new(l1, l2),
                batch_rows: 1,
                batches: 180_000,
                workers: 1,
            };
            let mut rule = AdaGrad::new(rates);
            let state = [0.3, 9.0, 0.0];
            let (e, mut want) = (0.1 / 10.0, 0.3f64);
            for t in 0..150_000 {
                if t % 30_000 == 0 {
                    rule.go_to(t);
                    let got = rule.weight(&state) as f64;
                    assert!((got - want).abs() <= 1e-4 * want + 1e-7, "{l1} {l2} {t}: {got} {want}");
                }
                want = crate::penalty::soft(want, e * l1 / 180_000.0) / (1.0 + e * l2 / 180_000.0);
            }
        }
    }
}
