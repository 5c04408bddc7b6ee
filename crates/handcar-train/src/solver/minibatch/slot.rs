//! Loops over slots: weights turned into contributions to margins, sums of gradients into updates.

use super::fixed;
use super::rule::Rule;
use handcar_kernels::Kernel;
use handcar_kernels::slots::{self, Id, Ids, Slot, TILE, Touched};

/// Looks slots up a tile at a time, so that many lines are under way at once, then computes their weights side by side.
pub(super) struct AddMargins<'a, I, R: Rule> {
    pub ids: Ids<'a, I>,
    pub slots: &'a [Slot<R::State>],
    pub rule: &'a R,
    pub margins: &'a mut [i64],
}

impl<I: Id, R: Rule> Kernel for AddMargins<'_, I, R> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut states = [R::State::default(); TILE];
        for (i, margins) in self.margins.chunks_mut(TILE).enumerate() {
            let ids = self.ids.range(i * TILE..i * TILE + margins.len());
            slots::states(self.slots, ids, &mut states);
            for (m, state) in margins.iter_mut().zip(&states) {
                *m += fixed::margin(self.rule.weight(state));
            }
        }
    }
}

/// What each entry adds to its row's margin; a value of each entry, or none if all are 1.
pub(super) struct Contributions<'a, I, R: Rule> {
    pub ids: Ids<'a, I>,
    pub slots: &'a [Slot<R::State>],
    pub rule: &'a R,
    pub values: &'a [f32],
    pub out: &'a mut [i64],
}

impl<I: Id, R: Rule> Kernel for Contributions<'_, I, R> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut states = [R::State::default(); TILE];
        for (i, out) in self.out.chunks_mut(TILE).enumerate() {
            let at = i * TILE..i * TILE + out.len();
            slots::states(self.slots, self.ids.range(at.clone()), &mut states);
            match self.values.get(at) {
                None => {
                    for (to, state) in out.iter_mut().zip(&states) {
                        *to = fixed::margin(self.rule.weight(state));
                    }
                }
                Some(values) => {
                    for ((to, state), &x) in out.iter_mut().zip(&states).zip(values) {
                        *to = fixed::margin(self.rule.weight(state) * x);
                    }
                }
            }
        }
    }
}

/// Looks slots up and does nothing with them.
pub(super) struct Gather<'a, I, S>(pub Ids<'a, I>, pub &'a [Slot<S>]);

impl<I: Id, S> Kernel for Gather<'_, I, S> {
    type Output = i64;

    #[inline(always)]
    fn run(self) -> i64 {
        slots::gather(self.1, self.0)
    }
}

/// Updates the slots that have a sum.
pub(super) struct Update<'a, R: Rule> {
    pub touched: &'a Touched,
    pub slots: &'a mut [Slot<R::State>],
    pub rule: &'a R,
    pub scale: f32,
}

impl<R: Rule> Kernel for Update<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { touched, slots, rule, scale } = self;
        touched.take(slots, |states, sums| {
            for (state, &sum) in states.iter_mut().zip(sums) {
                rule.update(state, sum as f32 * scale);
            }
        });
    }
}

/// Updates the slots whose sums are the bits of gradients in f64.
pub(super) struct UpdateFloats<'a, R: Rule> {
    pub touched: &'a Touched,
    pub slots: &'a mut [Slot<R::State>],
    pub rule: &'a R,
}

impl<R: Rule> Kernel for UpdateFloats<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { touched, slots, rule } = self;
        touched.take(slots, |states, sums| {
            for (state, &sum) in states.iter_mut().zip(sums) {
                rule.update(state, f64::from_bits(sum as u64) as f32);
            }
        });
    }
}

/// Ids of one byte: their table is small enough for a core's nearest cache, whoever else is there.
pub(super) const SMALL: usize = 256;
/// Copies of the sums of a small table: neighbouring rows often have one id, and need not wait for each other then.
const REPLICAS: usize = 4;

