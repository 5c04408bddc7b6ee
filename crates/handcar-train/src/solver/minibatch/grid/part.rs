//! The keys of a block that a thread owns, for all models: as [`Part`](super::super::part::Part), of many lanes.

use super::super::fixed;
use super::super::part::Exponents;
use super::super::rule::ByNumbers;
use super::Tally;
use super::kernels::{AHEAD, AddMargins, Count, Learn, Sum, Weigh, ask};
use super::lanes::{LANES, Lanes, Wide};
use super::met::Met;
use super::slots::Slots;
use crate::error::{Result, TrainError};
use handcar_data::{self as data, ColumnBlock};
use handcar_kernels::run;
use std::ops::Range;

/// A share of the table.
pub(super) struct GridPart<'a> {
    /// Which keys of the data set; empty for the intercept.
    pub keys: Range<usize>,
    block: Option<ColumnBlock<'a>>,
    /// The ids of the part's keys within the block.
    own: Range<u32>,
    /// Those of its thread that are the part's: one for an absent entry, then one for each key.
    slots: Range<usize>,
    met: Met,
    /// Of each sixteen models the weights of the keys met, in the order of their numbers, until they have learned.
    weights: Vec<Wide<f32>>,
    valued: bool,
    /// `2^-e`, with every value at most `2^e`.
    value_scale: f64,
    /// Turns the sum of a batch into a gradient.
    scale: f32,
}

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

