//! A Newton step over all active keys: conjugate gradients, preconditioned by the head.
//!
//! Solves `H_AA·d = -(g_A + l1·sign)` for the keys A that are nonzero or want to be and that no bound holds, at given margins; norms of
//! fields that are not zero have their part in `H` and `g`. Every product with
//! `H = Xᵀ·diag(h)·X` is an integer sum over rows, joined by one reduction; the vectors are short, and every worker
//! computes the same. The head's block of the Hessian, factorised, and the diagonal of the rest precondition it.

use super::Dbpg;
use super::cholesky::Cholesky;
use super::head::Head;
use super::norms::Norms;
use super::selection::Selection;
use crate::error::Result;
use crate::solver::batch::Loss;
use handcar_kernels::logistic::RowStatistics;

/// Products with the Hessian at most: each costs about half a pass.
const PRODUCTS_MAX: usize = 25;
/// A direction with less than this share of the curvature that its keys have one by one is flat.
const FLAT: f64 = 1e-9;
/// What must be left of the largest residual.
const ACCURACY: f64 = 0.1;

impl Dbpg<'_> {
    /// The step from weights `at` of the chosen keys, and the sign that each is to have where it is not zero.
    pub(super) fn tail_step(
        &mut self,
        head: &Head,
        hessian: &[f64],
        chosen: &Selection,
        at: &[f64],
        statistics: &[Vec<RowStatistics>],
    ) -> Result<(Vec<f64>, Vec<f64>)> {
        let n = chosen.len;
        let sums = self.selected_sums(chosen, statistics, Loss::Nothing)?;
        let scales = chosen.collect(|b, _| self.scales(b));
        let penalties = self.selected_penalties(chosen);
        let norms = self.norms(chosen, at);
        let (mut residual, mut inverse, mut signs) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        for k in 0..n {
            let p = penalties[k];
            let g = sums[2 * k] as f64 * scales[k].gradient + norms.slope(k);
            let h = sums[2 * k + 1] as f64 * scales[k].curvature + p.l2 + norms.rate(k);
            // A zero weight that wants to leave zero goes against its gradient; one that does not stays.
            // An unpenalised one may have any.
            signs[k] = if p.l1 == 0.0 {
                0.0
            } else if at[k] != 0.0 {
                at[k].signum()
            } else {
                -g.signum()
            };
            let moves = if at[k] == 0.0 { p.pull_from_zero(g) > p.l1 } else { !p.is_held(at[k], g) };
            if h > 0.0 && moves && !norms.at_kink(k) {
                residual[k] = -(g + p.l1 * signs[k] + p.l2 * at[k]);
                inverse[k] = 1.0 / h;
            }
        }
        let l2: Vec<f64> = penalties.iter().map(|p| p.l2).collect();
        let solver = Preconditioner::new(head, hessian, chosen, &inverse, &norms);
        let found = self.conjugate_gradients(chosen, &solver, &inverse, (&l2, &norms), residual, statistics)?;
        Ok((found, signs))
    }

    fn conjugate_gradients(
        &mut self,
        chosen: &Selection,
        solver: &Preconditioner,
        inverse: &[f64],
        (l2, norms): (&[f64], &Norms),
        mut residual: Vec<f64>,
        statistics: &[Vec<RowStatistics>],
    ) -> Result<Vec<f64>> {
        let n = chosen.len;
        let worst = |residual: &[f64]| residual.iter().fold(0.0f64, |m, r| m.max(r.abs()));
        let goal = ACCURACY * worst(&residual);
        let mut found = vec![0.0; n];
        let mut direction = solver.solve(&residual, inverse);
        let mut energy: f64 = residual.iter().zip(&direction).map(|(r, d)| r * d).sum();
        for _ in 0..PRODUCTS_MAX {
            if worst(&residual) <= goal || energy <= 0.0 {
                break;
            }
            let mut product = self.times_hessian(chosen, &direction, statistics)?;
            norms.add_times(&direction, &mut product);
            for k in 0..n {
                product[k] = if inverse[k] > 0.0 { product[k] + l2[k] * direction[k] } else { 0.0 };
            }
            let curved: f64 = direction.iter().zip(&product).map(|(d, p)| d * p).sum();
            let plain: f64 = direction.iter().zip(inverse).filter(|(_, i)| **i > 0.0).map(|(d, i)| d * d / i).sum();
            // What is flat the head's model has seen to, as far as signs allow.
            if curved <= FLAT * plain {
                break;
            }
            let step = energy / curved;
            found.iter_mut().zip(&direction).for_each(|(x, d)| *x += step * d);
            residual.iter_mut().zip(&product).for_each(|(r, p)| *r -= step * p);
            let before = energy;
            let next = solver.solve(&residual, inverse);
            energy = residual.iter().zip(&next).map(|(r, d)| r * d).sum();
            direction.iter_mut().zip(&next).for_each(|(d, n)| *d = n + energy / before * *d);
        }
        Ok(found)
    }

    /// `Xᵀ·diag(h)·X·direction` for the chosen keys, over the rows of all workers.
    fn times_hessian(
        &mut self,
        chosen: &Selection,
        direction: &[f64],
        statistics: &[Vec<RowStatistics>],
    ) -> Result<Vec<f64>> {
        // The margins make room for the products, which then change places with them.
        let mut z: Vec<Vec<f64>> = self.shards.iter().map(|s| vec![0.0; s.margins.len()]).collect();
        self.swap_margins(&mut z);
        self.move_margins(chosen, direction);
        self.swap_margins(&mut z);

        let most = z.iter().flatten().fold(0.0f64, |m, z| m.max(z.abs()));
        let exponent = if most > 0.0 { (most.log2().floor() + 1.0).clamp(-1000.0, 1000.0) as i64 } else { -1000 };
        let exponent = self.worker.reduce_max(&[exponent])?[0] as i32;
        let scale = 2f64.powi(-exponent);
        let rows: Vec<Vec<RowStatistics>> = z
            .iter()
            .zip(statistics)
            .map(|(z, s)| z.iter().zip(s).map(|(z, s)| [(s[1] as f64 * (z * scale)) as i32, 0]).collect())
            .collect();
        let sums = self.selected_sums(chosen, &rows, Loss::Rounding)?;
        let scales = chosen.collect(|b, _| self.scales(b).gradient / scale);
        Ok(sums.chunks_exact(2).zip(scales).map(|(s, scale)| s[0] as f64 * scale).collect())
    }

    fn swap_margins(&mut self, with: &mut [Vec<f64>]) {
        self.shards.iter_mut().zip(with).for_each(|(s, z)| std::mem::swap(&mut s.margins, z));
    }
}

