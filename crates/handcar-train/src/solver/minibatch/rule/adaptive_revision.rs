//! Adaptive revision (McMahan and Streeter, NIPS 2014).

use super::{Late, Rates, Rule};

/// AdaGrad whose steps are revised once it is known what they missed: with `h` the sum of the key's gradients that were applied since
/// this one's weights were pulled,
///
/// `Z += g² + 2·g·h`, `e = α/(β + √max Z)`, `w += -e·g + (e_old - e)·h`:
///
/// what was added meanwhile is taken back to the size that it should have had. Workers remember the sum of the gradients as they pull it
/// and push it back; the difference is `h`. On time it is AdaGrad; gradients that all overlap have `Z = (Σg)²`. There is no proximal
/// step, as it could not be revised. State: `[w, Z, max Z, Σg]`.
#[derive(Clone, Debug)]
pub struct AdaptiveRevision {
    alpha: f32,
    beta: f32,
}

impl AdaptiveRevision {
    #[inline(always)]
    fn rate(&self, z: f32) -> f32 {
        let divisor = self.beta + z.sqrt();
        if divisor > 0.0 { self.alpha / divisor } else { 0.0 }
    }
}

impl Rule for AdaptiveRevision {
    const NAME: &'static str = "adaptive-revision";
    type State = [f32; 4];

    fn new(rates: Rates) -> Self {
        Self { alpha: rates.alpha as f32, beta: rates.beta as f32 }
    }

    fn go_to(&mut self, _batch: u64) {}

    #[inline(always)]
    fn weight(&self, state: &[f32; 4]) -> f32 {
        state[0]
    }

    #[inline(always)]
    fn update(&self, state: &mut [f32; 4], g: f32) {
        let now = state[3];
        self.update_late(state, g, 1.0, now);
    }

    fn start(&self, w: f32) -> [f32; 4] {
        [w, 0.0, 0.0, 0.0]
    }

    fn join(base: &[f32; 4], mine: &[f32; 4], all: &[f32; 4]) -> [f32; 4] {
        let z = all[1] + (mine[1] - base[1]);
        [all[0] + (mine[0] - base[0]), z, all[2].max(mine[2]).max(z), all[3] + (mine[3] - base[3])]
    }
}

impl Late for AdaptiveRevision {
    const REMEMBERS: bool = true;

    fn remembered(state: &[f32; 4]) -> f32 {
        state[3]
    }

    #[inline(always)]
    fn update_late(&self, state: &mut [f32; 4], g: f32, _ratio: f32, then: f32) {
        let [w, z, most, sum] = *state;
        let missed = sum - then;
        let z = z + (g * g + 2.0 * g * missed);
        let grown = most.max(z);
        let (before, e) = (self.rate(most), self.rate(grown));
        *state = [w - e * g + (before - e) * missed, z, grown, sum + g];
    }
}

#[cfg(test)]
mod tests {
    use super::super::AdaGrad;
    use super::*;
    use crate::penalty::ElasticNet;
    use handcar_base::{Rng, Seed};

    fn rates() -> Rates {
        Rates { alpha: 0.3, beta: 0.7, penalty: ElasticNet::NONE, batch_rows: 1, batches: 1, workers: 1 }
    }

    #[test]
    fn gradients_that_all_overlap_are_taken_as_their_sum() {
        let rule = AdaptiveRevision::new(rates());
        let mut r = Rng::new(Seed(1), 0);
        let (mut state, mut sum) = ([0.0; 4], 0.0f64);
        for _ in 0..50 {
            let g = (r.uniform() - 0.3) as f32;
            sum += g as f64;
            rule.update_late(&mut state, g, 1.0, 0.0);
            assert!((state[1] as f64 - sum * sum).abs() < 1e-4 * (1.0 + sum * sum), "{state:?} {sum}");
        }
    }

    #[test]
    fn without_overlap_it_is_adagrad() {
        let (rule, mut adagrad) = (AdaptiveRevision::new(rates()), AdaGrad::new(rates()));
        let (mut a, mut b) = ([0.0; 4], [0.0; 3]);
        let mut r = Rng::new(Seed(2), 0);
        for t in 0..300 {
            adagrad.go_to(t);
            let (g, now) = ((r.uniform() - 0.4) as f32, a[3]);
            rule.update_late(&mut a, g, 1.5, now);
            adagrad.update(&mut b, g);
        }
        assert!((a[0] - b[0]).abs() < 1e-4 * b[0].abs(), "{a:?} {b:?}");
    }

    #[test]
    fn it_equals_a_plain_reference_that_keeps_every_gradient() {
        for seed in 0..20 {
            let mut r = Rng::new(Seed(seed), 3);
            let rule = AdaptiveRevision::new(rates());
            // The state before each push, as somebody may have pulled it.
            let mut pulled = vec![[0.0f32; 4]];
            let mut gradients: Vec<f64> = Vec::new();
            let (mut w, mut z, mut most) = (0.0f64, 0.0f64, 0.0f64);
            for t in 0..100usize {
                let (g, from) = (r.uniform() - 0.45, t - r.below(t.min(20) as u64 + 1) as usize);
                let mut state = pulled[t];
                rule.update_late(&mut state, g as f32, 1.0, AdaptiveRevision::remembered(&pulled[from]));
                let missed: f64 = gradients[from..].iter().sum();
                let before = 0.3 / (0.7 + most.sqrt());
                z += g * g + 2.0 * g * missed;
                most = most.max(z);
                let e = 0.3 / (0.7 + most.sqrt());
                w += -e * g + (before - e) * missed;
                gradients.push(g);
                pulled.push(state);
                assert!((state[0] as f64 - w).abs() < 1e-4, "{seed} {t}: {} {w}", state[0]);
            }
        }
    }
}
