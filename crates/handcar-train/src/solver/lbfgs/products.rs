//! Dot products whose sums do not depend on order, at the speed of plain ones.
//!
//! Every product is rounded to a multiple of a quantum, 2^-30 of the largest there can be, by adding and taking away a
//! number whose last bit is the quantum (Demmel and Nguyen, 2013). Sums of multiples are exact while they fit 53 bits;
//! then they go on as integers. What rounding moves a sum by is at most 2^-31 of its largest product for each key.

/// How many products fit an f64 beside the 30 bits of each.
const RUN: u32 = 1 << 20;

/// The least `e >= -400` with `x <= 2^e`, at most 400, so that products of two such numbers and their quanta are numbers
/// too. 0 for 0.
pub(super) fn exponent(x: f64) -> i32 {
    if x == 0.0 { 0 } else { ((x.to_bits() >> 52) as i32 - 1022).clamp(-400, 400) }
}

/// Of products of numbers of at most `2^a` and `2^b`.
fn quantum(a: i32, b: i32) -> f64 {
    2f64.powi(a + b - 30)
}

/// The numbers of one vector with all of the basis: changes of weights, changes of gradients, pseudo-gradient.
#[derive(Clone, Copy)]
struct Line<const M: usize> {
    s: [f64; M],
    y: [f64; M],
    pg: f64,
}

impl<const M: usize> Line<M> {
    /// Of exponents `[2·M + 1]`.
    fn new(exponents: &[i32], number: impl Fn(i32) -> f64) -> Self {
        Self {
            s: std::array::from_fn(|j| number(exponents[j])),
            y: std::array::from_fn(|j| number(exponents[M + j])),
            pg: number(exponents[2 * M]),
        }
    }

    fn iter(&self) -> impl Iterator<Item = f64> {
        self.s.into_iter().chain(self.y).chain([self.pg])
    }
}

/// Products of some vectors of the basis with all of it.
pub(super) struct Products<const M: usize> {
    /// Which vectors: changes of weights, of gradients from `M` on, the pseudo-gradient at `2·M`.
    vectors: Vec<usize>,
    magic: Vec<Line<M>>,
    sums: Vec<Line<M>>,
    quanta: Vec<Line<M>>,
    /// What the sums were, in quanta, `[vectors][2·M + 1]`.
    done: Vec<i64>,
    pending: u32,
}

impl<const M: usize> Products<M> {
    const ZERO: Line<M> = Line { s: [0.0; M], y: [0.0; M], pg: 0.0 };

    /// `exponents`: of all of the basis, `[2·M + 1]`; `vectors` are below that.
    pub fn new(exponents: &[i32], vectors: &[usize]) -> Self {
        let of = |number: &dyn Fn(i32, i32) -> f64| -> Vec<Line<M>> {
            vectors.iter().map(|&v| Line::new(exponents, |e| number(exponents[v], e))).collect()
        };
        Self {
            // Its last bit is the quantum, for any sign of what is added.
            magic: of(&|a, b| 1.5 * 2f64.powi(52) * quantum(a, b)),
            quanta: of(&quantum),
            sums: vec![Self::ZERO; vectors.len()],
            done: vec![0; vectors.len() * (2 * M + 1)],
            vectors: vectors.to_vec(),
            pending: 0,
        }
    }

    /// Adds one key's.
    #[inline(always)]
    pub fn add(&mut self, s: &[f32; M], y: &[f32; M], pg: f64) {
        for ((&v, magic), sum) in self.vectors.iter().zip(&self.magic).zip(&mut self.sums) {
            let x = match v {
                v if v < M => s[v] as f64,
                v if v < 2 * M => y[v - M] as f64,
                _ => pg,
            };
            let halves = [(&mut sum.s, s, &magic.s), (&mut sum.y, y, &magic.y)];
            for (sums, others, magic) in halves {
                for ((sum, &other), magic) in sums.iter_mut().zip(others).zip(magic) {
                    *sum += (x * other as f64 + magic) - magic;
                }
            }
            sum.pg += (x * pg + magic.pg) - magic.pg;
        }
        self.pending += 1;
        if self.pending == RUN {
            self.carry();
        }
    }

    fn carry(&mut self) {
        let sums = self.sums.iter().flat_map(Line::iter);
        for ((done, sum), q) in self.done.iter_mut().zip(sums).zip(self.quanta.iter().flat_map(Line::iter)) {
            *done += (sum / q) as i64;
        }
        self.sums.fill(Self::ZERO);
        self.pending = 0;
    }

    /// The sums in quanta: integers that may be added up over servers and read by [`values`].
    pub fn finish(mut self) -> Vec<i64> {
        self.carry();
        self.done
    }
}

/// The dot products that integers of all servers stand for: a line of `2·M + 1` for each of the vectors.
pub(super) fn values(sums: &[i64], exponents: &[i32], vectors: &[usize]) -> Vec<Vec<f64>> {
    let line = |(&v, sums): (&usize, &[i64])| {
        sums.iter().zip(exponents).map(|(&s, &e)| s as f64 * quantum(exponents[v], e)).collect()
    };
    vectors.iter().zip(sums.chunks(exponents.len())).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use handcar_base::{Rng, Seed};

    #[test]
    fn exponents_bound_their_numbers() {
        for x in [1.0, 0.75, 0.5, 3e-9, 1e300, f64::MIN_POSITIVE, 7.5] {
            let e = exponent(x);
            assert!(x <= 2f64.powi(e) || e == 400, "{x} {e}");
            assert!(x > 2f64.powi(e - 2) || e == -400, "{x} {e}");
        }
    }

    #[test]
    fn sums_equal_plain_ones_and_any_split_of_the_keys_gives_the_same() {
        const M: usize = 3;
        let mut r = Rng::new(Seed(3), 0);
        let mut draw = |scale: f64| (r.uniform() - 0.5) * scale;
        let scales = [1e-3, 1.0, 2.0, 50.0, 1e4, 0.1, 7.0];
        let keys: Vec<[f64; 7]> = (0..999).map(|_| scales.map(|x| draw(x) as f32 as f64)).collect();
        let exponents = scales.map(|x| exponent(0.5 * x));
        let vectors = [1, 6, 4, 3];
        let sums = |keys: &[[f64; 7]]| {
            let mut p = Products::<M>::new(&exponents, &vectors);
            for k in keys {
                let f = |j: usize| k[j] as f32;
                p.add(&[f(0), f(1), f(2)], &[f(3), f(4), f(5)], k[6]);
            }
            p.finish()
        };
        let all = sums(&keys);
        let parts = [&keys[..1], &keys[1..400], &keys[400..]].map(sums);
        assert!((0..all.len()).all(|i| all[i] == parts.iter().map(|p| p[i]).sum::<i64>()));
        for (line, v) in values(&all, &exponents, &vectors).iter().zip(vectors) {
            for (j, &got) in line.iter().enumerate() {
                let want: f64 = keys.iter().map(|k| k[v] * k[j]).sum();
                assert!((got - want).abs() <= 1e-7 * scales[v] * scales[j], "{v} {j}: {got} {want}");
            }
        }
    }
}
