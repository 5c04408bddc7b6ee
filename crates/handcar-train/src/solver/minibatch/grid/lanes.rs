//! One rule for each of sixteen models, side by side.

#![expect(clippy::needless_range_loop, reason = "one index into several arrays is what the compiler makes lanes of")]

use super::super::rule::{ByNumbers, NUMBERS};
use crate::penalty::Bounds;
use std::ops::AddAssign;

/// Models side by side: the f32 numbers of the widest registers, and of a cache line.
pub(super) const LANES: usize = 16;

/// A number of each of sixteen models, in cache lines of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(64))]
pub(super) struct Wide<T>(pub [T; LANES]);

impl AddAssign for Wide<i64> {
    #[inline(always)]
    fn add_assign(&mut self, other: Self) {
        for lane in 0..LANES {
            self.0[lane] += other.0[lane];
        }
    }
}

/// The rules of sixteen models, and the numbers they go by turned over: those of one kind next to each other.
#[derive(Clone)]
pub(super) struct Lanes<R> {
    rules: [R; LANES],
    numbers: [Wide<f32>; NUMBERS],
    /// Of all models.
    bounds: Bounds,
}

impl<R> Lanes<R> {
    /// `rules`: of equal bounds.
    pub fn new<const W: usize>(rules: [R; LANES]) -> Self
    where
        R: ByNumbers<W>,
    {
        let bounds = rules[0].bounds();
        let mut this = Self { rules, numbers: [Wide::default(); NUMBERS], bounds };
        this.go_to(0);
        this
    }

    pub fn go_to<const W: usize>(&mut self, batch: u64)
    where
        R: ByNumbers<W>,
    {
        for (lane, rule) in self.rules.iter_mut().enumerate() {
            rule.go_to(batch);
            for (to, x) in self.numbers.iter_mut().zip(rule.numbers()) {
                to.0[lane] = x;
            }
        }
    }

    /// The state of each model with weight `w`.
    pub fn start<const W: usize>(&self, w: f32) -> State<W>
    where
        R: ByNumbers<W>,
    {
        let of_models: [[f32; W]; LANES] = std::array::from_fn(|lane| self.rules[lane].start(w));
        std::array::from_fn(|j| of_models.map(|state| state[j]))
    }

    /// The weight of one model.
    #[inline(always)]
    pub fn weight<const W: usize>(&self, lane: usize, state: &State<W>) -> f32
    where
        R: ByNumbers<W>,
    {
        self.rule(lane).weight(&of_lane(state, lane))
    }

    /// The weights of all models.
    #[inline(always)]
    pub fn weights<const W: usize>(&self, state: &State<W>) -> [f32; LANES]
    where
        R: ByNumbers<W>,
    {
        let mut out = [0.0; LANES];
        for lane in 0..LANES {
            out[lane] = self.rule(lane).weight(&of_lane(state, lane));
        }
        out
    }

    /// Takes the sums of a batch's gradients at some weights; where a sum is zero nothing changes.
    #[inline(always)]
    pub fn update<const W: usize>(&self, state: &mut State<W>, weights: &[f32; LANES], sums: &[i64; LANES], scale: f32)
    where
        R: ByNumbers<W>,
    {
        let (before, mut gradients) = (*state, [0.0; LANES]);
        for lane in 0..LANES {
            gradients[lane] = sums[lane] as f32;
        }
        for lane in 0..LANES {
            let mut next = of_lane(&before, lane);
            self.rule(lane).follow(&mut next, weights[lane], gradients[lane] * scale);
            for j in 0..W {
                state[j][lane] = if gradients[lane] != 0.0 { next[j] } else { before[j][lane] };
            }
        }
    }

    #[inline(always)]
    fn rule<const W: usize>(&self, lane: usize) -> R
    where
        R: ByNumbers<W>,
    {
        // Written out, as the compiler keeps closures over arrays apart.
        let [a, b, c, d, e] = &self.numbers;
        R::of_numbers([a.0[lane], b.0[lane], c.0[lane], d.0[lane], e.0[lane]], self.bounds)
    }
}

/// The states of sixteen models, number by number.
pub(super) type State<const W: usize> = [[f32; LANES]; W];

#[inline(always)]
fn of_lane<const W: usize>(state: &State<W>, lane: usize) -> [f32; W] {
    let mut out = [0.0; W];
    for j in 0..W {
        out[j] = state[j][lane];
    }
    out
}
