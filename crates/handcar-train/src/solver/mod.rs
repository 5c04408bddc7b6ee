//! Solvers; each is worker code plus the updater that its servers run.

mod batch;
pub mod dbpg;
pub mod lbfgs;
pub mod minibatch;

pub(crate) use batch::{field_ranges, relative_gap};

use handcar_ps::Registry;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Makes servers know what all solvers ask of them.
pub fn register(registry: &mut Registry) {
    batch::register(registry);
    dbpg::register(registry);
    lbfgs::register(registry);
    minibatch::register(registry);
}

/// The name of a solver's table: of the job's first solver the plain one.
fn table_name(what: &str, stage: usize) -> String {
    if stage == 0 { what.into() } else { format!("{what}.{stage}") }
}

/// The solvers there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Solver {
    /// Delayed block proximal gradient: batch, to a certified optimum; see [`dbpg`].
    #[default]
    Dbpg,
    /// L-BFGS, for L1 by orthants: batch, to a certified optimum; see [`lbfgs`].
    Lbfgs,
    /// Minibatch stochastic gradient descent; see [`minibatch`].
    Sgd,
    /// Minibatch AdaGrad.
    AdaGrad,
    /// Minibatch FTRL-Proximal.
    Ftrl,
    /// EMSO: solves each minibatch near the weights before it; see [`minibatch::Inner`].
    Emso,
    /// AdaGrad with steps that fall with the delay of each gradient.
    AdaDelay,
    /// AdaGrad that ignores delays.
    #[serde(rename = "async-adagrad")]
    AsyncAdaGrad,
    /// AdaGrad that revises what it did when a late gradient comes.
    #[serde(rename = "adaptive-revision")]
    AdaptiveRevision,
}

impl Solver {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Dbpg,
        Self::Lbfgs,
        Self::Sgd,
        Self::AdaGrad,
        Self::Ftrl,
        Self::Emso,
        Self::AdaDelay,
        Self::AsyncAdaGrad,
        Self::AdaptiveRevision,
    ];

    /// The name in options, models and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dbpg => "dbpg",
            Self::Lbfgs => "lbfgs",
            Self::Sgd => "sgd",
            Self::AdaGrad => "adagrad",
            Self::Ftrl => "ftrl",
            Self::Emso => "emso",
            Self::AdaDelay => "adadelay",
            Self::AsyncAdaGrad => "async-adagrad",
            Self::AdaptiveRevision => "adaptive-revision",
        }
    }

    /// The names of some, as in a message.
    pub fn names(which: impl Fn(Self) -> bool) -> String {
        let names: Vec<_> = Self::ALL.into_iter().filter(|s| which(*s)).map(Self::name).collect();
        names.join(", ")
    }

    /// Whether it learns row by row as it goes, in minibatches; else it goes on to a tolerance.
    pub fn is_minibatch(self) -> bool {
        !matches!(self, Self::Dbpg | Self::Lbfgs)
    }

    /// Whether workers push by themselves, without waiting for each other, if they are allowed a delay.
    pub fn is_asynchronous(self) -> bool {
        matches!(self, Self::AdaDelay | Self::AsyncAdaGrad | Self::AdaptiveRevision)
    }

    /// Step size unless told otherwise; of use to minibatch solvers alone.
    pub fn default_rate(self) -> f64 {
        match self {
            Self::Sgd => 1.0,
            Self::Emso => 3.0,
            _ => 0.1,
        }
    }

    /// Passes unless told otherwise.
    pub fn default_passes(self) -> u32 {
        match self {
            Self::Dbpg => 200,
            Self::Lbfgs => 1000,
            _ => 1,
        }
    }
}

impl fmt::Display for Solver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Solver {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|s| s.name() == text);
        known.ok_or_else(|| format!("expected {}, got {text:?}", Self::names(|_| true)))
    }
}

/// Solvers one after the other, each beginning with the weights of the one before: `ftrl+dbpg`.
///
/// ```
/// use handcar_train::solver::{Solvers, Solver};
/// let both: Solvers = "ftrl+dbpg".parse()?;
/// assert_eq!((both.first(), both.last()), (Solver::Ftrl, Solver::Dbpg));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solvers(Vec<Solver>);

/// Solvers in turn at most.
pub(crate) const SOLVERS_MAX: usize = 8;
/// Passes of a minibatch solver that patience may end sooner: one would leave it nothing to wait for.
const PATIENT_PASSES: u32 = 100;

impl Solvers {
    /// The solvers, in order; at least one.
    pub fn solvers(&self) -> &[Solver] {
        &self.0
    }

    /// Whose work comes first.
    pub fn first(&self) -> Solver {
        self.0[0]
    }

    /// Whose result is the job's.
    pub fn last(&self) -> Solver {
        self.0[self.0.len() - 1]
    }

    /// Passes of the last at most unless told otherwise. `patient`: whether passes that help no more end it sooner.
    pub fn default_passes(&self, patient: bool) -> u32 {
        match self.last() {
            s if patient && s.is_minibatch() => PATIENT_PASSES,
            s => s.default_passes(),
        }
    }

    /// Whether any of them fits.
    pub fn any(&self, fits: impl Fn(Solver) -> bool) -> bool {
        self.0.iter().any(|&s| fits(s))
    }
}

impl Default for Solvers {
    fn default() -> Self {
        Solver::default().into()
    }
}

impl From<Solver> for Solvers {
    fn from(solver: Solver) -> Self {
        Self(vec![solver])
    }
}

impl fmt::Display for Solvers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|s| s.name()).collect();
        f.write_str(&names.join("+"))
    }
}

impl FromStr for Solvers {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let solvers = text.split('+').map(str::parse).collect::<Result<Vec<Solver>, _>>()?;
        match solvers.len() {
            1..=SOLVERS_MAX => Ok(Self(solvers)),
            n => Err(format!("expected at most {SOLVERS_MAX} solvers, got {n}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solvers_in_turn_are_read_and_written() {
        for text in ["dbpg", "sgd", "ftrl+dbpg", "adagrad+ftrl+dbpg", "lbfgs+dbpg", "async-adagrad+adadelay"] {
            assert_eq!(text.parse::<Solvers>().unwrap().to_string(), text);
        }
        for (text, told) in [
            ("", "got \"\""),
            ("ftrl+", "got \"\""),
            (
                "vw",
                "expected dbpg, lbfgs, sgd, adagrad, ftrl, emso, adadelay, async-adagrad, adaptive-revision, got \"vw\"",
            ),
        ] {
            assert!(text.parse::<Solvers>().unwrap_err().contains(told));
        }
        assert!(["sgd"; 9].join("+").parse::<Solvers>().unwrap_err().contains("at most 8"));
    }
}
