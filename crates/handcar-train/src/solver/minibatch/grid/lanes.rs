//! One rule for each of many models, side by side.

#![expect(clippy::needless_range_loop, reason = "one index into several slices is what the compiler makes lanes of")]

use super::super::rule::{ByNumbers, NUMBERS, Rule};
use crate::penalty::Bounds;

/// Lanes come in multiples of this: the f32 numbers of the widest registers.
pub(super) const LANES: usize = 16;

/// The rules of all models, and the numbers they go by turned over: those of one kind next to each other.
#[derive(Clone)]
pub(super) struct Lanes<R> {
    rules: Vec<R>,
    numbers: [Vec<f32>; NUMBERS],
    /// Of all models.
    bounds: Bounds,
}

impl<R: ByNumbers> Lanes<R> {
    /// `rules`: a multiple of [`LANES`], of equal bounds.
    pub fn new(rules: Vec<R>) -> Self {
        let numbers = std::array::from_fn(|_| vec![0.0; rules.len()]);
        let bounds = rules.first().map_or(Bounds::NONE, R::bounds);
        let mut this = Self { rules, numbers, bounds };
        this.go_to(0);
        this
    }

    pub fn len(&self) -> usize {
        self.rules.len()
    }

    pub fn go_to(&mut self, batch: u64) {
        for (lane, rule) in self.rules.iter_mut().enumerate() {
            rule.go_to(batch);
            for (to, x) in self.numbers.iter_mut().zip(rule.numbers()) {
                to[lane] = x;
            }
        }
    }

    /// The state of all models with weights `w`, number by number.
    pub fn start(&self, w: f32) -> Vec<f32> {
        let states: Vec<R::State> = self.rules.iter().map(|rule| rule.start(w)).collect();
        (0..width::<R>()).flat_map(|j| states.iter().map(move |s| s.as_ref()[j])).collect()
    }

    /// The weight of one model.
    pub fn weight(&self, lane: usize, state: &[f32]) -> f32 {
        self.rules[lane].weight(&state_of::<R>(&parts::<R>(state, self.len()), lane))
    }

    /// The weights of all models.
    #[inline(always)]
    pub fn weights(&self, state: &[f32], out: &mut [f32]) {
        let k = self.len();
        let (numbers, state, out) = (self.slices(), parts::<R>(state, k), &mut out[..k]);
        for lane in 0..k {
            out[lane] = rule_of::<R>(&numbers, lane, self.bounds).weight(&state_of::<R>(&state, lane));
        }
    }

    /// Takes the sums of a batch's gradients; where a sum is zero nothing changes. `next`: room for [`STATE`] numbers of each model.
    #[inline(always)]
    pub fn update(&self, state: &mut [f32], sums: &[i64], scale: f32, next: &mut [f32]) {
        let k = self.len();
        let sums = &sums[..k];
        {
            let (numbers, state) = (self.slices(), parts::<R>(state, k));
            let (a, rest) = next.split_at_mut(k);
            let (b, rest) = rest.split_at_mut(k);
            let (c, d) = rest.split_at_mut(k);
            let next = [a, &mut b[..k], &mut c[..k], &mut d[..k]];
            for lane in 0..k {
                let mut after = state_of::<R>(&state, lane);
                rule_of::<R>(&numbers, lane, self.bounds).update(&mut after, sums[lane] as f32 * scale);
                for j in 0..width::<R>() {
                    next[j][lane] = after.as_ref()[j];
                }
            }
        }
        for (state, next) in state.chunks_exact_mut(k).zip(next.chunks_exact(k)) {
            for ((state, &next), &sum) in state.iter_mut().zip(next).zip(sums) {
                *state = if sum != 0 { next } else { *state };
            }
        }
    }

    /// Numbers of one kind each, all of one length: what the compiler must see to compute lanes side by side.
    #[inline(always)]
    fn slices(&self) -> [&[f32]; NUMBERS] {
        let k = self.len();
        std::array::from_fn(|j| &self.numbers[j][..k])
    }
}

/// Numbers of a state at most.
pub(super) const STATE: usize = 4;

/// The numbers of all models' states by kind; beyond those that there are the last again.
#[inline(always)]
fn parts<R: Rule>(state: &[f32], k: usize) -> [&[f32]; STATE] {
    const { assert!(width::<R>() <= STATE, "states of up to four numbers") };
    std::array::from_fn(|j| &state[j.min(width::<R>() - 1) * k..][..k])
}

/// Numbers of a model's state.
pub(super) const fn width<R: Rule>() -> usize {
    size_of::<R::State>() / size_of::<f32>()
}

#[inline(always)]
fn rule_of<R: ByNumbers>(numbers: &[&[f32]; NUMBERS], lane: usize, bounds: Bounds) -> R {
    R::of_numbers(std::array::from_fn(|j| numbers[j][lane]), bounds)
}

#[inline(always)]
fn state_of<R: Rule>(parts: &[&[f32]; STATE], lane: usize) -> R::State {
    let mut out = R::State::default();
    for j in 0..width::<R>() {
        out.as_mut()[j] = parts[j][lane];
    }
    out
}
