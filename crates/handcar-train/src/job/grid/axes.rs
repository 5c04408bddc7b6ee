//! What a grid tries.

use super::super::FitOptions;
use crate::solver::Solver;
use std::{fmt, str::FromStr};

/// Models at most.
const MODELS_MAX: usize = 256;

/// Values of options, of which every combination is tried.
///
/// ```
/// use handcar_train::job::GridAxes;
/// let axes: GridAxes = "l1=1,4,16 rate=0.05,0.1".parse()?;
/// assert_eq!((axes.models(), axes.to_string()), (6, "l1=1,4,16 rate=0.05,0.1".into()));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GridAxes {
    /// Values of the options in the order of [`NAMES`](Self::NAMES); of those not named none.
    values: [Vec<f64>; 4],
}

impl GridAxes {
    /// What may be tried.
    pub const NAMES: [&'static str; 4] = ["l1", "l2", "rate", "beta"];

    /// Combinations.
    pub fn models(&self) -> usize {
        self.values.iter().map(|v| v.len().max(1)).product()
    }

    /// Every combination, with the job's own options where nothing is named; the last name varies fastest.
    pub(super) fn points(&self, options: &FitOptions, solver: Solver) -> Vec<[f64; 4]> {
        let rate = options.rate.unwrap_or(solver.default_rate());
        let mut all = vec![[options.l1, options.l2, rate, options.beta]];
        for (axis, values) in self.values.iter().enumerate().filter(|(_, v)| !v.is_empty()) {
            let with = |point: &[f64; 4], x: f64| {
                let mut point = *point;
                point[axis] = x;
                point
            };
            all = all.iter().flat_map(|point| values.iter().map(move |&x| with(point, x))).collect();
        }
        all
    }
}

impl FromStr for GridAxes {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut out = Self::default();
        for axis in text.split_whitespace() {
            let expected = || format!("expected NAME=X,Y,... with a name among {}", Self::NAMES.join(", "));
            let (name, list) = axis.split_once('=').ok_or_else(|| format!("{}, got {axis:?}", expected()))?;
            let known = Self::NAMES.iter().position(|n| *n == name);
            let place = known.ok_or_else(|| format!("{}, got {name:?}", expected()))?;
            if !out.values[place].is_empty() {
                return Err(format!("expected each name once, got {name} twice"));
            }
            for x in list.split(',') {
                // A rate of zero learns nothing.
                let fits = |x: &f64| x.is_finite() && *x >= 0.0 && (name != "rate" || *x > 0.0);
                let number = x.parse::<f64>().ok().filter(fits);
                let range = if name == "rate" { "above 0" } else { "of at least 0" };
                out.values[place].push(number.ok_or_else(|| format!("{name}: expected a number {range}, got {x:?}"))?);
            }
        }
        if out.values.iter().all(Vec::is_empty) {
            return Err("expected NAME=X,Y,..., got nothing".into());
        }
        match out.models() {
            1..=MODELS_MAX => Ok(out),
            n => Err(format!("expected at most {MODELS_MAX} models, got {n}")),
        }
    }
}

impl fmt::Display for GridAxes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.values.iter().zip(Self::NAMES).filter(|(v, _)| !v.is_empty());
        let list = |v: &[f64]| v.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        f.write_str(&named.map(|(v, name)| format!("{name}={}", list(v))).collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_read_and_what_is_none_is_told() {
        let axes: GridAxes = "rate=0.1,1 l1=1,2,3".parse().unwrap();
        let points = axes.points(&FitOptions { l2: 7.0, ..FitOptions::default() }, Solver::Ftrl);
        assert_eq!(points.len(), 6);
        assert_eq!((points[0], points[5]), ([1.0, 7.0, 0.1, 1.0], [3.0, 7.0, 1.0, 1.0]));
        for (text, told) in [
            ("", "got nothing"),
            ("clicks.tsv", "expected NAME=X,Y,... with a name among l1, l2, rate, beta, got \"clicks.tsv\""),
            ("l3=1", "got \"l3\""),
            ("l1=1 l1=2", "l1 twice"),
            ("l1=1,-1", "l1: expected a number of at least 0, got \"-1\""),
            ("rate=0", "rate: expected a number above 0, got \"0\""),
            ("l1=", "got \"\""),
        ] {
            let error = text.parse::<GridAxes>().unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
        let many = format!("l1={0} l2={0}", ["1"; 17].join(","));
        assert!(many.parse::<GridAxes>().unwrap_err().contains("at most 256 models, got 289"));
    }
}