/// Beside a small table: what its slots add to margins, then their sums.
pub(super) struct Small {
    weights: [i64; SMALL],
    sums: [[i64; SMALL]; REPLICAS],
}

impl Small {
    pub fn new() -> Box<Self> {
        Box::new(Self { weights: [0; SMALL], sums: [[0; SMALL]; REPLICAS] })
    }

    /// What each slot adds to a margin.
    pub fn weights<R: Rule>(&mut self, slots: &[Slot<R::State>], rule: &R) -> &[i64; SMALL] {
        handcar_kernels::run(Weights { slots, rule, out: &mut self.weights });
        &self.weights
    }

    /// Adds up the rows' gradients and updates the slots that have a sum.
    pub fn learn<R: Rule>(
        &mut self,
        ids: &[u8],
        gradients: &[i64],
        slots: &mut [Slot<R::State>],
        rule: &R,
        scale: f32,
    ) {
        let n = slots.len();
        let [a, b, c, d] = &mut self.sums;
        let (quads, last) = ids.as_chunks::<REPLICAS>();
        let (by_quad, by_last) = gradients.as_chunks::<REPLICAS>();
        for (id, g) in quads.iter().zip(by_quad) {
            a[id[0] as usize] += g[0];
            b[id[1] as usize] += g[1];
            c[id[2] as usize] += g[2];
            d[id[3] as usize] += g[3];
        }
        for (&id, &g) in last.iter().zip(by_last) {
            a[id as usize] += g;
        }
        for i in 0..n {
            a[i] += b[i] + c[i] + d[i];
            (b[i], c[i], d[i]) = (0, 0, 0);
        }
        // Of an absent entry nothing is learned.
        a[0] = 0;
        handcar_kernels::run(UpdateAll { sums: &a[..n], slots, rule, scale });
        a[..n].fill(0);
    }
}

struct Weights<'a, R: Rule> {
    slots: &'a [Slot<R::State>],
    rule: &'a R,
    out: &'a mut [i64],
}

impl<R: Rule> Kernel for Weights<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (to, slot) in self.out.iter_mut().zip(self.slots) {
            *to = fixed::margin(self.rule.weight(&slot.state));
        }
    }
}

/// Updates neighbouring slots by the sums that stand apart from them.
struct UpdateAll<'a, R: Rule> {
    sums: &'a [i64],
    slots: &'a mut [Slot<R::State>],
    rule: &'a R,
    scale: f32,
}

impl<R: Rule> Kernel for UpdateAll<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut states = [R::State::default(); TILE];
        for (sums, slots) in self.sums.chunks(TILE).zip(self.slots.chunks_mut(TILE)) {
            states.iter_mut().zip(&*slots).for_each(|(state, slot)| *state = slot.state);
            for (state, &sum) in states.iter_mut().zip(sums) {
                self.rule.update(state, sum as f32 * self.scale);
            }
            for ((slot, state), &sum) in slots.iter_mut().zip(&states).zip(sums) {
                slot.state = if sum != 0 { *state } else { slot.state };
            }
        }
    }
}

/// Adds four small columns at once: a margin is then loaded and stored once for four entries.
pub(super) fn add_four(columns: [(&[i64; SMALL], &[u8]); 4], margins: &mut [i64]) {
    let [(a, at_a), (b, at_b), (c, at_c), (d, at_d)] = columns;
    let n = margins.len();
    let (at_a, at_b, at_c, at_d) = (&at_a[..n], &at_b[..n], &at_c[..n], &at_d[..n]);
    for i in 0..n {
        let near = a[at_a[i] as usize] + b[at_b[i] as usize];
        margins[i] += near + (c[at_c[i] as usize] + d[at_d[i] as usize]);
    }
}

/// Adds one small column.
pub(super) fn add_one((weights, ids): (&[i64; SMALL], &[u8]), margins: &mut [i64]) {
    for (m, &id) in margins.iter_mut().zip(ids) {
        *m += weights[id as usize];
    }
}
