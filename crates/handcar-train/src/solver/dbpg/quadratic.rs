//! A small dense problem: a quadratic model with an elastic net, minimised to high accuracy.
//!
//! `minimise over v: g·(v-w) + ½·(v-w)ᵀH(v-w) + Σ_k l1_k·|v_k|`, each `v_k` between its bounds. Coordinate descent finds which weights
//! are zero or on a bound; then conjugate gradients on the others find the direction to the minimum of their subspace, and an exact
//! search along it stops at zero whatever it brings to zero, and as a whole where the first weight meets a bound. The second step also
//! moves along directions in which `H` is flat, such as the one that all complete one-hot blocks share.

use crate::penalty::{Bounds, ElasticNet, soft};

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
    pub bounds: &'a [Bounds],
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
            let next = self.bounds[k].clip(soft(u * at[k] - g[k], self.l1[k]) / u);
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
        ElasticNet { l1: self.l1[k], l2: 0.0, bounds: self.bounds[k] }.pull(v, g)
    }

    /// Whether a coordinate may move without a change of the penalty's slope.
    fn is_free(&self, k: usize, v: f64) -> bool {
        self.row(k)[k] > 0.0 && (v != 0.0 || self.l1[k] == 0.0) && !self.bounds[k].are_met_by(v)
    }

    fn violation(&self, at: &[f64], g: &[f64]) -> f64 {
        (0..self.n()).filter(|&k| self.row(k)[k] > 0.0).fold(0.0, |m, k| m.max(self.residual(k, at[k], g[k]).abs()))
    }

    /// Moves the coordinates that are neither zero nor on a bound towards the minimum of their subspace; whether anything moved.
    fn subspace_step(&self, at: &mut [f64], g: &mut [f64], goal: f64, reads: &mut usize) -> bool {
        let free: Vec<usize> = (0..self.n()).filter(|&k| self.is_free(k, at[k])).collect();
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
        let clipped = |(&k, d): (&usize, &f64)| match crosses(self.l1[k], at[k], *d) {
            true => (-at[k], 0.0),
            false => self.moved(k, at[k], *d),
        };
        let moved = self.take_better(at, g, &free, share, free.iter().zip(&way).map(clipped).collect());
        // Along a flat direction the norm falls until a weight becomes zero.
        let share = if flat { self.best_share(at, g, &free, &direction) } else { None };
        self.take_better(at, g, &free, share, Vec::new()) || moved
    }

    /// A coordinate's change, as far as its bounds.
    fn moved(&self, k: usize, at: f64, by: f64) -> (f64, f64) {
        match self.bounds[k].clip(at + by) {
            to if to == at + by => (by, to),
            to => (to - at, to),
        }
    }

    /// How far along `way` the first coordinate meets a bound, which of the free ones it is, and the bound.
    fn room(&self, at: &[f64], free: &[usize], way: &[f64]) -> (f64, usize, f64) {
        let mut least = (f64::INFINITY, 0, 0.0);
        for (i, (&k, &d)) in free.iter().zip(way).enumerate().filter(|(_, (_, d))| **d != 0.0) {
            let bound = if d > 0.0 { self.bounds[k].upper() } else { self.bounds[k].lower() } as f64;
            if (bound - at[k]) / d < least.0 {
                least = ((bound - at[k]) / d, i, bound);
            }
        }
        least
    }

    /// The change along `way` (of the coordinates `free`) to the minimum on it, where the slope of the piecewise
    /// quadratic changes sign or a bound is met; none if it does not fall that way.
    fn best_share(&self, at: &[f64], g: &[f64], free: &[usize], way: &[f64]) -> Option<Step> {
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
        let (room, first, bound) = self.room(at, free, way);
        if slope < 0.0 {
            // Flat and falling for ever: only rounding can say so, where no bound ends it.
            if curved <= 0.0 && room.is_infinite() {
                return None;
            }
            t = if curved > 0.0 { t - slope / curved } else { room };
        }
        let held = t >= room;
        if held {
            (t, landed) = (room, None);
        }
        // What the minimum lies on becomes zero exactly, and the first to meet its bound does.
        let step = |(i, d): (usize, &f64)| match free[i] {
            k if landed == Some(i) => (-at[k], 0.0),
            k if held && i == first => (bound - at[k], bound),
            k => self.moved(k, at[k], t * d),
        };
        Some(way.iter().enumerate().map(step).collect())
    }

    /// Takes the change that lowers the model more, if one does.
    fn take_better(&self, at: &mut [f64], g: &mut [f64], free: &[usize], one: Option<Step>, other: Step) -> bool {
        let mut best = (0.0, None);
        for step in one.into_iter().chain([other]).filter(|step| !step.is_empty()) {
            let (by, to): (Vec<f64>, Vec<f64>) = step.into_iter().unzip();
            let product = self.times(free, &by);
            let change: f64 = free
                .iter()
                .zip(&by)
                .map(|(&k, d)| d * (g[k] + 0.5 * product[k]) + self.l1[k] * ((at[k] + d).abs() - at[k].abs()))
                .sum();
            if change < best.0 {
                best = (change, Some((to, product)));
            }
        }
        let Some((to, product)) = best.1 else { return false };
        free.iter().zip(&to).for_each(|(&k, v)| at[k] = *v);
        g.iter_mut().zip(&product).for_each(|(g, p)| *g += p);
        true
    }
}

/// How much each coordinate of a choice changes, and what it becomes.
type Step = Vec<(f64, f64)>;

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
            // Half of the cases have bounds, of each coordinate another box.
            let bounds: Vec<Bounds> = (0..n)
                .map(|_| match (case % 4 < 2, r.below(3)) {
                    (true, _) => Bounds::NONE,
                    (_, 0) => Bounds::new(0.0, f64::INFINITY).unwrap(),
                    (_, 1) => Bounds::new(-0.01, 0.005).unwrap(),
                    _ => Bounds::new(f64::NEG_INFINITY, 0.02).unwrap(),
                })
                .collect();
            let start: Vec<f64> = start.iter().zip(&bounds).map(|(w, b)| b.clip(*w)).collect();
            let q = Quadratic { hessian: &h, gradient: &gradient, start: &start, l1: &l1, bounds: &bounds };
            let v = q.minimise(1e-6).at;
            assert!(v.iter().zip(&bounds).all(|(v, b)| b.contain(*v)), "case {case}");
            let g: Vec<f64> =
                (0..n).map(|k| gradient[k] + (0..n).map(|j| h[k * n + j] * (v[j] - start[j])).sum::<f64>()).collect();
            assert!(q.violation(&v, &g) <= 2e-6, "case {case}: {}", q.violation(&v, &g));
        }
    }

    #[test]
    fn a_key_that_no_row_has_stays() {
        let (hessian, gradient, start) = (&[0.0, 0.0, 0.0, 2.0], &[0.0, -4.0], &[0.5, 0.0]);
        let mut q = Quadratic { hessian, gradient, start, l1: &[1.0; 2], bounds: &[Bounds::NONE; 2] };
        assert_eq!(q.minimise(1e-9).at, [0.5, 1.5]);
        let bounds = [Bounds::new(-1.0, 1.25).unwrap(); 2];
        q.bounds = &bounds;
        assert_eq!(q.minimise(1e-9).at, [0.5, 1.25]);
    }
}
