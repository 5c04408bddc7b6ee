//! A small dense problem: a quadratic model with an elastic net, minimised to high accuracy.
//!
//! `minimise over v: g·(v-w) + ½·(v-w)ᵀH(v-w) + Σ_k l1_k·|v_k|`. Coordinate descent finds which weights are zero; then
//! conjugate gradients on the others find the direction to the minimum of their subspace, and an exact search along it
//! stops at zero whatever it brings to zero. The second step also moves along directions in which `H` is flat, such as
//! the one that all complete one-hot blocks share.

use crate::penalty::soft;

/// Rows of the Hessian read at most, for each coordinate.
const READS_MAX: usize = 400;
/// Sweeps of coordinate descent in a round.
const SWEEPS: usize = 3;
/// Products of a subspace step at most.
const PRODUCTS_MAX: usize = 150;
/// A direction whose curvature is below this share of what its diagonal alone would give is flat.
const FLAT: f64 = 1e-13;

/// The model; `l2` belongs into the diagonal of `hessian` and into `gradient`.
pub(super) struct Quadratic<'a> {
    /// Symmetric, row by row.
    pub hessian: &'a [f64],
    /// At `start`.
    pub gradient: &'a [f64],
    pub start: &'a [f64],
    /// Weight of `|v_k|`.
    pub l1: &'a [f64],
}

/// Where minimising ended.
pub(super) struct Minimum {
    pub at: Vec<f64>,
    /// Rows of the Hessian that were read.
    pub reads: usize,
}

