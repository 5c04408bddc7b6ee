//! AdaDelay (Sra, Yu, Li and Smola, AISTATS 2016).

use super::{AdaGrad, Late, Rates, Rule};

/// AdaGrad that trusts late gradients less: a gradient of push `t` that is `τ` pushes old has `r = 1 + τ/t`, adds `g²/r` to its key's
/// sum `A`, and moves the weight by `e = α/(β + √(r·A))`; then the same proximal step.
///
/// That is the paper's `α/(L + c·√(t + τ))` with `c² = (1/t)·Σ s/(s + τ_s)·g_s²`, written with one sum. On time it is AdaGrad, to the bit. The
/// penalty of batches without a key is that of `r = 1`. State: `[w, √A, batches counted]`.
#[derive(Clone, Debug)]
pub struct AdaDelay(AdaGrad);

impl Rule for AdaDelay {
    const NAME: &'static str = "adadelay";
    type State = [f32; 3];

    fn new(rates: Rates) -> Self {
        Self(AdaGrad::new(rates))
    }

    fn go_to(&mut self, batch: u64) {
        self.0.go_to(batch);
    }

    #[inline(always)]
    fn weight(&self, state: &[f32; 3]) -> f32 {
        self.0.weight(state)
    }

    #[inline(always)]
    fn update(&self, state: &mut [f32; 3], g: f32) {
        self.0.update(state, g);
    }

    fn start(&self, w: f32) -> [f32; 3] {
        self.0.start(w)
    }

    fn settled(&self, state: &[f32; 3]) -> [f32; 3] {
        self.0.settled(state)
    }

    fn join(base: &[f32; 3], mine: &[f32; 3], all: &[f32; 3]) -> [f32; 3] {
        AdaGrad::join(base, mine, all)
    }
}

impl Late for AdaDelay {
    fn update_late(&self, state: &mut [f32; 3], g: f32, ratio: f32, _then: f32) {
        let a = (state[1] * state[1] + g * g / ratio).sqrt();
        self.0.step(state, self.0.weight(state), g, a, ratio.sqrt() * a);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Lateness;
    use super::*;
    use crate::penalty::{ElasticNet, soft};
    use handcar_base::{Rng, Seed};

    fn rates(penalty: ElasticNet) -> Rates {
        Rates { alpha: 0.3, beta: 0.7, penalty, batch_rows: 1, batches: 400, workers: 1 }
    }

    #[test]
    fn on_time_it_is_adagrad_to_the_bit() {
        for penalty in [ElasticNet::NONE, ElasticNet::new(9.0, 4.0)] {
            let (mut late, mut adagrad) = (AdaDelay::new(rates(penalty)), AdaGrad::new(rates(penalty)));
            let (mut a, mut b) = ([0.0; 3], [0.0; 3]);
            let mut r = Rng::new(Seed(4), 0);
            for t in 0..300 {
                late.go_to(t);
                adagrad.go_to(t);
                let g = (r.uniform() - 0.4) as f32;
                late.update_late(&mut a, g, Lateness { push: t + 1, delay: 0 }.ratio(), 0.0);
                adagrad.update(&mut b, g);
                assert_eq!(a.map(f32::to_bits), b.map(f32::to_bits), "{t}");
            }
        }
    }

    #[test]
    fn it_is_what_the_paper_says() {
        for seed in 0..20 {
            let mut r = Rng::new(Seed(seed), 1);
            let penalty = ElasticNet::new(40.0 * r.uniform(), 40.0 * r.uniform());
            let mut rule = AdaDelay::new(rates(penalty));
            let (alpha, l, p1, p2) = (0.3, 0.7, penalty.l1 / 400.0, penalty.l2 / 400.0);
            let (mut state, mut w, mut sum) = ([0.0; 3], 0.0f64, 0.0f64);
            for t in 1..=200u64 {
                rule.go_to(t - 1);
                let (g, delay) = (2.0 * r.uniform() - 0.8, r.below(t));
                rule.update_late(&mut state, g as f32, Lateness { push: t, delay }.ratio(), 0.0);
                // c_t² = (1/t)·Σ_{s<=t} s/(s + τ_s)·g_s², η = c·√(t + τ), and a proximal step.
                sum += t as f64 / (t + delay) as f64 * g * g;
                let e = alpha / (l + (sum / t as f64 * (t + delay) as f64).sqrt());
                w = soft(w - e * g, e * p1) / (1.0 + e * p2);
                assert!((state[0] as f64 - w).abs() < 1e-4 * w.abs().max(0.05), "{seed} {t}: {} {w}", state[0]);
            }
        }
    }

    #[test]
    fn the_step_falls_strictly_with_the_delay_once_there_was_a_gradient() {
        let mut rule = AdaDelay::new(rates(ElasticNet::NONE));
        rule.go_to(99);
        let moved = |before: [f32; 3], delay| {
            let mut state = before;
            rule.update_late(&mut state, 0.5, Lateness { push: 100, delay }.ratio(), 0.0);
            before[0] - state[0]
        };
        let steps: Vec<f32> = (0..100).map(|delay| moved([1.0, 2.0, 0.0], delay)).collect();
        assert!(steps.windows(2).all(|s| s[0] > s[1]) && steps[99] > 0.0, "{steps:?}");
        // A first gradient's step does not depend on it: r·g²/r.
        for delay in 0..100 {
            assert!((moved([1.0, 0.0, 0.0], delay) / moved([1.0, 0.0, 0.0], 0) - 1.0).abs() < 1e-5);
        }
    }
}
