//! Losses of one row: functions of its margin `m = ⟨x, w⟩` and its label `y`; one a file.
//!
//! Classification losses take labels -1 and +1, and depend on `y·m` alone. Losses are summed over rows, never averaged.

mod hinge;
mod logistic;
mod squared_hinge;

pub use hinge::Hinge;
pub use logistic::Logistic;
pub use squared_hinge::SquaredHinge;

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Runs code that is generic over a loss on the one that was chosen.
macro_rules! with_loss {
    ($kind:expr, $loss:ident => $body:expr) => {
        match $kind {
            $crate::loss::LossKind::Logistic => {
                let $loss = $crate::loss::Logistic;
                $body
            }
            $crate::loss::LossKind::Hinge => {
                let $loss = $crate::loss::Hinge;
                $body
            }
            $crate::loss::LossKind::SquaredHinge => {
                let $loss = $crate::loss::SquaredHinge;
                $body
            }
        }
    };
}

pub(crate) use with_loss;

/// A loss of one row.
pub trait Loss: Copy + Send + Sync + 'static {
    /// The derivative's magnitude is at most two to this, or is taken as that much.
    const SLOPE_EXPONENT: i32;
    /// The loss.
    fn value(self, margin: f64, label: f32) -> f64;
    /// Its derivative by the margin; at a kink one of the subgradients. In f32, as a step needs no more.
    fn derivative(self, margin: f32, label: f32) -> f32;
}

/// The losses there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    /// [`Logistic`].
    #[default]
    Logistic,
    /// [`Hinge`].
    Hinge,
    /// [`SquaredHinge`].
    SquaredHinge,
}

impl LossKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Logistic, Self::Hinge, Self::SquaredHinge];

    /// The loss of a row whose margin is 0.
    pub fn at_zero(self) -> f64 {
        with_loss!(self, loss => loss.value(0.0, 1.0))
    }

    /// See [`Loss::SLOPE_EXPONENT`].
    pub fn slope_exponent(self) -> i32 {
        fn of<L: Loss>(_: L) -> i32 {
            L::SLOPE_EXPONENT
        }
        with_loss!(self, loss => of(loss))
    }

    /// The name in options and models.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logistic => "logistic",
            Self::Hinge => "hinge",
            Self::SquaredHinge => "squared-hinge",
        }
    }
}

impl fmt::Display for LossKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for LossKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|l| l.name() == text);
        known.ok_or_else(|| format!("expected {}, got {text:?}", Self::ALL.map(Self::name).join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_match_finite_differences() {
        for kind in LossKind::ALL {
            with_loss!(kind, loss => {
                for i in -400..=400 {
                    let (m, h) = (i as f64 * 0.0237 + 0.011, 1e-5);
                    for y in [-1.0f32, 1.0] {
                        if (y as f64 * m - 1.0).abs() < 2.0 * h {
                            continue;
                        }
                        let slope = (loss.value(m + h, y) - loss.value(m - h, y)) / (2.0 * h);
                        let got = loss.derivative(m as f32, y) as f64;
                        assert!((got - slope).abs() <= 2e-6 * slope.abs().max(1.0), "{kind} {m} {y}: {got} {slope}");
                    }
                }
            });
        }
    }

    #[test]
    fn losses_are_convex_and_no_margin_overflows() {
        for kind in LossKind::ALL {
            with_loss!(kind, loss => {
                for i in -100..100 {
                    let m = i as f64 * 0.1;
                    let middle = loss.value(m, 1.0);
                    assert!(loss.value(m - 0.05, 1.0) + loss.value(m + 0.05, 1.0) >= 2.0 * middle - 1e-12);
                }
                for m in [-1e9, 1e9] {
                    assert!(loss.value(m, 1.0).is_finite() && loss.derivative(m as f32, 1.0).is_finite());
                }
            });
        }
    }

    #[test]
    fn names_come_back() {
        for kind in LossKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert!("log".parse::<LossKind>().unwrap_err().starts_with("expected logistic, hinge, squared-hinge, got"));
    }
}
