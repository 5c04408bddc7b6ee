//! What a thread keeps for the keys of its parts.

use super::lanes::{LANES, State};
use handcar_kernels::huge_pages::Zeros;

/// Slots of all parts, one part after the other, so that all of them lie in large pages. The first of a part is that of an absent entry.
pub(super) struct Slots<const W: usize> {
    /// Of each sixteen models the states, one cache line for each of their numbers.
    states: Vec<Zeros<f32>>,
    /// Of each slot its number in the batch; see [`Met`](super::met::Met).
    pub numbers: Zeros<u32>,
}

impl<const W: usize> Slots<W> {
    /// States of weight 0, which are zeros.
    pub fn new(sixteens: usize, slots: usize) -> Self {
        let states = (0..sixteens).map(|_| Zeros::new(slots * W * LANES)).collect();
        Self { states, numbers: Zeros::new(slots) }
    }

    /// How many times sixteen models there are.
    pub fn sixteens(&self) -> usize {
        self.states.len()
    }

    /// The states of sixteen models.
    #[inline(always)]
    pub fn states(&self, sixteen: usize) -> &[State<W>] {
        self.states[sixteen].as_chunks().0.as_chunks().0
    }

    /// As [`states`](Self::states).
    #[inline(always)]
    pub fn states_mut(&mut self, sixteen: usize) -> &mut [State<W>] {
        self.states[sixteen].as_chunks_mut().0.as_chunks_mut().0
    }
}
