//! Losses of one row: functions of its margin `m = ⟨x, w⟩` and its label `y`; one a file.
//!
//! Classification losses take labels -1 and +1, and depend on `y·m` alone; losses of regression take numbers. Losses are summed
//! over rows, never averaged.

mod hinge;
mod huber;
mod logistic;
mod poisson;
mod size;
mod squared;
mod squared_hinge;

pub use hinge::Hinge;
pub use huber::Huber;
pub use logistic::Logistic;
pub use poisson::Poisson;
pub use size::Size;
pub(crate) use size::exponent;
pub use squared::Squared;
pub use squared_hinge::SquaredHinge;

use handcar_data::LabelKind;
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
            $crate::loss::LossKind::Squared => {
                let $loss = $crate::loss::Squared;
                $body
            }
            $crate::loss::LossKind::Huber { delta } => {
                let $loss = $crate::loss::Huber { delta };
                $body
            }
            $crate::loss::LossKind::Poisson => {
                let $loss = $crate::loss::Poisson;
                $body
            }
        }
    };
}

pub(crate) use with_loss;

/// A loss of one row.
pub trait Loss: Copy + Send + Sync + 'static {
    /// With labels of at most 1 the derivative's magnitude is at most two to this, or is taken as that much.
    const SLOPE_EXPONENT: i32;
    /// The loss.
    fn value(self, margin: f64, label: f32) -> f64;
    /// Its derivative by the margin; at a kink one of the subgradients. In f32, as a step needs no more.
    fn derivative(self, margin: f32, label: f32) -> f32;
    /// The largest second derivative at margins no further than `reach` from this one; infinite where a kink is as near.
    fn curvature(self, margin: f32, label: f32, reach: f32) -> f32;

    /// The room that sums need with labels of at most `2^labels` in magnitude.
    fn size(self, _labels: i32) -> Size {
        Size { slope: Self::SLOPE_EXPONENT, value: Size::UNIT_VALUE }
    }
}

/// The losses there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    /// [`Logistic`].
    #[default]
    Logistic,
    /// [`Hinge`].
    Hinge,
    /// [`SquaredHinge`].
    SquaredHinge,
    /// [`Squared`].
    Squared,
    /// [`Huber`].
    Huber {
        /// Where the square becomes a line, above 0.
        delta: f32,
    },
    /// [`Poisson`].
    Poisson,
}

