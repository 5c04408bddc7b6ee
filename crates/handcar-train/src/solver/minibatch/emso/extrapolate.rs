//! Anderson extrapolation of coordinate descent (Bertrand and Massias, AISTATS 2021): where the last sweeps lead to.

use super::subproblem::Subproblem;
use crate::loss::Loss;

/// Sweeps that a guess is made of.
const SWEEPS: usize = 5;

/// The solutions after the last sweeps, and the rows' margins there.
#[derive(Default)]
pub(super) struct Extrapolate {
    seen: Vec<(Vec<f64>, Vec<f64>)>,
}

impl Extrapolate {
    /// Sees the solution after a sweep, and after every fifth moves it to the combination of the last ones whose steps cancel
    /// best, if the subproblem is lower there.
    pub fn after_sweep<L: Loss>(&mut self, problem: &mut Subproblem<'_, L>) {
        self.seen.push((problem.solution.clone(), problem.margins.clone()));
        if self.seen.len() <= SWEEPS {
            return;
        }
        if let Some(shares) = self.shares() {
            let (mut solution, mut margins) = (vec![0.0; problem.solution.len()], vec![0.0; problem.margins.len()]);
            for ((weights, of_rows), share) in self.seen[1..].iter().zip(shares) {
                solution.iter_mut().zip(weights).for_each(|(s, w)| *s += share * w);
                margins.iter_mut().zip(of_rows).for_each(|(s, m)| *s += share * m);
            }
            if problem.objective(&solution, &margins) < problem.objective(&problem.solution, &problem.margins) {
                (problem.solution, problem.margins) = (solution, margins);
            }
        }
        self.seen.clear();
        self.seen.push((problem.solution.clone(), problem.margins.clone()));
    }

    /// Shares that add up to one, for which `‖Σ share·step‖` is least.
    fn shares(&self) -> Option<[f64; SWEEPS]> {
        let steps: Vec<Vec<f64>> =
            self.seen.windows(2).map(|s| s[1].0.iter().zip(&s[0].0).map(|(b, a)| b - a).collect()).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mut rows = [[0.0; SWEEPS + 1]; SWEEPS];
        for (i, row) in rows.iter_mut().enumerate() {
            for (j, x) in row[..SWEEPS].iter_mut().enumerate() {
                *x = dot(&steps[i], &steps[j]);
            }
            row[SWEEPS] = 1.0;
        }
        // The steps are nearly parallel: a little on the diagonal keeps the shares in bounds.
        let slack = 1e-12 * (0..SWEEPS).map(|i| rows[i][i]).sum::<f64>();
        (0..SWEEPS).for_each(|i| rows[i][i] += slack);
        let shares = solved(rows)?;
        let sum: f64 = shares.iter().sum();
        let shares = shares.map(|c| c / sum);
        shares.iter().all(|c| c.is_finite()).then_some(shares)
    }
}

/// The solution of a symmetric positive definite system, by elimination.
fn solved(mut rows: [[f64; SWEEPS + 1]; SWEEPS]) -> Option<[f64; SWEEPS]> {
    for i in 0..SWEEPS {
        let pivot = rows[i];
        if pivot[i].is_nan() || pivot[i] <= 0.0 {
            return None;
        }
        for row in rows.iter_mut().skip(i + 1) {
            let times = row[i] / pivot[i];
            row.iter_mut().zip(pivot).for_each(|(x, p)| *x -= times * p);
        }
    }
    let mut x = [0.0; SWEEPS];
    for i in (0..SWEEPS).rev() {
        let known: f64 = (i + 1..SWEEPS).map(|j| rows[i][j] * x[j]).sum();
        x[i] = (rows[i][SWEEPS] - known) / rows[i][i];
    }
    Some(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_solved() {
        let mut rows = [[0.0; SWEEPS + 1]; SWEEPS];
        for (i, row) in rows.iter_mut().enumerate() {
            for (j, x) in row[..SWEEPS].iter_mut().enumerate() {
                *x = if i == j { 3.0 } else { 0.5 };
            }
            row[SWEEPS] = 3.0 * i as f64 + 0.5 * (10 - i) as f64;
        }
        let x = solved(rows).unwrap();
        x.iter().enumerate().for_each(|(i, x)| assert!((x - i as f64).abs() < 1e-12, "{x}"));
        assert_eq!(solved([[0.0; SWEEPS + 1]; SWEEPS]), None);
    }
}
