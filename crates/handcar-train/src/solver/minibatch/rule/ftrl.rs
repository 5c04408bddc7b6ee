//! FTRL-Proximal (McMahan et al., KDD 2013).

use super::{Rates, Rule, soft};

/// Follow the regularised leader, proximal: after gradients `g_s` at weights `w_s`, with `r = √Σg²` and
/// `σ_s = (r_s - r_{s-1})/α`, the weight minimises over `v`
///
/// `(Σ g)·v + ½·Σ σ·(v - w_s)² + (β/2α)·v² + l1·|v| + (l2/2)·v²`,
///
/// that is `w = -soft(z, l1)/((β + r)/α + l2)` for `z = Σ (g - σ·w_s)`.
///
/// The penalty stands against gradients of all passes so far: in pass `E` it counts `E` times, so that the weights aim at
/// the same objective however many passes there are. State: `[z, r]`.
#[derive(Clone, Debug)]
pub struct Ftrl {
    rates: Rates,
    one_over_alpha: f32,
    beta: f32,
    l1: f32,
    l2: f32,
}

impl Rule for Ftrl {
    const NAME: &'static str = "ftrl";
    type State = [f32; 2];

    fn new(rates: Rates) -> Self {
        let one_over_alpha = (1.0 / rates.alpha) as f32;
        let mut this = Self { rates, one_over_alpha, beta: rates.beta as f32, l1: 0.0, l2: 0.0 };
        this.go_to(0);
        this
    }

    fn go_to(&mut self, batch: u64) {
        // The batch after the last of a pass reads the weights as that pass left them.
        let passes = batch.div_ceil(self.rates.batches.max(1)).max(1) as f64;
        self.l1 = (passes * self.rates.penalty.l1) as f32;
        self.l2 = (passes * self.rates.penalty.l2) as f32;
    }

    #[inline(always)]
    fn weight(&self, &[z, r]: &[f32; 2]) -> f32 {
        -soft(z, self.l1) / ((self.beta + r) * self.one_over_alpha + self.l2)
    }

    #[inline(always)]
    fn update(&self, state: &mut [f32; 2], g: f32) {
        let w = self.weight(state);
        let [z, r] = *state;
        let square = g * g;
        let longer = (r * r + square).sqrt();
        // (longer - r)/α, which rounds to zero where r is large; written so that it does not.
        let sum = longer + r;
        let sigma = if sum > 0.0 { square / sum * self.one_over_alpha } else { 0.0 };
        *state = [z + (g - sigma * w), longer];
    }

    fn start(&self, w: f32) -> [f32; 2] {
        if w == 0.0 {
            return [0.0; 2];
        }
        [-(w * (self.beta * self.one_over_alpha + self.l2) + self.l1.copysign(w)), 0.0]
    }
}
