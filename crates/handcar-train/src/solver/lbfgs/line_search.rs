//! How long a step is.

/// A step must lower the objective by at least this share of what its slope promises.
const DECREASE: f64 = 1e-4;
/// Where a step ends, the slope must be at most this share of what it was.
const CURVATURE: f64 = 0.9;

/// What a trial says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    Accept,
    /// Try this length instead.
    Try(f64),
}

/// Whether an objective has fallen by enough; `slope`: what the move promises, less than 0. A number that is none has not.
pub(super) fn falls(before: f64, after: f64, slope: f64) -> bool {
    slope < 0.0 && after <= before + DECREASE * slope
}

/// Finds a step with the weak Wolfe conditions by doubling and bisection (Lewis and Overton, 2013).
///
/// Of convex functions, with exact slopes, a point where they hold is found; and pairs of such steps have curvature.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wolfe {
    before: f64,
    slope: f64,
    low: f64,
    high: f64,
}

impl Wolfe {
    /// From where the objective is `before`, and its slope along the direction.
    pub fn new(before: f64, slope: f64) -> Self {
        Self { before, slope, low: 0.0, high: f64::INFINITY }
    }

    /// Judges a step of length `a`, by the objective and the slope along the direction there.
    pub fn judge(&mut self, a: f64, objective: f64, slope: f64) -> Verdict {
        if !falls(self.before, objective, a * self.slope) {
            self.high = a;
        } else if slope < CURVATURE * self.slope {
            self.low = a;
        } else {
            return Verdict::Accept;
        }
        Verdict::Try(if self.high.is_finite() { 0.5 * (self.low + self.high) } else { 2.0 * self.low })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_the_wolfe_conditions_hold_for_are_found_from_any_length() {
        let functions: [fn(f64) -> (f64, f64); 3] = [
            |a| ((a - 3.0).powi(2), 2.0 * (a - 3.0)),
            |a| ((1.0 + (-a).exp()).ln() + 1e-3 * a, -1.0 / (1.0 + a.exp()) + 1e-3),
            |a| ((a - 1e-3).powi(4) * 1e9, (a - 1e-3).powi(3) * 4e9),
        ];
        for f in functions {
            let (before, slope) = f(0.0);
            for first in [1e-6, 0.01, 1.0, 1e4] {
                let (mut wolfe, mut a, mut trials) = (Wolfe::new(before, slope), first, 0);
                while let Verdict::Try(next) = wolfe.judge(a, f(a).0, f(a).1) {
                    (a, trials) = (next, trials + 1);
                    assert!(trials < 60, "from {first}");
                }
                assert!(f(a).0 <= before + DECREASE * a * slope && f(a).1 >= CURVATURE * slope);
            }
        }
    }

    #[test]
    fn what_is_no_number_or_no_descent_is_no_step() {
        assert!(!falls(1.0, f64::NAN, -1.0) && !falls(1.0, 1.0, 0.0) && !falls(1.0, 0.5, f64::NAN));
        assert!(falls(1.0, 0.9, -1.0) && !falls(1.0, 0.99995, -1.0));
        assert_eq!(Wolfe::new(1.0, -1.0).judge(8.0, f64::INFINITY, 0.0), Verdict::Try(4.0));
    }
}
