//! FTRL-Proximal (McMahan et al., KDD 2013).

use super::{ByNumbers, NUMBERS, Rates, Rule, joined_length, soft};
use crate::penalty::Bounds;

/// Follow the regularised leader, proximal: after gradients `g_s` at weights `w_s`, with `r = √Σg²` and
/// `σ_s = (r_s - r_{s-1})/α`, the weight minimises over `v`
///
/// `(Σ g)·v + ½·Σ σ·(v - w_s)² + (β/2α)·v² + l1·|v| + (l2/2)·v²`,
///
/// that is `w = -soft(z, l1)/((β + r)/α + l2)` for `z = Σ (g - σ·w_s)`, or the nearest weight between the bounds.
///
/// The penalty stands against gradients of all passes so far: after `E` passes it counts `E` times, in between in proportion and
/// in the first pass once, so that the weights aim at the same objective however many passes there are. State: `[z, r]`.
#[derive(Clone, Debug)]
pub struct Ftrl {
    rates: Rates,
    one_over_alpha: f32,
    beta: f32,
    l1: f32,
    l2: f32,
    /// A batch, and how many times the penalty had been carried before it.
    since: (u64, f64),
    bounds: Bounds,
}

impl Rule for Ftrl {
    const NAME: &'static str = "ftrl";
    type State = [f32; 2];

    fn new(rates: Rates) -> Self {
        let one_over_alpha = (1.0 / rates.alpha) as f32;
        let bounds = rates.penalty.bounds;
        let (beta, since) = (rates.beta as f32, (0, 0.0));
        let mut this = Self { rates, one_over_alpha, beta, l1: 0.0, l2: 0.0, since, bounds };
        this.go_to(0);
        this
    }

    fn go_to(&mut self, batch: u64) {
        let (first, before) = self.since;
        let passes = (before + (batch - first) as f64 / self.rates.batches.max(1) as f64).max(1.0);
        self.l1 = (passes * self.rates.penalty.l1) as f32;
        self.l2 = (passes * self.rates.penalty.l2) as f32;
    }

    #[inline(always)]
    fn weight(&self, &[z, r]: &[f32; 2]) -> f32 {
        let divisor = (self.beta + r) * self.one_over_alpha + self.l2;
        // Only a key without a gradient has no divisor, and only where beta and l2 are 0.
        let w = if divisor > 0.0 { -soft(z, self.l1) / divisor } else { 0.0 };
        self.bounds.clip_f32(w)
    }

    #[inline(always)]
    fn update(&self, state: &mut [f32; 2], g: f32) {
        self.follow(state, self.weight(state), g);
    }

    fn start(&self, w: f32) -> [f32; 2] {
        if w == 0.0 {
            return [0.0; 2];
        }
        let divisor = self.beta * self.one_over_alpha + self.l2;
        // Without a divisor there would be no weight: the least gradient gives one.
        let r = if divisor > 0.0 { 0.0 } else { f32::EPSILON };
        [-(w * (divisor + r * self.one_over_alpha) + self.l1.copysign(w)), r]
    }

    fn go_on_from(&mut self, batch: u64, passes: f64) {
        self.since = (batch, passes);
        self.go_to(batch);
    }

    fn join(base: &[f32; 2], mine: &[f32; 2], all: &[f32; 2]) -> [f32; 2] {
        [all[0] + (mine[0] - base[0]), joined_length(base[1], mine[1], all[1])]
    }
}

impl ByNumbers<2> for Ftrl {
    #[inline(always)]
    fn numbers(&self) -> [f32; NUMBERS] {
        [self.one_over_alpha, self.beta, self.l1, self.l2, 0.0]
    }

    fn bounds(&self) -> Bounds {
        self.bounds
    }

    #[inline(always)]
    fn of_numbers([one_over_alpha, beta, l1, l2, _]: [f32; NUMBERS], bounds: Bounds) -> Self {
        Self { rates: Rates::NONE, one_over_alpha, beta, l1, l2, since: (0, 0.0), bounds }
    }

