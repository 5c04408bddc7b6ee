//! Gradients that come late: how late, and what a rule makes of it.

use super::Rule;

/// How late a gradient is. Both numbers are of the whole table and not of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lateness {
    /// `t`: which push it comes with, from 1.
    pub push: u64,
    /// `τ`: pushes between the pull of its weights and this one; below `t`.
    pub delay: u64,
}

impl Lateness {
    /// `r = 1 + τ/t`: 1 if it is on time, below 2 always.
    pub fn ratio(self) -> f32 {
        (1.0 + self.delay as f64 / self.push.max(1) as f64) as f32
    }
}

/// A rule that can take gradients late, each by itself.
pub trait Late: Rule {
    /// Whether workers push a number of each key's state back as they pulled it.
    const REMEMBERS: bool = false;

    /// The number that is pushed back.
    fn remembered(_state: &Self::State) -> f32 {
        0.0
    }

    /// Takes a gradient at weights that are `late.delay` pushes old, when [`remembered`](Self::remembered) was `then`. On time,
    /// with nothing in between, it is [`update`](Rule::update). `ratio`: [`Lateness::ratio`].
    fn update_late(&self, state: &mut Self::State, gradient: f32, ratio: f32, then: f32);
}

/// Runs code that is generic over a rule for late gradients on the one of a name.
macro_rules! with_late {
    ($solver:expr, $rule:ident => $body:expr, else $other:expr) => {
        match $solver {
            $crate::solver::Solver::AdaDelay => {
                type $rule = $crate::solver::minibatch::rule::AdaDelay;
                $body
            }
            $crate::solver::Solver::AsyncAdaGrad => {
                type $rule = $crate::solver::minibatch::rule::AsyncAdaGrad;
                $body
            }
            $crate::solver::Solver::AdaptiveRevision => {
                type $rule = $crate::solver::minibatch::rule::AdaptiveRevision;
                $body
            }
            _ => $other,
        }
    };
}

pub(crate) use with_late;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_one_on_time_and_stays_below_two() {
        assert_eq!(Lateness { push: 1, delay: 0 }.ratio(), 1.0);
        assert_eq!(Lateness { push: 200, delay: 100 }.ratio(), 1.5);
        for push in 1..500 {
            assert!(Lateness { push, delay: push - 1 }.ratio() < 2.0);
        }
    }
}
