//! The keys of a block that a thread owns, for all models: as [`Part`](super::super::part::Part), of many lanes.

use super::super::fixed;
use super::super::part::Exponents;
use super::super::rule::ByNumbers;
use super::lanes::{Lanes, STATE, width};
use crate::error::{Result, TrainError};
use handcar_data::{ColumnBlock, Entries};
use handcar_kernels::{Kernel, huge_pages, prefetch, run};
use std::ops::Range;

/// A share of the table.
pub(super) struct GridPart<'a, R> {
    /// Which keys of the data set; empty for the intercept.
    pub keys: Range<usize>,
    block: Option<ColumnBlock<'a>>,
    /// The ids of the part's keys within the block.
    own: Range<u32>,
    lanes: Lanes<R>,
    /// The numbers of each key's states, all lanes of one number together.
    states: Vec<f32>,
    /// Of each key: where in `met` it stands, if what stands there is this key.
    place: Vec<u32>,
    /// This batch's keys of the part, each once.
    met: Vec<u32>,
    /// This batch's entries of the part.
    entries: Vec<Entry>,
    valued: bool,
    /// `2^-e`, with every value at most `2^e`.
    value_scale: f64,
    /// Turns the sum of a batch into a gradient.
    scale: f32,
}

/// A row of the batch, the place in `met` of a key that it has, and the value.
struct Entry {
    row: u32,
    place: u32,
    value: f32,
}

/// How many keys ahead states are asked for: each is several lines, and their tables are larger than any cache.
const AHEAD: usize = 12;
/// Numbers in a cache line.
const LINE: usize = 16;

/// Room for numbers of all lanes of each key that a batch has.
#[derive(Default)]
pub(super) struct Room {
    weights: Vec<f32>,
    sums: Vec<i64>,
    next: Vec<f32>,
}

impl<'a, R: ByNumbers> GridPart<'a, R> {
    /// The keys `ids` of a block, or the intercept. `start`: the weight of a key of the data set.
    ///
    /// # Errors
    /// [`TrainError::Data`] if the block's ids are not those of its keys.
    pub fn new(
        block: Option<(&ColumnBlock<'a>, Range<usize>)>,
        lanes: Lanes<R>,
        Exponents { slope, values, weights }: Exponents,
        start: &dyn Fn(usize) -> f32,
    ) -> Result<Self> {
        let ids = block.as_ref().map_or(0..1, |(_, ids)| ids.clone());
        let base = block.as_ref().map_or(0, |(b, _)| b.keys.start);
        let size = lanes.len() * width::<R>();
        let mut states = Vec::with_capacity(ids.len() * size);
        huge_pages::advise_capacity(&mut states);
        let zero = lanes.start(0.0);
        for id in ids.clone() {
            match start(base + id) {
                0.0 => states.extend_from_slice(&zero),
                w => states.extend(lanes.start(w)),
            }
        }
        let block = block.map(|(b, _)| b.clone());
        if let Some(b) = &block {
            let n = b.keys.len();
            let beyond = match b.entries {
                Entries::Dense8(d) => d.iter().any(|&id| id as usize > n),
                Entries::Dense16(d) => d.iter().any(|&id| id as usize > n),
                Entries::Dense32(d) => d.iter().any(|&id| id as usize > n),
                Entries::Sparse { ids, .. } => ids.iter().any(|&id| id as usize >= n),
            };
            if beyond {
                let (expected, got) = (format!("ids below {n} in a block"), "others; is the cache damaged?".into());
                return Err(TrainError::Data { expected, got });
            }
        }
        Ok(Self {
            keys: if block.is_some() { base + ids.start..base + ids.end } else { 0..0 },
            valued: matches!(&block, Some(ColumnBlock { entries: Entries::Sparse { values: Some(_), .. }, .. })),
            block,
            lanes,
            states,
            place: vec![0; ids.len()],
            own: ids.start as u32..ids.end as u32,
            met: Vec::new(),
            entries: Vec::new(),
            value_scale: 2f64.powi(-values),
            scale: fixed::gradient_scale(slope, values, weights),
        })
    }

    /// Adds `w·x` to the margins of a batch's rows, all lanes of a row together.
    pub fn add_margins(&mut self, batch: u64, rows: &Range<usize>, room: &mut Room, margins: &mut [i64]) {
        self.lanes.go_to(batch);
        self.meet(rows);
        let k = self.lanes.len();
        room.weights.resize(room.weights.len().max(self.met.len() * k), 0.0);
        room.sums.resize(room.sums.len().max(self.met.len() * k), 0);
        room.next.resize(STATE * k, 0.0);
        run(AddMargins { part: self, room, margins });
    }

    /// Sums the rows' gradients and updates every key whose sum is not zero.
    pub fn learn(&mut self, room: &mut Room, gradients: &[i64]) {
        run(Learn { part: self, room, gradients });
    }

    /// Lists the entries of a batch, and each key once.
    fn meet(&mut self, rows: &Range<usize>) {
        self.met.clear();
        self.entries.clear();
        let Self { block, own, place, met, entries, .. } = self;
        let mut add = |row: usize, id: u32, value: f32| {
            let key = id.wrapping_sub(own.start);
            if key >= own.end - own.start {
                return;
            }
            let mut at = place[key as usize];
            if met.get(at as usize) != Some(&key) {
                at = met.len() as u32;
                place[key as usize] = at;
                met.push(key);
            }
            entries.push(Entry { row: row as u32, place: at, value });
        };
        // Absent entries have id 0 in dense columns, and others one more than their key's.
        match block.as_ref().map(|b| b.entries) {
            None => (0..rows.len()).for_each(|row| add(row, 0, 1.0)),
            Some(Entries::Dense8(d)) => {
                d[rows.clone()].iter().enumerate().for_each(|(row, &id)| add(row, (id as u32).wrapping_sub(1), 1.0));
            }
            Some(Entries::Dense16(d)) => {
                d[rows.clone()].iter().enumerate().for_each(|(row, &id)| add(row, (id as u32).wrapping_sub(1), 1.0));
            }
            Some(Entries::Dense32(d)) => {
                d[rows.clone()].iter().enumerate().for_each(|(row, &id)| add(row, id.wrapping_sub(1), 1.0));
            }
            Some(Entries::Sparse { rows: at, ids, values }) => {
                let begin = at.partition_point(|&r| (r as usize) < rows.start);
                for e in (begin..at.len()).take_while(|&e| (at[e] as usize) < rows.end) {
                    add(at[e] as usize - rows.start, ids[e], values.map_or(1.0, |v| v[e]));
                }
            }
        }
    }

    /// Asks for the states of one of the batch's keys, to be there when its turn comes.
    #[inline(always)]
    fn ask(&self, place: usize, size: usize) {
        if let Some(&key) = self.met.get(place) {
            let state = &self.states[key as usize * size..(key as usize + 1) * size];
            state.chunks(LINE).for_each(|line| prefetch::line(&line[0]));
        }
    }

    /// The weights of one model as batch `batch` finds them.
    pub fn weights(&mut self, batch: u64, lane: usize) -> impl Iterator<Item = f32> + '_ {
        self.lanes.go_to(batch);
        let lanes = &self.lanes;
        self.states.chunks_exact(lanes.len() * width::<R>()).map(move |state| lanes.weight(lane, state))
    }