    #[inline(always)]
    fn follow(&self, state: &mut [f32; 2], w: f32, g: f32) {
        let [z, r] = *state;
        let square = g * g;
        let longer = (r * r + square).sqrt();
        // (longer - r)/α, which rounds to zero where r is large; written so that it does not.
        let sum = longer + r;
        let sigma = if sum > 0.0 { square / sum * self.one_over_alpha } else { 0.0 };
        *state = [z + (g - sigma * w), longer];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::penalty::ElasticNet;
    use handcar_base::{Rng, Seed};

    #[test]
    fn the_weight_is_the_brute_force_minimum_of_what_it_follows() {
        for seed in 0..20 {
            let mut r = Rng::new(Seed(seed), 0);
            let penalty = ElasticNet::new(2.0 * r.uniform(), r.uniform());
            let (alpha, beta) = (0.1 + r.uniform(), 0.2 + r.uniform());
            let rule = Ftrl::new(Rates { alpha, beta, penalty, batch_rows: 1, batches: 100, workers: 1 });
            let mut state = [0.0; 2];
            let (mut gradients, mut squares) = (0.0, 0.0f64);
            // Each σ with the weight it holds on to.
            let mut anchors: Vec<(f64, f64)> = Vec::new();
            for _ in 0..30 {
                let (w, g) = (rule.weight(&state) as f64, (4.0 * r.uniform() - 2.0) as f32);
                rule.update(&mut state, g);
                let before = squares.sqrt();
                squares += (g as f64).powi(2);
                gradients += g as f64;
                anchors.push(((squares.sqrt() - before) / alpha, w));
            }
            let of = |v: f64| {
                let held: f64 = anchors.iter().map(|(s, w)| 0.5 * s * (v - w).powi(2)).sum();
                let ridge = 0.5 * (beta / alpha + penalty.l2) * v * v;
                gradients * v + held + ridge + penalty.l1 * v.abs()
            };
            let best = rule.weight(&state) as f64;
            for k in -3000..3000 {
                let v = k as f64 * 0.001;
                assert!(of(best) <= of(v) + 1e-4, "{seed}: {best} beaten by {v}");
            }
        }
    }

    #[test]
    fn without_penalty_it_is_adagrad() {
        let rates = Rates { alpha: 0.3, beta: 1.0, penalty: ElasticNet::NONE, batch_rows: 1, batches: 9, workers: 1 };
        let (ftrl, mut adagrad) = (Ftrl::new(rates), super::super::AdaGrad::new(rates));
        let (mut a, mut b) = ([0.0; 2], [0.0; 3]);
        let mut r = Rng::new(Seed(1), 0);
        for t in 0..200 {
            adagrad.go_to(t);
            let g = (r.uniform() - 0.4) as f32;
            ftrl.update(&mut a, g);
            adagrad.update(&mut b, g);
        }
        let (a, b) = (ftrl.weight(&a), adagrad.weight(&b));
        assert!((a - b).abs() < 1e-4 * a.abs(), "{a} {b}");
    }

    #[test]
    fn a_warm_start_has_the_weight_it_was_given() {
        let penalty = ElasticNet::new(1.0, 0.5);
        let rule = Ftrl::new(Rates { alpha: 0.1, beta: 1.0, penalty, batch_rows: 1, batches: 1, workers: 1 });
        for w in [0.0, 1.5, -0.25] {
            assert!((rule.weight(&rule.start(w)) - w).abs() < 1e-6);
        }
        let bare = Ftrl::new(Rates {
            alpha: 0.1,
            beta: 0.0,
            penalty: ElasticNet::NONE,
            batch_rows: 1,
            batches: 1,
            workers: 1,
        });
        let mut state = bare.start(0.5);
        assert!((bare.weight(&state) - 0.5).abs() < 1e-6 && bare.weight(&[0.0; 2]) == 0.0);
        bare.update(&mut state, 1.0);
        assert!(bare.weight(&state).is_finite());
    }
}
