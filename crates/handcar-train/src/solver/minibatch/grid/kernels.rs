//! What is computed for sixteen models side by side: weights, sums and updates of the keys that a batch has met.

use super::super::fixed;
use super::super::rule::ByNumbers;
use super::lanes::{LANES, Lanes, State, Wide};
use super::met::{Entries, Entry};
use handcar_kernels::{Kernel, prefetch};

/// How many keys ahead states are asked for: each is several lines, and their tables are larger than any cache.
pub(super) const AHEAD: usize = 12;

/// Sets all to zero.
pub(super) struct Clear<'k>(pub &'k mut [Wide<i64>]);

impl Kernel for Clear<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for wide in self.0 {
            *wide = Wide([0; LANES]);
        }
    }
}

/// Asks for the state of the key of a number, to be there when its turn comes.
#[inline(always)]
pub(super) fn ask<const W: usize>(states: &[State<W>], slots: &[u32], number: usize) {
    if let Some(&slot) = slots.get(number) {
        states[slot as usize].iter().for_each(prefetch::line);
    }
}

/// Weights of the keys met, and what they add to a margin with a value of 1.
pub(super) struct Weigh<'k, R, const W: usize> {
    pub lanes: &'k Lanes<R>,
    pub slots: &'k [u32],
    pub states: &'k [State<W>],
    pub weights: &'k mut [Wide<f32>],
    pub contributions: &'k mut [Wide<i64>],
}

impl<R: ByNumbers<W>, const W: usize> Kernel for Weigh<'_, R, W> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { lanes, slots, states, weights, contributions } = self;
        for (i, ((&slot, weights), contributions)) in slots.iter().zip(weights).zip(contributions).enumerate() {
            ask(states, slots, i + AHEAD);
            let (found, mut fixed) = (lanes.weights(&states[slot as usize]), [0; LANES]);
            for lane in 0..LANES {
                fixed[lane] = fixed::margin(found[lane]);
            }
            (weights.0, contributions.0) = (found, fixed);
        }
    }
}

/// Nonzero weights of each model, and whether all are finite.
pub(super) struct Count<'k, R, const W: usize> {
    pub lanes: &'k Lanes<R>,
    pub states: &'k [State<W>],
}

impl<R: ByNumbers<W>, const W: usize> Kernel for Count<'_, R, W> {
    type Output = ([u64; LANES], [bool; LANES]);

    #[inline(always)]
    fn run(self) -> Self::Output {
        let (mut nonzeros, mut nothing) = ([0; LANES], [0f32; LANES]);
        for state in self.states {
            let weights = self.lanes.weights(state);
            for lane in 0..LANES {
                nonzeros[lane] += (weights[lane] != 0.0) as u64;
                // Zero of a number, and NaN of what is none.
                nothing[lane] += weights[lane] * 0.0;
            }
        }
        (nonzeros, nothing.map(|x| x == 0.0))
    }
}

/// Adds the weights of rows' keys to the rows' margins.
pub(super) struct AddMargins<'k> {
    pub entries: &'k Entries,
    pub valued: bool,
    pub weights: &'k [Wide<f32>],
    pub contributions: &'k [Wide<i64>],
    pub margins: &'k mut [Wide<i64>],
}

impl Kernel for AddMargins<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { entries, valued, weights, contributions, margins } = self;
        match entries {
            Entries::Dense(numbers) => {
                for (margin, &number) in margins.iter_mut().zip(numbers) {
                    *margin += contributions[number as usize];
                }
            }
            Entries::Sparse(entries) if valued => {
                for &Entry { row, number, value } in entries {
                    let (weights, mut fixed) = (weights[number as usize].0, [0; LANES]);
                    for lane in 0..LANES {
                        fixed[lane] = fixed::margin(weights[lane] * value);
                    }
                    margins[row as usize] += Wide(fixed);
                }
            }
            Entries::Sparse(entries) => {
                for &Entry { row, number, .. } in entries {
                    margins[row as usize] += contributions[number as usize];
                }
            }
        }
    }
}

/// Sums gradients of rows by the keys that they have.
pub(super) struct Sum<'k> {
    pub entries: &'k Entries,
    /// What values are multiplied by, if there are any.
    pub scale: Option<f64>,
    pub gradients: &'k [Wide<i64>],
    pub sums: &'k mut [Wide<i64>],
}

impl Kernel for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { entries, scale, gradients, sums } = self;
        Clear(&mut *sums).run();
        match (entries, scale) {
            (Entries::Dense(numbers), _) => {
                for (&number, &gradient) in numbers.iter().zip(gradients) {
                    sums[number as usize] += gradient;
                }
            }
            (Entries::Sparse(entries), Some(scale)) => {
                for &Entry { row, number, value } in entries {
                    let mut gradient = gradients[row as usize].0;
                    for g in &mut gradient {
                        *g = fixed::gradient_of_value(*g, value, scale);
                    }
                    sums[number as usize] += Wide(gradient);
                }
            }
            (Entries::Sparse(entries), None) => {
                for &Entry { row, number, .. } in entries {
                    sums[number as usize] += gradients[row as usize];
                }
            }
        }
    }
}

/// Updates the keys met by the sums of their gradients.
pub(super) struct Learn<'k, R, const W: usize> {
    pub lanes: &'k Lanes<R>,
    pub slots: &'k [u32],
    pub states: &'k mut [State<W>],
    pub weights: &'k [Wide<f32>],
    pub sums: &'k [Wide<i64>],
    pub scale: f32,
}

impl<R: ByNumbers<W>, const W: usize> Kernel for Learn<'_, R, W> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { lanes, slots, states, weights, sums, scale } = self;
        for (i, ((&slot, weights), sums)) in slots.iter().zip(weights).zip(sums).enumerate() {
            ask(states, slots, i + AHEAD);
            lanes.update(&mut states[slot as usize], &weights.0, &sums.0, scale);
        }
    }
}