    /// Whether this is the intercept.
    pub fn is_intercept(&self) -> bool {
        self.block.is_none()
    }
}

struct AddMargins<'k, 'a, R> {
    part: &'k GridPart<'a, R>,
    room: &'k mut Room,
    margins: &'k mut [i64],
}

impl<R: ByNumbers> Kernel for AddMargins<'_, '_, R> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { part, room: Room { weights, sums, .. }, margins } = self;
        let (k, size) = (part.lanes.len(), part.lanes.len() * width::<R>());
        (0..AHEAD).for_each(|i| part.ask(i, size));
        for (i, &key) in part.met.iter().enumerate() {
            part.ask(i + AHEAD, size);
            let weights = &mut weights[i * k..(i + 1) * k];
            part.lanes.weights(&part.states[key as usize * size..(key as usize + 1) * size], weights);
            for (sum, &w) in sums[i * k..(i + 1) * k].iter_mut().zip(&*weights) {
                *sum = fixed::margin(w);
            }
        }
        for &Entry { row, place, value } in &part.entries {
            let margins = &mut margins[row as usize * k..(row as usize + 1) * k];
            if part.valued {
                for (m, &w) in margins.iter_mut().zip(&weights[place as usize * k..(place as usize + 1) * k]) {
                    *m += fixed::margin(w * value);
                }
            } else {
                for (m, &w) in margins.iter_mut().zip(&sums[place as usize * k..(place as usize + 1) * k]) {
                    *m += w;
                }
            }
        }
    }
}

struct Learn<'k, 'a, R> {
    part: &'k mut GridPart<'a, R>,
    room: &'k mut Room,
    gradients: &'k [i64],
}

impl<R: ByNumbers> Kernel for Learn<'_, '_, R> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { part, room: Room { sums, next, .. }, gradients } = self;
        let (k, size) = (part.lanes.len(), part.lanes.len() * width::<R>());
        (0..AHEAD).for_each(|i| part.ask(i, size));
        // Another part may have had more keys since there was room made for this one's.
        let sums = &mut sums[..part.met.len() * k];
        sums.fill(0);
        for &Entry { row, place, value } in &part.entries {
            let gradients = &gradients[row as usize * k..(row as usize + 1) * k];
            let sums = &mut sums[place as usize * k..(place as usize + 1) * k];
            if part.valued {
                for (sum, &g) in sums.iter_mut().zip(gradients) {
                    *sum += fixed::gradient_of_value(g, value, part.value_scale);
                }
            } else {
                for (sum, &g) in sums.iter_mut().zip(gradients) {
                    *sum += g;
                }
            }
        }
        for (i, sums) in sums.chunks_exact(k).enumerate() {
            part.ask(i + AHEAD, size);
            let key = part.met[i] as usize;
            part.lanes.update(&mut part.states[key * size..(key + 1) * size], sums, part.scale, next);
        }
    }
}
