//! A share of the table that lives in this process: the keys of a block, with the block's columns.
//!
//! One thread owns a part: it reads and updates its weights, and nobody else does. Sums over rows are integers, so how the
//! keys are parted changes no bit.

use super::fixed;
use super::rule::Rule;
use super::slot::{AddMargins, Gather, SMALL, Small, Update};
use crate::error::{Result, TrainError};
pub(super) use crate::loss::exponent;
use handcar_data::{ColumnBlock, Entries};
use handcar_kernels::slots::{self, Ids, Slot, Touched};
use handcar_kernels::{huge_pages, run};
use std::ops::Range;

/// Tables up to here are found in a core's own cache.
const NEAR_BYTES: usize = 128 << 10;

/// Where a part's entries stand.
enum Column<'a> {
    /// One number a row, 0 for no entry, else 1 + id; few keys.
    Dense8(Ids<'a, u8>, Box<Small>),
    /// The same, of more keys.
    Dense16(Ids<'a, u16>),
    Dense32(Ids<'a, u32>),
    /// As [`Entries::Sparse`]; only ids from `first` on that the part has slots for are its own.
    Sparse(Sparse<'a>),
    /// One entry of value 1 in every row: the intercept.
    Ones,
}

/// The largest numbers there are, as powers of two: of the loss's derivative, of a block's values, of example weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exponents {
    pub slope: i32,
    pub values: i32,
    pub weights: i32,
}

/// A share of the table, and the columns that refer to it.
pub(super) struct Part<'a, R: Rule> {
    /// Which keys of the data set; empty for the intercept.
    pub keys: Range<usize>,
    column: Column<'a>,
    rule: R,
    /// The first is that of an absent entry, whose weight is 0, except for the intercept.
    slots: Vec<Slot<R::State>>,
    touched: Touched,
    /// Turns the sum of a batch into a gradient.
    scale: f32,
}

impl<'a, R: Rule> Part<'a, R> {
    /// The keys `ids` (all of them, unless the block is sparse) of a block. `start`: the weight of a key of the data set.
    ///
    /// # Errors
    /// [`TrainError::Data`] if the block's ids are not those of its keys.
    pub fn of_block(
        block: &ColumnBlock<'a>,
        ids: Range<usize>,
        rule: R,
        Exponents { slope, values, weights }: Exponents,
        start: &dyn Fn(usize) -> f32,
    ) -> Result<Self> {
        let keys = block.keys.start + ids.start..block.keys.start + ids.end;
        let mut slots = Vec::with_capacity(keys.len() + 1);
        huge_pages::advise_capacity(&mut slots);
        slots.push(Slot::default());
        slots.extend(keys.clone().map(|k| Slot { sum: 0, state: rule.start(start(k)) }));
        let n = slots.len();
        let beyond = || {
            let (expected, got) = (format!("ids below {n} in a block of packed data"), "others; is the cache damaged?");
            TrainError::Data { expected, got: got.into() }
        };
        let column = match block.entries {
            Entries::Dense8(d) => Column::Dense8(Ids::new(d, n).ok_or_else(beyond)?, Small::new()),
            Entries::Dense16(d) => Column::Dense16(Ids::new(d, n).ok_or_else(beyond)?),
            Entries::Dense32(d) => Column::Dense32(Ids::new(d, n).ok_or_else(beyond)?),
            Entries::Sparse { rows, ids: all, values: x } => {
                let (first, scale) = (ids.start as u32, 2f64.powi(-values));
                Column::Sparse(Sparse { rows, ids: all, values: x, first, scale, batch: 0..0 })
            }
        };
        let scale = fixed::gradient_scale(slope, values, weights);
        Ok(Self { keys, column, rule, slots, touched: Touched::default(), scale })
    }

    /// The intercept, which is not penalised.
    pub fn intercept(rule: R, exponents: Exponents, start: f32) -> Self {
        let slots = vec![Slot { sum: 0, state: rule.start(start) }];
        let scale = fixed::gradient_scale(exponents.slope, 0, exponents.weights);
        Self { keys: 0..0, column: Column::Ones, rule, slots, touched: Touched::default(), scale }
    }

    /// Goes to a batch over `rows` of the data set.
    pub fn go_to(&mut self, batch: u64, rows: &Range<usize>) {
        self.rule.go_to(batch);
        if let Column::Sparse(sparse) = &mut self.column {
            sparse.go_to(rows);
        }
    }

    /// Whether lookups miss the nearer caches, so that slots should be asked for ahead.
    pub fn is_large(&self) -> bool {
        let dense = matches!(self.column, Column::Dense16(_) | Column::Dense32(_));
        dense && std::mem::size_of_val(&self.slots[..]) > NEAR_BYTES
    }

    /// Whether this is a [`small`](Self::small) part.
    pub fn is_small(&self) -> bool {
        matches!(self.column, Column::Dense8(..))
    }

    /// Of a small part: what its slots add to a margin, and the rows' ids, so that several may be added together.
    pub fn small(&mut self, rows: &Range<usize>) -> Option<(&[i64; SMALL], &'a [u8])> {
        let Self { rule, slots, column, .. } = self;
        match column {
            Column::Dense8(ids, small) => Some((small.weights(slots, rule), ids.range(rows.clone()).as_slice())),
            _ => None,
        }
    }

    /// Asks for the slots of some rows to come later.
    pub fn prefetch(&self, rows: Range<usize>) {
        match &self.column {
            Column::Dense16(ids) => slots::prefetch(&self.slots, ids.range(rows)),
            Column::Dense32(ids) => slots::prefetch(&self.slots, ids.range(rows)),
            _ => {}
        }
    }

    /// Adds this part's `w·x` to the margins of the batch's rows.
    pub fn add_margins(&mut self, rows: &Range<usize>, margins: &mut [i64]) {
        let Self { rule, slots, column, .. } = self;
        let (rule, slots) = (&*rule, &slots[..]);
        match column {
            Column::Dense8(ids, _) => run(AddMargins { ids: ids.range(rows.clone()), slots, rule, margins }),
            Column::Dense16(ids) => run(AddMargins { ids: ids.range(rows.clone()), slots, rule, margins }),
            Column::Dense32(ids) => run(AddMargins { ids: ids.range(rows.clone()), slots, rule, margins }),
            Column::Ones => {
                let w = fixed::margin(rule.weight(&slots[0].state));
                margins.iter_mut().for_each(|m| *m += w);
            }
            Column::Sparse(sparse) => sparse.for_each(slots.len(), |row, slot, x| {
                margins[row - rows.start] += fixed::margin(rule.weight(&slots[slot].state) * x.unwrap_or(1.0));
            }),
        }
    }

    /// Reads the slots of the rows' entries and does nothing with them: what a sweep must take at least.
    pub fn gather(&self, rows: &Range<usize>) -> i64 {
        match &self.column {
            Column::Dense8(ids, _) => run(Gather(ids.range(rows.clone()), &self.slots)),
            Column::Dense16(ids) => run(Gather(ids.range(rows.clone()), &self.slots)),
            Column::Dense32(ids) => run(Gather(ids.range(rows.clone()), &self.slots)),
            Column::Ones => 0,
            Column::Sparse(sparse) => {
                let mut sum = 0i64;
                sparse.for_each(self.slots.len(), |_, slot, _| sum = sum.wrapping_add(self.slots[slot].sum));
                sum
            }
        }
    }

    /// Sums the rows' gradients over this part's columns and updates every key whose sum is not zero.
    pub fn learn(&mut self, rows: &Range<usize>, gradients: &[i64]) {
        let Self { rule, slots, column, touched, scale, .. } = self;
        match column {
            Column::Dense8(ids, small) => {
                return small.learn(ids.range(rows.clone()).as_slice(), gradients, slots, rule, *scale);
            }
            Column::Dense16(ids) => touched.add(slots, ids.range(rows.clone()), gradients),
            Column::Dense32(ids) => touched.add(slots, ids.range(rows.clone()), gradients),
            Column::Ones => {
                let sum: i64 = gradients.iter().sum();
                if sum != 0 {
                    rule.update(&mut slots[0].state, sum as f32 * *scale);
                }
                return;
            }
            Column::Sparse(sparse) => {
                let n = slots.len();
                sparse.for_each(n, |row, slot, x| {
                    let g = gradients[row - rows.start];
                    let g = x.map_or(g, |x| fixed::gradient_of_value(g, x, sparse.scale));
                    slots[slot].sum += g;
                });
                // A slot that is met again has no sum any more.
                sparse.for_each(n, |_, slot, _| {
                    let slot = &mut slots[slot];
                    let sum = std::mem::take(&mut slot.sum);
                    if sum != 0 {
                        rule.update(&mut slot.state, sum as f32 * *scale);
                    }
                });
                return;
            }
        }
        // Of an absent entry nothing is learned.
        slots[0].sum = 0;
        run(Update { touched, slots, rule, scale: *scale });
    }

    /// The weights as the current batch finds them, in the order of [`keys`](Self::keys); one for the intercept.
    pub fn weights(&self) -> impl Iterator<Item = f32> + '_ {
        let absent = !self.is_intercept() as usize;
        self.slots[absent..].iter().map(|s| self.rule.weight(&s.state))
    }

    /// What the rule keeps for each key, in the order of [`keys`](Self::keys); one for the intercept.
    pub fn states(&self) -> impl Iterator<Item = R::State> + '_ {
        let absent = !self.is_intercept() as usize;
        self.slots[absent..].iter().map(|s| s.state)
    }

    /// Goes on from states of keys that have been seen, after the batches that [`Rule::go_on_from`] speaks of.
    pub fn restore(&mut self, (batch, passes): (u64, f64), of: &dyn Fn(Option<usize>) -> Option<R::State>) {
        self.rule.go_on_from(batch, passes);
        let (absent, first) = (!self.is_intercept() as usize, self.keys.start);
        for (i, slot) in self.slots[absent..].iter_mut().enumerate() {
            if let Some(state) = of((absent == 1).then_some(first + i)) {
                slot.state = state;
            }
        }
    }

    /// Whether this is the intercept.
    pub fn is_intercept(&self) -> bool {
        matches!(self.column, Column::Ones)
    }
}

