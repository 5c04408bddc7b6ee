//! Entries of several keys a row, or of values.

use super::fixed;
use super::rule::Rule;
use super::slot::Update;
use handcar_kernels::slots::{Ids, Met, Slot};
use handcar_kernels::{Kernel, run};
use std::ops::Range;

/// The entries of a block that has several keys a row, or values. Several parts may share a block: each looks at the ids of its
/// own keys only.
pub(super) struct Sparse<'a> {
    rows: &'a [u32],
    ids: &'a [u32],
    values: Option<&'a [f32]>,
    /// The ids of the part's keys.
    own: Range<u32>,
    /// `2^-e`, with every value at most `2^e`.
    scale: f64,
    /// The batch's entries.
    batch: Range<usize>,
    /// The slot of each: 0 where its key is none of the part's, else 1 and on.
    slots: Vec<u32>,
    /// Of each that has its slot first, the sum.
    sums: Vec<i64>,
}

impl<'a> Sparse<'a> {
    /// As [`Entries::Sparse`](handcar_data::Entries::Sparse).
    pub fn new(rows: &'a [u32], ids: &'a [u32], values: Option<&'a [f32]>, own: Range<u32>, scale: f64) -> Self {
        let (batch, slots, sums) = (0..0, Vec::new(), Vec::new());
        Self { rows, ids, values, own, scale, batch, slots, sums }
    }

    /// Goes to the batch over some rows.
    pub fn go_to(&mut self, rows: &Range<usize>) {
        let at = self.rows;
        // Batches come in order: the next begins where the last ended, unless a pass begins anew.
        let guess = self.batch.end;
        let before = guess > 0 && (at[guess - 1] as usize) < rows.start;
        let follows = before && at.get(guess).is_none_or(|&r| r as usize >= rows.start);
        let begin = if follows { guess } else { at.partition_point(|&r| (r as usize) < rows.start) };
        let count = at[begin..].iter().take_while(|&&r| (r as usize) < rows.end).count();
        self.batch = begin..begin + count;
        let (first, keys) = (self.own.start, self.own.end - self.own.start);
        self.slots.clear();
        self.slots.extend(self.ids[self.batch.clone()].iter().map(|id| {
            let of_part = id.wrapping_sub(first);
            if of_part < keys { of_part + 1 } else { 0 }
        }));
    }

    /// The slots of the batch's entries; there are `slots` slots, at least as many as the part has keys and one.
    pub fn ids(&self, slots: usize) -> Option<Ids<'_, u32>> {
        Ids::new(&self.slots, slots)
    }

    /// Adds `w·x` to the margins of the rows from `first` on.
    pub fn add_margins<R: Rule>(
        &mut self,
        slots: &mut [Slot<R::State>],
        met: &mut Met<R::State>,
        rule: &R,
        first: usize,
        margins: &mut [i64],
    ) {
        // There are as many slots as the part has keys, and one: it was made so.
        let Some(ids) = Ids::new(&self.slots, slots.len()) else { return };
        let (rows, values) = (&self.rows[self.batch.clone()], self.values.map(|v| &v[self.batch.clone()]));
        run(AddMargins { ids, slots, met, rule, rows, values, first, margins });
    }

    /// Sums the gradients of the rows from `first` on and updates what was met.
    pub fn learn<R: Rule>(
        &mut self,
        slots: &mut [Slot<R::State>],
        met: &mut Met<R::State>,
        rule: &R,
        scale: f32,
        first: usize,
        gradients: &[i64],
    ) {
        let Some(ids) = Ids::new(&self.slots, slots.len()) else { return };
        let (rows, sums) = (&self.rows[self.batch.clone()], &mut self.sums);
        sums.clear();
        sums.resize(rows.len(), 0);
        let entries = rows.iter().zip(met.firsts());
        match self.values.map(|v| &v[self.batch.clone()]) {
            None => entries.for_each(|(&row, &at)| sums[at as usize] += gradients[row as usize - first]),
            Some(values) => entries.zip(values).for_each(|((&row, &at), &x)| {
                sums[at as usize] += fixed::gradient_of_value(gradients[row as usize - first], x, self.scale);
            }),
        }
        run(Update { ids, slots, met, rule, scale, sums });
    }
}

struct AddMargins<'a, R: Rule> {
    ids: Ids<'a, u32>,
    slots: &'a mut [Slot<R::State>],
    met: &'a mut Met<R::State>,
    rule: &'a R,
    rows: &'a [u32],
    values: Option<&'a [f32]>,
    first: usize,
    margins: &'a mut [i64],
}

impl<R: Rule> Kernel for AddMargins<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { ids, slots, met, rule, rows, values, first, margins } = self;
        met.meet(slots, ids);
        for (e, (&row, state)) in rows.iter().zip(met.states()).enumerate() {
            let x = values.map_or(1.0, |v| v[e]);
            margins[row as usize - first] += fixed::margin(rule.weight(state) * x);
        }
    }
}