impl Quadratic<'_> {
    /// The minimising weights, to within `goal` of what optimality asks of each gradient, or as near as a
    /// bounded amount of work brings them.
    pub fn minimise(&self, goal: f64) -> Minimum {
        let mut at = self.start.to_vec();
        let mut g = self.gradient.to_vec();
        let mut reads = 0;
        while reads < READS_MAX * self.n() {
            for _ in 0..SWEEPS {
                reads += self.sweep(&mut at, &mut g);
            }
            if self.violation(&at, &g) <= goal || !self.subspace_step(&mut at, &mut g, goal, &mut reads) {
                break;
            }
        }
        Minimum { at, reads }
    }

    fn n(&self) -> usize {
        self.start.len()
    }

    fn row(&self, k: usize) -> &[f64] {
        &self.hessian[k * self.n()..][..self.n()]
    }

    /// `H·direction`, the direction being zero but at `free`. Row by row, which vector units can do in order.
    fn times(&self, free: &[usize], direction: &[f64]) -> Vec<f64> {
        let mut product = vec![0.0; self.n()];
        for (&k, d) in free.iter().zip(direction) {
            product.iter_mut().zip(self.row(k)).for_each(|(p, h)| *p += d * h);
        }
        product
    }

    /// One round over all coordinates; how many moved.
    fn sweep(&self, at: &mut [f64], g: &mut [f64]) -> usize {
        let mut moved = 0;
        for k in 0..self.n() {
            let u = self.row(k)[k];
            if u <= 0.0 {
                continue;
            }
            let next = soft(u * at[k] - g[k], self.l1[k]) / u;
            let by = next - at[k];
            if by != 0.0 {
                at[k] = next;
                g.iter_mut().zip(self.row(k)).for_each(|(g, h)| *g += by * h);
                moved += 1;
            }
        }
        moved
    }

    /// What optimality misses at a coordinate: positive and negative parts of the (sub)gradient pulled towards zero.
    fn residual(&self, k: usize, v: f64, g: f64) -> f64 {
        if v == 0.0 { soft(g, self.l1[k]) } else { g + self.l1[k] * v.signum() }
    }

    fn violation(&self, at: &[f64], g: &[f64]) -> f64 {
        (0..self.n()).filter(|&k| self.row(k)[k] > 0.0).fold(0.0, |m, k| m.max(self.residual(k, at[k], g[k]).abs()))
    }

    /// Moves the nonzero coordinates towards the minimum of their subspace; whether anything moved.
    fn subspace_step(&self, at: &mut [f64], g: &mut [f64], goal: f64, reads: &mut usize) -> bool {
        let free: Vec<usize> =
            (0..self.n()).filter(|&k| self.row(k)[k] > 0.0 && (at[k] != 0.0 || self.l1[k] == 0.0)).collect();
        let mut residual: Vec<f64> = free.iter().map(|&k| -self.residual(k, at[k], g[k])).collect();
        let inverse: Vec<f64> = free.iter().map(|&k| 1.0 / self.row(k)[k]).collect();
        let mut way = vec![0.0; free.len()];
        let mut direction: Vec<f64> = residual.iter().zip(&inverse).map(|(r, i)| r * i).collect();
        let mut energy: f64 = residual.iter().zip(&direction).map(|(r, d)| r * d).sum();
        let mut flat = false;
        for _ in 0..PRODUCTS_MAX {
            if residual.iter().all(|r| r.abs() <= 0.3 * goal) || energy <= 0.0 {
                break;
            }
            let product = self.times(&free, &direction);
            *reads += free.len();
            let product: Vec<f64> = free.iter().map(|&k| product[k]).collect();
            let curved: f64 = direction.iter().zip(&product).map(|(d, p)| d * p).sum();
            let plain: f64 = direction.iter().zip(&inverse).map(|(d, i)| d * d / i).sum();
            if curved <= FLAT * plain {
                flat = true;
                break;
            }
            let step = energy / curved;
            way.iter_mut().zip(&direction).for_each(|(w, d)| *w += step * d);
            residual.iter_mut().zip(&product).for_each(|(r, p)| *r -= step * p);
            let before = energy;
            energy = residual.iter().zip(&inverse).map(|(r, i)| r * r * i).sum();
            for ((d, r), i) in direction.iter_mut().zip(&residual).zip(&inverse) {
                *d = r * i + energy / before * *d;
            }
        }
        *reads += 2 * free.len();
        let share = self.best_share(at, g, &free, &way);
        let clipped = free.iter().zip(&way).map(|(&k, d)| if crosses(self.l1[k], at[k], *d) { -at[k] } else { *d });
        let moved = self.take_better(at, g, &free, share, clipped.collect());
        // Along a flat direction the norm falls until a weight becomes zero.
        let share = if flat { self.best_share(at, g, &free, &direction) } else { None };
        self.take_better(at, g, &free, share, vec![0.0; free.len()]) || moved
    }

    /// The change along `way` (of the coordinates `free`) to the minimum on it, where the slope of the piecewise
    /// quadratic changes sign; none if it does not fall that way.
    fn best_share(&self, at: &[f64], g: &[f64], free: &[usize], way: &[f64]) -> Option<Vec<f64>> {
        let product = self.times(free, way);
        let curved: f64 = free.iter().zip(way).map(|(&k, d)| d * product[k]).sum::<f64>().max(0.0);
        let mut slope: f64 = free
            .iter()
            .zip(way)
            .map(|(&k, d)| d * g[k] + self.l1[k] * if at[k] == 0.0 { d.abs() } else { d * at[k].signum() })
            .sum();
        if slope >= 0.0 {
            return None;
        }
        let mut zeros: Vec<(f64, usize)> = free
            .iter()
            .zip(way)
            .enumerate()
            .filter(|(_, (k, d))| self.l1[**k] > 0.0 && at[**k] * **d < 0.0)
            .map(|(i, (&k, d))| (-at[k] / d, i))
            .collect();
        zeros.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let (mut t, mut landed) = (0.0, None);
        for (zero, i) in zeros {
            if curved > 0.0 && t - slope / curved <= zero {
                break;
            }
            slope += curved * (zero - t) + 2.0 * self.l1[free[i]] * way[i].abs();
            t = zero;
            if slope >= 0.0 {
                landed = Some(i);
                break;
            }
        }
        if slope < 0.0 {
            // Flat and falling for ever: only rounding can say so.
            if curved <= 0.0 {
                return None;
            }
            t -= slope / curved;
        }
        // What the minimum lies on becomes zero exactly.
        let step = |(i, d): (usize, &f64)| if landed == Some(i) { -at[free[i]] } else { t * d };
        Some(way.iter().enumerate().map(step).collect())
    }

    /// Takes the change that lowers the model more, if one does.
    fn take_better(
        &self,
        at: &mut [f64],
        g: &mut [f64],
        free: &[usize],
        one: Option<Vec<f64>>,
        other: Vec<f64>,
    ) -> bool {
        let mut best = (0.0, None);
        for by in one.into_iter().chain([other]) {
            let product = self.times(free, &by);
            let change: f64 = free
                .iter()
                .zip(&by)
                .map(|(&k, d)| d * (g[k] + 0.5 * product[k]) + self.l1[k] * ((at[k] + d).abs() - at[k].abs()))
                .sum();
            if change < best.0 {
                best = (change, Some((by, product)));
            }
        }
        let Some((by, product)) = best.1 else { return false };
        free.iter().zip(&by).for_each(|(&k, d)| at[k] += d);
        g.iter_mut().zip(&product).for_each(|(g, p)| *g += p);
        true
    }
}

