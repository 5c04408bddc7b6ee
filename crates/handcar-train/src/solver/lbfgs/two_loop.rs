//! The two-loop recursion on dot products alone (Chen, Wang and Zhou, NIPS 2014), and the dot products it needs.
//!
//! Basis: changes of weights `s_1..s_M`, changes of gradients `y_1..y_M`, by slot, and the pseudo-gradient.

/// The least curvature `⟨s,y⟩/⟨y,y⟩` of a pair that is kept.
const CURVATURE_MIN: f64 = 1e-10;

/// All dot products of the basis, and which slots hold pairs.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// Slots.
    slots: usize,
    /// Row by row, `[2·slots + 1]` squared.
    dots: Vec<f64>,
    /// Slots of pairs, oldest first.
    order: Vec<usize>,
    /// How many pairs there may be; a slot more would be of no use.
    most: usize,
}

/// `D = Σ_j s_j·basis_j + Σ_j y_j·basis_{M+j} + pg·basis_{2M}`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Coefficients {
    pub s: Vec<f64>,
    pub y: Vec<f64>,
    pub pg: f64,
    /// Of the pseudo-gradient where keys have no curvature to be known of: what the recursion begins with.
    pub at_zero: f64,
    /// Whether this is steepest descent.
    pub steepest: bool,
}

impl History {
    /// No pairs, at most `most`, in as many slots or more.
    pub fn new(slots: usize, most: usize) -> Self {
        Self { slots, dots: vec![0.0; (2 * slots + 1) * (2 * slots + 1)], order: Vec::new(), most }
    }

    /// Where the next pair goes: a free slot, or the oldest one's.
    pub fn next_slot(&self) -> usize {
        match self.order.len() == self.most {
            true => self.order[0],
            false => (0..self.most).find(|s| !self.order.contains(s)).unwrap_or(0),
        }
    }

    /// Forgets all pairs.
    pub fn clear(&mut self) {
        self.order.clear();
    }

    /// The vectors of the basis that dot products are missing of once there is a new pair in [`next_slot`](Self::next_slot):
    /// its own and the pseudo-gradient; with `all` those of every pair, where the keys that count are others than before.
    pub fn missing(&self, all: bool) -> Vec<usize> {
        let (new, m) = (self.next_slot(), self.slots);
        let old = self.order.iter().copied().filter(|&o| all && o != new);
        let slots: Vec<usize> = old.chain([new]).collect();
        slots.iter().copied().chain(slots.iter().map(|s| m + s)).chain([2 * m]).collect()
    }

    /// Takes over the pair in [`next_slot`](Self::next_slot), if there is one, and dot products of these vectors with all of
    /// the basis.
    pub fn update(&mut self, pair: bool, vectors: &[usize], lines: &[Vec<f64>]) {
        let slot = self.next_slot();
        let n = 2 * self.slots + 1;
        for (&v, line) in vectors.iter().zip(lines) {
            for (j, &x) in line.iter().enumerate() {
                self.dots[v * n + j] = x;
                self.dots[j * n + v] = x;
            }
        }
        self.order.retain(|&o| o != slot);
        if pair {
            self.order.push(slot);
        }
    }

    /// Slots of the pairs that have curvature, oldest first: the others are passed over.
    fn curved(&self) -> Vec<usize> {
        let m = self.slots;
        let curved = |&&i: &&usize| self.dot(i, m + i) > CURVATURE_MIN * self.dot(m + i, m + i);
        self.order.iter().filter(curved).copied().collect()
    }

    fn dot(&self, i: usize, j: usize) -> f64 {
        self.dots[i * (2 * self.slots + 1) + j]
    }