impl<'a> GridPart<'a> {
    /// The keys `ids` of a block, or the intercept; [`place`](Self::place) gives them their slots.
    ///
    /// # Errors
    /// [`TrainError::Data`] if the block's ids are not those of its keys.
    pub fn new(
        block: Option<(&ColumnBlock<'a>, Range<usize>)>,
        Exponents { slope, values, weights }: Exponents,
    ) -> Result<Self> {
        let ids = block.as_ref().map_or(0..1, |(_, ids)| ids.clone());
        let base = block.as_ref().map_or(0, |(b, _)| b.keys.start);
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
            slots: 0..ids.len() + 1,
            valued: matches!(&block, Some(ColumnBlock { entries: data::Entries::Sparse { values: Some(_), .. }, .. })),
            met: Met::new(!sparse),
            block,
            own: ids.start as u32..ids.end as u32,
            weights: Vec::new(),
            value_scale: 2f64.powi(-values),
            scale: fixed::gradient_scale(slope, values, weights),
        })
    }

    /// Takes its slots from `first` on; the first after them.
    pub fn place(&mut self, first: usize) -> usize {
        self.slots = first..first + self.slots.len();
        self.slots.end
    }

    /// Writes the states of weights that are not zero; `start`: the weight of a key of the data set, or the intercept's.
    pub fn start<R: ByNumbers<W>, const W: usize>(
        &self,
        lanes: &[Lanes<R>],
        slots: &mut Slots<W>,
        start: (&dyn Fn(usize) -> f32, f32),
    ) {
        let weight = |i: usize| if self.is_intercept() { start.1 } else { start.0(self.keys.start + i) };
        for (i, w) in (0..self.own.len()).map(weight).enumerate().filter(|(_, w)| *w != 0.0) {
            for (sixteen, lanes) in lanes.iter().enumerate() {
                slots.states_mut(sixteen)[self.slots.start + 1 + i] = lanes.start(w);
            }
        }
    }

    /// Goes to a batch: numbers its keys and asks for the first of them.
    pub fn meet<const W: usize>(&mut self, slots: &mut Slots<W>, rows: &Range<usize>) {
        let Self { block, own, met, .. } = self;
        let place = &mut slots.numbers[self.slots.clone()];
        match block.as_ref().map(|b| b.entries) {
            None => met.dense(place, &vec![1u32; rows.len()]),
            Some(data::Entries::Dense8(d)) => met.dense(place, &d[rows.clone()]),
            Some(data::Entries::Dense16(d)) => met.dense(place, &d[rows.clone()]),
            Some(data::Entries::Dense32(d)) => met.dense(place, &d[rows.clone()]),
            Some(data::Entries::Sparse { rows: at, ids, values }) => {
                let begin = at.partition_point(|&r| (r as usize) < rows.start);
                let batch = (begin..at.len()).take_while(|&e| (at[e] as usize) < rows.end);
                let entries = batch
                    .filter(|&e| own.contains(&ids[e]))
                    .map(|e| (at[e] - rows.start as u32, ids[e] - own.start + 1, values.map_or(1.0, |v| v[e])));
                met.sparse(place, entries);
            }
        }
        self.ask_first(slots, 0);
    }

    /// Finds the weights of the batch's keys.
    pub fn weigh<R: ByNumbers<W>, const W: usize>(&mut self, lanes: &[Lanes<R>], slots: &Slots<W>, room: &mut Room) {
        let count = self.met.slots().len();
        self.weights.resize(self.weights.len().max(count * lanes.len()), Wide::default());
        let contributions = room.of(count * lanes.len());
        for (i, lanes) in lanes.iter().enumerate() {
            let (of, states) = (i * count..(i + 1) * count, &slots.states(i)[self.slots.clone()]);
            let (weights, contributions) = (&mut self.weights[of.clone()], &mut contributions[of]);
            run(Weigh { lanes, slots: self.met.slots(), states, weights, contributions });
            self.ask_first(slots, i + 1);
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
    pub fn learn<R: ByNumbers<W>, const W: usize>(
        &mut self,
        lanes: &[Lanes<R>],
        slots: &mut Slots<W>,
        room: &mut Room,
        rows: usize,
        gradients: &[Wide<i64>],
    ) {
        let count = self.met.slots().len();
        let absent = self.met.absent(&slots.numbers[self.slots.clone()]);
        let scale = self.valued.then_some(self.value_scale);
        for (i, (lanes, gradients)) in lanes.iter().zip(gradients.chunks_exact(rows)).enumerate() {
            self.ask_first(slots, i);
            let sums = room.of(count);
            run(Sum { entries: &self.met.entries, scale, gradients, sums });
            // Of an absent entry nothing is learned.
            if let Some(number) = absent {
                sums[number] = Wide::default();
            }
            let states = &mut slots.states_mut(i)[self.slots.clone()];
            let weights = &self.weights[i * count..(i + 1) * count];
            run(Learn { lanes, slots: self.met.slots(), states, weights, sums, scale: self.scale });
        }
    }

    /// Asks for the first states of sixteen models, if there are as many.
    fn ask_first<const W: usize>(&self, slots: &Slots<W>, sixteen: usize) {
        if sixteen < slots.sixteens() {
            let (states, met) = (&slots.states(sixteen)[self.slots.clone()], self.met.slots());
            (0..AHEAD).for_each(|i| ask(states, met, i));
        }
    }

    /// The weights of one model as the batch that `lanes` have gone to finds them.
    pub fn weights<R: ByNumbers<W>, const W: usize>(
        &self,
        lanes: &[Lanes<R>],
        slots: &Slots<W>,
        model: usize,
    ) -> impl Iterator<Item = f32> {
        let states = &slots.states(model / LANES)[self.slots.clone()][1..];
        states.iter().map(move |state| lanes[model / LANES].weight(model % LANES, state))
    }

    /// Adds this part's weights to what is told of each model, as [`weights`](Self::weights) finds them.
    pub fn tally<R: ByNumbers<W>, const W: usize>(&self, lanes: &[Lanes<R>], slots: &Slots<W>, tallies: &mut [Tally]) {
        for (i, (lanes, tallies)) in lanes.iter().zip(tallies.chunks_mut(LANES)).enumerate() {
            let (nonzeros, finite) = run(Count { lanes, states: &slots.states(i)[self.slots.clone()][1..] });
            for (lane, tally) in tallies.iter_mut().enumerate() {
                tally.finite &= finite[lane];
                tally.nonzeros += if self.is_intercept() { 0 } else { nonzeros[lane] };
            }
        }
    }

    /// Whether this is the intercept.
    pub fn is_intercept(&self) -> bool {
        self.block.is_none()
    }
}