/// The head's block of the Hessian, factorised; the diagonal for the rest.
struct Preconditioner {
    /// Positions of the factor's rows among the chosen keys.
    at: Vec<usize>,
    factor: Cholesky,
}

impl Preconditioner {
    fn new(head: &Head, hessian: &[f64], chosen: &Selection, inverse: &[f64], norms: &Norms) -> Self {
        let (mut at, mut from) = (Vec::new(), Vec::new());
        for h in &head.keys.parts {
            let Some(part) = chosen.parts.iter().find(|p| p.block == h.block) else { continue };
            for (j, place) in h.places.iter().enumerate() {
                if let Ok(i) = part.places.binary_search(place)
                    && inverse[part.first + i] > 0.0
                {
                    at.push(part.first + i);
                    from.push(h.first + j);
                }
            }
        }
        let factor =
            Cholesky::new(from.len(), |i, j| hessian[from[i] * head.keys.len + from[j]] + norms.element(at[i], at[j]));
        Self { at, factor }
    }

    fn solve(&self, residual: &[f64], inverse: &[f64]) -> Vec<f64> {
        let mut out: Vec<f64> = residual.iter().zip(inverse).map(|(r, i)| r * i).collect();
        let x = self.factor.solve(self.at.iter().map(|&k| residual[k]).collect());
        self.at.iter().zip(x).for_each(|(&k, x)| out[k] = x);
        out
    }
}
