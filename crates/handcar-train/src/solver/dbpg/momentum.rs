//! Extrapolation between passes.
//!
//! A pass over all blocks is a Gauss-Seidel sweep, whose error shrinks by a constant factor that is close to 1 on
//! ill-conditioned data. Extrapolating its iterates (Nesterov's weights, restarted whenever the objective rises:
//! O'Donoghue and Candès, 2015) takes the square root of the condition number instead. The rule works weight by weight,
//! so servers and workers apply it without exchanging more than `beta`.

use crate::penalty::Bounds;

/// The weight from which the next pass starts. A penalised weight, which has `bounds`, stays as it is if it is or was zero, and none
/// crosses zero or a bound: the active set is the proximal steps' affair.
#[inline]
pub(super) fn extrapolate(w: f32, before: f32, beta: f64, bounds: Option<Bounds>) -> f32 {
    if bounds.is_some() && (w == 0.0 || before == 0.0) {
        return w;
    }
    let next = (w as f64 + beta * (w as f64 - before as f64)) as f32;
    match bounds {
        Some(_) if next * w <= 0.0 => 0.0,
        Some(bounds) => bounds.clip_f32(next),
        None => next,
    }
}

/// Nesterov's sequence `t`, from which `beta = (t_k - 1)/t_{k+1}`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Momentum {
    t: f64,
    last: f64,
}

impl Momentum {
    pub fn new() -> Self {
        Self { t: 1.0, last: f64::INFINITY }
    }

    /// The factor for the next extrapolation, given the objective that the pass reached.
    pub fn next(&mut self, objective: f64) -> f64 {
        if objective > self.last {
            self.t = 1.0;
        }
        self.last = objective;
        let next = (1.0 + (1.0 + 4.0 * self.t * self.t).sqrt()) / 2.0;
        let beta = (self.t - 1.0) / next;
        self.t = next;
        beta
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_stays_zero_and_no_sign_changes() {
        let any = Some(Bounds::NONE);
        assert_eq!(extrapolate(0.0, 1.0, 0.9, any), 0.0);
        assert_eq!(extrapolate(1.0, 0.0, 0.9, any), 1.0);
        assert_eq!(extrapolate(0.1, 1.0, 0.9, any), 0.0);
        assert_eq!(extrapolate(2.0, 1.0, 0.5, any), 2.5);
        assert_eq!(extrapolate(0.5, -0.5, 1.0, None), 1.5);
    }

    #[test]
    fn no_weight_leaves_its_bounds() {
        let bounds = Some(Bounds::new(-3.0, 2.25).unwrap());
        assert_eq!(extrapolate(2.0, 1.0, 0.5, bounds), 2.25);
        assert_eq!(extrapolate(-2.5, -1.0, 0.9, bounds), -3.0);
    }

    #[test]
    fn a_rising_objective_restarts() {
        let mut m = Momentum::new();
        let rising: Vec<f64> = [5.0, 4.0, 3.0].into_iter().map(|f| m.next(f)).collect();
        assert!(rising[0] == 0.0 && rising[1] > 0.0 && rising[2] > rising[1]);
        assert_eq!(m.next(3.5), 0.0);
    }
}
