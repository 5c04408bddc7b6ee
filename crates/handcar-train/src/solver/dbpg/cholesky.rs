//! Cholesky's factorisation of a small dense matrix that may be singular.

/// What is added to the diagonal, relative to it: fields of one-hot data share directions in which the Hessian is flat.
const RIDGE: f64 = 1e-6;

/// `L` with `L·Lᵀ = A`, up to the ridge.
pub(super) struct Cholesky {
    n: usize,
    /// Row by row; above the diagonal without meaning.
    rows: Vec<f64>,
}

impl Cholesky {
    /// Factorises the symmetric matrix with these elements; positive semidefinite.
    pub fn new(n: usize, element: impl Fn(usize, usize) -> f64) -> Self {
        let mut rows = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                rows[i * n + j] = element(i, j) * if i == j { 1.0 + RIDGE } else { 1.0 };
            }
        }
        for j in 0..n {
            let (done, rest) = rows.split_at_mut((j + 1) * n);
            let pivot = done[j * n + j].max(0.5 * RIDGE * element(j, j)).max(f64::MIN_POSITIVE).sqrt();
            done[j * n + j] = pivot;
            let column: Vec<f64> = rest.chunks_exact(n).map(|row| row[j] / pivot).collect();
            for (i, row) in rest.chunks_exact_mut(n).enumerate() {
                let c = column[i];
                row[j] = c;
                if c != 0.0 {
                    row[j + 1..].iter_mut().zip(&column[..=i]).for_each(|(r, x)| *r -= c * x);
                }
            }
        }
        Self { n, rows }
    }

    /// `A⁻¹·x`
    pub fn solve(&self, mut x: Vec<f64>) -> Vec<f64> {
        let row = |i: usize| &self.rows[i * self.n..][..=i];
        for i in 0..self.n {
            let known: f64 = row(i)[..i].iter().zip(&x).map(|(l, x)| l * x).sum();
            x[i] = (x[i] - known) / row(i)[i];
        }
        for i in (0..self.n).rev() {
            let v = x[i] / row(i)[i];
            x[i] = v;
            x[..i].iter_mut().zip(row(i)).for_each(|(x, l)| *x -= v * l);
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use handcar_base::{Rng, Seed};

    #[test]
    fn solving_undoes_multiplying() {
        let mut r = Rng::new(Seed(7), 0);
        let n = 9;
        let b: Vec<f64> = (0..n * n).map(|_| r.uniform() - 0.5).collect();
        let a = |i: usize, j: usize| {
            (0..n).map(|k| b[i * n + k] * b[j * n + k]).sum::<f64>() + if i == j { 1.0 } else { 0.0 }
        };
        let x: Vec<f64> = (0..n).map(|i| i as f64 - 4.0).collect();
        let product = (0..n).map(|i| (0..n).map(|j| a(i, j) * x[j]).sum()).collect();
        let back = Cholesky::new(n, a).solve(product);
        assert!(x.iter().zip(&back).all(|(x, b)| (x - b).abs() < 1e-4), "{back:?}");
    }

    #[test]
    fn equal_columns_share_what_one_would_have() {
        let x = Cholesky::new(2, |_, _| 2.0).solve(vec![4.0, 4.0]);
        assert!((x[0] + x[1] - 2.0).abs() < 1e-4, "{x:?}");
    }
}