/// Entries of several keys a row, or of values.
struct Sparse<'a> {
    rows: &'a [u32],
    ids: &'a [u32],
    values: Option<&'a [f32]>,
    /// The id of the part's first key.
    first: u32,
    /// `2^-e`, with every value at most `2^e`.
    scale: f64,
    /// The batch's entries.
    batch: Range<usize>,
}

impl Sparse<'_> {
    fn go_to(&mut self, rows: &Range<usize>) {
        let at = self.rows;
        // Batches come in order: the next begins where the last ended, unless a pass begins anew.
        let guess = self.batch.end;
        let before = guess > 0 && (at[guess - 1] as usize) < rows.start;
        let follows = before && at.get(guess).is_none_or(|&r| r as usize >= rows.start);
        let begin = if follows { guess } else { at.partition_point(|&r| (r as usize) < rows.start) };
        let count = at[begin..].iter().take_while(|&&r| (r as usize) < rows.end).count();
        self.batch = begin..begin + count;
    }

    /// Calls `visit(row, slot, value)` for every entry of the batch that has one of `slots` slots.
    #[inline(always)]
    fn for_each(&self, slots: usize, mut visit: impl FnMut(usize, usize, Option<f32>)) {
        for e in self.batch.clone() {
            let id = self.ids[e];
            let slot = id.wrapping_sub(self.first) as usize + 1;
            if id >= self.first && slot < slots {
                visit(self.rows[e] as usize, slot, self.values.map(|v| v[e]));
            }
        }
    }
}
