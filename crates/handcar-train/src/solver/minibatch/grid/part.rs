//! The keys of a block that a thread owns, for all models: as [`Part`](super::super::part::Part), of many lanes.

use super::super::fixed;
use super::super::part::Exponents;
use super::super::rule::ByNumbers;
use super::lanes::{LANES, Lanes, State, Wide};
use super::met::{Entries, Entry, Met};
use super::states::States;
use crate::error::{Result, TrainError};
use handcar_data::{self as data, ColumnBlock};
use handcar_kernels::{Kernel, prefetch, run};
use std::ops::Range;

/// A share of the table.
pub(super) struct GridPart<'a, const W: usize> {
    /// Which keys of the data set; empty for the intercept.
    pub keys: Range<usize>,
    block: Option<ColumnBlock<'a>>,
    /// The ids of the part's keys within the block.
    own: Range<u32>,
    /// Of each sixteen models.
    states: Vec<States<W>>,
    met: Met,
    /// Of each sixteen models the weights of the keys met, in the order of their numbers, until they have learned.
    weights: Vec<Wide<f32>>,
    valued: bool,
    /// `2^-e`, with every value at most `2^e`.
    value_scale: f64,
    /// Turns the sum of a batch into a gradient.
    scale: f32,
}

/// How many keys ahead states are asked for: each is several lines, and their tables are larger than any cache.
const AHEAD: usize = 12;

/// Room for numbers of all models of each key that a batch has.
#[derive(Default)]
pub(super) struct Room(Vec<Wide<i64>>);

impl Room {
    fn of(&mut self, keys: usize) -> &mut [Wide<i64>] {
        if self.0.len() < keys {
            self.0.resize(keys, Wide::default());
        }
        &mut self.0[..keys]
    }
}

impl<'a, const W: usize> GridPart<'a, W> {
    /// The keys `ids` of a block, or the intercept. `start`: the weight of a key of the data set.
    ///
    /// # Errors
    /// [`TrainError::Data`] if the block's ids are not those of its keys.
    pub fn new<R: ByNumbers<W>>(
        block: Option<(&ColumnBlock<'a>, Range<usize>)>,
        lanes: &[Lanes<R>],
        Exponents { slope, values, weights }: Exponents,
        start: &dyn Fn(usize) -> f32,
    ) -> Result<Self> {
        let ids = block.as_ref().map_or(0..1, |(_, ids)| ids.clone());
        let base = block.as_ref().map_or(0, |(b, _)| b.keys.start);
        let mut states: Vec<States<W>> = lanes.iter().map(|_| States::new(ids.len() + 1)).collect();
        for (slot, w) in ids.clone().map(|id| start(base + id)).enumerate().filter(|(_, w)| *w != 0.0) {
            for (lanes, states) in lanes.iter().zip(&mut states) {
                states.all_mut()[slot + 1] = lanes.start(w);
            }
        }
        let block = block.map(|(b, _)| b.clone());
        if let Some(b) = &block {
            let n = b.keys.len();
            let beyond = match b.entries {
                data::Entries::Dense8(d) => d.iter().any(|&id| id as usize > n),
                data::Entries::Dense16(d) => d.iter().any(|&id| id as usize > n),
                data::Entries::Dense32(d) => d.iter().any(|&id| id as usize > n),
                data::Entries::Sparse { ids, .. } => ids.iter().any(|&id| id as usize >= n),
            };
            if beyond {
                let (expected, got) = (format!("ids below {n} in a block"), "others; is the cache damaged?".into());
                return Err(TrainError::Data { expected, got });
            }
        }
        let sparse = matches!(&block, Some(ColumnBlock { entries: data::Entries::Sparse { .. }, .. }));
        Ok(Self {
            keys: if block.is_some() { base + ids.start..base + ids.end } else { 0..0 },
            valued: matches!(&block, Some(ColumnBlock { entries: data::Entries::Sparse { values: Some(_), .. }, .. })),
            met: Met::new(ids.len() + 1, !sparse),
            block,
            own: ids.start as u32..ids.end as u32,
            states,
            weights: Vec::new(),
            value_scale: 2f64.powi(-values),
            scale: fixed::gradient_scale(slope, values, weights),
        })
    }

    /// Goes to a batch: numbers its keys and asks for the first of them.
    pub fn meet(&mut self, rows: &Range<usize>) {
        let Self { block, own, met, .. } = self;
        match block.as_ref().map(|b| b.entries) {
            None => met.dense(&vec![1u32; rows.len()]),
            Some(data::Entries::Dense8(d)) => met.dense(&d[rows.clone()]),
            Some(data::Entries::Dense16(d)) => met.dense(&d[rows.clone()]),
            Some(data::Entries::Dense32(d)) => met.dense(&d[rows.clone()]),
            Some(data::Entries::Sparse { rows: at, ids, values }) => {
                let begin = at.partition_point(|&r| (r as usize) < rows.start);
                let batch = (begin..at.len()).take_while(|&e| (at[e] as usize) < rows.end);
                met.sparse(batch.filter(|&e| own.contains(&ids[e])).map(|e| {
                    (at[e] - rows.start as u32, ids[e] - own.start + 1, values.map_or(1.0, |v| v[e]))
                }));
            }
        }
        self.weights.resize(self.weights.len().max(self.met.slots().len() * self.states.len()), Wide::default());
        self.ask_first(0);
    }

    /// Finds the weights of the batch's keys.
    pub fn weigh<R: ByNumbers<W>>(&mut self, lanes: &[Lanes<R>], room: &mut Room) {
        let count = self.met.slots().len();
        let contributions = room.of(count * lanes.len());
        for (i, (lanes, states)) in lanes.iter().zip(&self.states).enumerate() {
            let (of, slots) = (i * count..(i + 1) * count, self.met.slots());
            let (weights, contributions) = (&mut self.weights[of.clone()], &mut contributions[of]);
            run(Weigh { lanes, slots, states: states.all(), weights, contributions });
            if i + 1 < self.states.len() {
                self.ask_first(i + 1);
            }
        }
    }

    /// Adds `w·x` to the margins of a batch's rows, sixteen models after sixteen models, once the weights have been found.
    pub fn add_margins(&self, room: &mut Room, rows: usize, margins: &mut [Wide<i64>]) {
        let (count, valued) = (self.met.slots().len(), self.valued);
        for (i, margins) in margins.chunks_exact_mut(rows).enumerate() {
            let of = i * count..(i + 1) * count;
            let (weights, contributions) = (&self.weights[of.clone()], &room.0[of]);
            run(AddMargins { entries: &self.met.entries, valued, weights, contributions, margins });
        }
    }

    /// Sums the rows' gradients and updates every key whose sum is not zero.
    pub fn learn<R: ByNumbers<W>>(
        &mut self,
        lanes: &[Lanes<R>],
        room: &mut Room,
        rows: usize,
        gradients: &[Wide<i64>],
    ) {
        let count = self.met.slots().len();
        let scale = self.valued.then_some(self.value_scale);
        for (i, (lanes, gradients)) in lanes.iter().zip(gradients.chunks_exact(rows)).enumerate() {
            self.ask_first(i);
            let sums = room.of(count);
            run(Sum { entries: &self.met.entries, scale, gradients, sums });
            // Of an absent entry nothing is learned.
            if let Some(number) = self.met.absent() {
                sums[number] = Wide::default();
            }
            let (states, weights) = (self.states[i].all_mut(), &self.weights[i * count..(i + 1) * count]);
            run(Learn { lanes, slots: self.met.slots(), states, weights, sums, scale: self.scale });
        }
    }

    /// Asks for the first states of sixteen models.
    fn ask_first(&self, models: usize) {
        let (states, slots) = (self.states[models].all(), self.met.slots());
        (0..AHEAD).for_each(|i| ask(states, slots, i));
    }

    /// The weights of one model as the batch that `lanes` have gone to finds them.
    pub fn weights<R: ByNumbers<W>>(&self, lanes: &[Lanes<R>], model: usize) -> impl Iterator<Item = f32> {
        let (lanes, states) = (&lanes[model / LANES], self.states[model / LANES].all());
        states[1..].iter().map(move |state| lanes.weight(model % LANES, state))
    }

    /// Whether this is the intercept.
    pub fn is_intercept(&self) -> bool {
        self.block.is_none()
    }
}

/// Asks for the state of the key of a number, to be there when its turn comes.
#[inline(always)]
fn ask<const W: usize>(states: &[State<W>], slots: &[u32], number: usize) {
    if let Some(&slot) = slots.get(number) {
        states[slot as usize].iter().for_each(prefetch::line);
    }
}

/// Weights of the keys met, and what they add to a margin with a value of 1.
struct Weigh<'k, R, const W: usize> {
    lanes: &'k Lanes<R>,
    slots: &'k [u32],
    states: &'k [State<W>],
    weights: &'k mut [Wide<f32>],
    contributions: &'k mut [Wide<i64>],
}

