//! How a batch's subproblem is solved, and how well.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What solves the subproblem of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Coordinate descent: one weight after the other goes to the minimum of its own bound on the subproblem.
    #[default]
    Descend,
    /// Proximal gradient steps on all weights at once, as long as the batch's curvature allows. One is one step of SGD.
    Gradient,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Descend, Self::Gradient];

    /// The name in options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Descend => "cd",
            Self::Gradient => "gd",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Method {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|m| m.name() == text);
        known.ok_or_else(|| format!("expected {}, got {text:?}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// How EMSO solves the subproblem of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Inner {
    /// With what.
    pub method: Method,
    /// Sweeps over the keys, or gradient steps, at most; default 5.
    pub iterations: u32,
    /// Stop before if no key violates its optimality condition by more than this share of what the worst did as the batch
    /// began; default 0.
    pub tol: f64,
}

impl Inner {
    /// Iterations at most, where only a tolerance is given.
    pub const MANY: u32 = 10_000;
}

impl Default for Inner {
    fn default() -> Self {
        Self { method: Method::default(), iterations: 5, tol: 0.0 }
    }
}
