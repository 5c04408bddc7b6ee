//! Loops over slots: looked up, turned into margins, updated.

use super::fixed;
use super::rule::Rule;
use handcar_kernels::Kernel;

/// Entries worked on at a time: their states stay in registers and the first-level cache.
const TILE: usize = 64;
/// What one key has: its state, and this batch's sum of gradients beside it, so that both come with one cache line.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(super) struct Slot<S> {
    pub sum: i64,
    pub state: S,
}

/// Adds four small columns at once: a margin is then loaded and stored once for four entries.
pub(super) fn add_four(columns: [(&[i64; 256], &[u8]); 4], margins: &mut [i64]) {
    let [(a, at_a), (b, at_b), (c, at_c), (d, at_d)] = columns;
    let n = margins.len();
    let (at_a, at_b, at_c, at_d) = (&at_a[..n], &at_b[..n], &at_c[..n], &at_d[..n]);
    for i in 0..n {
        let near = a[at_a[i] as usize] + b[at_b[i] as usize];
        margins[i] += near + (c[at_c[i] as usize] + d[at_d[i] as usize]);
    }
}

#[inline(always)]
pub(super) fn add_small<I: Copy + Into<u32>>(weights: &[i64], ids: &[I], margins: &mut [i64]) {
    for (m, &id) in margins.iter_mut().zip(ids) {
        *m += weights[id.into() as usize];
    }
}

/// Looks slots up and adds their sums, so that the lookups are not left out.
pub(super) struct Gather<'a, I, S> {
    pub ids: &'a [I],
    pub slots: &'a [Slot<S>],
}

impl<I: Copy + Into<u32>, S> Kernel for Gather<'_, I, S> {
    type Output = i64;

    #[inline(always)]
    fn run(self) -> i64 {
        let mut sums = [0i64; 8];
        let (chunks, rest) = self.ids.as_chunks::<8>();
        for ids in chunks {
            for (sum, &id) in sums.iter_mut().zip(ids) {
                *sum += self.slots[id.into() as usize].sum;
            }
        }
        rest.iter().fold(sums.iter().sum(), |all, &id| all + self.slots[id.into() as usize].sum)
    }
}

/// What all slots add to a margin.
pub(super) struct Weights<'a, R: Rule> {
    pub slots: &'a [Slot<R::State>],
    pub rule: &'a R,
    pub out: &'a mut [i64],
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

/// Looks slots up a tile at a time, so that many lines are under way at once, then computes their weights side by side.
pub(super) struct AddMargins<'a, I, R: Rule> {
    pub ids: &'a [I],
    pub slots: &'a [Slot<R::State>],
    pub rule: &'a R,
    pub margins: &'a mut [i64],
}

impl<I: Copy + Into<u32>, R: Rule> Kernel for AddMargins<'_, I, R> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut states = [R::State::default(); TILE];
        let mut weights = [0i64; TILE];
        for (ids, margins) in self.ids.chunks(TILE).zip(self.margins.chunks_mut(TILE)) {
            for (state, &id) in states.iter_mut().zip(ids) {
                *state = self.slots[id.into() as usize].state;
            }
            for (w, state) in weights.iter_mut().zip(&states) {
                *w = fixed::margin(self.rule.weight(state));
            }
            for (m, w) in margins.iter_mut().zip(&weights) {
                *m += w;
            }
        }
    }
}

/// Updates the slots that have a sum, a tile at a time.
pub(super) struct Update<'a, R: Rule> {
    /// Slots that may have one; a slot may be named twice.
    pub touched: &'a [u32],
    pub slots: &'a mut [Slot<R::State>],
    pub rule: &'a R,
    pub scale: f32,
}

impl<R: Rule> Kernel for Update<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut states = [R::State::default(); TILE];
        let mut gradients = [0f32; TILE];
        let mut at = [0u32; TILE];
        for touched in self.touched.chunks(TILE) {
            let mut n = 0;
            for &id in touched {
                let slot = &mut self.slots[id as usize];
                let sum = std::mem::take(&mut slot.sum);
                (at[n], states[n], gradients[n]) = (id, slot.state, sum as f32 * self.scale);
                n += (sum != 0) as usize;
            }
            for (state, &g) in states.iter_mut().zip(&gradients) {
                self.rule.update(state, g);
            }
            for (&id, &state) in at[..n].iter().zip(&states) {
                self.slots[id as usize].state = state;
            }
        }
    }
}

/// Updates neighbouring slots by the sums that stand apart from them.
pub(super) struct UpdateAll<'a, R: Rule> {
    pub sums: &'a [i64],
    pub slots: &'a mut [Slot<R::State>],
    pub rule: &'a R,
    pub scale: f32,
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