/// Whether a penalised coordinate would change its sign.
fn crosses(l1: f64, at: f64, by: f64) -> bool {
    l1 > 0.0 && (at + by) * at < 0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use handcar_base::{Rng, Seed};

    /// `XᵀX` of random one-hot fields: singular along every difference of two fields.
    fn one_hot(r: &mut Rng, rows: usize, fields: &[usize]) -> (usize, Vec<f64>) {
        let n: usize = fields.iter().sum();
        let mut h = vec![0.0; n * n];
        for _ in 0..rows {
            let mut first = 0;
            let mut row = Vec::new();
            for &c in fields {
                row.push(first + r.below(c as u64) as usize);
                first += c;
            }
            for &a in &row {
                for &b in &row {
                    h[a * n + b] += 0.2;
                }
            }
        }
        (n, h)
    }

    #[test]
    fn the_minimum_satisfies_the_optimality_conditions() {
        let mut r = Rng::new(Seed(3), 0);
        for case in 0..30 {
            let (n, h) = one_hot(&mut r, 3000, &[2, 3, 7, 20][..2 + case % 3]);
            let start: Vec<f64> = (0..n).map(|_| if r.below(3) == 0 { 0.0 } else { r.uniform() - 0.5 }).collect();
            let gradient: Vec<f64> = {
                // In the range of H, as the gradient of a loss of margins is.
                let z: Vec<f64> = (0..n).map(|_| 0.2 * (r.uniform() - 0.5)).collect();
                (0..n).map(|k| (0..n).map(|j| h[k * n + j] * z[j]).sum()).collect()
            };
            let mut l1 = vec![4.0; n];
            if case % 2 == 0 {
                l1[0] = 0.0;
            }
            let q = Quadratic { hessian: &h, gradient: &gradient, start: &start, l1: &l1 };
            let v = q.minimise(1e-6).at;
            let g: Vec<f64> =
                (0..n).map(|k| gradient[k] + (0..n).map(|j| h[k * n + j] * (v[j] - start[j])).sum::<f64>()).collect();
            assert!(q.violation(&v, &g) <= 2e-6, "case {case}: {}", q.violation(&v, &g));
        }
    }

    #[test]
    fn a_key_that_no_row_has_stays() {
        let q = Quadratic { hessian: &[0.0, 0.0, 0.0, 2.0], gradient: &[0.0, -4.0], start: &[0.5, 0.0], l1: &[1.0; 2] };
        assert_eq!(q.minimise(1e-9).at, [0.5, 1.5]);
    }
}