    /// The direction's coefficients.
    pub fn coefficients(&self) -> Coefficients {
        let m = self.slots;
        let mut c = vec![0.0; 2 * m + 1];
        c[2 * m] = -1.0;
        let with = |c: &[f64], at: usize| -> f64 { (0..=2 * m).map(|j| c[j] * self.dot(j, at)).sum() };
        let order = self.curved();
        let mut alphas = Vec::with_capacity(order.len());
        for &i in order.iter().rev() {
            let alpha = with(&c, i) / self.dot(i, m + i);
            c[m + i] -= alpha;
            alphas.push(alpha);
        }
        let mut at_zero = -1.0;
        if let Some(&newest) = order.last() {
            let scale = self.dot(newest, m + newest) / self.dot(m + newest, m + newest);
            c.iter_mut().for_each(|c| *c *= scale);
            at_zero = -scale;
        }
        for (&i, alpha) in order.iter().zip(alphas.iter().rev()) {
            c[i] += alpha - with(&c, m + i) / self.dot(i, m + i);
        }
        let steepest = order.is_empty();
        Coefficients { s: c[..m].to_vec(), y: c[m..2 * m].to_vec(), pg: c[2 * m], at_zero, steepest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use handcar_base::{Rng, Seed};

    fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    /// The recursion as it is printed (Nocedal and Wright, Algorithm 7.4), over vectors; the newest pair last.
    fn textbook(pairs: &[(Vec<f64>, Vec<f64>)], gradient: &[f64]) -> Vec<f64> {
        let mut q = gradient.to_vec();
        let mut alphas = Vec::new();
        for (s, y) in pairs.iter().rev() {
            let a = dot(s, &q) / dot(s, y);
            q.iter_mut().zip(y).for_each(|(q, y)| *q -= a * y);
            alphas.push(a);
        }
        if let Some((s, y)) = pairs.last() {
            let gamma = dot(s, y) / dot(y, y);
            q.iter_mut().for_each(|q| *q *= gamma);
        }
        for ((s, y), a) in pairs.iter().zip(alphas.iter().rev()) {
            let b = dot(y, &q) / dot(s, y);
            q.iter_mut().zip(s).for_each(|(q, s)| *q += (a - b) * s);
        }
        q.iter().map(|q| -q).collect()
    }

    #[test]
    fn the_direction_equals_the_textbooks() {
        let mut r = Rng::new(Seed(8), 0);
        for case in 0..40u64 {
            let (n, slots, most) = (30, 5, 1 + (case % 5) as usize);
            let mut history = History::new(slots, most);
            let mut basis = vec![vec![0.0; n]; 2 * slots + 1];
            let mut pairs: Vec<(Vec<f64>, Vec<f64>)> = Vec::new();
            let curvature: Vec<f64> = (0..n).map(|_| 0.1 + 10.0 * r.uniform()).collect();
            for round in 0..12u64 {
                let mut draw = |n: usize| (0..n).map(|_| r.uniform() - 0.5).collect::<Vec<f64>>();
                let (s, noise, gradient) = (draw(n), draw(n), draw(n));
                // A pair of negative curvature now and then, which must leave no trace.
                let sign = if round % 5 == 3 { -1.0 } else { 1.0 };
                let y: Vec<f64> = (0..n).map(|k| sign * curvature[k] * s[k] + 0.05 * noise[k]).collect();
                let slot = history.next_slot();
                (basis[slot], basis[slots + slot], basis[2 * slots]) = (s.clone(), y.clone(), gradient.clone());
                // The keys that count change now and then.
                let free = |k: usize| case % 2 == 0 || !(k as u64 + case + round / 3).is_multiple_of(4);
                let dot_free = |a: &[f64], b: &[f64]| -> f64 { (0..n).filter(|&k| free(k)).map(|k| a[k] * b[k]).sum() };
                let vectors = history.missing(case % 2 == 1);
                let line = |&v: &usize| basis.iter().map(|b| dot_free(&basis[v], b)).collect::<Vec<f64>>();
                history.update(true, &vectors, &vectors.iter().map(line).collect::<Vec<_>>());
                if pairs.len() == most {
                    pairs.remove(0);
                }
                pairs.push((s, y));
                let only = |v: &[f64]| (0..n).map(|k| if free(k) { v[k] } else { 0.0 }).collect::<Vec<f64>>();
                let curved: Vec<_> =
                    pairs.iter().map(|(s, y)| (only(s), only(y))).filter(|(s, y)| dot(s, y) > 0.0).collect();
                let c = history.coefficients();
                let all: Vec<f64> = c.s.iter().chain(&c.y).chain([&c.pg]).copied().collect();
                let want = textbook(&curved, &only(&gradient));
                let size = dot(&want, &want).sqrt();
                for k in (0..n).filter(|&k| free(k)) {
                    let got: f64 = all.iter().zip(&basis).map(|(c, b)| c * b[k]).sum();
                    assert!((got - want[k]).abs() <= 1e-10 * size, "case {case}, {round}: {got} {}", want[k]);
                }
                assert_eq!(c.steepest, curved.is_empty());
            }
        }
    }

    #[test]
    fn without_pairs_the_direction_is_steepest_descent() {
        let mut history = History::new(4, 4);
        let steepest = Coefficients { s: vec![0.0; 4], y: vec![0.0; 4], pg: -1.0, at_zero: -1.0, steepest: true };
        assert_eq!(history.coefficients(), steepest);
        let line = |at: usize| (0..9).map(|j| (j == at) as u8 as f64).collect::<Vec<_>>();
        let (mut s, mut y) = (line(0), line(4));
        (s[4], y[0]) = (0.5, 0.5);
        assert_eq!(history.missing(false), [0, 4, 8]);
        history.update(true, &[0, 4, 8], &[s, y, line(8)]);
        assert_eq!(history.missing(true), [0, 1, 4, 5, 8]);
        assert!(!history.coefficients().steepest);
        history.clear();
        assert_eq!(history.coefficients(), steepest);
    }
}
