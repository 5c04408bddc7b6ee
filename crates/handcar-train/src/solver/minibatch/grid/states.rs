//! The states of all keys of a part, for sixteen models.

use super::lanes::{LANES, State};
use handcar_kernels::huge_pages;

/// A state of `W` numbers is as many cache lines, one for each number of all models; the first is that of an absent entry.
pub(super) struct States<const W: usize> {
    numbers: Vec<f32>,
    /// What stands before the first whole line.
    skip: usize,
}

impl<const W: usize> States<W> {
    /// States of zeros: of weight 0.
    pub fn new(slots: usize) -> Self {
        // Zeros that the system gives are not written, and huge pages are asked for before anything is.
        let numbers = vec![0.0; slots * W * LANES + LANES];
        huge_pages::advise(&numbers);
        let skip = numbers.as_ptr().align_offset(size_of::<[f32; LANES]>()).min(LANES);
        Self { numbers, skip }
    }

    #[inline(always)]
    pub fn all(&self) -> &[State<W>] {
        self.numbers[self.skip..].as_chunks().0.as_chunks().0
    }

    #[inline(always)]
    pub fn all_mut(&mut self) -> &mut [State<W>] {
        self.numbers[self.skip..].as_chunks_mut().0.as_chunks_mut().0
    }
}