impl<R: ByNumbers<W>, const W: usize> Kernel for Weigh<'_, R, W> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { lanes, slots, states, weights, contributions } = self;
        for (i, ((&slot, weights), contributions)) in slots.iter().zip(weights).zip(contributions).enumerate() {
            ask(states, slots, i + AHEAD);
            weights.0 = lanes.weights(&states[slot as usize]);
            for lane in 0..LANES {
                contributions.0[lane] = fixed::margin(weights.0[lane]);
            }
        }
    }
}

/// Adds the weights of rows' keys to the rows' margins.
struct AddMargins<'k> {
    entries: &'k Entries,
    valued: bool,
    weights: &'k [Wide<f32>],
    contributions: &'k [Wide<i64>],
    margins: &'k mut [Wide<i64>],
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
                    let (margin, weights) = (&mut margins[row as usize], &weights[number as usize]);
                    for lane in 0..LANES {
                        margin.0[lane] += fixed::margin(weights.0[lane] * value);
                    }
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
struct Sum<'k> {
    entries: &'k Entries,
    /// What values are multiplied by, if there are any.
    scale: Option<f64>,
    gradients: &'k [Wide<i64>],
    sums: &'k mut [Wide<i64>],
}

impl Kernel for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { entries, scale, gradients, sums } = self;
        sums.fill(Wide::default());
        match (entries, scale) {
            (Entries::Dense(numbers), _) => {
                for (&number, &gradient) in numbers.iter().zip(gradients) {
                    sums[number as usize] += gradient;
                }
            }
            (Entries::Sparse(entries), Some(scale)) => {
                for &Entry { row, number, value } in entries {
                    let (sum, gradient) = (&mut sums[number as usize], &gradients[row as usize]);
                    for lane in 0..LANES {
                        sum.0[lane] += fixed::gradient_of_value(gradient.0[lane], value, scale);
                    }
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
struct Learn<'k, R, const W: usize> {
    lanes: &'k Lanes<R>,
    slots: &'k [u32],
    states: &'k mut [State<W>],
    weights: &'k [Wide<f32>],
    sums: &'k [Wide<i64>],
    scale: f32,
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
