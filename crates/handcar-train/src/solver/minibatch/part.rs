//! A share of the table that lives in this process: the keys of a block, with the block's columns.
//!
//! One thread owns a part: it reads and updates its weights, and nobody else does. Sums over rows are integers, so how the
//! keys are parted changes no bit.

use super::fixed;
use super::rule::Rule;
use super::slot::{AddMargins, Gather, Slot, Update, UpdateAll, Weights, add_small};
use handcar_data::{ColumnBlock, Entries};
use handcar_kernels::{huge_pages, prefetch, run};
use std::ops::Range;

/// Tables up to here are found in a core's own cache.
const NEAR_BYTES: usize = 128 << 10;
/// Copies of the sums of few keys.
const REPLICAS: usize = 4;

/// Where a part's entries stand.
#[derive(Clone, Copy)]
pub(super) enum Column<'a> {
    /// One number a row: 0 for no entry, else 1 + id.
    Dense8(&'a [u8]),
    Dense16(&'a [u16]),
    Dense32(&'a [u32]),
    /// As [`Entries::Sparse`]; only ids from `first` on that the part has slots for are its own.
    Sparse {
        rows: &'a [u32],
        ids: &'a [u32],
        values: Option<&'a [f32]>,
        first: u32,
    },
    /// One entry of value 1 in every row: the intercept.
    Ones,
}

/// A share of the table, and the columns that refer to it.
pub(super) struct Part<'a, R: Rule> {
    /// Which keys of the data set; empty for the intercept.
    pub keys: Range<usize>,
    column: Column<'a>,
    rule: R,
    /// The first is that of an absent entry, whose weight is 0, except for the intercept.
    slots: Vec<Slot<R::State>>,
    /// Where there are fewer slots than rows in a batch: their contributions to margins, then their sums.
    small: Option<Vec<i64>>,
    touched: Vec<u32>,
    /// Turns the sum of a batch into a gradient.
    scale: f32,
    /// `2^-e`, with every value at most `2^e`.
    value_scale: f64,
    /// The batch's entries, for sparse columns.
    entries: Range<usize>,
}

impl<'a, R: Rule> Part<'a, R> {
    /// The keys `ids` (all of them, unless the block is sparse) of a block; `exponents`: of its values and of the example
    /// weights, see [`exponent`]. `start`: the weight of a key of the data set.
    pub fn of_block(
        block: &ColumnBlock<'a>,
        ids: Range<usize>,
        rule: R,
        exponents: (i32, i32),
        batch_rows: usize,
        start: &dyn Fn(usize) -> f32,
    ) -> Self {
        let column = match block.entries {
            Entries::Dense8(d) => Column::Dense8(d),
            Entries::Dense16(d) => Column::Dense16(d),
            Entries::Dense32(d) => Column::Dense32(d),
            Entries::Sparse { rows, ids: all, values } => {
                Column::Sparse { rows, ids: all, values, first: ids.start as u32 }
            }
        };
        let keys = block.keys.start + ids.start..block.keys.start + ids.end;
        let absent = Slot::default();
        let mut slots = Vec::with_capacity(keys.len() + 1);
        huge_pages::advise_capacity(&mut slots);
        slots.push(absent);
        slots.extend(keys.clone().map(|k| Slot { sum: 0, state: rule.start(start(k)) }));
        let dense = !matches!(column, Column::Sparse { .. });
        let small = (dense && slots.len() <= batch_rows).then(|| vec![0; slots.len()]);
        Self::new(keys, column, rule, slots, small, exponents)
    }

    /// The intercept, which is not penalised.
    pub fn intercept(rule: R, weight_exponent: i32, start: f32) -> Self {
        let slots = vec![Slot { sum: 0, state: rule.start(start) }];
        Self::new(0..0, Column::Ones, rule, slots, None, (0, weight_exponent))
    }

    fn new(
        keys: Range<usize>,
        column: Column<'a>,
        rule: R,
        slots: Vec<Slot<R::State>>,
        small: Option<Vec<i64>>,
        (values, weights): (i32, i32),
    ) -> Self {
        Self {
            keys,
            column,
            rule,
            slots,
            small,
            touched: Vec::new(),
            scale: fixed::gradient_scale(values, weights),
            value_scale: 2f64.powi(-values),
            entries: 0..0,
        }
    }

    /// Goes to a batch over `rows` of the data set.
    pub fn go_to(&mut self, batch: u64, rows: &Range<usize>) {
        self.rule.go_to(batch);
        if let Column::Sparse { rows: at, .. } = self.column {
            // Batches come in order: the next begins where the last ended, unless a pass begins anew.
            let guess = self.entries.end;
            let follows = guess > 0
                && (at[guess - 1] as usize) < rows.start
                && at.get(guess).is_none_or(|&r| r as usize >= rows.start);
            let begin = if follows { guess } else { at.partition_point(|&r| (r as usize) < rows.start) };
            let end = begin + at[begin..].iter().take_while(|&&r| (r as usize) < rows.end).count();
            self.entries = begin..end;
        }
    }

    /// Whether lookups miss the nearer caches, so that slots should be asked for ahead.
    pub fn is_large(&self) -> bool {
        let dense = matches!(self.column, Column::Dense16(_) | Column::Dense32(_));
        dense && std::mem::size_of_val(&self.slots[..]) > NEAR_BYTES
    }

    /// Whether the table is small: [`small_column`](Self::small_column) may be added together with others.
    pub fn is_small(&self) -> bool {
        self.small.is_some() && matches!(self.column, Column::Dense8(_))
    }

    /// Asks for the slots of some rows to come later.
    pub fn prefetch(&self, rows: Range<usize>) {
        match self.column {
            Column::Dense16(ids) => ids[rows].iter().for_each(|&id| prefetch::line(&self.slots[id as usize])),
            Column::Dense32(ids) => ids[rows].iter().for_each(|&id| prefetch::line(&self.slots[id as usize])),
            _ => {}
        }
    }

    /// What the slots of a small part add to a margin, and the rows' ids.
    pub fn small_column(&mut self, rows: &Range<usize>) -> (&[i64; 256], &'a [u8]) {
        let Self { rule, slots, small, .. } = self;
        let small = small.get_or_insert_default();
        small.resize(slots.len().max(256), 0);
        run(Weights { slots, rule, out: &mut small[..slots.len()] });
        match (self.column, self.small.as_deref().and_then(|s| s.first_chunk())) {
            (Column::Dense8(ids), Some(table)) => (table, &ids[rows.clone()]),
            _ => unreachable!("only for small parts"),
        }
    }

    /// Adds this part's `w·x` to the margins of the batch's rows.
    pub fn add_margins(&mut self, rows: &Range<usize>, margins: &mut [i64]) {
        let Self { rule, slots, small, .. } = self;
        if let Some(small) = small {
            small.resize(slots.len(), 0);
            run(Weights { slots, rule, out: small });
            match self.column {
                Column::Dense8(ids) => add_small(small, &ids[rows.clone()], margins),
                Column::Dense16(ids) => add_small(small, &ids[rows.clone()], margins),
                Column::Dense32(ids) => add_small(small, &ids[rows.clone()], margins),
                Column::Sparse { .. } | Column::Ones => unreachable!("only dense columns are small"),
            }
            return;
        }
        match self.column {
            Column::Dense8(ids) => run(AddMargins { ids: &ids[rows.clone()], slots, rule, margins }),
            Column::Dense16(ids) => run(AddMargins { ids: &ids[rows.clone()], slots, rule, margins }),
            Column::Dense32(ids) => run(AddMargins { ids: &ids[rows.clone()], slots, rule, margins }),
            Column::Ones => {
                let w = fixed::margin(rule.weight(&slots[0].state));
                margins.iter_mut().for_each(|m| *m += w);
            }
            Column::Sparse { rows: at, ids, values, first } => {
                for e in self.entries.clone() {
                    let slot = (ids[e].wrapping_sub(first) as usize).wrapping_add(1);
                    if ids[e] >= first && slot < slots.len() {
                        let x = values.map_or(1.0, |v| v[e]);
                        margins[at[e] as usize - rows.start] += fixed::margin(rule.weight(&slots[slot].state) * x);
                    }
                }
            }
        }
    }

    /// Reads the slots of the rows' entries and does nothing with them: what a sweep must take at least.
    pub fn gather(&self, rows: &Range<usize>) -> i64 {
        match self.column {
            Column::Dense8(ids) => run(Gather { ids: &ids[rows.clone()], slots: &self.slots }),
            Column::Dense16(ids) => run(Gather { ids: &ids[rows.clone()], slots: &self.slots }),
            Column::Dense32(ids) => run(Gather { ids: &ids[rows.clone()], slots: &self.slots }),
            Column::Ones => 0,
            Column::Sparse { rows: at, ids, .. } => {
                let begin = at.partition_point(|&r| (r as usize) < rows.start);
                let here = at[begin..].iter().take_while(|&&r| (r as usize) < rows.end).count();
                run(Gather { ids: &ids[begin..begin + here], slots: &self.slots[1..] })
            }
        }
    }

    /// Sums the rows' gradients over this part's columns and updates every key whose sum is not zero.
    pub fn learn(&mut self, rows: &Range<usize>, gradients: &[i64]) {
        self.touched.clear();
        match self.column {
            Column::Dense8(ids) => self.learn_dense(&ids[rows.clone()], gradients),
            Column::Dense16(ids) => self.learn_dense(&ids[rows.clone()], gradients),
            Column::Dense32(ids) => self.learn_dense(&ids[rows.clone()], gradients),
            Column::Ones => {
                let sum: i64 = gradients.iter().sum();
                if sum != 0 {
                    self.rule.update(&mut self.slots[0].state, sum as f32 * self.scale);
                }
            }
            Column::Sparse { rows: at, ids, values, first } => {
                for e in self.entries.clone() {
                    let slot = (ids[e].wrapping_sub(first) as usize).wrapping_add(1);
                    if ids[e] < first || slot >= self.slots.len() {
                        continue;
                    }
                    let g = gradients[at[e] as usize - rows.start];
                    let g = values.map_or(g, |v| fixed::gradient_of_value(g, v[e], self.value_scale));
                    let sum = &mut self.slots[slot].sum;
                    if *sum == 0 {
                        self.touched.push(slot as u32);
                    }
                    *sum += g;
                }
                self.update_touched();
            }
        }
    }

    fn learn_dense<I: Copy + Into<u32>>(&mut self, ids: &[I], gradients: &[i64]) {
        let Self { slots, touched, rule, .. } = self;
        if let Some(small) = &mut self.small {
            // The rows are shared out over replicas: neighbours often have one id, and need not wait for each other then.
            let n = slots.len();
            small.clear();
            small.resize(REPLICAS * n, 0);
            let (a, rest) = small.split_at_mut(n);
            let (b, rest) = rest.split_at_mut(n);
            let (c, d) = rest.split_at_mut(n);
            let (quads, last) = ids.as_chunks::<REPLICAS>();
            let (by_quad, by_last) = gradients.as_chunks::<REPLICAS>();
            for (id, g) in quads.iter().zip(by_quad) {
                a[id[0].into() as usize] += g[0];
                b[id[1].into() as usize] += g[1];
                c[id[2].into() as usize] += g[2];
                d[id[3].into() as usize] += g[3];
            }
            for (&id, &g) in last.iter().zip(by_last) {
                a[id.into() as usize] += g;
            }
            a.iter_mut().zip(&*b).zip(&*c).zip(&*d).for_each(|(((a, b), c), d)| *a += b + c + d);
            a[0] = 0;
            run(UpdateAll { sums: a, slots, rule, scale: self.scale });
        } else {
            touched.resize(ids.len(), 0);
            let (list, all) = (&mut touched[..], &mut slots[..]);
            let mut met = 0;
            for (&id, &g) in ids.iter().zip(gradients) {
                let slot = &mut all[id.into() as usize];
                list[met] = id.into();
                met += (slot.sum == 0) as usize;
                slot.sum += g;
            }
            touched.truncate(met);
            slots[0].sum = 0;
            self.update_touched();
        }
    }

    fn update_touched(&mut self) {
        run(Update { touched: &self.touched, slots: &mut self.slots, rule: &self.rule, scale: self.scale });
    }

    /// The weights as the current batch finds them, in the order of [`keys`](Self::keys); one for the intercept.
    pub fn weights(&self) -> impl Iterator<Item = f32> + '_ {
        let absent = !matches!(self.column, Column::Ones) as usize;
        self.slots[absent..].iter().map(|s| self.rule.weight(&s.state))
    }

    /// Whether this is the intercept.
    pub fn is_intercept(&self) -> bool {
        matches!(self.column, Column::Ones)
    }
}

/// The least `e` with every value at most `2^e` in magnitude, within bounds that keep `2^e` a number.
pub(super) fn exponent(values: &[f32]) -> i32 {
    let most = values.iter().fold(0f32, |m, x| m.max(x.abs()));
    if most == 0.0 {
        return 0;
    }
    let e = (most.to_bits() >> 23) as i32 - 127;
    (if most > 2f32.powi(e) { e + 1 } else { e }).clamp(-60, 60)
}
