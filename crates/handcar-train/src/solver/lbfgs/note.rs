//! What the updater says beside values: measurements over its share of the keys, joined over servers without regard to
//! order.

use crate::error::{Result, TrainError};
use handcar_base::ExactSum;
use handcar_ps::Entry;

/// Measurements of one task or server function: maxima, counts and exact sums, so that any split of the keys over servers
/// joins to equal bits. Which there are is said where they are made.
#[derive(Clone, Debug)]
pub(super) struct Note<const MAXIMA: usize, const SUMS: usize> {
    /// At least 0.
    pub maxima: [f64; MAXIMA],
    pub sums: [ExactSum; SUMS],
    /// Integers that add up; as many as there are.
    pub counts: Vec<i64>,
}

/// Of a gradient: the largest of the dual gradient, of the gradient's change and of the pseudo-gradient, these two scaled,
/// and of the pseudo-gradient as it is; the sum of `soft(a, l1)²`.
pub(super) type GradientNote = Note<4, 1>;
/// Of a direction `D`: `⟨pg,D⟩`, `‖D‖²`, and over penalised keys `⟨w,D⟩` and `‖D‖²`.
pub(super) type DirectionNote = Note<0, 4>;
/// Of weights on trial: the largest move over its scale; `Σ|w|`, `Σw²` over penalised keys, `⟨pg, move⟩`; the number of nonzero weights, the
/// intercept not counted.
pub(super) type TrialNote = Note<1, 3>;
/// Of a pair: the products.
pub(super) type PairNote = Note<0, 0>;

impl<const A: usize, const B: usize> Default for Note<A, B> {
    fn default() -> Self {
        Self { maxima: [0.0; A], sums: std::array::from_fn(|_| ExactSum::new()), counts: Vec::new() }
    }
}

impl<const A: usize, const B: usize> Note<A, B> {
    /// What the sums are.
    pub fn sums(&self) -> [f64; B] {
        self.sums.each_ref().map(ExactSum::value)
    }

    /// Takes the maximum; a number that is none is the largest.
    #[inline(always)]
    pub fn meet(&mut self, which: usize, x: f64) {
        let max = &mut self.maxima[which];
        *max = if x <= *max {
            *max
        } else if x.is_nan() {
            f64::INFINITY
        } else {
            x
        };
    }

    pub fn merge(&mut self, other: &Self) {
        (0..A).for_each(|i| self.meet(i, other.maxima[i]));
        self.sums.iter_mut().zip(&other.sums).for_each(|(a, b)| a.merge(b));
        self.counts.resize(self.counts.len().max(other.counts.len()), 0);
        self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a = a.wrapping_add(*b));
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.maxima.write(&mut out);
        self.sums.iter().for_each(|s| s.to_words().iter().for_each(|w| w.write(&mut out)));
        self.counts.iter().for_each(|c| c.write(&mut out));
        out
    }

    fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let from = &mut bytes;
        let maxima = <[f64; A]>::read(from)?;
        let mut sums: [ExactSum; B] = std::array::from_fn(|_| ExactSum::new());
        for sum in &mut sums {
            *sum = ExactSum::from_words(&<[i64; ExactSum::WORDS]>::read(from)?);
        }
        let mut counts = Vec::with_capacity(from.len() / 8);
        while !from.is_empty() {
            counts.push(i64::read(from)?);
        }
        Some(Self { maxima, sums, counts })
    }

    /// Joins the notes of all servers, which have at least so many counts together.
    pub fn join(notes: &[Vec<u8>], counts: usize) -> Result<Self> {
        let strange = || TrainError::Answer {
            op: "lbfgs",
            expected: "measurements from every server".into(),
            got: format!("{:?} bytes", notes.iter().map(Vec::len).collect::<Vec<_>>()),
        };
        let mut all = Self::default();
        for note in notes {
            all.merge(&Self::from_bytes(note).ok_or_else(strange)?);
        }
        if all.counts.len() == counts { Ok(all) } else { Err(strange()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining_bytes_equals_merging() {
        let of = |max: f64, sum: &[f64], count: i64| {
            let mut note = TrialNote { counts: vec![count], ..TrialNote::default() };
            note.meet(0, max);
            sum.iter().for_each(|&x| note.sums[1].add(x));
            note.to_bytes()
        };
        let parts = [of(0.5, &[1e100, 1.0], 3), of(0.25, &[-1e100], 2)];
        let both = TrialNote::join(&parts, 1).unwrap();
        assert_eq!((both.maxima, both.sums(), both.counts), ([0.5], [0.0, 1.0, 0.0], vec![5]));
        assert!(TrialNote::join(&[parts[0][1..].to_vec()], 1).is_err());
        assert!(TrialNote::join(&parts, 2).is_err());
        assert_eq!(TrialNote::join(&[of(f64::NAN, &[], 0), of(1.0, &[], 0)], 1).unwrap().maxima, [f64::INFINITY]);
    }
}