impl LossKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Logistic,
        Self::Hinge,
        Self::SquaredHinge,
        Self::Squared,
        Self::Huber { delta: Huber::DELTA },
        Self::Poisson,
    ];

    /// Whether it has a derivative everywhere.
    pub fn is_smooth(self) -> bool {
        self != Self::Hinge
    }

    /// What its labels must be.
    pub fn labels(self) -> LabelKind {
        match self {
            Self::Logistic | Self::Hinge | Self::SquaredHinge => LabelKind::Binary,
            Self::Squared | Self::Huber { .. } => LabelKind::Real,
            Self::Poisson => LabelKind::Count,
        }
    }

    /// The loss of a row whose margin is 0.
    pub fn at_zero(self, label: f32) -> f64 {
        with_loss!(self, loss => loss.value(0.0, label))
    }

    /// What is expected at a margin: the probability of the positive class, or the mean label. `None` of losses whose margins
    /// only say which of two rows is likelier.
    pub fn mean(self, margin: f64) -> Option<f64> {
        match self {
            Self::Logistic => Some(Logistic::mean(margin)),
            Self::Hinge | Self::SquaredHinge => None,
            Self::Squared | Self::Huber { .. } => Some(margin),
            Self::Poisson => Some(Poisson::mean(margin)),
        }
    }

    /// See [`Loss::size`].
    pub fn size(self, labels: i32) -> Size {
        with_loss!(self, loss => loss.size(labels))
    }

    /// [`Huber`]'s δ; of no use to other losses.
    pub fn delta(self) -> Option<f32> {
        match self {
            Self::Huber { delta } => Some(delta),
            _ => None,
        }
    }

    /// With this δ, if it is [`Huber`]'s.
    pub fn with_delta(self, delta: f32) -> Self {
        match self {
            Self::Huber { .. } => Self::Huber { delta },
            other => other,
        }
    }

    /// The name in options and models.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logistic => "logistic",
            Self::Hinge => "hinge",
            Self::SquaredHinge => "squared-hinge",
            Self::Squared => "squared",
            Self::Huber { .. } => "huber",
            Self::Poisson => "poisson",
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

    /// Labels that a loss takes.
    fn labels(kind: LossKind) -> &'static [f32] {
        match kind.labels() {
            LabelKind::Binary => &[-1.0, 1.0],
            LabelKind::Real => &[-7.25, 0.0, 1.0, 100.0],
            LabelKind::Count => &[0.0, 0.5, 1.0, 30.0],
        }
    }

    #[test]
    fn derivatives_match_finite_differences() {
        for kind in LossKind::ALL.into_iter().chain([LossKind::Huber { delta: 0.25 }]) {
            with_loss!(kind, loss => {
                for i in -400..=400 {
                    let (m, h) = (i as f64 * 0.0237 + 0.011, 1e-5);
                    for &y in labels(kind) {
                        let kink = matches!(kind.labels(), LabelKind::Binary) && (y as f64 * m - 1.0).abs() < 2.0 * h;
                        if kink || kind.delta().is_some_and(|d| ((m - y as f64).abs() - d as f64).abs() < 2.0 * h) {
                            continue;
                        }
                        let slope = (loss.value(m + h, y) - loss.value(m - h, y)) / (2.0 * h);
                        let got = loss.derivative(m as f32, y) as f64;
                        // The difference of two large numbers knows fewer digits.
                        let near = 2e-6 * slope.abs().max(y.abs() as f64).max(1.0) + 1e-10 * loss.value(m, y);
                        assert!((got - slope).abs() <= near, "{kind} {m} {y}: {got} {slope}");
                    }
                }
            });
        }
    }

    #[test]
    fn no_slope_within_reach_changes_faster_than_the_curvature() {
        for kind in LossKind::ALL.into_iter().filter(|k| k.is_smooth()).chain([LossKind::Huber { delta: 0.25 }]) {
            with_loss!(kind, loss => for &y in labels(kind) {
                for i in -60..=60 {
                    for reach in [0.0, 0.1, 1.0, 5.0] {
                        let (m, h) = (i as f32 * 0.25 + 0.01, 1e-3);
                        let most = loss.curvature(m, y, reach + 2.0 * h) as f64;
                        let at = |m: f32| loss.value(m as f64, y);
                        for near in [m - reach, m, m + reach] {
                            let (low, high) = (near - h, near + h);
                            let got = (at(high) - 2.0 * at(near) + at(low)) / ((high - near) as f64).powi(2);
                            let slack = 1e-3 * most + 1e-9 * at(near).abs() / (h as f64).powi(2) + 2e-3;
                            assert!(got <= most + slack, "{kind} {m} {y} {reach}: {got} {most}");
                        }
                    }
                }
            });
        }
        assert_eq!(Hinge.curvature(0.5, 1.0, 1.0), f32::INFINITY);
        assert_eq!((Hinge.curvature(0.0, 1.0, 0.5), Logistic.curvature(0.3, 1.0, 0.5)), (0.0, 0.25));
    }

    #[test]
    fn losses_are_convex_and_no_margin_overflows() {
        for kind in LossKind::ALL {
            with_loss!(kind, loss => {
                for &y in labels(kind) {
                    for i in -500..500 {
                        let m = i as f64 * 0.1;
                        let (low, middle, high) = (loss.value(m - 0.05, y), loss.value(m, y), loss.value(m + 0.05, y));
                        assert!(low + high >= 2.0 * middle * (1.0 - 1e-14) - 1e-12, "{kind} {m} {y}");
                        assert!(middle >= 0.0, "{kind} {m} {y}");
                    }
                    for m in [-1e9, 1e9] {
                        assert!(loss.value(m, y).is_finite() && loss.derivative(m as f32, y).is_finite(), "{kind}");
                    }
                    assert!(loss.value(f64::NAN, y).is_nan() || kind.labels() == LabelKind::Binary, "{kind}");
                }
            });
        }
    }

    #[test]
    fn losses_of_regression_are_zero_where_the_mean_is_the_label() {
        for (kind, margin, label) in [
            (LossKind::Squared, 3.5, 3.5),
            (LossKind::Huber { delta: 0.1 }, -2.0, -2.0),
            (LossKind::Poisson, 7f64.ln(), 7.0),
        ] {
            with_loss!(kind, loss => assert!(loss.value(margin, label).abs() < 1e-14, "{kind}"));
            assert!((kind.mean(margin).unwrap() - label as f64).abs() < 1e-14, "{kind}");
        }
        // Far from the label Huber's loss is a line of slope δ.
        let huber = Huber { delta: 0.5 };
        assert_eq!((huber.value(4.0, 1.0), huber.derivative(-9.0, 1.0)), (0.5 * 3.0 - 0.125, -0.5));
        assert_eq!(LossKind::Poisson.at_zero(0.0), 1.0);
    }

    #[test]
    fn sizes_have_room_for_margins_many_times_the_labels() {
        for kind in LossKind::ALL {
            for e in [-10, 0, 17] {
                let size = kind.size(e);
                with_loss!(kind, loss => for &y in labels(kind) {
                    let y = if kind.labels() == LabelKind::Binary { y } else { y.signum() * 2f32.powi(e) };
                    // Of a Poisson mean the logarithm.
                    let far = if kind == LossKind::Poisson { (8.0 * y.max(1.0)).ln() } else { -8.0 * y };
                    assert!(loss.derivative(far, y).abs() <= 2f32.powi(size.slope), "{kind} {e} {y}");
                    assert!(loss.value(far as f64, y) <= 2f64.powi(size.value), "{kind} {e} {y}");
                });
            }
        }
    }

    #[test]
    fn names_come_back() {
        for kind in LossKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        let told = "log".parse::<LossKind>().unwrap_err();
        assert!(told.starts_with("expected logistic, hinge, squared-hinge, squared, huber, poisson, got"));
        assert_eq!("huber".parse::<LossKind>().unwrap().with_delta(2.0).delta(), Some(2.0));
        assert_eq!(LossKind::Squared.with_delta(2.0), LossKind::Squared);
    }
}
